"""What leaves of a span, on each of its surfaces, and that the span itself stays as it is."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import (
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from interceptors import MissingExtraError, Tracing, otel
from interceptors.otel import ScrubbingSpanExporter, ScrubbingSpanProcessor
from interceptors.policy.span_conventions import ATTRIBUTES, RESOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLERK = "clerk@example.com"
SCHEMA = "https://opentelemetry.io/schemas/1.30.0"
POLICY: dict[str, object] = {
    "spans": {
        "attributes": ["shop.kind"],
        "names": ["buy a {shop.kind}"],
        "events": ["cart emptied"],
        "scopes": ["shop.*"],
    }
}


@pytest.fixture(scope="module")
def tracing() -> Iterator[Tracing]:
    with Tracing.for_development("shop", policy=POLICY) as made:
        yield made


@pytest.fixture
def scrub(tracing: Tracing) -> Iterator[Callable[..., ReadableSpan]]:
    exported = InMemorySpanExporter()
    exporter = ScrubbingSpanExporter(exported, tracing)

    def scrub(**fields: Any) -> ReadableSpan:
        assert exporter.export([span(**fields)]) is SpanExportResult.SUCCESS
        (found,) = exported.get_finished_spans()
        exported.clear()
        return found

    yield scrub
    exporter.shutdown()


def context(state: str | None = None) -> SpanContext:
    left_by_others = TraceState([("vendor", state)]) if state else None
    return SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(1), trace_state=left_by_others)


def span(**fields: Any) -> ReadableSpan:
    given_: dict[str, Any] = {"name": "GET", "context": context(), "resource": Resource({})}
    return ReadableSpan(**given_ | {"start_time": 1, "end_time": 2} | fields)


def test_ids_times_kind_flags_and_status_code_stay(scrub: Callable[..., ReadableSpan]) -> None:
    found = scrub(
        context=context(CLERK),
        parent=context(CLERK),
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR, CLERK),
        start_time=100,
        end_time=200,
    )
    assert found.context == context()
    assert found.parent == context()
    assert (found.kind, found.start_time, found.end_time) == (SpanKind.CLIENT, 100, 200)
    assert (found.status.status_code, found.status.description) == (StatusCode.ERROR, None)
    assert found.context.trace_state == found.parent.trace_state == TraceState()


def test_attributes_are_held_to_the_policy_and_the_dropped_are_counted(
    scrub: Callable[..., ReadableSpan],
) -> None:
    found = scrub(attributes={"http.method": "GET", "shop.kind": "gift", "url.full": CLERK, "user.id": 7})
    assert dict(found.attributes or {}) == {"http.method": "GET", "shop.kind": "gift"}
    assert found.dropped_attributes == 2


def test_what_the_sdk_has_dropped_stays_counted(tracing: Tracing) -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider(span_limits=SpanLimits(max_attributes=2, max_events=1, max_links=1))
    provider.add_span_processor(SimpleSpanProcessor(ScrubbingSpanExporter(exported, tracing)))
    link = Link(context(), {"shop.kind": "gift", "a": 1, "b": 2})
    begun = provider.get_tracer("shop.cart").start_span("buy", links=[Link(context()), link])
    for name in ("a", "b", "http.method"):
        begun.set_attribute(name, "GET")
    begun.add_event("exception")
    begun.add_event("clerk")
    begun.end()
    (found,) = exported.get_finished_spans()
    assert (dict(found.attributes or {}), found.dropped_attributes) == ({"http.method": "GET"}, 2)
    assert (found.events, found.dropped_events) == ((), 2)
    assert (len(found.links), found.dropped_links) == (1, 1)
    provider.shutdown()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "GET"}, "GET"),
        ({"name": "buy a gift", "attributes": {"shop.kind": "gift"}}, "buy a gift"),
        ({"name": "GET /users/clerk", "kind": SpanKind.SERVER}, "server"),
        ({"name": CLERK, "instrumentation_scope": InstrumentationScope("shop.cart")}, "internal shop.cart"),
        ({"name": CLERK, "instrumentation_scope": InstrumentationScope(CLERK)}, "internal"),
        ({"name": None}, "internal"),
    ],
)
def test_a_name_that_is_not_known_is_replaced(
    scrub: Callable[..., ReadableSpan], fields: dict[str, Any], name: str
) -> None:
    assert scrub(**fields).name == name


def test_events_keep_their_time_and_what_leaves_of_their_attributes(
    scrub: Callable[..., ReadableSpan],
) -> None:
    exception = {
        "exception.type": "shop.CartError",
        "exception.message": CLERK,
        "exception.stacktrace": f"Traceback: {CLERK}",
        "exception.escaped": "False",
    }
    found = scrub(
        events=[
            Event("exception", attributes=exception, timestamp=11),
            Event("cart emptied", attributes={"shop.kind": "gift"}, timestamp=12),
            Event(CLERK, attributes={"shop.kind": "gift"}, timestamp=13),
        ]
    )
    shown = [(event.name, event.timestamp, dict(event.attributes or {})) for event in found.events]
    assert shown == [
        ("exception", 11, {"exception.type": "shop.CartError", "exception.escaped": "False"}),
        ("cart emptied", 12, {"shop.kind": "gift"}),
    ]
    assert found.events[0].dropped_attributes == 2
    assert found.dropped_events == 1


def test_links_keep_their_ids_and_what_leaves_of_their_attributes(scrub: Callable[..., ReadableSpan]) -> None:
    (link,) = scrub(links=[Link(context(CLERK), {"shop.kind": "gift", "user": CLERK})]).links
    assert (link.context, link.context.trace_state) == (context(), TraceState())
    assert (dict(link.attributes or {}), link.dropped_attributes) == ({"shop.kind": "gift"}, 1)


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (
            InstrumentationScope("shop.cart", "1.2", SCHEMA, {"shop.kind": "gift", "user": CLERK}),
            InstrumentationScope("shop.cart", "1.2", SCHEMA, {"shop.kind": "gift"}),
        ),
        (
            InstrumentationScope(CLERK, CLERK, f"https://example.com/{CLERK}", {"a": CLERK}),
            InstrumentationScope("", None, "", {}),
        ),
        (InstrumentationScope("shop", "1.0+clerk", f"{SCHEMA}/clerk"), InstrumentationScope("shop")),
        (None, None),
    ],
)
def test_scopes_are_held_to_the_policy(
    scrub: Callable[..., ReadableSpan], scope: InstrumentationScope | None, left: InstrumentationScope | None
) -> None:
    for _ in range(2):  # the second time, it is remembered
        assert scrub(instrumentation_scope=scope).instrumentation_scope == left


def test_resources_are_held_to_the_policy(scrub: Callable[..., ReadableSpan]) -> None:
    first = Resource({"service.name": "shop", "host.name": CLERK, "process.command_line": CLERK}, SCHEMA)
    second = Resource({"service.name": "billing"}, CLERK)
    for given_, left in (
        (first, Resource({"service.name": "shop"}, SCHEMA)),
        (first, Resource({"service.name": "shop"}, SCHEMA)),
        (second, Resource({"service.name": "billing"})),
    ):
        assert scrub(resource=given_).resource == left


def test_what_is_found_in_an_attribute_that_would_leave_is_counted(
    scrub: Callable[..., ReadableSpan], tracing: Tracing
) -> None:
    before = tracing.counts["personal.email scrubbed"]
    assert dict(scrub(attributes={"shop.kind": CLERK}).attributes or {}) == {}
    assert tracing.counts["personal.email scrubbed"] == before + 1


def test_the_span_of_the_application_stays_as_it_is(tracing: Tracing) -> None:
    provider = TracerProvider()
    exporter = ScrubbingSpanExporter(InMemorySpanExporter(), tracing)
    with provider.get_tracer("shop").start_as_current_span("clerk", links=[Link(context(CLERK))]) as begun:
        begun.set_attribute("user", CLERK)
        begun.add_event(CLERK, {"user": CLERK})
        begun.set_status(StatusCode.ERROR, CLERK)
    assert isinstance(begun, ReadableSpan)
    before = begun.to_json()
    exporter.export([begun])
    assert begun.to_json() == before
    assert CLERK in before
    provider.shutdown()


class Hostile(ReadableSpan):
    @property
    def attributes(self) -> Any:
        raise RuntimeError(CLERK)


def test_a_span_that_can_not_be_scrubbed_is_dropped_and_counted_and_the_others_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exported = InMemorySpanExporter()
    hostile = Hostile("GET", context(), resource=Resource({}))
    with Tracing.for_development("shop") as tracing, caplog.at_level(logging.DEBUG, logger="interceptors"):
        exporter = ScrubbingSpanExporter(exported, tracing)
        assert exporter.export([hostile, span(), span(context=None)]) is SpanExportResult.SUCCESS
        assert exporter.export([hostile]) is SpanExportResult.SUCCESS
        assert tracing.counts["spans not scrubbed"] == 3
    assert [found.name for found in exported.get_finished_spans()] == ["GET"]
    assert caplog.messages == ["spans that can't be scrubbed are dropped, and counted (RuntimeError)"]


class Recording(SpanExporter):
    """Says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.asked.append(len(spans))
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.asked.append("shutdown")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.asked.append(timeout_millis)
        return False


def test_the_wrapped_exporter_is_asked_for_what_it_can_do(tracing: Tracing) -> None:
    recording = Recording()
    exporter = ScrubbingSpanExporter(recording, tracing)
    assert exporter.export([span(), span()]) is SpanExportResult.FAILURE
    assert exporter.force_flush(12) is False
    exporter.shutdown()
    assert recording.asked == [2, 12, "shutdown"]


def test_a_processor_is_given_what_leaves(tracing: Tracing) -> None:
    exported, recording = InMemorySpanExporter(), Recording()
    provider = TracerProvider()
    provider.add_span_processor(ScrubbingSpanProcessor(SimpleSpanProcessor(exported), tracing))
    provider.add_span_processor(ScrubbingSpanProcessor(SimpleSpanProcessor(recording), tracing))
    with provider.get_tracer("shop").start_as_current_span("clerk", attributes={"user": CLERK}):
        pass
    assert provider.force_flush()
    provider.shutdown()
    (found,) = exported.get_finished_spans()
    assert (found.name, dict(found.attributes or {}), found.dropped_attributes) == ("internal shop", {}, 1)
    assert recording.asked == [1, "shutdown"]


def test_a_span_that_can_not_be_scrubbed_reaches_no_processor(tracing: Tracing) -> None:
    recording = Recording()
    ScrubbingSpanProcessor(SimpleSpanProcessor(recording), tracing).on_end(span(context=None))
    assert recording.asked == []


def test_the_console_shows_what_leaves(tracing: Tracing) -> None:
    out = io.StringIO()
    recorded = span(attributes={"http.method": "GET", "user": CLERK}, links=[Link(context(CLERK))])
    ScrubbingSpanExporter(ConsoleSpanExporter(out=out), tracing).export([recorded])
    shown = json.loads(out.getvalue())
    assert (shown["name"], shown["attributes"]) == ("GET", {"http.method": "GET"})
    assert CLERK not in out.getvalue()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Scrubbing'"):
        _ = otel.Scrubbing


@pytest.mark.parametrize("name", otel.__all__)
def test_without_the_sdk_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        raise ModuleNotFoundError(name=absent)

    monkeypatch.setattr("interceptors.otel.import_module", missing)
    absent = "opentelemetry.sdk"
    with pytest.raises(MissingExtraError, match=r"interceptors\[otel\]"):
        getattr(otel, name)
    absent = "another"
    with pytest.raises(ModuleNotFoundError):
        getattr(otel, name)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from(["GET", "exception", "buy a gift", "gift"])
)
VALUES = st.recursive(
    SCALARS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from([*sorted(ATTRIBUTES), "shop.kind"]) | st.text(max_size=10)
BAGS = st.dictionaries(NAMES, VALUES, max_size=5)
TEXTS = st.text(max_size=20)
SPANS = st.builds(
    span,
    name=VALUES,
    attributes=BAGS,
    events=st.lists(st.builds(Event, VALUES, attributes=BAGS, timestamp=st.just(1)), max_size=3),
    links=st.lists(st.builds(Link, st.just(context(CLERK)), BAGS), max_size=2),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(recorded=SPANS)
def test_whatever_a_span_holds_nothing_raises_and_only_what_is_listed_leaves(
    tracing: Tracing, recorded: ReadableSpan
) -> None:
    exported = InMemorySpanExporter()
    ScrubbingSpanExporter(exported, tracing).export([recorded])
    (found,) = exported.get_finished_spans()
    leaving = {*ATTRIBUTES, "shop.kind"}
    parts: list[ReadableSpan | Event | Link] = [found, *found.events, *found.links]
    assert all(set(part.attributes or {}) <= leaving for part in parts)
    assert {event.name for event in found.events} <= {"exception", "cart emptied"}
    assert encode_spans([found]).SerializeToString()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(texts=st.tuples(TEXTS, TEXTS, TEXTS), attributes=st.dictionaries(NAMES, SCALARS, max_size=3))
def test_whatever_scope_and_resource_hold_only_what_is_listed_leaves(
    tracing: Tracing, texts: tuple[str, str, str], attributes: dict[str, Any]
) -> None:
    named = {name: value for name, value in attributes.items() if name}
    scope = InstrumentationScope(*texts, named)
    resource = Resource(named | {"host.name": texts[0], "service.name": texts[1]}, texts[2])
    exported = InMemorySpanExporter()
    recorded = span(instrumentation_scope=scope, resource=resource)
    ScrubbingSpanExporter(exported, tracing).export([recorded])
    (found,) = exported.get_finished_spans()
    left = found.instrumentation_scope
    assert left is not None
    assert set(left.attributes or {}) <= {*ATTRIBUTES, "shop.kind"}
    assert left.name in {"", scope.name}
    assert (left.schema_url, found.resource.schema_url) == ("", "")
    assert set(found.resource.attributes or {}) <= set(RESOURCE)
    assert encode_spans([found]).SerializeToString()


def test_what_leaves_follows_the_policy_that_is_in_force(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nspans: {attributes: [shop.plan], resource: [shop.region]}\n")
    recorded = span(
        attributes={"shop.plan": "free"},
        resource=Resource({"shop.region": "eu"}),
        instrumentation_scope=InstrumentationScope("shop", attributes={"shop.plan": "free"}),
    )
    exporter = InMemorySpanExporter()
    with Tracing.for_development("checkout", policy=policy) as tracing:
        scrubbing = ScrubbingSpanExporter(exporter, tracing)
        scrubbing.export([recorded])
        policy.write_text("version: 1\nserial: 2\n")
        tracing._governing.look()
        scrubbing.export([recorded])
    seen = [
        [dict(part or {}) for part in (one.attributes, one.resource.attributes, scope_of(one).attributes)]
        for one in exporter.get_finished_spans()
    ]
    assert [free["shop.plan"] for free in (seen[0][0], seen[0][2])] == ["free", "free"]
    assert seen[0][1]["shop.region"] == "eu"
    assert not any("shop" in name for part in seen[1] for name in part)


def scope_of(scrubbed: ReadableSpan) -> InstrumentationScope:
    assert scrubbed.instrumentation_scope is not None
    return scrubbed.instrumentation_scope
