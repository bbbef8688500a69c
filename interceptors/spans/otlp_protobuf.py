"""Spans in OTLP's binary form (opentelemetry-proto 1.x): an `ExportTraceServiceRequest`.

A span is a record of fixed fields, most of which are the same in span after span. Those are written once by
opentelemetry-proto and remembered; ids, times, links, labels and the few numbers that vary are written here,
straight in protobuf's wire format (https://protobuf.dev/programming-guides/encoding/). Parts of a message,
serialized apart and put one after another, are that message, so that the two need not meet.
"""

from __future__ import annotations

from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.errors import MissingExtraError
from interceptors.spans.attributes import (
    LINK_LIMIT,
    SERVICE_NAME,
    VARYING,
    Repeating,
    label_attributes,
    name_of,
    repeating,
    repeating_attributes,
    text,
)
from interceptors.spans.version import version

try:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # has no stubs
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
except ModuleNotFoundError as error:
    if not (error.name or "").startswith(("opentelemetry.proto", "google")):
        raise
    raise MissingExtraError("otlp", "opentelemetry-proto") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from interceptors.spans.span import Link, Span

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

_REMEMBERED = 1024
_LONGEST_REMEMBERED = 2048
"""Bytes. What is longer, because a publisher made a long name up, is written anew each time."""

# A field begins with its number << 3 | its wire type: 0 a varint, 1 eight bytes, 2 counted, 5 four bytes.
_IDS_TIMES_FLAGS = Struct("<2s16s2s8sBQBQ2sI")
_TRACE_ID = b"\x0a\x10"  # 1, 16 bytes
_SPAN_ID = b"\x12\x08"  # 2, 8 bytes
_PARENT_SPAN_ID = b"\x22\x08"  # 4, 8 bytes
_START, _END = 0x39, 0x41  # 7, 8
_ATTRIBUTE, _KEY, _VALUE = b"\x4a", b"\x0a", b"\x12"  # 9 of a span; 1 and 2 of a KeyValue
_STRING, _INT = b"\x0a", b"\x18"  # 1 and 3 of an AnyValue
_LINK = Struct("<4s16s2s8s")
_LINK_TRACE_ID = b"\x6a\x1c\x0a\x10"  # 13, 28 bytes, and in it what a link begins with
_DROPPED_LINKS_COUNT = b"\x70"  # 14
_FLAGS = b"\x85\x01"  # 16
_SPANS = b"\x12"  # 2 of ScopeSpans
_SCOPE_SPANS = b"\x12"  # 2 of ResourceSpans
_RESOURCE_SPANS = b"\x0a"  # 1 of ExportTraceServiceRequest

_SEVEN_BITS, _FOURTEEN_BITS, _MORE = 0x7F, 0x3FFF, 0x80
_ONE_BYTE = [bytes((number,)) for number in range(_SEVEN_BITS + 1)]
_64_BITS = (1 << 64) - 1
_MOST_DIGITS = 20
"""Of a number of 64 bits, in decimal with its sign; a varint has 10 at most."""


class SpanEncoder:
    """Writes the spans of one service."""

    def __init__(self, service: str, environment: str) -> None:
        """Write what is the same for all of them.

        Args:
            service: `service.name` of the resource.
            environment: `deployment.environment.name` of the resource.
        """
        resource = {
            SERVICE_NAME: text(service),
            "deployment.environment.name": text(environment),
            "telemetry.sdk.name": "interceptors",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": version(),
        }
        scope = InstrumentationScope(name="interceptors", version=version())
        around = ResourceSpans(resource=Resource(attributes=_key_values(resource.items())))
        self._resource = around.SerializeToString()
        self._scope = ScopeSpans(scope=scope, schema_url=SCHEMA_URL).SerializeToString()
        self._remembered: BoundedMap[Repeating, bytes] = BoundedMap(_REMEMBERED)

    def encode(self, spans: Sequence[Span]) -> bytes:
        """Write spans.

        Args:
            spans: ended spans.

        Returns:
            A serialized `ExportTraceServiceRequest`.
        """
        written = b"".join([_counted(_SPANS, self._span(span)) for span in spans])
        return _counted(_RESOURCE_SPANS, self._resource + _counted(_SCOPE_SPANS, self._scope + written))

    def _span(self, span: Span) -> bytes:
        known = repeating(span)
        written = self._remembered.get(known) or self._write(span, known)
        trace_id, span_id, flags, _ = span.context
        written += _IDS_TIMES_FLAGS.pack(
            _TRACE_ID, trace_id, _SPAN_ID, span_id, _START, span.start, _END, span.end, _FLAGS, flags
        )
        if span.parent_span_id is not None:
            written += _PARENT_SPAN_ID + span.parent_span_id
        for number, digits_of, prefixes in zip(_numbers(span), _DIGITS_OF, _PREFIXES):  # noqa: B905 - ours
            if number is not None:
                digits = digits_of(number)
                written += prefixes[len(digits)] + digits
        if span.labels:
            written += b"".join(_string(name, label) for name, label in label_attributes(span))
        return written + _links(span.links) if span.links else written

    def _write(self, span: Span, known: Repeating) -> bytes:
        message = SpanMessage(
            name=name_of(span),
            kind=SpanMessage.SpanKind.ValueType(span.operation.kind),
            attributes=_key_values(repeating_attributes(known)),
            status=Status(code=Status.STATUS_CODE_ERROR) if span.error_type else None,
        )
        written: bytes = message.SerializeToString()
        if len(written) <= _LONGEST_REMEMBERED:
            self._remembered.set(known, written)
        return written


def rejected_spans(response: bytes) -> int | None:
    """Read how many spans a collector refused.

    Args:
        response: a serialized `ExportTraceServiceResponse`, as far as the collector is honest.

    Returns:
        Their number, as it says; None where it can't be read.
    """
    try:
        read = ExportTraceServiceResponse.FromString(response)
    except (DecodeError, UnicodeDecodeError):  # the latter by protobuf's implementation in Python
        return None
    return int(read.partial_success.rejected_spans)


def _key_values(said: Iterable[tuple[str, str | bool]]) -> list[KeyValue]:
    return [
        KeyValue(
            key=name,
            value=AnyValue(bool_value=value) if isinstance(value, bool) else AnyValue(string_value=value),
        )
        for name, value in said
    ]


def _links(links: Sequence[Link]) -> bytes:
    written = b"".join(
        [_LINK.pack(_LINK_TRACE_ID, trace_id, _SPAN_ID, span_id) for trace_id, span_id in links[:LINK_LIMIT]]
    )
    dropped = len(links) - LINK_LIMIT
    return written + _DROPPED_LINKS_COUNT + _varint(dropped) if dropped > 0 else written


def _string(name: str, value: str) -> bytes:
    said = _counted(_KEY, name.encode()) + _counted(_VALUE, _counted(_STRING, value.encode()))
    return _counted(_ATTRIBUTE, said)


def _counted(key: bytes, content: bytes) -> bytes:
    return key + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number <= _SEVEN_BITS:
        return _ONE_BYTE[number]
    if number <= _FOURTEEN_BITS:
        return bytes((number & _SEVEN_BITS | _MORE, number >> 7))
    digits = bytearray()
    while number > _SEVEN_BITS:
        digits.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _int(number: int) -> bytes:
    return _varint(number & _64_BITS)  # two's complement, as int64 has it


def _decimal(number: int) -> bytes:
    return b"%d" % number


def _prefixes(name: str, *, decimal: bool) -> list[bytes]:
    """Give all of an attribute but its digits, by how many bytes those are."""
    key = _counted(_KEY, name.encode())
    found = []
    for size in range(_MOST_DIGITS + 1):
        value = _STRING + _varint(size) if decimal else _INT
        sizes = _varint(len(key) + 2 + len(value) + size), _varint(len(value) + size)
        found.append(_ATTRIBUTE + sizes[0] + key + _VALUE + sizes[1] + value)
    return found


_numbers: Callable[[Span], tuple[int | None, ...]] = attrgetter(*(field for _, field, _ in VARYING))
_DIGITS_OF = [_decimal if of_type is str else _int for _, _, of_type in VARYING]
_PREFIXES = [_prefixes(name, decimal=of_type is str) for name, _, of_type in VARYING]
