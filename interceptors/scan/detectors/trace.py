"""Trace identifiers in clear, in the form or under the names that tracing systems give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.finding import Validation

if TYPE_CHECKING:
    import re

_END = "(?![0-9A-Za-z_-])"
_HEX_128 = "[0-9a-f]{32}"
_HEX_64 = "[0-9a-f]{16}"
_EITHER = f"(?:{_HEX_128}|{_HEX_64})"


def _some(text: str) -> bool:
    """Say whether an id has a digit that isn't zero."""
    return bool(text.strip("0"))


def _traceparent(text: str) -> bool:
    _, trace_id, span_id, _ = text.split("-", 3)
    return _some(trace_id) and _some(span_id)


def _b3(text: str) -> bool:
    trace_id, span_id = text.split("-")[:2]
    return _some(trace_id) and _some(span_id)


def _numbered(text: str) -> bool:
    return any(char in "123456789abcdef" for char in text.lower())


def _member(match: re.Match[bytes]) -> bool:
    return b"=" in match["id"]


TRACE = (
    Detector(
        name="traceparent",
        class_="trace.context",
        rules=(
            Rule(
                (r"\b0[0-9]-[0-9a-f]{8}",),  # of the versions to come, the next nine
                rf"(?<![0-9A-Za-z_-])0[0-9]-{_HEX_128}-{_HEX_64}-[0-9a-f]{{2}}{_END}",
            ),
        ),
        validator=checked(_traceparent),
        validation=Validation.STRUCTURE,
        reason="version, trace id, span id and flags, none forbidden (W3C Trace Context, section 3.2)",
        examples=(
            b'{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}',
            b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ),
        counter_examples=(
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        ),
    ),
    Detector(
        name="tracestate",
        class_="trace.context",
        rules=(
            after_word("tracestate", value=r"[a-z0-9][a-z0-9_*/@-]{0,255}=[!-+\--<>-~ ]{1,256}", rest=""),
            after_word("baggage", value=r"[A-Za-z0-9_.-]{1,64}=[!#-+\--:<-\[\]-~]{1,256}", rest=""),
        ),
        validator=_member,
        validation=Validation.KEY,
        reason="a member of a tracestate or baggage header (W3C Trace Context, section 3.3; W3C Baggage)",
        context=("tracestate", "baggage"),
        examples=(b'{"tracestate": "vendor=t61rcWkgMzE"}', b"baggage: userId=clerk,serverNode=1"),
        counter_examples=(b'{"baggage": 2}', b"tracestate is empty"),
    ),
    Detector(
        name="b3",
        class_="trace.context",
        rules=(
            Rule(
                (r"[0-9a-f]{16}-[0-9a-f]{16}-[01d]",),
                rf"(?<![0-9A-Za-z_-]){_EITHER}-{_HEX_64}-[01d](?:-{_HEX_64})?{_END}",
                before=16,
            ),
            # Not after_word: `b3` alone is in every other digest.
            Rule(
                (r"\b[bB]3[\"':=]",),
                rf"[bB]3[\"']?[ \t]?[:=][ \t]?[\"']?(?P<id>{_EITHER}-{_HEX_64}){_END}",
            ),
            after_word("sentry trace", value=rf"{_EITHER}-{_HEX_64}{_END}", rest=""),
        ),
        validator=checked(_b3),
        validation=Validation.STRUCTURE,
        reason="trace id, span id and sampling state in one header: b3 (B3 propagation) or sentry-trace",
        context=("b3", "sentry-trace"),
        examples=(
            b'{"b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"}',
            b"sentry-trace: 771a43a4192642f0b136d5159a501700-7e5a5f1b2b3c4d5e",
            b"b3: e457b5a2e4d86bd1-05e3ac9a4f6e3b90-d",
        ),
        counter_examples=(
            b'{"b3": "0"}',
            b"0000000000000000-0000000000000000-1",
            b'{"range": "e457b5a2e4d86bd1-05e3ac9a4f6e3b90"}',
        ),
    ),
    Detector(
        name="b3_field",
        class_="trace.context",
        rules=(
            after_word(
                "x b3 traceid", "x b3 spanid", "x b3 parentspanid", value=rf"{_EITHER}{_END}", rest=""
            ),
        ),
        validator=checked(_numbered),
        validation=Validation.KEY,
        reason="16 or 32 hex digits in a header X-B3-TraceId, -SpanId or -ParentSpanId (B3 propagation)",
        context=("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid"),
        examples=(
            b"X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7",
            b'{"x-b3-parentspanid": "05e3ac9a4f6e3b90"}',
        ),
        counter_examples=(b"X-B3-Sampled: 1", b"X-B3-TraceId: 0000000000000000"),
    ),
    Detector(
        name="datadog_trace",
        class_="trace.context",
        rules=(
            after_word(
                *("x datadog trace id", "x datadog parent id", "datadog trace id"),
                value=rf"(?:{_HEX_128}|[0-9]{{10,20}}){_END}",
                rest="",
            ),
            Rule(
                (r"dd\.trace",),
                rf"dd\.trace_?id[\"']?[ ]?[:=][ ]?[\"']?(?P<id>(?:{_HEX_128}|[0-9]{{10,20}})){_END}",
            ),
            Rule((r"dd\.span",), rf"dd\.span_?id[\"']?[ ]?[:=][ ]?[\"']?(?P<id>[0-9]{{10,20}}){_END}"),
            Rule((r"_dd\.p\.tid",), rf"_dd\.p\.tid[\"']?[ ]?[:=][ ]?[\"']?(?P<id>{_HEX_64}){_END}"),
        ),
        validator=checked(_numbered),
        validation=Validation.KEY,
        reason="a number or hex digits under a name that Datadog's tracers give to trace and span ids",
        context=("x-datadog-trace-id", "x-datadog-parent-id", "dd.trace_id", "_dd.p.tid"),
        examples=(
            b"x-datadog-trace-id: 7277407061855694839",
            b'{"dd.trace_id": "5208512171318403364"}',
            b"x-datadog-tags: _dd.p.tid=66f1a4b200000000",
        ),
        counter_examples=(b"x-datadog-sampling-priority: 1", b"x-datadog-trace-id: 0000000000"),
    ),
    Detector(
        name="xray_trace",
        class_="trace.context",
        rules=(
            Rule(
                (r"1-[0-9a-f]{8}-[0-9a-f]{24}",),
                r"(?<![0-9A-Za-z_-])1-[0-9a-f]{8}-[0-9a-f]{24}(?![0-9A-Za-z_-])",
            ),
        ),
        validator=checked(lambda text: _some(text[11:])),
        validation=Validation.PATTERN,
        reason="version, time and 96 bits of a trace id of AWS X-Ray (X-Amzn-Trace-Id, AWSTraceHeader)",
        examples=(
            b"X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            b'{"AWSTraceHeader": "Root=1-67891233-abcdef012345678912345678"}',
        ),
        counter_examples=(b"1-5759e988-bd862e3fe1be46a9", b"1-00000000-000000000000000000000000"),
    ),
    Detector(
        name="jaeger_trace",
        class_="trace.context",
        rules=(
            after_word(
                "uber trace id",
                value=r"[0-9a-f]{1,32}(?::|%3[Aa])[0-9a-f]{1,16}(?::|%3[Aa])[0-9a-f]{1,16}(?::|%3[Aa])[0-9a-f]{1,2}"
                + _END,
                rest="",
            ),
        ),
        validator=checked(_numbered),
        validation=Validation.KEY,
        reason="trace id, span id, parent and flags in a header uber-trace-id (Jaeger)",
        context=("uber-trace-id",),
        examples=(
            b"uber-trace-id: 5b8aa5a2d2c872e8321cf37308d69df2:51581bf3cb55c13:0:1",
            b'{"uber-trace-id": "3c8f1d2e4b5a6978:1d2e3f4a5b6c7d8e:0:1"}',
        ),
        counter_examples=(b"uber-trace-id: 0:0:0:0", b"uber-trace-id is not set"),
    ),
    Detector(
        name="google_trace",
        class_="trace.context",
        rules=(
            after_word(
                "x cloud trace context", value=rf"{_HEX_128}(?:/[0-9]{{1,20}})?(?:;o=[0-3])?{_END}", rest=""
            ),
        ),
        validator=checked(_numbered),
        validation=Validation.KEY,
        reason="trace id and span id in a header X-Cloud-Trace-Context (Google Cloud)",
        context=("x-cloud-trace-context",),
        examples=(
            b"X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1;o=1",
            b'{"x-cloud-trace-context": "105445aa7843bc8bf206b12000100000"}',
        ),
        counter_examples=(b"X-Cloud-Trace-Context: none", b"X-Cloud-Trace-Context: 1054/1"),
    ),
    Detector(
        name="trace_id_field",
        class_="trace.context",
        rules=(
            after_word(
                "trace id", "span id", "parent span id", "parent id", value=rf"{_EITHER}{_END}", rest=""
            ),
        ),
        validator=checked(_numbered),
        validation=Validation.KEY,
        reason="16 or 32 hex digits under a key that says trace id or span id",
        context=("trace id", "span id", "parent span id"),
        examples=(
            b'{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}',
            b'{"spanId": "00f067aa0ba902b7"}',
        ),
        counter_examples=(b'{"trace_id": "0000000000000000"}', b'{"trace_id": "batch-17"}'),
        default=False,
    ),
)
"""What lets one follow a message from service to service."""
