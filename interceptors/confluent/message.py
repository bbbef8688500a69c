"""A received message, and how it becomes the core's."""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

from confluent_kafka import Message as NativeMessage

from interceptors.envelope import HEADER_NAME
from interceptors.errors import RejectedError
from interceptors.headers import envelopes, stripped
from interceptors.message import Message
from interceptors.tracing import Processing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.pipeline import Receipt
    from interceptors.tracing import Tracing

SYSTEM = "kafka"
"""The same bus as aiokafka's, and the same channels."""

_read_headers = methodcaller("headers")
"""Notices that a header's name is not UTF-8: `message.headers()` gives a broken list then, and CPython's
specialized calls don't look whether there is an exception beside the result; those from C do."""

_HEADERS = 5
"""Where the headers are among the arguments of a message's constructor."""


class TracedMessage(NativeMessage):  # type: ignore[misc]  # its types are not read
    """A `confluent_kafka.Message` whose headers are stripped of the envelope, and what the envelope said.

    Attributes:
        receipt: verdict, tenant, sender and channel of the message.
    """

    receipt: Receipt
    tombstone: bool
    """Whether it had no value, before any deserializer of ours."""
    group: str | None = None
    processing: Processing | None = None
    """The processing that is open for the message, where the consumer opened it by itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without the processing, which is this process's."""
        return type(self), tuple(_fields(self)), self.__dict__ | {"processing": None}

    def __eq__(self, other: object) -> bool:
        """Compare with anything: the native comparison raises SystemError for a message of another class."""
        return type(other) is type(self) and bool(super().__eq__(other))

    __hash__ = None  # type: ignore[assignment]  # a message can be changed, as the native one

    def __repr__(self) -> str:
        """Show where it lies, and not what it holds."""
        return f"TracedMessage({self.topic()!r}, partition={self.partition()}, offset={self.offset()})"


def receive(tracing: Tracing, native: NativeMessage, consumer: str, group: str | None) -> TracedMessage:
    """Verify a message and strip it; the given one is left as it is, unless its headers can't be read.

    Args:
        tracing: the service's tracing.
        native: as confluent-kafka gave it; not one that stands for an error.
        consumer: whose memory of seen envelopes counts.
        group: the consumer group, where it is known.

    Returns:
        A copy.
    """
    headers, value = headers_of(native), native.value()
    found = envelopes(headers)
    fields = _fields(native)
    bare = stripped(headers)
    fields[_HEADERS] = bare or None  # as where there were none
    traced = TracedMessage(*fields)
    message = Message(
        system=SYSTEM,
        destination=native.topic(),
        body=value,
        envelopes=found,
        coordinate=coordinate(native),
        key=native.key(),
        headers=bare,
    )
    traced.receipt = tracing.receive(message, consumer=consumer)
    traced.tombstone = value is None
    traced.group = group
    return traced


def process(tracing: Tracing, message: NativeMessage) -> Processing:
    """Give the processing of a message: the one that is open already, or a new one.

    Args:
        tracing: the service's tracing.
        message: one that was received through `receive`, or one that stands for an error: it has no span.
    """
    if message.error() is not None:
        return Processing(None, None, lambda *_: None)
    if not isinstance(message, TracedMessage):
        msg = "only a message that a TracedConsumer or `traced` has handed out can be processed, as it is"
        raise TypeError(msg)
    if message.processing is not None and message.processing.span is not None:
        return message.processing
    processing = tracing.process(SYSTEM, message.receipt, group=message.group)
    span = processing.span
    if span is not None:
        span.partition, span.offset = message.partition(), message.offset()
        span.tombstone = message.tombstone
    message.processing = processing
    return processing


def coordinate(message: NativeMessage) -> tuple[str, int, int]:
    """Give where a message lies."""
    return message.topic(), message.partition(), message.offset()


def rejection(message: TracedMessage) -> RejectedError:
    """Give the error for a message that the policy refuses."""
    receipt = message.receipt
    return RejectedError(
        channel=receipt.channel.name, verdict=str(receipt.verdict), coordinate=coordinate(message)
    )


def wanted_keys(messages: Iterable[NativeMessage]) -> list[object]:
    """Give the values of all envelope headers of a batch."""
    return [
        value for message in messages if message.error() is None for value in envelopes(headers_of(message))
    ]


def headers_of(message: NativeMessage) -> list[tuple[str, Any]]:
    """Give the headers of a message, however hostile; it is left as it is, unless they can't be read."""
    try:
        headers: list[tuple[str, Any]] | None = _read_headers(message)
    except Exception:  # noqa: BLE001 - a SystemError: a name is not UTF-8
        # The client has kept a list with a hole in it, and whoever reads the name there crashes the process.
        # So the message is not left as it is: an envelope that can't be read is all that it says from now on.
        headers = [(HEADER_NAME, None)]
        message.set_headers(headers)
    return headers or []


def native(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Give arguments with messages as the client takes them back: it commits those of its own class only."""
    return [_native(value) for value in args], {name: _native(value) for name, value in kwargs.items()}


def _native(value: Any) -> Any:
    return NativeMessage(*_fields(value)) if isinstance(value, TracedMessage) else value


def _fields(message: NativeMessage) -> list[Any]:
    """Give a message's fields as the constructor takes them; the accessors give None for what it refuses."""
    return list(NativeMessage.__reduce__(message)[1])
