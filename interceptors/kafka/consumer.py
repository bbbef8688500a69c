"""Receiving through aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from interceptors.headers import envelopes
from interceptors.kafka.record import (
    SYSTEM,
    TracedRecord,
    coordinate,
    process,
    receive,
    rejection,
    wanted_keys,
)
from interceptors.tracing import Delegate, Following, off_loop
from interceptors.tracing.patching import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from types import TracebackType

    from aiokafka import AIOKafkaConsumer, ConsumerRecord

    from interceptors.tracing import Processing, Tracing

logger = logging.getLogger("interceptors.kafka")


class TracedConsumer(Delegate):
    """An `AIOKafkaConsumer` whose records are verified and stripped of their envelopes.

    It has the consumer's whole interface: what is not below is passed on. What it hands out are
    `TracedRecord`s.

    After `getone`, and in the body of `async for`, the record's process span is current until the same
    task asks for the next record. After `getmany`, it is current inside `with consumer.process(record)`.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        tracing: Tracing,
        *,
        group_id: str | None = None,
        key_deserializer: Callable[[bytes | None], Any] | None = None,
        value_deserializer: Callable[[bytes | None], Any] | None = None,
    ) -> None:
        """Wrap a consumer.

        Args:
            consumer: the consumer, started or not.
            tracing: the service's tracing.
            group_id: the consumer's group, for its spans, and so that the consumers of one group in this
                process share a memory of what they have seen.
            key_deserializer: reads a key's bytes; give it here or to the consumer, not to both.
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

    async def getone(self, *partitions: TopicPartition) -> TracedRecord:
        """Get one record, as `AIOKafkaConsumer.getone` does, and make its process span current.

        Raises:
            RejectedError: the channel's policy refuses the record; the next call goes on behind it.
        """
        return await self._next(self._wrapped.getone(*partitions))

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[TracedRecord]]:
        """Get a batch of records, as `AIOKafkaConsumer.getmany` does.

        One `receive` span stands for the batch; `process` gives each record its own.

        Raises:
            RejectedError: the channel's policy refuses a record. The others of its batch are handed out
                first; the error comes with the next call, one call for each such record.
        """
        self._following.end_finished()
        self._pay()
        started = self._tracing.now()
        fetched: dict[TopicPartition, list[ConsumerRecord]] = await self._wrapped.getmany(
            *partitions, timeout_ms=timeout_ms, max_records=max_records
        )
        if not fetched:
            return {}
        every = [record for records in fetched.values() for record in records]
        wanted = self._tracing.opening_keys_wanted(wanted_keys(every))
        if wanted is not None:
            await self._fetch(wanted, every)
        batch: dict[TopicPartition, list[TracedRecord]] = {}
        for partition, records in fetched.items():
            admitted = [traced for traced in map(self._admit, records) if traced is not None]
            if admitted:
                batch[partition] = admitted
        receipts = [record.receipt for records in batch.values() for record in records]
        self._tracing.received(SYSTEM, receipts, started=started, group=self._group)
        if not batch:
            self._pay()
        return batch

    def process(self, record: TracedRecord) -> Processing:
        """Give the scope of a record's processing, for `with`.

        Args:
            record: as this consumer handed it out.

        Returns:
            A context manager: inside, the process span and the sender's tenant are current; an exception
            that leaves it marks the span.
        """
        return process(self._tracing, record)

    async def stop(self) -> None:
        """Stop the consumer, and end the processings that are open."""
        await self._stop(None)

    def __aiter__(self) -> Self:
        """Iterate over records, as the consumer does."""
        self._wrapped.__aiter__()
        return self

    async def __anext__(self) -> TracedRecord:
        """Give the next record, as the consumer's iteration does; raises what `getone` raises."""
        return await self._next(self._wrapped.__anext__())

    async def __aenter__(self) -> Self:
        """Start the consumer."""
        await self._wrapped.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the consumer."""
        await self._stop(error)

    async def _stop(self, error: BaseException | None) -> None:
        try:
            await self._wrapped.stop()
        finally:
            self._following.end_all(error)
            if self._group is None:
                self._tracing.forget(self._seen_by)

    async def _next(self, fetch: Coroutine[Any, Any, ConsumerRecord]) -> TracedRecord:
        this = self._following.end_finished()
        if self._owed:
            fetch.close()
            raise self._owed.popleft()
        record = await fetch
        wanted = self._tracing.opening_keys_wanted(envelopes(record.headers))
        if wanted is not None:
            await self._fetch(wanted, (record,))
        traced = self._admit(record)
        if traced is None:
            raise self._owed.popleft()
        self._following.open(process(self._tracing, traced), this)
        return traced

    def _admit(self, record: ConsumerRecord) -> TracedRecord | None:
        """Verify a record; where it can't be handed out, owe its error instead."""
        traced = receive(self._tracing, record, self._seen_by, self._group)
        if traced.receipt.rejected:
            self._owed.append(rejection(traced))
            return None
        try:
            if self._key_deserializer is not None:
                traced.key = self._key_deserializer(record.key)
            if self._value_deserializer is not None:
                traced.value = self._value_deserializer(record.value)
        except Exception as error:  # noqa: BLE001 - the caller's own, given back to the caller
            place = coordinate(record)
            self._tracing.counts["deserializer failed"] += 1
            logger.warning("a deserializer failed with %s at %s", type(error).__name__, place)
            error.add_note(f"while deserializing the record at {place}")
            self._owed.append(error)
            return None
        return traced

    async def _fetch(self, wanted: Callable[[], object], records: Sequence[ConsumerRecord]) -> None:
        """Fetch keys off the event loop; cancelled while at it, leave the records to be fetched again."""
        try:
            await off_loop(wanted)
        except asyncio.CancelledError:
            # The position has moved past these records, and nobody has them yet: move it back.
            first: dict[TopicPartition, int] = {}
            for record in records:
                first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
            for partition, offset in first.items():
                # Where it is ours no longer, whoever has it goes on from what was committed. Where nothing is
                # subscribed to any more, aiokafka says so with an assertion.
                with contextlib.suppress(IllegalStateError, AssertionError):
                    self._wrapped.seek(partition, offset)
            raise

    def _pay(self) -> None:
        if self._owed:
            raise self._owed.popleft()
