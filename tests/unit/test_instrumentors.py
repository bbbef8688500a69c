"""What `opentelemetry-instrument` loads, by itself and by the command."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import interceptors
from interceptors import Tracing, instrumentors
from interceptors.errors import MissingExtraError
from interceptors.instrumentors import (
    CeleryInstrumentor,
    ConfluentInstrumentor,
    KafkaInstrumentor,
    RabbitMQInstrumentor,
)
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60
GROUP = "opentelemetry_instrumentor"
KINDS = (CeleryInstrumentor, ConfluentInstrumentor, KafkaInstrumentor, RabbitMQInstrumentor)

INIT = [sys.executable, "-c", "from interceptors.cli import main; main()", "init", "tracing"]
APP = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

async def main(bootstrap, topic):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(topic, b"2 apples", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        record = await consumer.getone()
        receipt = getattr(record, "receipt", None)
        print(record.value, receipt and receipt.verdict, [name for name, _ in record.headers])

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    """What the environment configures."""
    with Tracing.for_development("checkout", sink=MemorySink()) as made:
        yield made


class Bus:
    """Stands for a bus's room."""

    def __init__(self) -> None:
        self.instrumented: list[Tracing] = []

    def instrument(self, tracing: Tracing) -> None:
        self.instrumented.append(tracing)

    def uninstrument(self) -> None:
        self.instrumented.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bus_is_instrumented_with_the_tracing_of_the_environment(
    kind: type[Any], tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Bus()
    monkeypatch.setattr(instrumentors, "configured", lambda: tracing)
    monkeypatch.setitem(sys.modules, f"interceptors.{kind.room}", bus)

    kind().instrument(skip_dep_check=True)
    assert bus.instrumented == [tracing]
    kind().uninstrument()
    assert bus.instrumented == []


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_variable_no_bus_is_even_imported(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("INTERCEPTORS_CONFIG", raising=False)
    monkeypatch.setitem(sys.modules, f"interceptors.{kind.room}", None)  # an import of it fails

    with caplog.at_level("DEBUG", logger="interceptors.instrumentors"):
        kind().instrument(skip_dep_check=True)

    assert [record.levelname for record in caplog.records] == ["DEBUG"]


def test_a_client_that_is_not_installed_is_left_out(
    tracing: Tracing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(_: KafkaInstrumentor) -> None:
        raise MissingExtraError("kafka", "aiokafka")

    monkeypatch.setattr(instrumentors, "configured", lambda: tracing)
    monkeypatch.setattr(KafkaInstrumentor, "_bus", missing)

    with caplog.at_level("DEBUG", logger="interceptors.instrumentors"):
        KafkaInstrumentor().instrument()
    KafkaInstrumentor().uninstrument()

    assert "pip install 'interceptors[kafka]'" in caplog.text


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that finds our entry points, whether what is installed has them or not."""
    paths = [str(Path(interceptors.__file__).parents[1])]
    if not any(found.value.startswith("interceptors.") for found in entry_points(group=GROUP)):
        metadata = tmp_path / "interceptors_entry-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: interceptors-entry\nVersion: 0\n")
        lines = [f"sealed_{kind.room} = {kind.__module__}:{kind.__qualname__}" for kind in KINDS]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        paths.append(str(tmp_path))
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }


def test_an_application_works_unchanged(
    embedded_kafka: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """With the variable its messages are sealed, whatever else is loaded; without it, nothing is done."""
    program, topic = tmp_path / "app.py", f"test-{uuid.uuid4()}"
    program.write_text(APP)
    run([*INIT, "--service", "shop", "--tenant", "acme"], environment, tmp_path)
    command = [
        *(str(Path(sys.executable).with_name("opentelemetry-instrument")), sys.executable),
        *(str(program), embedded_kafka, topic),
    ]

    sealed = run(command, environment | {"INTERCEPTORS_CONFIG": "tracing/interceptors.yaml"}, tmp_path)
    bare = run(command, environment, tmp_path)

    assert sealed == "b'2 apples' fresh []\n"
    assert bare == "b'2 apples' None ['sealed-trace']\n"


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """What a command prints."""
    done = subprocess.run(  # noqa: S603 - our own
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
