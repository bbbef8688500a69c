"""Batches that a producer builds by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError

from interceptors.envelope import HEADER_NAME
from interceptors.headers import stripped
from interceptors.kafka.record import SYSTEM
from interceptors.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.spans import Origin
    from interceptors.tracing import OpenSpan, Tracing

_PLACEHOLDER = (HEADER_NAME, bytes(122))
"""As large as an envelope of a context without labels."""
TOO_LARGE = "message too large with an envelope"
"""What is counted, once for a message or a batch that went without envelopes."""


class _Appended(NamedTuple):
    timestamp: int
    key: Any
    value: Any
    headers: list[tuple[str, Any]]
    origin: Origin


class TracedBatch:
    """A batch of `TracedProducer.create_batch`, with the interface of aiokafka's `BatchBuilder`.

    The topic is known only when the batch is sent, and an envelope is bound to it. So what is appended is
    kept, measured with a placeholder in the envelope's stead, and built when it is sealed.

    Attributes:
        has_envelopes: whether it was sealed with any.
        seals: whether nothing that carries a trace in clear may go with it, envelopes or none.
    """

    def __init__(
        self,
        tracing: Tracing,
        create: Callable[[], Any],
        serialized: Callable[[Any, Any], tuple[Any, Any]],
    ) -> None:
        """Start empty; `TracedProducer.create_batch` does."""
        self._tracing = tracing
        self._create = create
        self._serialized = serialized
        self._measure = create()
        self._appended: list[_Appended] = []
        self.has_envelopes = False
        self.seals = False

    def append(
        self,
        *,
        timestamp: int | None,
        key: Any,
        value: Any,
        headers: Sequence[tuple[str, Any]] | None = None,
    ) -> Any:
        """Append a message, as `BatchBuilder.append` does.

        Returns:
            The record's metadata, or None where the batch is full or closed.
        """
        key, value = self._serialized(key, value)
        bare = stripped(headers or ())
        metadata = self._measure.append(
            timestamp=timestamp, key=key, value=value, headers=[*bare, _PLACEHOLDER]
        )
        if metadata is not None:
            # Its time is now, not when the batch is built.
            self._appended.append(_Appended(metadata.timestamp, key, value, bare, self._tracing.origin()))
        return metadata

    @property
    def tenants(self) -> set[str]:
        """Whose messages are in it."""
        return {message.origin.tenant for message in self._appended}

    def close(self) -> None:
        """Take no more messages."""
        self._measure.close()

    def closed(self) -> bool:
        """Tell whether it takes no more messages."""
        return bool(self._measure.closed())

    def size(self) -> int:
        """Give the size in bytes, envelopes included."""
        return int(self._measure.size())

    def record_count(self) -> int:
        """Give the number of messages."""
        return len(self._appended)

    def seal(self, topic: str) -> tuple[list[OpenSpan], Any]:
        """Seal each message's trace, and build aiokafka's batch.

        Args:
            topic: where it goes.

        Returns:
            The sendings to end when the batch is acknowledged, and the batch.

        Raises:
            LeakError: the policy blocks one of the messages.
            MessageSizeTooLargeError: with what the policy has put in their place, they are larger than a
                batch may be, even without envelopes.
        """
        self.close()
        views = [
            Message(SYSTEM, topic, message.value, key=message.key, headers=message.headers)
            for message in self._appended
        ]
        origins = [message.origin for message in self._appended]
        batch, sendings = self._tracing.send_batch(list(zip(views, origins, strict=True)))
        for number, outgoing in enumerate(batch):
            value, headers = outgoing.message.body, list(outgoing.message.headers)
            self._appended[number] = self._appended[number]._replace(value=value, headers=headers)
        self.seals = any(outgoing.seals for outgoing in batch)
        envelopes = [outgoing.envelope for outgoing in batch]
        self.has_envelopes = any(envelope is not None for envelope in envelopes)
        try:
            try:
                return sendings, self._built(envelopes)
            except MessageSizeTooLargeError:
                # Envelopes larger than their placeholders, or tokens, must not cost a message.
                built, self.has_envelopes = self.bare(), False
        except Exception as error:
            for sending in sendings:
                sending.end(error)
            raise
        self._tracing.counts[TOO_LARGE] += 1
        return sendings, built

    def bare(self) -> Any:
        """Build aiokafka's batch without envelopes."""
        return self._built([None] * len(self._appended))

    def _built(self, envelopes: Sequence[bytes | None]) -> Any:
        built = self._create()
        for message, envelope in zip(self._appended, envelopes, strict=True):
            sealed = [] if envelope is None else [(HEADER_NAME, envelope)]
            appended = built.append(
                timestamp=message.timestamp,
                key=message.key,
                value=message.value,
                headers=[*message.headers, *sealed],
            )
            if appended is None:  # and the batch is closed: what comes after would be lost as well
                raise MessageSizeTooLargeError("the batch is too large for the producer's max_batch_size")
        return built
