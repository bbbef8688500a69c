"""Sending through confluent-kafka."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import KafkaError, KafkaException, SerializingProducer

from interceptors.confluent.sending import Outgoing, Serializers, sealed, send
from interceptors.tracing import Delegate
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from confluent_kafka import Message, Producer
    from confluent_kafka.serialization import SerializationContext

    from interceptors.confluent.sending import Delivery
    from interceptors.tracing import Tracing

    _OnDelivery = Callable[[KafkaError | None, Message], object]


class TracedProducer(Delegate):
    """A `Producer` or `SerializingProducer` whose messages carry a sealed trace envelope.

    It has the producer's whole interface: what is not below is passed on, transactions included.
    """

    def __init__(
        self,
        producer: Producer | SerializingProducer,
        tracing: Tracing,
        *,
        key_serializer: Callable[[Any, SerializationContext], Any] | None = None,
        value_serializer: Callable[[Any, SerializationContext], Any] | None = None,
        on_delivery: _OnDelivery | None = None,
    ) -> None:
        """Wrap a producer.

        Args:
            producer: the producer.
            tracing: the service's tracing.
            key_serializer: makes a key's bytes, and is called as a `SerializingProducer` calls its own; give
                it here or there, not to both.
            value_serializer: makes a value's bytes, likewise. Where a channel's binding is `message` it has
                to be given here: the envelope is bound to the bytes as they travel, and the producer doesn't
                show those that its own serializer makes.
            on_delivery: what is called for each message that is sent without a callback of its own. It has to
                be given here where the producer's configuration has one, since that one is called for those
                messages only that come to the producer without a callback, and ours have one.
        """
        super().__init__(producer)
        by_hand(producer)
        self._tracing = tracing
        self._serializers = Serializers(key_serializer, value_serializer)
        self._on_delivery = on_delivery
        self._serializes = isinstance(producer, SerializingProducer)

    def produce(self, *args: Any, **kwargs: Any) -> None:
        """Send a message.

        Args:
            *args: as the producer's own `produce` takes them, in its order: `topic, value, key, partition,
                callback, on_delivery, timestamp, headers`, or for a `SerializingProducer` `topic, key, value,
                partition, on_delivery, timestamp, headers`.
            **kwargs: likewise. The headers are left as they are.

        Raises:
            LeakError: the policy blocks the message.
        """
        message = (_to_serialize if self._serializes else _to_send)(*args, **kwargs)
        self._fetch_key()
        send(
            self._tracing,
            self._wrapped.produce,
            message._replace(on_delivery=_first(message.on_delivery, self._on_delivery)),
            serializers=self._serializers,
            encodes=not self._serializes,
        )

    def produce_batch(
        self,
        topic: str,
        messages: list[dict[str, Any]],
        partition: int = -1,
        callback: _OnDelivery | None = None,
        on_delivery: _OnDelivery | None = None,
    ) -> int:
        """Send messages, as `Producer.produce_batch` does, and leave its `_error` in those that it refuses.

        They are sent one by one: librdkafka's batches have no headers, and so no place for an envelope.
        Headers and timestamps, which those batches can't have, are taken therefore.

        Returns:
            How many were taken.

        Raises:
            LeakError: the policy blocks one of the messages, so none is sent.
        """
        # There, a serializer has no say.
        plain: Any = super(SerializingProducer, self._wrapped) if self._serializes else self._wrapped
        default = _first(callback, on_delivery, self._on_delivery)
        self._fetch_key()
        waiting: deque[Delivery] = deque()
        taken = 0
        try:
            for message in messages:
                outgoing = Outgoing(
                    topic,
                    message.get("value"),
                    message.get("key"),
                    message.get("partition", partition),
                    _first(message.get("callback"), default),
                    message.get("timestamp", 0),
                    message.get("headers"),
                )
                waiting.append(
                    sealed(self._tracing, plain.produce, outgoing, serializers=Serializers(), encodes=True)
                )
            for message in messages:
                try:
                    waiting.popleft().begin()
                except BufferError:
                    message["_error"] = KafkaError(KafkaError._QUEUE_FULL)  # noqa: SLF001 - it is called so
                except KafkaException as error:
                    message["_error"] = error.args[0]
                else:
                    taken += 1
        except BaseException as error:
            for delivery in waiting:
                delivery.give_up(error)
            raise
        return taken

    def __len__(self) -> int:
        """Give the number of messages that are not delivered yet, and requests, as the producer does."""
        return len(self._wrapped)

    def __bool__(self) -> bool:
        """Be true where the producer is: it is with nothing to deliver, too."""
        return bool(self._wrapped)

    def __enter__(self) -> Self:
        """Enter the producer."""
        self._wrapped.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        """Deliver what waits, and close the producer."""
        return self._wrapped.__exit__(kind, error, traceback)

    def _fetch_key(self) -> None:
        wanted = self._tracing.sealing_key_wanted()
        if wanted is not None:
            wanted()


def _to_send(  # noqa: PLR0917 - the order of `Producer.produce`
    topic: str,
    value: Any = None,
    key: Any = None,
    partition: int = -1,
    callback: _OnDelivery | None = None,
    on_delivery: _OnDelivery | None = None,
    timestamp: int = 0,
    headers: Any = None,
) -> Outgoing:
    return Outgoing(topic, value, key, partition, _first(callback, on_delivery), timestamp, headers)


def _to_serialize(  # noqa: PLR0917 - the order of `SerializingProducer.produce`
    topic: str,
    key: Any = None,
    value: Any = None,
    partition: int = -1,
    on_delivery: _OnDelivery | None = None,
    timestamp: int = 0,
    headers: Any = None,
) -> Outgoing:
    return Outgoing(topic, value, key, partition, on_delivery, timestamp, headers)


def _first(*callbacks: _OnDelivery | None) -> _OnDelivery | None:
    """Give the first that is there; one that is called may well be false."""
    return next((callback for callback in callbacks if callback is not None), None)
