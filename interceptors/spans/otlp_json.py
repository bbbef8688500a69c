"""A span in OTLP's JSON form (opentelemetry-proto 1.x, "JSON Protobuf Encoding"): ids in hex."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.spans.attributes import LINK_LIMIT, SERVICE_NAME, Value, attributes, name_of, text

if TYPE_CHECKING:
    from interceptors.spans.span import Span

Json = dict[str, object]

_STATUS_ERROR = 2


def to_otlp_json(span: Span) -> Json:
    """Give a span as OTLP-JSON.

    One span stands alone in it, without a resource around it: so `service.name` is among its attributes.

    Args:
        span: an ended span.

    Returns:
        A `Span` message of OTLP, for `json.dumps`.
    """
    trace_id, span_id, flags, _ = span.context
    said = {SERVICE_NAME: text(span.service)} | attributes(span)
    written: Json = {
        "traceId": trace_id.hex(),
        "spanId": span_id.hex(),
        "flags": flags,
        "name": name_of(span),
        "kind": span.operation.kind.value,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": [{"key": name, "value": _any_value(value)} for name, value in said.items()],
        "links": [
            {"traceId": link.trace_id.hex(), "spanId": link.span_id.hex()} for link in span.links[:LINK_LIMIT]
        ],
        "status": {"code": _STATUS_ERROR} if span.error_type else {},
    }
    if span.parent_span_id is not None:
        written["parentSpanId"] = span.parent_span_id.hex()
    if len(span.links) > LINK_LIMIT:
        written["droppedLinksCount"] = len(span.links) - LINK_LIMIT
    return written


def _any_value(value: Value) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value}
