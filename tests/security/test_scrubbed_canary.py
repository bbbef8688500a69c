"""A marker on every surface of the SDK's own spans and logs is in no byte that is exported through ours.

The same traffic goes to the same collector twice: through the plain exporters, where each marker has to be
found, so that the search is known to look everywhere, and through the scrubbing ones, where none may be.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest
import urllib3
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation import dbapi
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from interceptors import Tracing
from interceptors.otel import ScrubbingLogRecordExporter, ScrubbingSpanExporter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARK = "canary-58c1f0e7"
NUMBER = 581_047_293_650_118
SURFACES = (
    "attribute",
    "attribute-bytes",
    "attribute-list",
    "attribute-map",
    "attribute-name",
    "event",
    "event-attribute",
    "exception",
    "header",
    "link-attribute",
    "log-attribute",
    "log-body",
    "log-event",
    "log-exception",
    "log-map",
    "log-scope",
    "log-severity",
    "query",
    "resource",
    "resource-schema",
    "scope",
    "scope-attribute",
    "scope-schema",
    "scope-version",
    "span-name",
    "sql-first-word",
    "sql-parameter",
    "sql-text",
    "status",
    "trace-state",
    "url-path",
)


def mark(surface: str) -> str:
    assert surface in SURFACES
    return f"{MARK}-{surface}."


class _Collector(BaseHTTPRequestHandler):
    """Answers anything with 200, and keeps what it gets."""

    received: ClassVar[dict[str, list[bytes]]]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.setdefault(self.path, []).append(body)
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Exported(NamedTuple):
    """What has left one way."""

    bodies: list[bytes]
    traces: ExportTraceServiceRequest
    logs: ExportLogsServiceRequest

    @property
    def spans(self) -> list[Any]:
        scopes = [scope for part in self.traces.resource_spans for scope in part.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def texts(self) -> Iterator[bytes]:
        """All that can be read: as it was sent, unpacked, as numbers are written, and out of base64."""
        shown = f"{self.traces}{self.logs}".encode()
        unpacked = [gzip.decompress(body) for body in self.bodies]
        for text in (*self.bodies, *unpacked, shown):
            yield text
            for token in re.findall(rb"[A-Za-z0-9+/_-]{12,}", text):
                standard = token.translate(bytes.maketrans(b"-_", b"+/"))
                for start in range(4):
                    cut = standard[start : start + (len(standard) - start) // 4 * 4]
                    yield base64.b64decode(cut)

    def marks(self) -> set[str]:
        everything = b"\n".join(self.texts())
        return {surface for surface in SURFACES if mark(surface).encode() in everything}

    def says(self, text: bytes) -> bool:
        return any(text in each for each in self.texts())


@pytest.fixture(scope="module", params=["", "http,database"], ids=["old conventions", "stable conventions"])
def exported(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Exported]]:
    """What traffic with a marker on every surface has exported, `plain` and `scrubbed`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
        # The instrumentation libraries read the variable once in a process.
        patch.setattr(Stability, "_initialized", False)
        patch.setattr(Stability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
        yield exports()


def exports() -> Mapping[str, Exported]:
    received: dict[str, list[bytes]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Collector", (_Collector,), {"received": received}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        with Tracing.for_development("shop") as tracing:
            traffic(address, tracing)
            assert tracing.counts["spans not scrubbed"] == tracing.counts["log records not scrubbed"] == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    found: dict[str, Exported] = {}
    for way in ("plain", "scrubbed"):
        spans, logs = (received[f"/{way}/{signal}"] for signal in ("traces", "logs"))
        traces_sent, logs_sent = ExportTraceServiceRequest(), ExportLogsServiceRequest()
        for body in spans:
            traces_sent.MergeFromString(gzip.decompress(body))
        for body in logs:
            logs_sent.MergeFromString(gzip.decompress(body))
        found[way] = Exported([*spans, *logs], traces_sent, logs_sent)
    return found


def traffic(address: str, tracing: Tracing) -> None:
    resource = Resource(
        {"service.name": "shop", "host.name": mark("resource"), "telemetry.sdk.name": "opentelemetry"},
        schema_url=f"https://example.com/{mark('resource-schema')}",
    )
    tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)

    def endpoint(way: str, signal: str) -> dict[str, Any]:
        return {"endpoint": f"{address}/{way}/{signal}", "compression": Compression.Gzip}

    spans = OTLPSpanExporter(**endpoint("plain", "traces"))
    tracers.add_span_processor(BatchSpanProcessor(spans))
    spans = OTLPSpanExporter(**endpoint("scrubbed", "traces"))
    tracers.add_span_processor(BatchSpanProcessor(ScrubbingSpanExporter(spans, tracing)))
    logs = OTLPLogExporter(**endpoint("plain", "logs"))
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    logs = OTLPLogExporter(**endpoint("scrubbed", "logs"))
    loggers.add_log_record_processor(BatchLogRecordProcessor(ScrubbingLogRecordExporter(logs, tracing)))

    http_requests(address, tracers)
    queries(tracers)
    by_hand(tracers)
    log_records(loggers)

    assert tracers.force_flush()
    assert loggers.force_flush()
    tracers.shutdown()
    loggers.shutdown()


def http_requests(address: str, tracers: TracerProvider) -> None:
    URLLib3Instrumentor().instrument(tracer_provider=tracers, captured_request_headers=["X-Account"])
    try:
        with urllib3.PoolManager() as pool:
            url = f"{address}/accounts/{mark('url-path')}?token={mark('query')}"
            assert pool.request("GET", url, headers={"X-Account": mark("header")}).status == 200
    finally:
        URLLib3Instrumentor().uninstrument()


def queries(tracers: TracerProvider) -> None:
    SQLite3Instrumentor().instrument(tracer_provider=tracers)
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE accounts (name TEXT)")
            cursor.execute(f"SELECT * FROM accounts WHERE name = '{mark('sql-text')}'")  # noqa: S608 - the slip
            with pytest.raises(sqlite3.OperationalError):
                cursor.execute(f"{mark('sql-first-word')} is no SQL")
            cursor.close()
    finally:
        SQLite3Instrumentor().uninstrument()
    with contextlib.closing(sqlite3.connect(":memory:")) as bare:
        scope = "opentelemetry.instrumentation.sqlite3"
        traced = dbapi.instrument_connection(
            scope, bare, "sqlite", tracer_provider=tracers, capture_parameters=True
        )
        cursor = traced.cursor()
        cursor.execute("SELECT ?", (mark("sql-parameter"),))
        cursor.close()


def by_hand(tracers: TracerProvider) -> None:
    state = TraceState([("vendor", mark("trace-state"))])
    above = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    tracer = tracers.get_tracer(
        mark("scope"),
        mark("scope-version"),
        f"https://example.com/{mark('scope-schema')}",
        {"owner": mark("scope-attribute")},
    )
    span = tracer.start_span(
        f"GET /accounts/{mark('span-name')}",
        set_span_in_context(NonRecordingSpan(above)),
        SpanKind.SERVER,
        links=[Link(above, {"order": mark("link-attribute")})],
    )
    attributes: dict[str, Any] = {
        "account": mark("attribute"),
        "account.bytes": mark("attribute-bytes").encode(),
        "account.list": ["a", mark("attribute-list")],
        "account.map": {"deep": {"deeper": mark("attribute-map")}},
        mark("attribute-name"): True,
        "account.number": NUMBER,
        "account.float": float(NUMBER),
        "account.numbers": [NUMBER],
    }
    span.set_attributes(attributes)
    span.add_event(mark("event"), {"account": mark("event-attribute")})
    span.record_exception(ValueError(mark("exception")))
    span.set_status(StatusCode.ERROR, mark("status"))
    span.end()


def log_records(loggers: LoggerProvider) -> None:
    logger = loggers.get_logger(mark("log-scope"))
    logger.emit(
        body=f"order of {mark('log-body')}",
        severity_number=SeverityNumber.ERROR,
        severity_text=mark("log-severity"),
        attributes={
            "account": mark("log-attribute"),
            "account.map": {"deep": [{"deeper": mark("log-map")}]},
            "account.number": NUMBER,
        },
        event_name=mark("log-event"),
        exception=ValueError(mark("log-exception")),
    )


def test_the_search_finds_every_marker_where_nothing_is_scrubbed(exported: Mapping[str, Exported]) -> None:
    assert exported["plain"].marks() == set(SURFACES)
    assert exported["plain"].says(str(NUMBER).encode())


def test_no_marker_is_in_what_leaves(exported: Mapping[str, Exported]) -> None:
    assert exported["scrubbed"].marks() == set()
    for part in (MARK, "canary", str(NUMBER)):
        assert not exported["scrubbed"].says(part.encode())
        assert not exported["scrubbed"].says(part.encode().hex().encode())


def values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def test_what_is_worth_seeing_still_leaves(exported: Mapping[str, Exported]) -> None:
    plain, scrubbed = exported["plain"], exported["scrubbed"]
    assert [span.span_id for span in scrubbed.spans] == [span.span_id for span in plain.spans]
    shown = [(span.name, values(span.attributes)) for span in scrubbed.spans]
    request, database = shown[0][1], shown[1][1]
    assert request in (
        {"http.method": "GET", "http.status_code": 200},
        {"http.request.method": "GET", "http.response.status_code": 200},
    )
    assert database in ({"db.system": "sqlite"}, {"db.system.name": "sqlite"})
    assert ("http.method" in request) is ("db.system" in database)
    assert shown == [
        ("GET", request),
        ("CREATE", database),
        ("SELECT", database),
        ("client opentelemetry.instrumentation.sqlite3", database),
        ("SELECT", database),
        ("server", {}),
    ]
    failed = scrubbed.spans[-1]
    assert (failed.status.code, failed.status.message) == (StatusCode.ERROR.value, "")
    (event,) = failed.events
    assert values(event.attributes) == {"exception.type": "ValueError", "exception.escaped": "False"}
    assert failed.dropped_attributes_count == 8
    known = {"service.name": "shop", "telemetry.sdk.name": "opentelemetry"}
    for part in (*scrubbed.traces.resource_spans, *scrubbed.logs.resource_logs):
        assert values(part.resource.attributes) == known
    scopes = [scope for part in scrubbed.logs.resource_logs for scope in part.scope_logs]
    (log,) = [record for scope in scopes for record in scope.log_records]
    assert (log.severity_number, log.dropped_attributes_count) == (SeverityNumber.ERROR.value, 5)
    assert values(log.attributes) == {"exception.type": "ValueError"}
