"""The encoder, held to opentelemetry-proto."""

from __future__ import annotations

import builtins
import os
import runpy
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from interceptors import MissingExtraError
from interceptors.context import TraceContext
from interceptors.spans import Link, Operation, Span, otlp_protobuf, to_otlp_json
from interceptors.spans.attributes import LINK_LIMIT, attributes, name_of
from interceptors.spans.otlp_protobuf import SCHEMA_URL, SpanEncoder, rejected_spans
from interceptors.spans.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.spans.attributes import Value

ENCODER = SpanEncoder("checkout", "production")
"""One for all examples, so that what it remembers of one is there in the next."""

TIMES = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec=None), max_size=40)
FEW = st.sampled_from(["orders", "größe", "\ud800", "", "mail.{id}", "(temporary)"])
LINKS = st.lists(st.builds(Link, st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)))
SPANS = st.builds(
    Span,
    operation=st.sampled_from(Operation),
    system=st.sampled_from(["kafka", "rabbitmq", "celery"]),
    channel=FEW | TEXTS,
    context=st.builds(
        TraceContext,
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=8, max_size=8),
        st.sampled_from([1, 3]),
    ),
    parent_span_id=st.none() | st.binary(min_size=8, max_size=8),
    start=TIMES,
    service=st.just("checkout"),
    tenant=FEW,
    end=TIMES,
    error_type=st.none() | FEW,
    sender=st.none() | FEW,
    verdict=st.none() | FEW,
    answer=st.none() | FEW,
    links=st.builds(lambda links, times: tuple(links) * times, LINKS, st.sampled_from([1, 1, 70])),
    labels=st.dictionaries(FEW | st.just("error.type"), TEXTS, max_size=3),
    partition=st.none() | INT64,
    offset=st.none() | INT64,
    consumer_group=st.none() | FEW,
    batch_size=st.none() | INT64,
    tombstone=st.booleans(),
    task_name=st.none() | FEW | TEXTS,
    queue_time_ms=st.none() | INT64,
)


def any_value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)


def key_values(said: Iterable[tuple[str, Value]]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in said]


def message(span: Span) -> SpanMessage:
    """A span, field by field."""
    return SpanMessage(
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_span_id=span.parent_span_id or b"",
        flags=span.context.flags,
        name=name_of(span),
        kind=SpanMessage.SpanKind.ValueType(span.operation.kind),
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=key_values(attributes(span).items()),
        links=[SpanMessage.Link(trace_id=link[0], span_id=link[1]) for link in span.links[:LINK_LIMIT]],
        dropped_links_count=max(0, len(span.links) - LINK_LIMIT),
        status=Status(code=Status.STATUS_CODE_ERROR) if span.error_type else None,
    )


def request(spans: list[Span]) -> ExportTraceServiceRequest:
    resource = {
        "service.name": "checkout",
        "deployment.environment.name": "production",
        "telemetry.sdk.name": "interceptors",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version(),
    }
    scope_spans = ScopeSpans(
        scope=InstrumentationScope(name="interceptors", version=version()),
        schema_url=SCHEMA_URL,
        spans=[message(span) for span in spans],
    )
    around = ResourceSpans(
        resource=Resource(attributes=key_values(resource.items())), scope_spans=[scope_spans]
    )
    return ExportTraceServiceRequest(resource_spans=[around])


def only_span(encoded: bytes) -> SpanMessage:
    found: SpanMessage
    (found,) = ExportTraceServiceRequest.FromString(encoded).resource_spans[0].scope_spans[0].spans
    return found


@settings(deadline=None)  # time is not what is tested
@given(st.lists(SPANS, max_size=4))
def test_what_is_written_is_what_opentelemetry_proto_reads(spans: list[Span]) -> None:
    expected = request(spans)
    assert ExportTraceServiceRequest.FromString(ENCODER.encode(spans)) == expected
    assert ExportTraceServiceRequest.FromString(ENCODER.encode(spans)) == expected  # out of what it remembers


@settings(deadline=None)  # time is not what is tested
@given(SPANS)
def test_binary_and_json_say_the_same(span: Span) -> None:
    written, read = to_otlp_json(span), only_span(ENCODER.encode([span]))
    values = {"stringValue": "string_value", "boolValue": "bool_value", "intValue": "int_value"}
    said: list[tuple[str, object]] = [("service.name", "checkout")]
    for attribute in read.attributes:
        kind = attribute.value.WhichOneof("value")
        value = getattr(attribute.value, str(kind))
        said.append((attribute.key, str(value) if kind == "int_value" else value))
    listed: list[tuple[str, object]] = []
    for attribute in written["attributes"]:  # type: ignore[attr-defined]  # a list
        ((kind, value),) = attribute["value"].items()
        assert kind in values
        listed.append((attribute["key"], value))
    assert said == listed
    assert (read.name, read.kind, read.flags) == (written["name"], written["kind"], written["flags"])
    assert [link.span_id.hex() for link in read.links] == [link["spanId"] for link in written["links"]]  # type: ignore[attr-defined]  # a list
    assert read.dropped_links_count == written.get("droppedLinksCount", 0)


def test_a_batch_of_no_spans_is_a_request_of_none() -> None:
    assert ExportTraceServiceRequest.FromString(ENCODER.encode([])) == request([])


def test_more_links_than_the_limit_are_counted(make_span: Callable[..., Span]) -> None:
    links = tuple(Link(bytes(16), number.to_bytes(8)) for number in range(LINK_LIMIT + 372))
    read = only_span(ENCODER.encode([make_span(links=links)]))
    assert [link.span_id for link in read.links] == [link.span_id for link in links[:LINK_LIMIT]]
    assert read.dropped_links_count == 372


def test_an_error_has_a_status_without_a_text(make_span: Callable[..., Span]) -> None:
    read = only_span(ENCODER.encode([make_span(error_type="TimeoutError")]))
    assert read.status == Status(code=Status.STATUS_CODE_ERROR)
    assert not only_span(ENCODER.encode([make_span()])).HasField("status")


def test_made_up_names_do_not_grow_what_is_remembered(make_span: Callable[..., Span]) -> None:
    encoder = SpanEncoder("checkout", "production")
    encoder.encode([make_span(channel=f"orders-{number}") for number in range(3000)])
    assert 0 < len(encoder._remembered) <= 1024
    before = len(encoder._remembered)
    long = make_span(task_name="x" * 1_000_000)
    assert only_span(encoder.encode([long])) == message(long)
    assert len(encoder._remembered) == before


@pytest.mark.parametrize("rejected", [0, 3, -1])
def test_how_many_were_refused_is_read(rejected: int) -> None:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    assert rejected_spans(response.SerializeToString()) == rejected


def test_an_empty_response_refuses_none() -> None:
    assert rejected_spans(b"") == 0


def test_a_response_that_is_none_is_not_read() -> None:
    assert rejected_spans(b"<html>") is None


def test_an_answer_in_no_encoding_is_unreadable_by_protobufs_python_implementation_too() -> None:
    program = textwrap.dedent(
        """
        from google.protobuf.internal.api_implementation import Type
        from interceptors.spans.otlp_protobuf import rejected_spans

        print(Type(), rejected_spans(bytes.fromhex("0a041202fffe")))
        """
    )
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        env=os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
        text=True,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("python None\n", "")


@pytest.mark.parametrize("module", ["google.protobuf.message", "opentelemetry.proto.trace.v1.trace_pb2"])
def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"interceptors\[otlp\]"):
        runpy.run_path(otlp_protobuf.__file__)


def test_what_else_is_missing_is_not_taken_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtins.__import__

    def broken(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry.proto"):
            raise ModuleNotFoundError(name="another")
        return before(name, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ModuleNotFoundError) as caught:
        runpy.run_path(otlp_protobuf.__file__)
    assert caught.value.name == "another"
