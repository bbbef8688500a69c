"""Receiving through confluent-kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from interceptors.confluent.message import native
from interceptors.confluent.receiving import Receiving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from confluent_kafka import Message


class TracedConsumer(Receiving):
    """A `Consumer` or `DeserializingConsumer` whose messages are verified and stripped of their envelopes.

    It has the consumer's whole interface: what is not below is passed on. What it hands out are
    `TracedMessage`s; a message that stands for an error is handed out as it is, untraced.

    After `poll`, the message's process span is current until the same thread asks for the next message.
    After `consume`, it is current inside `with consumer.process(message)`.
    """

    def poll(self, timeout: float = -1) -> Message | None:
        """Get one message, as `Consumer.poll` does, and make its process span current.

        Raises:
            RejectedError: the channel's policy refuses the message; the next call goes on behind it.
        """
        self._next()
        message = self._wrapped.poll(timeout)
        if message is None:
            return None
        self._fetch_keys([message])
        return self._handed_out(message)

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """Get a batch of messages, as `Consumer.consume` does.

        One `receive` span stands for the batch; `process` gives each message its own.

        Raises:
            RejectedError: the channel's policy refuses a message. The others of its batch are handed out
                first; the error comes with the next call, one call for each such message.
        """
        self._next()
        started = self._tracing.now()
        messages = self._wrapped.consume(num_messages, timeout)
        self._fetch_keys(messages)
        return self._batch(messages, started)

    def commit(self, *args: Any, **kwargs: Any) -> Any:
        """Commit, as `Consumer.commit` does, the messages of this consumer included."""
        arguments, named = native(args, kwargs)
        return self._wrapped.commit(*arguments, **named)

    def store_offsets(self, *args: Any, **kwargs: Any) -> None:
        """Store offsets, as `Consumer.store_offsets` does, those of this consumer's messages included."""
        arguments, named = native(args, kwargs)
        self._wrapped.store_offsets(*arguments, **named)

    def close(self) -> None:
        """Close the consumer, and end the processings that are open."""
        try:
            self._wrapped.close()
        finally:
            self._ended(None)

    def __enter__(self) -> Self:
        """Enter the consumer."""
        self._wrapped.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        """Close the consumer, and end the processings that are open."""
        try:
            return self._wrapped.__exit__(kind, error, traceback)
        finally:
            self._ended(error)

    def _fetch_keys(self, messages: Sequence[Message]) -> None:
        wanted = self._wanted(messages)
        if wanted is not None:
            wanted()
