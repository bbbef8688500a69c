"""What leaves of a log record, on each of its surfaces, and that the record itself stays as it is."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.baggage import set_baggage
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags

from interceptors import Tracing
from interceptors.otel import ScrubbingLogRecordExporter
from interceptors.policy.span_conventions import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLERK = "clerk@example.com"
POLICY: dict[str, object] = {
    "spans": {
        "attributes": ["shop.kind"],
        "bodies": ["order placed", "refund of a {shop.kind}"],
        "events": ["shop.refund"],
        "scopes": ["shop"],
    }
}
RESOURCE = Resource({"service.name": "shop", "host.name": CLERK}, CLERK)


def memory() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK's own has no types


@pytest.fixture(scope="module")
def tracing() -> Iterator[Tracing]:
    with Tracing.for_development("shop", policy=POLICY) as made:
        yield made


@pytest.fixture
def scrub(tracing: Tracing) -> Callable[..., ReadableLogRecord]:
    exported = memory()
    exporter = ScrubbingLogRecordExporter(exported, tracing)

    def scrub(**fields: Any) -> Any:
        assert exporter.export([readable(**fields)]) is LogRecordExportResult.SUCCESS
        (found,) = exported.get_finished_logs()
        exported.clear()
        return found

    return scrub


def readable(**fields: Any) -> ReadableLogRecord:
    given_: dict[str, Any] = {"timestamp": 1, "observed_timestamp": 2, "context": Context()}
    record = LogRecord(**given_ | fields)
    return ReadableLogRecord(record, RESOURCE, InstrumentationScope("shop"))


def test_times_ids_and_severity_stay(tracing: Tracing) -> None:
    exported = memory()
    recorded = readable(severity_number=SeverityNumber.WARN, severity_text="WARNING")
    record = recorded.log_record
    record.trace_id, record.span_id, record.trace_flags = 7, 9, TraceFlags(1)
    record.context = set_baggage("user", CLERK, Context())
    ScrubbingLogRecordExporter(exported, tracing).export([recorded])
    found = exported.get_finished_logs()[0].log_record
    assert (found.timestamp, found.observed_timestamp) == (1, 2)
    assert (found.trace_id, found.span_id, found.trace_flags) == (7, 9, 1)
    assert (found.severity_number, found.severity_text) == (SeverityNumber.WARN, "WARNING")
    assert found.context == Context()


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("order placed", "order placed"),
        ("refund of a gift", "refund of a gift"),
        ("refund of a gift by clerk", None),
        ({"order placed": CLERK}, None),
        (["order placed"], None),
        (b"order placed", None),
        (7, None),
    ],
)
def test_a_body_leaves_where_the_policy_makes_it(
    scrub: Callable[..., ReadableLogRecord], body: Any, left: str | None
) -> None:
    assert scrub(body=body, attributes={"shop.kind": "gift"}).log_record.body == left


def test_attributes_are_held_to_the_policy_and_the_dropped_are_counted(
    scrub: Callable[..., ReadableLogRecord],
) -> None:
    given_ = {
        "shop.kind": "gift",
        "exception.type": "ValueError",
        "exception.message": CLERK,
        "exception.stacktrace": CLERK,
        "code.function.name": "pay",
        "code.file.path": f"/home/{CLERK}",
        "shop": {"kind": "gift"},
    }
    found = scrub(attributes=given_)
    left = {"shop.kind": "gift", "exception.type": "ValueError", "code.function.name": "pay"}
    assert dict(found.log_record.attributes or {}) == left
    assert found.dropped_attributes == 4


def test_names_severities_resource_and_scope_are_held_to_the_policy(
    scrub: Callable[..., ReadableLogRecord],
) -> None:
    found = scrub(event_name="shop.refund", severity_text=CLERK, exception=ValueError(CLERK))
    assert found.log_record.event_name == "shop.refund"
    assert found.log_record.severity_text is None
    assert found.log_record.exception is None
    assert scrub(event_name="clerk").log_record.event_name is None
    assert found.resource == Resource({"service.name": "shop"})
    assert found.instrumentation_scope == InstrumentationScope("shop")


def test_the_record_of_the_application_stays_as_it_is(tracing: Tracing) -> None:
    recorded = readable(body=CLERK, attributes={"user": CLERK}, event_name=CLERK, severity_text=CLERK)
    before = copy.copy(vars(recorded.log_record))
    ScrubbingLogRecordExporter(memory(), tracing).export([recorded])
    assert vars(recorded.log_record) == before
    assert recorded.resource is RESOURCE


def test_a_record_that_can_not_be_scrubbed_is_dropped_and_counted(tracing: Tracing) -> None:
    exported = memory()
    before = tracing.counts["log records not scrubbed"]
    hostile = readable(severity_number=CLERK)
    exporter = ScrubbingLogRecordExporter(exported, tracing)
    assert exporter.export([hostile]) is LogRecordExportResult.SUCCESS
    assert exporter.export([hostile, readable()]) is LogRecordExportResult.SUCCESS
    assert len(exported.get_finished_logs()) == 1
    assert tracing.counts["log records not scrubbed"] == before + 2


def test_the_wrapped_exporter_is_asked_for_what_it_can_do(tracing: Tracing) -> None:
    class Recording(LogRecordExporter):
        def export(self, batch: Any) -> LogRecordExportResult:
            asked.append(len(batch))
            return LogRecordExportResult.FAILURE

        def shutdown(self) -> None:
            asked.append("shutdown")

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            asked.append(timeout_millis)
            return False

    asked: list[object] = []
    exporter = ScrubbingLogRecordExporter(Recording(), tracing)
    assert exporter.export([readable(), readable()]) is LogRecordExportResult.FAILURE
    assert exporter.force_flush(12) is False
    exporter.shutdown()
    assert asked == [2, 12, "shutdown"]


def test_what_a_logger_emits_is_scrubbed(tracing: Tracing) -> None:
    exported = memory()
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(ScrubbingLogRecordExporter(exported, tracing)))
    logger = provider.get_logger(CLERK)
    logger.emit(body=CLERK, attributes={"user": CLERK}, exception=ValueError(CLERK))
    (found,) = exported.get_finished_logs()
    assert dict(found.log_record.attributes or {}) == {"exception.type": "ValueError"}
    assert "clerk" not in found.to_json()
    provider.shutdown()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*sorted(ATTRIBUTES), "shop.kind"]) | st.text(max_size=10)


@given(body=VALUES, attributes=st.dictionaries(NAMES, VALUES, max_size=5), event=VALUES, severity=st.text())
def test_whatever_a_record_holds_nothing_raises_and_only_what_is_listed_leaves(
    tracing: Tracing, body: Any, attributes: Any, event: Any, severity: str
) -> None:
    exported = memory()
    recorded = readable(body=body, attributes=attributes, event_name=event, severity_text=severity)
    ScrubbingLogRecordExporter(exported, tracing).export([recorded])
    (found,) = exported.get_finished_logs()
    assert set(found.log_record.attributes or {}) <= {*ATTRIBUTES, "shop.kind"}
    assert (found.log_record.body, found.log_record.event_name) == (None, None)
    assert encode_logs([found]).SerializeToString()


class HostileResource(Resource):
    @property
    def attributes(self) -> Any:
        raise RuntimeError(CLERK)


def test_where_our_own_log_is_exported_a_record_that_can_not_be_scrubbed_leads_to_one_line() -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            logger.emit(LogRecord(body=record.getMessage()))

    lines: list[str] = []
    ours, handler = logging.getLogger("interceptors"), Handler()
    with Tracing.for_development("shop") as tracing:
        loggers = LoggerProvider(HostileResource({}))
        exporter = ScrubbingLogRecordExporter(memory(), tracing)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        logger = loggers.get_logger("shop")
        ours.addHandler(handler)
        try:
            logger.emit(LogRecord(body="order placed"))
        finally:
            ours.removeHandler(handler)
        assert tracing.counts["log records not scrubbed"] == 2
    assert lines == ["log records that can't be scrubbed are dropped, and counted (RuntimeError)"]
