"""What crosses the wires between the demonstration and real brokers, recorded both ways and searched."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
from rich.console import Console

from interceptors.demo import run
from interceptors.demo.orders import SAMPLE, read_orders

from . import provision
from .provision.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from interceptors.demo.orders import Order

ORDERS = 24
"""How many orders of the sample are sent."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")


class Wire(socketserver.ThreadingTCPServer):
    """Stands between clients and a server, and keeps a copy of what crosses, each way of each connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Crossing)
        self.port: int = self.server_address[1]
        self.server = ("127.0.0.1", 0)
        self._lock = threading.Lock()
        self._sent: list[bytearray] = []
        self._received: list[bytearray] = []

    def lead_to(self, address: str) -> None:
        """Say where it leads.

        Args:
            address: `host:port`, or a URL.
        """
        parts = urlsplit(address if "://" in address else f"//{address}")
        assert parts.hostname
        assert parts.port
        self.server = (parts.hostname, parts.port)

    def through(self, url: str) -> str:
        """Give the URL of the same by way of this."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()

    def crossing(self) -> tuple[bytearray, bytearray]:
        """Begin to record a connection: what the client sends, and what it receives."""
        with self._lock:
            self._sent.append(bytearray())
            self._received.append(bytearray())
            return self._sent[-1], self._received[-1]

    def take(self) -> Recording:
        """Give what was recorded, and begin anew. Every connection has to be over."""
        with self._lock:
            recording = Recording(b"\n".join(self._sent), b"\n".join(self._received))
            self._sent, self._received = [], []
        return recording


class Recording(NamedTuple):
    """Everything that crossed a wire."""

    sent: bytes
    received: bytes


class _Crossing(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        sent, received = self.server.crossing()
        with socket.create_connection(self.server.server) as onward:
            back = threading.Thread(target=_pump, args=(onward, self.request, received), daemon=True)
            back.start()
            _pump(self.request, onward, sent)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, seen: bytearray) -> None:
    with contextlib.suppress(OSError):  # either side may end a connection as it likes
        while data := source.recv(1 << 16):
            seen += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _wire() -> Iterator[Wire]:
    with Wire() as wire:
        serving = threading.Thread(target=wire.serve_forever, daemon=True)
        serving.start()
        try:
            yield wire
        finally:
            wire.shutdown()
            serving.join()


class Run(NamedTuple):
    """One run of the demonstration, and what crossed to and from each broker."""

    status: int
    printed: str
    orders: list[Order]
    ids: set[bytes]
    """The trace ids and span ids of its spans."""
    wires: dict[str, Recording]


@pytest.fixture(scope="module")
def kafka_wire(real_brokers: None) -> Iterator[Wire]:
    """A wire to a Kafka whose clients know no other way to it."""
    with _wire() as wire:
        server = provision.new_server(Kafka(advertised_port=wire.port))
        wire.lead_to(server.address)
        try:
            server.start()
            yield wire
        finally:
            server.stop()


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def recorded(
    request: pytest.FixtureRequest,
    kafka_wire: Wire,
    real_rabbitmq: str,
    real_redis: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A run on all real brokers, with Celery's on each that it runs on."""
    folder = tmp_path_factory.mktemp("wire")
    given = folder / "orders.jsonl"
    given.write_text("".join(SAMPLE.read_text().splitlines(keepends=True)[:ORDERS]))
    tasks_at = {"redis": real_redis, "rabbitmq": real_rabbitmq}[request.param]
    text = io.StringIO()
    with _wire() as rabbitmq, _wire() as celery:
        rabbitmq.lead_to(real_rabbitmq)
        celery.lead_to(tasks_at)
        kafka_wire.take()  # what the server's start left there
        status = run(
            input_path=given,
            out=folder / "out",
            kafka=f"127.0.0.1:{kafka_wire.port}",
            rabbitmq=rabbitmq.through(real_rabbitmq),
            celery_broker=celery.through(tasks_at),
            console=Console(file=text, width=200),
        )
        wires = {"kafka": kafka_wire.take(), "rabbitmq": rabbitmq.take(), "celery": celery.take()}
    orders, _ = read_orders(given)
    return Run(status, text.getvalue(), orders, _ids(folder / "out" / "spans.jsonl"), wires)


def _ids(path: Path) -> set[bytes]:
    spans = [json.loads(line) for line in path.read_text().splitlines()]
    return {bytes.fromhex(span[key]) for span in spans for key in ("traceId", "spanId")}


def _unfolded(recording: bytes) -> bytes:
    """What was recorded, followed by what its base64 says: Celery's bodies travel so on Redis."""
    texts = [found[0].translate(bytes.maketrans(b"-_", b"+/")) for found in _BASE64.finditer(recording)]
    return b"\n".join([recording, *(base64.b64decode(text[: len(text) // 4 * 4]) for text in texts)])


def _forms(secret: bytes) -> Iterable[bytes]:
    """What an id may look like on a wire; in base64, whatever stands before it."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        # Of the first and the last digits, some bits are its neighbours'.
        digits = base64.b64encode(bytes(before) + secret)[
            (before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6
        ]
        yield digits
        yield digits.translate(bytes.maketrans(b"+/", b"-_"))


def _leaked(secrets: Iterable[bytes], recording: bytes) -> list[bytes]:
    text = _unfolded(recording)
    return [secret for secret in secrets if any(form in text for form in _forms(secret))]


def test_it_runs_on_real_brokers(recorded: Run) -> None:
    assert recorded.status == 0, recorded.printed
    assert "9 of 9 attacks" in recorded.printed


@pytest.mark.parametrize("bus", ["kafka", "rabbitmq", "celery"])
def test_no_id_of_a_trace_crosses(recorded: Run, bus: str) -> None:
    assert len(recorded.ids) > ORDERS * 10
    assert not _leaked(recorded.ids, recorded.wires[bus].sent)
    assert not _leaked(recorded.ids, recorded.wires[bus].received)


@pytest.mark.parametrize("bus", ["kafka", "rabbitmq", "celery"])
def test_no_address_of_a_customer_crosses(recorded: Run, bus: str) -> None:
    emails = {order.email for order in recorded.orders}
    assert len(emails) > 1
    for recording in recorded.wires[bus]:
        text = _unfolded(recording).decode(errors="replace")
        assert not [email for email in emails if email in text or quote(email) in text]


@pytest.mark.parametrize("bus", ["kafka", "rabbitmq", "celery"])
def test_the_recording_is_not_blind(recorded: Run, bus: str) -> None:
    assert len(recorded.orders) == ORDERS
    for recording in recorded.wires[bus]:
        text = _unfolded(recording)
        assert not [order for order in recorded.orders if order.order_id.encode() not in text]
        assert b"sealed-trace" in text


@pytest.mark.parametrize("before", [b"", b"a", b"ab"])
@pytest.mark.parametrize(
    "written",
    [
        bytes,
        lambda told: told.hex().encode(),
        lambda told: told.hex().upper().encode(),
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda told: base64.b64encode(b'{"trace": "' + told.hex().encode() + b'"}'),
    ],
)
def test_the_search_is_not_blind(written: Any, before: bytes) -> None:
    secret = bytes.fromhex("fbf0a1ffe2d3c4b5")
    other = bytes.fromhex("00f0a1ffe2d3c4b5")
    assert _leaked([secret, other], b'{"x": "' + written(before + secret + b"after") + b'"}') == [secret]
