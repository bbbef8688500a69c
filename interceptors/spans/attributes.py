"""What the attributes of a span are: the one list that every form of OTLP is written from.

The names are those of OpenTelemetry's messaging conventions, version 1.44, where they have one.
`messaging.destination.name` is the channel's name and never a physical one that a policy maps to it; what is
a template, since the physical name holds an identifier, is `messaging.destination.template`, too.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from interceptors.policy.templates import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.spans.span import Kind, Span

Value = str | int | bool

SERVICE_NAME = "service.name"
"""An attribute of the resource; of the span only where no resource is around it."""

LINK_LIMIT = 4096
"""How many links of a span are exported: those of nearly any batch, where OpenTelemetry's SDK keeps 128. OTLP
has no limit; this one keeps a span below 128 KiB. How many more there were is said beside them."""

Common = tuple[str | bool | None, ...]
Repeating = tuple["Kind", Common]

_DESTINATION = "messaging.destination.name"
_TEMPLATE = "messaging.destination.template"
_TEMPORARY = "messaging.destination.temporary"
_REPEATING = {
    "messaging.system": "system",
    "messaging.operation.name": "operation.operation",
    "messaging.operation.type": "operation.type",
    _DESTINATION: "channel",
    "messaging.kafka.message.tombstone": "tombstone",
    "messaging.consumer.group.name": "consumer_group",
    "celery.task_name": "task_name",
    "error.type": "error_type",
    "interceptors.tenant": "tenant",
    "interceptors.sender": "sender",
    "interceptors.verdict": "verdict",
    "interceptors.answer": "answer",
}
_common: Callable[[Span], Common] = attrgetter(*_REPEATING.values())

VARYING: tuple[tuple[str, str, Callable[[int], str | int]], ...] = (
    ("messaging.destination.partition.id", "partition", str),
    ("messaging.kafka.offset", "offset", int),
    ("messaging.batch.message_count", "batch_size", int),
    ("interceptors.queue_time_ms", "queue_time_ms", int),
    ("messaging.message.body.size", "body_size", int),
)
"""The attributes of which nearly every span has another value: name, field of the span, and type."""

_OURS = {SERVICE_NAME, *_REPEATING, _TEMPLATE, _TEMPORARY, *(name for name, _, _ in VARYING)}


def repeating(span: Span) -> Repeating:
    """Give what many spans of a process have in common, as something to remember its written form by.

    Args:
        span: an ended span.

    Returns:
        What `repeating_attributes` takes.
    """
    return span.operation.kind, _common(span)


def repeating_attributes(known: Repeating) -> Iterator[tuple[str, str | bool]]:
    """Give the attributes of what `repeating` gave, as far as they are set."""
    _, values = known
    said = dict(zip(_REPEATING, values, strict=True))
    destination = str(said[_DESTINATION])
    said[_TEMPLATE] = destination if "{" in destination else None
    said[_TEMPORARY] = destination == TEMPORARY
    for name, value in said.items():
        if value is not None and value is not False:
            yield name, text(value) if isinstance(value, str) else value


def label_attributes(span: Span) -> Iterator[tuple[str, str]]:
    """Give the labels of a span. None takes the place of an attribute that the library sets itself."""
    for name, label in span.labels.items():
        if name not in _OURS:
            yield text(name), text(label)


def attributes(span: Span) -> dict[str, Value]:
    """Give all attributes of a span, by name: what repeats, what varies, and the labels.

    Args:
        span: an ended span.
    """
    found: dict[str, Value] = dict(repeating_attributes(repeating(span)))
    for name, field, of_type in VARYING:
        value = getattr(span, field)
        if value is not None:
            found[name] = of_type(value)
    return found | dict(label_attributes(span))


def name_of(span: Span) -> str:
    """Give a span's name: `{operation} {destination}`."""
    return text(f"{span.operation.operation} {span.channel}")


def text(value: str) -> str:
    """Give a text that UTF-8 can say: a lone surrogate, which a publisher may send, becomes a `?`."""
    return value if value.isascii() else value.encode(errors="replace").decode()
