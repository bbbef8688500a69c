"""A span in OTLP's JSON form (opentelemetry-proto 1.x, "JSON Protobuf Encoding"): ids in hex."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    written: Json = {
        "traceId": trace_id.hex(),
        "spanId": span_id.hex(),
        "flags": flags,
        "name": f"{span.operation.operation} {span.channel}",
        "kind": span.operation.kind.value,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span),
        "links": [{"traceId": link.trace_id.hex(), "spanId": link.span_id.hex()} for link in span.links],
        "status": {"code": _STATUS_ERROR} if span.error_type else {},
    }
    if span.parent_span_id is not None:
        written["parentSpanId"] = span.parent_span_id.hex()
    return written


def _attributes(span: Span) -> list[Json]:
    partition = None if span.partition is None else str(span.partition)
    fields: list[tuple[str, str | int | bool | None]] = [
        ("service.name", span.service),
        ("messaging.system", span.system),
        ("messaging.operation.name", span.operation.operation),
        ("messaging.operation.type", span.operation.type),
        ("messaging.destination.name", span.channel),
        ("messaging.destination.partition.id", partition),
        ("messaging.kafka.offset", span.offset),
        ("messaging.kafka.message.tombstone", span.tombstone or None),
        ("messaging.consumer.group.name", span.consumer_group),
        ("messaging.batch.message_count", span.batch_size),
        ("celery.task_name", span.task_name),
        ("error.type", span.error_type),
        ("interceptors.tenant", span.tenant),
        ("interceptors.sender", span.sender),
        ("interceptors.verdict", span.verdict),
        ("interceptors.answer", span.answer),
        ("interceptors.queue_time_ms", span.queue_time_ms),
    ]
    return [{"key": key, "value": _any_value(value)} for key, value in fields if value is not None]


def _any_value(value: str | int | bool) -> Json:  # noqa: FBT001 - a value of an attribute, not a switch
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value}
