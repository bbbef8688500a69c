"""The span: a record of fixed fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.context import TraceContext

NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Kind(IntEnum):
    """OpenTelemetry's span kind; the number is OTLP's."""

    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Operation(Enum):
    """What a span is of: the operation's name, its type and the span's kind (messaging conventions 1.44)."""

    CREATE = ("create", "create", Kind.PRODUCER)
    """A message of a batch: its context is the one that travels."""
    SEND = ("send", "send", Kind.PRODUCER)
    """A message: its context is the one that travels."""
    SEND_BATCH = ("send", "send", Kind.CLIENT)
    """A batch, with a link to the span of each message's creation."""
    RECEIVE = ("receive", "receive", Kind.CLIENT)
    PROCESS = ("process", "process", Kind.CONSUMER)
    ACK = ("ack", "settle", Kind.CLIENT)
    NACK = ("nack", "settle", Kind.CLIENT)
    REJECT = ("reject", "settle", Kind.CLIENT)

    def __init__(self, operation: str, type_: str, kind: Kind) -> None:
        """Unfold the value."""
        self.operation = operation
        self.type = type_
        self.kind = kind


class Link(NamedTuple):
    """A link to another span."""

    trace_id: bytes
    span_id: bytes

    def __repr__(self) -> str:
        """Show no id, as a context doesn't."""
        return "Link()"


@dataclass(slots=True, repr=False, eq=False)
class Span:
    """One span. Whoever holds it before it ends may fill its fields in; there are no others.

    Times are nanoseconds since the epoch.
    """

    operation: Operation
    system: str
    channel: str
    """The channel's logical name; where no channel lists it, a template of the physical name."""
    context: TraceContext
    parent_span_id: bytes | None
    start: int
    service: str
    tenant: str
    """Whose message it is: the tenant of the key that opened it, or that seals it."""
    end: int = 0
    error_type: str | None = None
    """The class name of what went wrong; never its text."""
    sender: str | None = None
    """Who sealed the envelope, as its key says."""
    verdict: str | None = None
    answer: str | None = None
    """Why an envelope did not open."""
    links: tuple[Link, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    """Values that the policy names and allows, by name."""
    partition: int | None = None
    offset: int | None = None
    consumer_group: str | None = None
    batch_size: int | None = None
    tombstone: bool = False
    task_name: str | None = None
    """Celery: the name of the task, which is one of those that the program defines."""
    queue_time_ms: int | None = None
    """Between the sealing of the envelope and the processing of its message, by the clocks of both; at least
    0."""

    body_size: int | None = None
    """How many bytes the body has, where a flag asks for that."""

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"Span({self.operation.operation} {self.channel!r}, error_type={self.error_type!r})"
