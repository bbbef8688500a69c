"""Keys and policy change while messages flow: none is lost, and what is revoked opens nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import signal
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import aio_pika
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from celery import Celery

import interceptors
from interceptors import Tracing
from interceptors.celery import connect
from interceptors.context import new_root
from interceptors.envelope import HEADER_NAME, Binding, Level, Sealer, to_text
from interceptors.kafka import TracedConsumer, TracedProducer
from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.policy.signed import PAYLOAD_TYPES
from interceptors.policy.trust import RoleName
from interceptors.rabbitmq import TracedChannel
from interceptors.signatures import Signed, SigningKey
from interceptors.spans import MemorySink

from .provision.kafka import create_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from interceptors.envelope import SenderKey
    from interceptors.pipeline import Receipt

APP = Path(__file__).with_name("celery_app")
LIBRARY = Path(interceptors.__file__).parents[1]
DEADLINE = 60
AHEAD = 10
"""How many messages may be under way at once."""
SOME = 25
"""How many messages flow before, between and after the changes, at the least."""

SIGNERS = {"security": SigningKey(bytes(32)), "privacy": SigningKey(bytes([1]) * 32)}

POLICY = """\
version: 1
serial: {serial}
channels:
  - name: orders
    match: {{kafka: ["test-*"], rabbitmq: ["orders-*"], celery: ["orders-*"]}}
default: {{accept: required{payload}}}
"""


class Taken(NamedTuple):
    """What came with a message."""

    body: str
    verdict: str | None
    answer: str | None
    kid: str | None
    parent: tuple[str, str] | None
    """Trace id and span id that the envelope carried."""

    @classmethod
    def of(cls, body: str, receipt: Receipt) -> Taken:
        opened = receipt.opened
        context = opened and opened.context
        return cls(
            body,
            receipt.verdict,
            receipt.answer,
            opened and opened.id[:16].hex(),
            context and (context.trace_id.hex(), context.span_id.hex()),
        )


class Traffic(Protocol):
    """One way from the shop to the till."""

    async def send(self, body: str) -> None:
        """Send as the shop does."""

    async def send_bare(self, body: str, key: SenderKey) -> None:
        """Send as anybody could who holds a key, and no library of ours."""

    def taken(self) -> list[Taken]:
        """What has come, oldest first."""


def envelope(key: SenderKey, level: Level, message_type: str = "") -> bytes:
    return Sealer(key).seal(new_root(), level, Binding("orders", message_type), time.time_ns() // 1_000_000)[
        0
    ]


class Office:
    """The administration of the keys and of the policy, and the services that live by both."""

    def __init__(self, folder: Path, closing: contextlib.ExitStack) -> None:
        self.folder = folder
        self.keys = KeyAdministration(folder / "roots.json")
        self.keys.root("acme")
        self.keys.grant("shop", "acme", [], folder / "shop.json")
        self.keys.grant("till", "acme", ["shop"], folder / "till.json")
        public = {name: {"public": key.public.raw.hex()} for name, key in SIGNERS.items()}
        trust = {"version": 1, "roles": {"policy": {"threshold": 2, "keys": list(public)}}, "keys": public}
        (folder / "trust.yaml").write_text(json.dumps(trust))  # JSON is YAML
        self.rule(serial=1)
        self.sink = MemorySink()
        for service in ("shop", "till"):
            configuration = {
                "service": service,
                "tenant": "acme",
                "environment": "production",
                "keys": f"{service}.json",
                "policy": "policy.dsse.json",
                "trust": "trust.yaml",
                "trust_state": f"{service}.seen",
                "audit": {"log": f"{service}.audit.jsonl"},
            }
            self.file(service).write_text(json.dumps(configuration))
        self.shop = closing.enter_context(Tracing.from_file(self.file("shop"), sink=self.sink))

    def file(self, service: str) -> Path:
        """The configuration of a service."""
        return self.folder / f"{service}.yaml"

    def rule(
        self, *, serial: int, payload: str = "", signers: Iterable[str] = ("security", "privacy")
    ) -> None:
        """Put a signed policy in place, whole."""
        text = POLICY.format(serial=serial, payload=payload)
        signed = Signed(text.encode(), PAYLOAD_TYPES[RoleName.POLICY], ())
        for signer in signers:
            signed = signed.by(SIGNERS[signer])
        new = self.folder / "policy.new"
        new.write_text(signed.to_json())
        new.replace(self.folder / "policy.dsse.json")

    def records(self, service: str) -> list[str]:
        """What a service has put on record of its policy, oldest first."""
        lines = (self.folder / f"{service}.audit.jsonl").read_text().splitlines()
        return [json.loads(line)["action"] for line in lines]

    def sealing(self) -> SenderKey:
        """The key that the shop's key file has for sealing."""
        return LocalKeys(self.folder / "shop.json").sealing_key("acme")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with contextlib.ExitStack() as closing:
        yield Office(tmp_path, closing)


@contextlib.asynccontextmanager
async def kafka(office: Office, bootstrap: str) -> AsyncIterator[Traffic]:
    topic = create_topic(bootstrap)
    till = Tracing.from_file(office.file("till"))
    settings = {"bootstrap_servers": bootstrap, "auto_offset_reset": "earliest"}
    taken: list[Taken] = []

    class Kafka:
        async def send(self, body: str) -> None:
            await producer.send_and_wait(topic, body.encode())

        async def send_bare(self, body: str, key: SenderKey) -> None:
            headers = [(HEADER_NAME, envelope(key, Level.CHANNEL))]
            await bare.send_and_wait(topic, body.encode(), headers=headers)

        def taken(self) -> list[Taken]:
            return taken

    async def take(consumer: TracedConsumer) -> None:
        async for record in consumer:
            taken.append(Taken.of(record.value.decode(), record.receipt))  # noqa: PERF401 - it never ends

    bare = AIOKafkaProducer(bootstrap_servers=bootstrap)
    with till:
        async with (
            bare,
            TracedProducer(AIOKafkaProducer(bootstrap_servers=bootstrap), office.shop) as producer,
            TracedConsumer(AIOKafkaConsumer(topic, **settings), till) as consumer,
        ):
            taking = asyncio.create_task(take(consumer))
            yield Kafka()
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)


@contextlib.asynccontextmanager
async def rabbitmq(office: Office, url: str) -> AsyncIterator[Traffic]:
    name = f"orders-{secrets.token_hex(8)}"
    till = Tracing.from_file(office.file("till"))
    taken: list[Taken] = []

    class RabbitMQ:
        async def send(self, body: str) -> None:
            await outgoing.default_exchange.publish(aio_pika.Message(body.encode()), name)

        async def send_bare(self, body: str, key: SenderKey) -> None:
            headers: aio_pika.abc.HeadersType = {HEADER_NAME: bytearray(envelope(key, Level.CHANNEL))}
            await bare.default_exchange.publish(aio_pika.Message(body.encode(), headers=headers), name)

        def taken(self) -> list[Taken]:
            return taken

    async def take(message: Any) -> None:
        async with message.process():
            taken.append(Taken.of(message.body.decode(), message.receipt))

    with till:
        async with await aio_pika.connect(url) as connection:
            bare = await connection.channel()
            outgoing = TracedChannel(await connection.channel(), office.shop)
            queue = await TracedChannel(await connection.channel(), till).declare_queue(name, exclusive=True)
            await queue.consume(take)
            yield RabbitMQ()


@contextlib.asynccontextmanager
async def celery(office: Office, url: str) -> AsyncIterator[Traffic]:
    name = "orders-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    conf = {"broker_url": url, "task_default_queue": name, "task_ignore_result": True}
    conf |= {"broker_transport_options": {"global_keyprefix": name}}
    notes, log = office.folder / "taken.jsonl", office.folder / "worker.log"
    notes.touch()
    app, bare = (Celery("shop", set_as_current=False) for _ in range(2))
    app.conf.update(conf)
    bare.conf.update(conf)
    connect(app, office.shop)

    class Tasks:
        async def send(self, body: str) -> None:
            await asyncio.to_thread(app.send_task, "take", [body])

        async def send_bare(self, body: str, key: SenderKey) -> None:
            headers = {HEADER_NAME: to_text(envelope(key, Level.TYPE, "take"))}
            await asyncio.to_thread(bare.send_task, "take", [body], headers=headers)

        def taken(self) -> list[Taken]:
            lines = map(json.loads, notes.read_text().splitlines())
            return [Taken(**line | {"parent": line["parent"] and tuple(line["parent"])}) for line in lines]

    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (APP, LIBRARY))),
        "TILL_CONF": json.dumps(conf),
        "TILL_TAKEN": str(notes),
        "TILL_TRACING": str(office.file("till")),
    }
    quiet = ("--pool=prefork", "--concurrency=1", "--without-gossip", "--without-mingle")
    with log.open("wb") as file:
        worker = subprocess.Popen(  # noqa: ASYNC220, S603 - our own app; it is not waited for
            [sys.executable, "-m", "celery", "-A", "till", "worker", *quiet],
            env=os.environ | environment,
            stdout=file,
            stderr=file,
            cwd=office.folder,
            start_new_session=True,
        )
    try:
        yield Tasks()
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(DEADLINE)
        app.close()
        bare.close()


BUSES: dict[str, Callable[[Office, str], contextlib.AbstractAsyncContextManager[Traffic]]] = {
    "kafka": kafka,
    "rabbitmq": rabbitmq,
    "redis": celery,
}


class Flow:
    """Messages that keep flowing, numbered, until they are told to end."""

    def __init__(self, traffic: Traffic, tasks: asyncio.TaskGroup) -> None:
        self._traffic = traffic
        self._ending = False
        self.sent = 0
        self._running = tasks.create_task(self._run())

    async def _run(self) -> None:
        while not self._ending:
            await self.until(lambda: self.sent - len(self.arrived()) < AHEAD)
            await self._traffic.send(f"{self.sent} user@example.com")
            self.sent += 1

    def arrived(self) -> list[Taken]:
        """What has come of these messages."""
        return [one for one in self._traffic.taken() if one.body[0].isdigit()]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when something has come true of what another process or task does."""
        async with asyncio.timeout(DEADLINE):
            while not condition():  # noqa: ASYNC110 - what another process does sets no event here
                await asyncio.sleep(0.005)

    async def some(self) -> None:
        """Return when some messages more have come."""
        count = len(self.arrived())
        await self.until(lambda: len(self.arrived()) >= count + SOME)

    async def end(self) -> None:
        """Send no more, and return when all have come."""
        self._ending = True
        await self._running
        await self.until(lambda: len(self.arrived()) >= self.sent)


async def opens(traffic: Traffic, flow: Flow, key: SenderKey, probe: str) -> bool:
    """Tell whether the till opens an envelope that was sealed just now under a key."""
    await traffic.send_bare(probe, key)
    await flow.until(lambda: any(one.body == probe for one in traffic.taken()))
    (taken,) = [one for one in traffic.taken() if one.body == probe]
    assert (taken.verdict, taken.answer) in {("fresh", None), ("invalid", "revoked key")}
    return taken.verdict == "fresh"


@pytest.mark.parametrize("broker", BUSES)
async def test_nothing_is_lost_while_keys_and_policy_change(
    broker: str, office: Office, request: pytest.FixtureRequest
) -> None:
    address: str = request.getfixturevalue(f"real_{broker}")
    async with BUSES[broker](office, address) as traffic, asyncio.TaskGroup() as tasks:
        flow = Flow(traffic, tasks)
        await flow.some()
        old = office.sealing()

        office.keys.rotate("acme")
        await flow.some()
        office.keys.promote("acme")
        new = office.sealing()
        await flow.until(lambda: flow.arrived()[-1].kid == new.kid.hex())
        await flow.some()

        # By one signer of two, it would keep every message back.
        office.rule(serial=2, payload=", payload: {on_leak: block}", signers=["security"])
        await flow.until(lambda: all("policy.refused" in office.records(name) for name in ("shop", "till")))
        await flow.some()
        office.rule(serial=2, payload=", payload: {on_leak: redact}")
        await flow.until(lambda: "@" not in flow.arrived()[-1].body)
        await flow.some()

        assert await opens(traffic, flow, old, "before")
        office.keys.revoke(old.kid.hex())
        probes = (f"probe {number}" for number in itertools.count())
        async with asyncio.timeout(DEADLINE):
            while await opens(traffic, flow, old, next(probes)):
                pass
        for _ in range(SOME):
            assert not await opens(traffic, flow, old, next(probes))
        assert await opens(traffic, flow, new, "after")

        await flow.some()
        await flow.end()
        arrived = flow.arrived()

    # None lost, none twice, and each in the trace that it was sent in.
    assert sorted(int(one.body.split()[0]) for one in arrived) == list(range(flow.sent))
    assert {one.verdict for one in arrived} == {"fresh"}
    assert {one.kid for one in arrived} == {old.kid.hex(), new.kid.hex()}
    assert office.shop.flush()
    sent = {(span.context.trace_id.hex(), span.context.span_id.hex()) for span in office.sink.spans}
    assert {one.parent for one in arrived} == sent
    assert len(sent) == flow.sent
    assert office.records("shop").count("policy.change") == 2
