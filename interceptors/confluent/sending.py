"""What sending has in common, whether the caller waits in a thread or in a task."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.error import KeySerializationError, ValueSerializationError
from confluent_kafka.serialization import MessageField, SerializationContext

from interceptors.confluent.message import SYSTEM
from interceptors.envelope import HEADER_NAME
from interceptors.headers import SealedHeaders, stripped
from interceptors.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.tracing import Sending, Tracing

    _Headers = list[tuple[str, Any]]


class Outgoing(NamedTuple):
    """A message as the caller gave it."""

    topic: str
    value: Any = None
    key: Any = None
    partition: int = -1
    on_delivery: Callable[[Any, Any], object] | None = None
    timestamp: int = 0
    headers: Any = None


class Serializers(NamedTuple):
    """What makes the bytes of a message, called as a `SerializingProducer` calls its own."""

    key: Callable[[Any, SerializationContext], Any] | None = None
    value: Callable[[Any, SerializationContext], Any] | None = None

    def __call__(self, message: Outgoing, headers: _Headers) -> tuple[Any, Any]:
        """Give key and value; a serializer may add to the headers."""
        key, value = message.key, message.value
        context = SerializationContext(message.topic, MessageField.KEY, headers)
        if self.key is not None:
            try:
                key = self.key(key, context)
            except Exception as error:
                raise KeySerializationError(error) from error
        context.field = MessageField.VALUE
        if self.value is not None:
            try:
                value = self.value(value, context)
            except Exception as error:
                raise ValueSerializationError(error) from error
        return key, value


def send(
    tracing: Tracing,
    produce: Callable[..., object],
    message: Outgoing,
    *,
    serializers: Serializers,
    encodes: bool,
) -> None:
    """Seal a message's trace and hand the message to librdkafka.

    Args:
        tracing: the service's tracing.
        produce: the client's `produce`.
        message: what to send.
        serializers: make its bytes.
        encodes: whether `produce` sends a text as its UTF-8; else it makes of it whatever it does.

    Raises:
        LeakError: the policy blocks the message.
    """
    sealed(tracing, produce, message, serializers=serializers, encodes=encodes).begin()


def sealed(
    tracing: Tracing,
    produce: Callable[..., object],
    message: Outgoing,
    *,
    serializers: Serializers,
    encodes: bool,
) -> Delivery:
    """Seal a message's trace, as `send` does, and leave it to the caller when the message is handed over."""
    try:
        headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
        bare = stripped(headers)
        key, value = serializers(message, bare)
        body = value.encode() if encodes and isinstance(value, str) else value
    except Exception as error:
        tracing.send(Message(SYSTEM, message.topic)).end(error)
        raise
    sending = tracing.send(Message(SYSTEM, message.topic, body, key=key, headers=bare))
    if sending.body is not body:
        value = sending.body
    if sending.span is not None:
        sending.span.tombstone = value is None
    given = {"key": key, "partition": message.partition, "timestamp": message.timestamp}
    hand_over = partial(produce, message.topic, value=value, **given)
    return Delivery(tracing, sending, hand_over, list(sending.headers), message.on_delivery)


class Delivery:
    """A message on its way: what librdkafka calls with what became of it."""

    def __init__(
        self,
        tracing: Tracing,
        sending: Sending,
        hand_over: Callable[..., object],
        headers: _Headers,
        on_delivery: Callable[[Any, Any], object] | None,
    ) -> None:
        """Prepare it; `sealed` does."""
        self._tracing = tracing
        self._sending = sending
        self._hand_over = hand_over
        self._headers = headers
        self._on_delivery = on_delivery
        self._envelope = sending.envelope
        """None, too, once the message goes without."""

    def begin(self) -> None:
        """Hand the message over; where only its envelope makes it too large, without."""
        try:
            try:
                self._produce()
            except KafkaException as error:
                if not self._may_go_bare(error.args[0]):
                    raise
                self._produce_bare()
        except BaseException as error:
            self._sending.end(error)
            raise

    def give_up(self, error: BaseException) -> None:
        """End the span of a message that is not handed over."""
        self._sending.end(error)

    def __call__(self, error: Any, message: Any) -> None:
        """Take note of what became of the message, and tell the caller."""
        if self._may_go_bare(error):
            with suppress(BufferError, KafkaException):
                self._produce_bare()
                return
        span = self._sending.span
        if span is not None and error is None:
            span.partition, span.offset = message.partition(), message.offset()
        self._sending.end(None if error is None else KafkaException(error))
        if self._on_delivery is not None:
            self._on_delivery(error, message)

    def __del__(self) -> None:
        """End the span of a message of which nothing was said.

        With `delivery.report.only.error`, that is one that was delivered.
        """
        self._sending.end()

    def _produce(self) -> None:
        sealed = [] if self._envelope is None else [(HEADER_NAME, self._envelope)]
        # A new list each time: another tracer may add to it, and finds out whether that stays.
        kind = SealedHeaders if self._sending.seals else list
        self._hand_over(headers=kind([*self._headers, *sealed]), on_delivery=self)

    def _produce_bare(self) -> None:
        self._envelope = None
        self._produce()
        self._tracing.counts["message too large with an envelope"] += 1

    def _may_go_bare(self, error: Any) -> bool:
        too_large = isinstance(error, KafkaError) and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
        return too_large and self._envelope is not None
