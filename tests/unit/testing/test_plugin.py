"""The pytest plugin, used as its users use it: in a project of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CONFTEST = 'pytest_plugins = ["interceptors.testing.plugin"]\n'


class Project:
    """A folder with tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conftest.py").write_text(CONFTEST)

    def run(self, body: str) -> tuple[int, str]:
        """Run the tests in a module; give pytest's exit status and what it printed."""
        (self.folder / "test_shop.py").write_text(textwrap.dedent(body))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        done = subprocess.run(  # noqa: S603 - our own tests
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_what_does_not_leak_passes(project: Project) -> None:
    status, printed = project.run(
        """
        import asyncio

        import aio_pika
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

        from interceptors import kafka, rabbitmq


        def test_kafka(canary, assert_no_leaks, development_tracing, memory_sink, embedded_kafka):
            async def run():
                tracing = development_tracing("shop", tenant="acme")
                client = AIOKafkaProducer(bootstrap_servers=embedded_kafka)
                async with kafka.TracedProducer(client, tracing) as producer:
                    await producer.send_and_wait("orders", canary.email.encode(), key=canary.text.encode())
                client = AIOKafkaConsumer(
                    "orders", bootstrap_servers=embedded_kafka, auto_offset_reset="earliest"
                )
                async with client:
                    return tracing, (await client.getone()).headers

            tracing, headers = asyncio.run(run())
            assert tracing.flush()
            assert memory_sink.spans
            assert_no_leaks(spans=memory_sink.spans, headers=headers, tracing=repr(tracing))


        def test_rabbitmq(canary, assert_no_leaks, development_tracing, memory_sink, embedded_rabbitmq):
            async def run():
                one, other = development_tracing("shop"), development_tracing("billing")
                async with await aio_pika.connect(embedded_rabbitmq) as connection:
                    queue = await rabbitmq.TracedChannel(await connection.channel(), one).declare_queue("q")
                    channel = rabbitmq.TracedChannel(await connection.channel(), other)
                    await channel.default_exchange.publish(aio_pika.Message(canary.text.encode()), "q")
                    message = await queue.get()
                    await message.ack()
                    return message.receipt

            receipt = asyncio.run(run())
            assert (receipt.verdict, receipt.sender) == ("fresh", "billing")
            assert_no_leaks(receipt=receipt)
        """
    )
    assert status == 0, printed
    assert "2 passed" in printed


def test_what_leaks_fails_and_is_named(project: Project) -> None:
    status, printed = project.run(
        """
        import logging


        def test_logs(canary, assert_no_leaks):
            logging.getLogger("shop").warning("paid with %s", canary.card_number)
            assert_no_leaks(headers=[("user", canary.email.encode().hex())])
        """
    )
    assert status == 1
    assert "card_number leaks at log[0], as it is" in printed
    assert "email leaks at headers[0][1], in hex" in printed


def test_looking_for_nothing_fails(project: Project) -> None:
    status, printed = project.run("def test_nothing(assert_no_leaks):\n    assert_no_leaks()\n")
    assert status == 1
    assert "use the fixture `canary`" in printed
