"""The OTLP sink, over real sockets."""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
import email.utils
import gzip
import ipaddress
import logging
import os
import queue
import runpy
import socket
import ssl
import sys
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from interceptors import ConfigurationError, MissingExtraError, Tracing
from interceptors.message import Message
from interceptors.spans import otlp
from interceptors.spans.otlp import otlp_sink
from interceptors.spans.outbox import CAPACITY
from interceptors.spans.sinks import RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interceptors.spans import Span
    from interceptors.spans.otlp import OtlpSink

DEADLINE = 60
"""Seconds that anything may take before it is given up."""
SECRET = "tr0ub4dor"


class Request(NamedTuple):
    """What a collector was sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: object

    def spans(self) -> int:
        request = ExportTraceServiceRequest.FromString(self.body)
        return len(request.resource_spans[0].scope_spans[0].spans)


class Handler(BaseHTTPRequestHandler):
    """One connection to a collector."""

    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.put(Request(self.path, headers, body, self.client_address))
        answers = self.server.answers
        (answers.popleft() if answers else answer())(self)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


Answer = Any  # a function that takes a handler


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    """A whole answer."""

    def write(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return write


def breaks_off(handler: Handler) -> None:
    """Less of an answer than it says."""
    handler.send_response(200)
    handler.send_header("content-length", "100")
    handler.end_headers()
    handler.wfile.write(b"\x0a")
    handler.close_connection = True


def hangs_up(handler: Handler) -> None:
    """No answer."""
    handler.close_connection = True


class Collector(ThreadingHTTPServer):
    """Listens on loopback, keeps what it is sent, and answers as it is told, else that all is well."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}"
        self.requests: queue.Queue[Request] = queue.Queue()
        self.answers: deque[Answer] = deque()
        self.release = threading.Event()
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._serving.start()

    def hangs_up_late(self, handler: Handler) -> None:
        assert self.release.wait(DEADLINE)
        hangs_up(handler)

    def answers_late(self, handler: Handler) -> None:
        assert self.release.wait(DEADLINE)
        answer()(handler)

    def next(self) -> Request:
        return self.requests.get(timeout=DEADLINE)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has gone."""

    def close(self) -> None:
        self.release.set()
        self.shutdown()
        self._serving.join()
        self.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again without waiting long."""
    monkeypatch.setattr(otlp, "FIRST_BACKOFF_S", 0.001)


@pytest.fixture
def make_sink(collector: Collector) -> Iterator[Callable[..., OtlpSink]]:
    """Makes sinks; to the collector, where nothing else is said."""
    made: list[OtlpSink] = []

    def make(
        endpoint: str = collector.endpoint, *, environ: dict[str, str] | None = None, **given: Any
    ) -> OtlpSink:
        sink = otlp_sink(
            endpoint, service="checkout", environment="production", environ=environ or {}, **given
        )
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()


# --- what is sent -------------------------------------------------------------------------------------------


def test_a_batch_is_posted(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    assert make_sink().export([make_span(), make_span()], DEADLINE) == 0
    request = collector.next()
    assert (request.path, request.spans()) == ("/v1/traces", 2)
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["user-agent"].startswith("interceptors-OTLP-Exporter-Python/")
    assert "content-encoding" not in request.headers


def test_a_batch_is_compressed_where_that_is_asked_for(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    make_sink(compression="gzip").export([make_span()] * 100, DEADLINE)
    request = collector.next()
    assert request.headers["content-encoding"] == "gzip"
    assert request._replace(body=gzip.decompress(request.body)).spans() == 100


def test_headers_of_the_environment_go_with_each_request(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    sink = make_sink(environ={"OTEL_EXPORTER_OTLP_HEADERS": f"Api-Key={SECRET},name=Gr%C3%B6%C3%9Fe"})
    for _ in range(2):
        sink.export([make_span()], DEADLINE)
        headers = collector.next().headers
        assert headers["api-key"] == SECRET
        assert headers["name"].encode("latin-1").decode() == "Größe"


def test_one_connection_is_kept(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    sink = make_sink()
    collector.answers.extend([answer(), answer(503), answer(200, b"<html>"), answer(400, b"no")])
    for _ in range(3):
        sink.export([make_span()], DEADLINE)
    assert len({collector.next().connection for _ in range(4)}) == 1


def test_a_child_after_a_fork_makes_a_connection_of_its_own(
    collector: Collector,
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = make_sink()
    sink.export([make_span()], DEADLINE)
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    sink.export([make_span()], DEADLINE)
    assert collector.next().connection != collector.next().connection
    sink.close()
    monkeypatch.setattr(os, "getpid", lambda: child + 1)
    with pytest.raises(RetryLater):  # closed stays closed
        sink.export([make_span()], DEADLINE)


def test_a_child_closes_whatever_a_thread_of_the_parent_held(
    make_sink: Callable[..., OtlpSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make_sink()
    child = os.getpid() + 1
    with vars(sink._closed)["_cond"]:  # as a thread has it at the moment at which it begins to wait
        monkeypatch.setattr(os, "getpid", lambda: child)
        closing = threading.Thread(target=sink.close, daemon=True)
        closing.start()
        closing.join(DEADLINE)
        assert not closing.is_alive()


def test_an_export_is_not_traced_by_the_applications_own_tracer(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = URLLib3Instrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        make_sink().export([make_span()], DEADLINE)
    finally:
        instrumentor.uninstrument()
        provider.shutdown()
    assert exporter.get_finished_spans() == ()
    assert "traceparent" not in collector.next().headers


# --- what is answered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [answer(429), answer(502), answer(503), answer(504), answer(503, b"x" * 200_000), hangs_up],
    ids=["429", "502", "503", "504", "long", "hangs up"],
)
def test_a_batch_is_sent_again(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span], first: Answer
) -> None:
    collector.answers.extend([first, first])
    assert make_sink().export([make_span()], DEADLINE) == 0
    bodies = {collector.next().body for _ in range(3)}
    assert len(bodies) == 1
    assert collector.requests.empty()


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501, 302])
def test_a_batch_that_is_refused_is_lost_and_said_to_be_once(
    collector: Collector,
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    sink = make_sink(environ={"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}"})
    collector.answers.extend([answer(status, SECRET.encode())] * 2)
    assert [sink.export([make_span()] * 3, DEADLINE) for _ in range(2)] == [3, 3]
    assert collector.requests.qsize() == 2
    (said,) = (record.getMessage() for record in caplog.records if record.name == "interceptors.spans")
    assert f"HTTP {status}" in said
    assert SECRET not in caplog.text


def test_a_redirect_is_not_followed(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    elsewhere = Collector()
    try:
        collector.answers.append(answer(307, location=f"{elsewhere.endpoint}/v1/traces"))
        assert make_sink().export([make_span()], DEADLINE) == 1
        assert elsewhere.requests.empty()
    finally:
        elsewhere.close()


@pytest.mark.parametrize("rejected_and_lost", [(0, 0), (2, 2), (99, 3), (-1, 0)])
def test_what_a_collector_refuses_of_a_batch_is_lost(
    collector: Collector,
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    caplog: pytest.LogCaptureFixture,
    rejected_and_lost: tuple[int, int],
) -> None:
    rejected, lost = rejected_and_lost
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = SECRET
    collector.answers.extend([answer(200, response.SerializeToString())] * 2)
    sink = make_sink()
    assert [sink.export([make_span()] * 3, DEADLINE) for _ in range(2)] == [lost, lost]
    assert collector.requests.qsize() == 2
    assert caplog.text.count("partial success") == (1 if lost else 0)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "garbage",
    [answer(200, b"<html>"), answer(200, b"\x00" * 200_000), breaks_off],
    ids=["text", "long", "breaks off"],
)
def test_garbage_that_comes_with_success_is_success(
    collector: Collector,
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    caplog: pytest.LogCaptureFixture,
    garbage: Answer,
) -> None:
    collector.answers.extend([garbage, garbage])
    sink = make_sink()
    assert [sink.export([make_span()], DEADLINE) for _ in range(3)] == [0, 0, 0]
    assert collector.requests.qsize() == 3
    assert caplog.text.count("unreadable") == 1


# --- when nothing comes of it -------------------------------------------------------------------------------


def test_a_collector_that_never_answers_is_given_up_in_time(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    collector.answers.append(collector.hangs_up_late)
    sink = make_sink()
    with pytest.raises(RetryLater):
        sink.export([make_span()], 0.2)
    collector.release.set()
    assert sink.export([make_span()], DEADLINE) == 0


def test_the_time_that_is_configured_counts_too(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    collector.answers.append(collector.hangs_up_late)
    with pytest.raises(RetryLater):
        make_sink(timeout=0.2).export([make_span()], DEADLINE)
    assert collector.next().spans() == 1


def test_without_time_nothing_is_sent(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    with pytest.raises(RetryLater):
        make_sink().export([make_span()], 0)
    assert collector.requests.empty()


def test_a_collector_that_is_not_there_yet_is_tried_again(
    make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen
        sink = make_sink(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        for _ in range(2):
            with pytest.raises(RetryLater):
                sink.export([make_span()], 0.05)
    assert caplog.text.count("NewConnectionError") == 1


def test_an_answer_says_how_long_to_wait(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    collector.answers.append(answer(429, retry_after="200"))
    sink = make_sink()
    for _ in range(3):
        with pytest.raises(RetryLater):
            sink.export([make_span()], DEADLINE)
    assert collector.requests.qsize() == 1


def test_an_answer_may_say_not_to_wait(
    collector: Collector,
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "FIRST_BACKOFF_S", DEADLINE)  # what it would wait else
    collector.answers.append(answer(503, retry_after="0"))
    assert make_sink().export([make_span()], DEADLINE) == 0


def seconds_from_now(seconds: int) -> str:
    now = dt.datetime.now(dt.UTC)
    return email.utils.format_datetime(now + dt.timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0", 0),
        pytest.param("9" * 5000, 300, id="digits"),
        ("-7", None),
        ("soon", None),
        ("", None),
        pytest.param(seconds_from_now(-60), 0, id="a date that is over"),
        pytest.param(seconds_from_now(3600), 300, id="in an hour"),
        ("Wed, 21 Oct 2015 07:28:00", 0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    ],
)
def test_how_long_to_wait_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert otlp._seconds(value) == seconds


def test_closing_gives_up_a_batch_that_waits(
    collector: Collector, make_sink: Callable[..., OtlpSink], make_span: Callable[..., Span]
) -> None:
    collector.answers.append(answer(503, retry_after=str(DEADLINE)))
    sink, given_up = make_sink(timeout=3.0 * DEADLINE), threading.Event()

    def export() -> None:
        with pytest.raises(RetryLater):
            sink.export([make_span()], 3.0 * DEADLINE)
        given_up.set()

    thread = threading.Thread(target=export)
    thread.start()
    collector.next()
    sink.close()
    sink.close()
    assert given_up.wait(DEADLINE / 2)
    thread.join()


# --- TLS ----------------------------------------------------------------------------------------------------


class Party(NamedTuple):
    """A certificate and its key, in files."""

    certificate: str
    key: str


class Authority:
    """Makes certificates that are good for a day."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._write(name, self._key, self._name, authority=True).certificate

    def party(self, name: str) -> Party:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._write(name, ec.generate_private_key(ec.SECP256R1()), subject, authority=False)

    def _write(
        self, name: str, key: ec.EllipticCurvePrivateKey, subject: x509.Name, *, authority: bool
    ) -> Party:
        now = dt.datetime.now(dt.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        party = Party(str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key"))
        (self._folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self._folder / f"{name}.key").write_bytes(pem(key, serialization.NoEncryption()))
        return party


def pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def serve_tls(authority: Authority) -> Iterator[Callable[..., Collector]]:
    """Makes collectors that speak TLS, and ask for a certificate where they are told to."""
    made: list[Collector] = []

    def serve(*, mutual: bool = False) -> Collector:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.party("collector"))
        if mutual:
            context.load_verify_locations(authority.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        made.append(Collector(context))
        return made[-1]

    yield serve
    for server in made:
        server.close()


def test_a_server_is_checked_against_the_certificate_that_is_named(
    authority: Authority,
    serve_tls: Callable[..., Collector],
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
) -> None:
    server = serve_tls()
    sink = make_sink(server.endpoint, certificate=authority.certificate)
    assert sink.export([make_span()], DEADLINE) == 0
    assert server.next().spans() == 1


def test_a_server_that_is_not_vouched_for_gets_nothing(
    tmp_path: Path,
    serve_tls: Callable[..., Collector],
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve_tls()
    other = Authority(tmp_path, "other")
    sink = make_sink(server.endpoint, certificate=other.certificate)
    with pytest.raises(RetryLater):
        sink.export([make_span()], 0.5)
    assert server.requests.empty()
    assert "SSLError" in caplog.text


def test_a_server_is_shown_our_certificate(
    authority: Authority,
    serve_tls: Callable[..., Collector],
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
) -> None:
    server, ours = serve_tls(mutual=True), authority.party("checkout")
    with pytest.raises(RetryLater):
        make_sink(server.endpoint, certificate=authority.certificate).export([make_span()], 0.5)
    assert server.requests.empty()
    sink = make_sink(
        server.endpoint,
        certificate=authority.certificate,
        client_certificate=ours.certificate,
        client_key=ours.key,
    )
    assert sink.export([make_span()], DEADLINE) == 0


def test_files_that_are_no_certificates_are_refused(
    tmp_path: Path, authority: Authority, make_sink: Callable[..., OtlpSink]
) -> None:
    ours, other = authority.party("checkout"), tmp_path / "other.pem"
    other.write_text("no certificate")
    locked = tmp_path / "locked.key"
    encryption = serialization.BestAvailableEncryption(SECRET.encode())
    locked.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), encryption))
    for place, given in (
        ("certificate", {"certificate": str(other)}),
        ("certificate", {"certificate": str(tmp_path / "missing")}),
        ("certificate", {"certificate": "a\0b"}),
        ("client_certificate", {"client_certificate": str(other), "client_key": ours.key}),
        ("client_certificate", {"client_certificate": ours.certificate, "client_key": str(locked)}),
    ):
        with pytest.raises(ConfigurationError, match=rf"^export\.otlp: {place}\b.*PEM"):
            make_sink("https://127.0.0.1", **given)


# --- through a whole Tracing --------------------------------------------------------------------------------


@pytest.fixture
def make_tracing(make_sink: Callable[..., OtlpSink]) -> Iterator[Callable[..., Tracing]]:
    """Makes the tracing of a service that exports to the collector."""
    with contextlib.ExitStack() as closing:

        def make(**given: Any) -> Tracing:
            tracing = Tracing.for_development("checkout", sink=make_sink(**given))
            closing.callback(tracing.close, 0)
            return tracing

        yield make


def send(tracing: Tracing, count: int) -> None:
    for _ in range(count):
        sending = tracing.send(Message("kafka", "orders", b"body"))
        assert sending.envelope is not None
        sending.end(None)


def export_held(tracing: Tracing, collector: Collector, late: Answer) -> None:
    """Send a message, and return when the collector has its span and keeps us waiting for the answer."""
    collector.answers.append(late)
    send(tracing, 1)
    tracing.flush(0)
    assert collector.next().spans() == 1


def exporting(tracing: Tracing) -> threading.Thread:
    thread = tracing._outboxes.exporting[0]._thread
    assert isinstance(thread, threading.Thread)
    return thread


def received(collector: Collector) -> int:
    return sum(collector.requests.get_nowait().spans() for _ in range(collector.requests.qsize()))


def test_messages_do_not_wait_for_a_collector_that_is_late(
    collector: Collector, make_tracing: Callable[..., Tracing]
) -> None:
    tracing = make_tracing()
    export_held(tracing, collector, collector.answers_late)
    send(tracing, 600)  # which would wait for ever
    collector.release.set()
    assert tracing.flush(DEADLINE)
    assert received(collector) == 600
    assert tracing.spans_dropped == 0


def test_what_does_not_fit_meanwhile_is_dropped_and_counted(
    collector: Collector, make_tracing: Callable[..., Tracing]
) -> None:
    tracing = make_tracing()
    export_held(tracing, collector, collector.answers_late)
    send(tracing, CAPACITY + 100)
    assert tracing.spans_dropped == 100
    collector.release.set()
    assert tracing.flush(DEADLINE)
    assert received(collector) == CAPACITY
    assert tracing.spans_dropped == 100


def test_what_is_refused_is_counted(collector: Collector, make_tracing: Callable[..., Tracing]) -> None:
    tracing = make_tracing()
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 2
    for refusal, dropped in ((answer(400), 3), (answer(200, response.SerializeToString()), 5)):
        collector.answers.append(refusal)
        send(tracing, 3)
        assert tracing.flush(DEADLINE)
        assert tracing.spans_dropped == dropped


def test_what_is_not_taken_before_the_end_is_counted(
    collector: Collector, make_tracing: Callable[..., Tracing]
) -> None:
    collector.answers.extend([answer(503, retry_after="200")] * 9)
    tracing = make_tracing()
    send(tracing, 7)
    assert not tracing.flush(0)
    tracing.close(0)
    exporting(tracing).join(DEADLINE)
    assert tracing.spans_dropped == 7


def test_a_batch_that_is_under_way_at_the_end_is_counted(
    collector: Collector, make_tracing: Callable[..., Tracing]
) -> None:
    tracing = make_tracing()
    export_held(tracing, collector, collector.hangs_up_late)
    send(tracing, 4)
    thread = exporting(tracing)
    tracing.close(0)
    collector.release.set()  # hangs up
    thread.join(DEADLINE)
    assert tracing.spans_dropped == 5


# --- the rest -----------------------------------------------------------------------------------------------


def test_the_repr_shows_no_credentials(make_sink: Callable[..., OtlpSink]) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}"}
    shown = repr(make_sink("https://collector.example.com", environ=environ))
    assert "collector.example.com" in shown
    assert SECRET not in shown


def test_nothing_secret_is_logged_at_any_level(
    collector: Collector,
    make_sink: Callable[..., OtlpSink],
    make_span: Callable[..., Span],
    caplog: pytest.LogCaptureFixture,
) -> None:
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}"}
    collector.answers.append(hangs_up)
    with caplog.at_level(logging.DEBUG):
        make_sink(collector.endpoint.replace("//", f"//me:{SECRET}@"), environ=environ).export(
            [make_span()], DEADLINE
        )
    assert collector.next().headers["authorization"].startswith("Basic ")
    assert "interceptors.spans" in {record.name for record in caplog.records}
    assert SECRET not in caplog.text


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    with pytest.raises(MissingExtraError, match=r"interceptors\[otlp\]"):
        runpy.run_path(otlp.__file__)


def test_what_else_is_missing_is_not_taken_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtins.__import__

    def broken(name: str, *rest: Any) -> Any:
        if name == "urllib3":
            raise ModuleNotFoundError(name="brotli")
        return before(name, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ModuleNotFoundError) as caught:
        runpy.run_path(otlp.__file__)
    assert caught.value.name == "brotli"
