"""What receiving has in common, whether the caller waits in a thread or in a task."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

from confluent_kafka.error import KeyDeserializationError, ValueDeserializationError
from confluent_kafka.serialization import MessageField, SerializationContext

from interceptors.confluent.message import (
    SYSTEM,
    TracedMessage,
    coordinate,
    process,
    receive,
    rejection,
    wanted_keys,
)
from interceptors.tracing import Delegate, Following
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from confluent_kafka import Message

    from interceptors.tracing import Processing, Tracing

logger = logging.getLogger("interceptors.confluent")


class Receiving(Delegate):
    """The part of a traced consumer that waits for nothing."""

    def __init__(
        self,
        consumer: Any,
        tracing: Tracing,
        *,
        group_id: str | None = None,
        key_deserializer: Callable[[bytes | None, SerializationContext], Any] | None = None,
        value_deserializer: Callable[[bytes | None, SerializationContext], Any] | None = None,
    ) -> None:
        """Wrap a consumer.

        Args:
            consumer: the consumer.
            tracing: the service's tracing.
            group_id: the consumer's group, for its spans, and so that the consumers of one group in this
                process share a memory of what they have seen.
            key_deserializer: reads a key's bytes, and is called as a `DeserializingConsumer` calls its own;
                give it here or there, not to both.
            value_deserializer: reads a value's bytes, likewise. Where a channel's binding is `message` it
                has to be given here: what the consumer has deserialized can't be verified any more.
        """
        super().__init__(consumer)
        by_hand(consumer)
        self._tracing = tracing
        self._group = group_id
        self._seen_by = group_id if group_id is not None else f"consumer {secrets.token_hex(8)}"
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._following = Following()
        self._owed: deque[Exception] = deque()

    def process(self, message: Message) -> Processing:
        """Give the scope of a message's processing, for `with`.

        Args:
            message: as this consumer handed it out.

        Returns:
            A context manager: inside, the process span and the sender's tenant are current; an exception
            that leaves it marks the span. For a message that stands for an error it does nothing.
        """
        return process(self._tracing, message)

    def _next(self) -> None:
        """Move on from the last message; raise what is owed."""
        self._following.end_finished()
        self._pay()

    def _wanted(self, messages: Sequence[Message]) -> Callable[[], object] | None:
        return self._tracing.opening_keys_wanted(wanted_keys(messages))

    def _handed_out(self, message: Message) -> Message:
        """Verify a message, and make its processing current."""
        if message.error() is not None:
            return message
        traced = self._admit(message)
        if traced is None:
            raise self._owed.popleft()
        self._following.open(self.process(traced))
        return traced

    def _batch(self, messages: Sequence[Message], started: int) -> list[Message]:
        """Verify the messages of a batch, and record that they were received."""
        batch: list[Message] = []
        for message in messages:
            admitted = message if message.error() is not None else self._admit(message)
            if admitted is not None:
                batch.append(admitted)
        receipts = [message.receipt for message in batch if isinstance(message, TracedMessage)]
        self._tracing.received(SYSTEM, receipts, started=started, group=self._group)
        if not batch:
            self._pay()
        return batch

    def _ended(self, error: BaseException | None) -> None:
        """End the processings that are open: the consumer is closed."""
        self._following.end_all(error)
        if self._group is None:
            self._tracing.forget(self._seen_by)

    def _admit(self, message: Message) -> TracedMessage | None:
        """Verify a message; where it can't be handed out, owe its error instead."""
        traced = receive(self._tracing, message, self._seen_by, self._group)
        if traced.receipt.rejected:
            self._owed.append(rejection(traced))
            return None
        failure: Any = ValueDeserializationError
        try:
            value, key = traced.value(), traced.key()
            context = SerializationContext(traced.topic(), MessageField.VALUE, traced.headers())
            if self._value_deserializer is not None:
                value = self._value_deserializer(value, context)
            failure, context.field = KeyDeserializationError, MessageField.KEY
            if self._key_deserializer is not None:
                key = self._key_deserializer(key, context)
        except Exception as error:  # noqa: BLE001 - the caller's own, given back to the caller
            self._tracing.counts["deserializer failed"] += 1
            logger.warning("a deserializer failed with %s at %s", type(error).__name__, coordinate(traced))
            failed = failure(exception=error, kafka_message=traced)
            failed.__cause__ = error
            self._owed.append(failed)
            return None
        traced.set_value(value)
        traced.set_key(key)
        return traced

    def _pay(self) -> None:
        if self._owed:
            raise self._owed.popleft()
