"""Trace identifiers in clear."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from interceptors.scan.detectors import DETECTORS
from interceptors.scan.detectors.trace import TRACE

if TYPE_CHECKING:
    from interceptors.scan.detector import Detector

Find = Callable[[bytes], list[tuple[str, bytes]]]

TRACE_ID = b"4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = b"00f067aa0ba902b7"


@pytest.fixture(scope="module")
def find(finder: Callable[[tuple[Detector, ...]], Find]) -> Find:
    return finder(tuple(row for row in TRACE if row.default))


@pytest.mark.parametrize("form", [b'{"headers": ["%s"]}', b"traceparent: %s\r\n", b"h=%s&x=1", b"(%s)"])
def test_a_traceparent_is_found_by_its_form_wherever_it_lies(find: Find, form: bytes) -> None:
    value = b"00-%s-%s-01" % (TRACE_ID, SPAN_ID)

    assert find(form % value) == [("traceparent", value)]


@pytest.mark.parametrize(
    "value",
    [
        b"ff-%s-%s-01" % (TRACE_ID, SPAN_ID),
        b"00-%s-%s-01" % (b"0" * 32, SPAN_ID),
        b"00-%s-%s-01" % (TRACE_ID, b"0" * 16),
        b"a00-%s-%s-01" % (TRACE_ID, SPAN_ID),
        b"00-%s-%s-012" % (TRACE_ID, SPAN_ID),
        b"00-%s-%s" % (TRACE_ID, SPAN_ID),
    ],
)
def test_what_the_standard_forbids_is_no_traceparent(find: Find, value: bytes) -> None:
    assert find(value) == []


@pytest.mark.parametrize("trace_id", [TRACE_ID, SPAN_ID])
@pytest.mark.parametrize("rest", [b"-1", b"-0", b"-d", b"-1-05e3ac9a4f6e3b90"])
def test_b3_is_found_whole_by_its_form(find: Find, trace_id: bytes, rest: bytes) -> None:
    value = trace_id + b"-e457b5a2e4d86bd1" + rest

    assert find(b'{"x": "' + value + b'"}') == [("b3", value)]


def test_two_ids_without_a_sampling_state_count_only_by_name(find: Find) -> None:
    value = TRACE_ID + b"-" + SPAN_ID

    assert find(b"sentry-trace: " + value) == [("b3", value)]
    assert find(b'{"b3":"' + value + b'"}') == [("b3", value)]
    assert find(b"range: " + value) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"X-B3-TraceId: " + TRACE_ID, ("b3_field", TRACE_ID)),
        (b'{"x-b3-spanid":"%s"}' % SPAN_ID, ("b3_field", SPAN_ID)),
        (b"x-datadog-parent-id: 7277407061855694839", ("datadog_trace", b"7277407061855694839")),
        (b'{"dd.span_id":"5208512171318403364"}', ("datadog_trace", b"5208512171318403364")),
        (b'{"dd.trace_id":"%s"}' % TRACE_ID, ("datadog_trace", TRACE_ID)),
        (b"x-datadog-tags: _dd.p.tid=66f1a4b200000000,a=b", ("datadog_trace", b"66f1a4b200000000")),
        (
            b"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            ("xray_trace", b"1-5759e988-bd862e3fe1be46a994272793"),
        ),
        (
            b"uber-trace-id: %s:51581bf3cb55c13:0:1" % TRACE_ID,
            ("jaeger_trace", TRACE_ID + b":51581bf3cb55c13:0:1"),
        ),
        (b"X-Cloud-Trace-Context: %s/123;o=1" % TRACE_ID, ("google_trace", TRACE_ID + b"/123;o=1")),
        (b"tracestate: rojo=00f067aa0ba902b7,congo=t61", ("tracestate", b"rojo=00f067aa0ba902b7")),
        (b'{"baggage":"userId=clerk"}', ("tracestate", b"userId=clerk")),
    ],
)
def test_each_header_is_found_by_its_name(find: Find, text: bytes, expected: tuple[str, bytes]) -> None:
    assert expected in find(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"trace_id":"%s","span_id":"%s"}' % (TRACE_ID, SPAN_ID),
        b'{"id":"4bf92f35-77b3-4da6-a3ce-929d0e0e4736","sha256":"%s%s"}' % (TRACE_ID, TRACE_ID),
        b'{"baggage":2,"tracestate":""}',
        b'{"order":"1-5759e988-bd862e3f","phone":"1-800-555-0100"}',
    ],
)
def test_clean_messages_have_none(find: Find, text: bytes) -> None:
    assert find(text) == []


@pytest.mark.parametrize("key", [b"trace_id", b"traceId", b"trace.id", b"spanId", b"parent_span_id"])
def test_bare_ids_are_found_by_their_keys_where_that_is_asked_for(
    finder: Callable[[tuple[Detector, ...]], Find], key: bytes
) -> None:
    asked = finder(tuple(row for row in TRACE if row.name == "trace_id_field"))

    assert asked(b'{"%s": "%s"}' % (key, TRACE_ID)) == [("trace_id_field", TRACE_ID)]


def test_bare_ids_are_the_only_detector_that_has_to_be_asked_for_here() -> None:
    assert [row.name for row in DETECTORS if row in TRACE and not row.default] == ["trace_id_field"]
