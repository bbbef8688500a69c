"""Spans go to all that the configuration names, and a configuration that names it wrongly is refused."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aiokafka import AIOKafkaConsumer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from interceptors import ConfigurationError, Tracing
from interceptors.envelope import HEADER_NAME
from interceptors.envelope.batch import open_batch
from interceptors.message import Message
from interceptors.tracing.export import BUS_URL, Export, located, sinks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.spans import SpanSink

PATIENCE = 60
"""Seconds that anything may take before it is given up."""
SECRET = "tr0ub4dor"
PRIVATE_KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def collector_key(tmp_path: Path) -> str:
    """The file of the collector's public key."""
    path = tmp_path / "collector.pub"
    path.write_bytes(PRIVATE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(path)


def sinks(export: dict[str, Any]) -> list[SpanSink]:
    made = Export.model_validate(export)
    return sinks_of(made, service="checkout", environment="test", seal=lambda _: None)


def span_ids(body: bytes) -> list[bytes]:
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    return [span.span_id for scope in resource.scope_spans for span in scope.spans]


def send(tracing: Tracing) -> bytes:
    """Send a message, and give the id of its span, which has been exported."""
    with tracing.send(Message("kafka", "orders")) as sending:
        assert sending.span is not None
        span_id = sending.span.context.span_id
    assert tracing.flush(PATIENCE)
    assert tracing.spans_dropped == 0
    return span_id


# --- where spans go -----------------------------------------------------------------------------------------


class Collector:
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.posted: queue.Queue[bytes] = queue.Queue()
        posted = self.posted

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted.put(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_nothing_is_exported_where_nothing_is_said() -> None:
    assert sinks({}) == []


def test_spans_go_to_all_that_is_named(
    development: Callable[..., Tracing], collector: Collector, tmp_path: Path
) -> None:
    file = tmp_path / "spans.jsonl"
    tracing = development(export={"file": {"path": str(file)}, "otlp": {"endpoint": collector.endpoint}})

    span_id = send(tracing)

    assert span_ids(collector.posted.get(timeout=PATIENCE)) == [span_id]
    assert [json.loads(line)["spanId"] for line in file.read_text().splitlines()] == [span_id.hex()]


def test_a_file_of_the_configuration_lies_beside_it(configuration: Path) -> None:
    configuration.write_text(f"{configuration.read_text()}export: {{file: {{path: spans.jsonl}}}}\n")

    with Tracing.from_file(configuration) as tracing:
        span_id = send(tracing)

    assert span_id.hex() in (configuration.parent / "spans.jsonl").read_text()


async def test_a_batch_on_a_kafka_topic_opens_for_the_collector_alone(
    development: Callable[..., Tracing], embedded_kafka: str, collector_key: str
) -> None:
    topic = f"spans-{uuid.uuid4()}"
    kafka = {"bootstrap_servers": embedded_kafka, "topic": topic}
    reading = {"bootstrap_servers": embedded_kafka, "auto_offset_reset": "earliest", "fetch_max_wait_ms": 100}
    async with AIOKafkaConsumer(topic, **reading) as consumer, asyncio.timeout(PATIENCE):
        tracing = development(export={"bus": {"collector_key": collector_key, "kafka": kafka}})

        span_id = send(tracing)

        record = await consumer.getone()
    assert span_ids(open_batch(PRIVATE_KEY, record.value)) == [span_id]
    assert span_id not in record.value
    assert [name for name, _ in record.headers] == [HEADER_NAME]


@pytest.mark.parametrize("by", ["configuration", "environment"])
async def test_a_batch_in_a_rabbitmq_queue_opens_for_the_collector_alone(
    development: Callable[..., Tracing],
    embedded_rabbitmq: str,
    collector_key: str,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    name = f"spans-{uuid.uuid4()}"
    rabbitmq = {"queue": name}
    if by == "configuration":
        monkeypatch.setenv(BUS_URL, "amqp://nowhere.invalid")
        rabbitmq["url"] = embedded_rabbitmq
    else:
        monkeypatch.setenv(BUS_URL, embedded_rabbitmq)
    async with await aio_pika.connect(embedded_rabbitmq) as connection:
        declared = await (await connection.channel()).declare_queue(name)
        tracing = development(export={"bus": {"collector_key": collector_key, "rabbitmq": rabbitmq}})

        span_id = send(tracing)

        message = await declared.get(timeout=PATIENCE)
        await message.ack()
    assert span_ids(open_batch(PRIVATE_KEY, message.body)) == [span_id]
    assert list(message.headers) == [HEADER_NAME]


# --- what does not hold -------------------------------------------------------------------------------------


def test_paths_are_made_relative_to_a_folder_wherever_they_stand() -> None:
    export = Export.model_validate(
        {
            "file": {"path": "spans.jsonl"},
            "otlp": {
                "endpoint": "https://collector.example.com",
                "certificate": "ca.pem",
                "client_key": "/a/key",
            },
            "bus": {
                "collector_key": "collector.pub",
                "kafka": {
                    "bootstrap_servers": "kafka:9092",
                    "topic": "spans",
                    "client_certificate": "own.pem",
                },
            },
        }
    )

    moved = located(export, Path("/etc/shop")).model_dump(exclude_none=True)

    assert moved == {
        "file": {"path": "/etc/shop/spans.jsonl"},
        "otlp": {
            "endpoint": "https://collector.example.com",
            "certificate": "/etc/shop/ca.pem",
            "client_key": "/a/key",
        },
        "bus": {
            "collector_key": "/etc/shop/collector.pub",
            "kafka": {
                "bootstrap_servers": "kafka:9092",
                "topic": "spans",
                "security_protocol": "PLAINTEXT",
                "client_certificate": "/etc/shop/own.pem",
            },
        },
    }
    assert export.file is not None
    assert export.file.path == "spans.jsonl"


KAFKA = {"bootstrap_servers": "kafka:9092", "topic": "spans"}
RABBITMQ = {"url": f"amqp://user:{SECRET}@rabbitmq", "queue": "spans"}


@pytest.mark.parametrize(
    ("export", "problem"),
    [
        ({"bus": {"kafka": KAFKA}}, "collector_key"),
        ({"bus": {"collector_key": "key"}}, "either `kafka` or `rabbitmq`"),
        ({"bus": {"collector_key": "key", "kafka": KAFKA, "rabbitmq": RABBITMQ}}, "either `kafka` or"),
        ({"otlp": {"headers": {"authorization": SECRET}}}, "headers"),
        ({"otlp": {"compression": "zstd"}}, "compression"),
        ({"otlp": {"timeout": "soon"}}, "timeout"),
        ({"file": {}}, "path"),
    ],
)
def test_what_contradicts_itself_is_refused_and_shows_no_secret(
    development: Callable[..., Tracing], export: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match="export") as raised:
        development(export=export)
    assert problem in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("export", "problem"),
    [
        ({"otlp": {"endpoint": "collector.example.com"}}, "endpoint"),
        ({"otlp": {"endpoint": "https://a.example.com", "certificate": "absent.pem"}}, "certificate: can't"),
        (
            {"otlp": {"endpoint": "https://a.example.com", "client_certificate": "absent.pem"}},
            "client_key: can't",
        ),
        ({"bus": {"collector_key": "absent.pub", "kafka": KAFKA}}, r"absent\.pub"),
        (
            {
                "bus": {
                    "collector_key": "",
                    "kafka": KAFKA | {"security_protocol": "SSL", "certificate": "absent.pem"},
                }
            },
            r"absent\.pem",
        ),
        ({"bus": {"collector_key": "", "kafka": KAFKA | {"sasl_mechanism": "PLAIN"}}}, "SASL"),
        ({"bus": {"collector_key": "", "rabbitmq": {"queue": "spans"}}}, BUS_URL),
        ({"bus": {"collector_key": "", "rabbitmq": {"queue": "spans", "url": "http://rabbitmq"}}}, "amqp"),
    ],
)
def test_what_can_not_be_used_is_refused(
    export: dict[str, Any], problem: str, collector_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BUS_URL, raising=False)
    bus = export.get("bus", {})
    if bus.get("collector_key") == "":
        export = {"bus": bus | {"collector_key": collector_key}}

    with pytest.raises(ConfigurationError, match=problem):
        sinks(export)


def test_what_may_hold_a_password_is_not_shown() -> None:
    export = Export.model_validate(
        {
            "otlp": {"endpoint": f"https://user:{SECRET}@collector.example.com"},
            "bus": {"collector_key": "key", "rabbitmq": RABBITMQ},
        }
    )
    assert SECRET not in repr(export)


def test_a_timeout_is_given_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("interceptors.spans.otlp.otlp_sink", lambda *options, **_: given.append(options))

    sinks({"otlp": {"timeout": "2500ms", "compression": "gzip"}})
    sinks({"otlp": {}})

    assert given == [(None, None, None, None, "gzip", 2.5), (None,) * 6]
