"""FastStream's `KafkaBroker`, which is aiokafka below."""

from __future__ import annotations

import asyncio
import copy
import secrets
import weakref
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from aiokafka import ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError
from faststream.exceptions import RejectMessage
from faststream.kafka.exceptions import BatchBufferOverflowException

from interceptors.envelope import HEADER_NAME, to_text
from interceptors.faststream.scope import TracedScope, Unencoded, encoded, target
from interceptors.headers import SealedTable
from interceptors.kafka import TracedProducer, TracedRecord
from interceptors.kafka.record import SYSTEM, process, receive, rejection, wanted_keys
from interceptors.tracing import off_loop
from interceptors.tracing.patching import left_alone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from faststream import ContextRepo
    from faststream.kafka.response import KafkaPublishCommand
    from faststream.message import StreamMessage

    from interceptors.tracing import Tracing

    _Next = Callable[[KafkaPublishCommand], Awaitable[Any]]


_memories: WeakKeyDictionary[Tracing, WeakKeyDictionary[Any, str]] = WeakKeyDictionary()


class TracedMiddleware:
    """A middleware of a `KafkaBroker`, by which its messages carry a sealed trace envelope.

    Put it last: the innermost middleware sees a message as it travels. A message's `raw_message` is a
    `TracedRecord` then, or a tuple of those for a batch.

    A subscriber without a batch has the process span and the sender's tenant current in its handler, and
    while its reply is published. In the handler of a batch, whose messages may be of several tenants,
    nothing is current; `Tracing.process` makes that of one message so.
    """

    def __init__(self, tracing: Tracing) -> None:
        """Make the middleware.

        Args:
            tracing: the service's tracing.
        """
        self._tracing = tracing

    def __call__(self, msg: Any, /, *, context: ContextRepo) -> TracedScope:
        """Make the middleware of one message, as FastStream does."""
        return _Scope(msg, context=context, tracing=self._tracing)


class _Scope(TracedScope):
    _records: Sequence[TracedRecord] = ()
    _started = 0
    _is_instrumented = False

    async def on_receive(self) -> None:
        """Verify what was received, and strip it: FastStream reads every header as text."""
        raw: Sequence[ConsumerRecord] = (
            (self.msg,) if isinstance(self.msg, ConsumerRecord) else tuple(self.msg)
        )
        self._started = self._tracing.now()
        wanted = self._tracing.opening_keys_wanted(wanted_keys(raw))
        if wanted is not None:
            await off_loop(wanted)
        self._is_instrumented = any(isinstance(record, TracedRecord) for record in raw)
        self._records = [self._received(record) for record in raw]
        for record, traced in zip(raw, self._records, strict=True):
            # The record is fresh from the client: nobody has seen it yet. Its headers are left as they are.
            record.headers = traced.headers

    def _received(self, record: ConsumerRecord) -> TracedRecord:
        if isinstance(record, TracedRecord):  # by `interceptors.kafka.instrument`
            return record
        group = getattr(self.subscriber, "group_id", None)
        return receive(self._tracing, record, group or self._memory(), group)

    def _memory(self) -> str:
        """Give the name of what a subscriber without a group has seen, which goes with it."""
        if self.subscriber is None:
            return "get_one"
        names = _memories.setdefault(self._tracing, WeakKeyDictionary())
        name = names.get(self.subscriber)
        if name is None:
            name = names[self.subscriber] = f"subscriber {secrets.token_hex(8)}"
            weakref.finalize(self.subscriber, self._tracing.forget, name).atexit = False
        return name

    async def consume_scope(self, call_next: Any, msg: StreamMessage[Any]) -> Any:
        """Call the handler, unless the policy refuses what it would be given.

        Raises:
            RejectMessage: it does; FastStream commits past the message.
            RejectedError: likewise, where it is not a handler that asks.
        """
        admitted = [place for place, record in enumerate(self._records) if not record.receipt.rejected]
        if not admitted:
            error = rejection(self._records[0])
            if self.subscriber is None:
                raise error
            raise RejectMessage from error
        records = [self._records[place] for place in admitted]
        if isinstance(msg.raw_message, ConsumerRecord) and self.subscriber is not None:
            msg.raw_message = records[0]
            self.begin(process(self._tracing, records[0]))
        else:
            receipts = [record.receipt for record in records]
            if not self._is_instrumented:  # else that has recorded it
                self._tracing.received(SYSTEM, receipts, started=self._started, group=records[0].group)
            if isinstance(msg.raw_message, ConsumerRecord):
                msg.raw_message = records[0]
            else:
                msg.raw_message = tuple(records)
                if len(admitted) < len(self._records):
                    _narrow(msg, admitted)
        return await call_next(msg)

    async def publish_scope(self, call_next: _Next, cmd: KafkaPublishCommand) -> Any:
        """Publish a message or a batch, sealed.

        Raises:
            LeakError: the policy blocks the message.
        """
        producer, method = target(call_next)
        topic = cmd.destination
        traced = _Producer(_Client(call_next, cmd), self._tracing)
        headers = cmd.headers_to_publish()
        if method == "publish_batch":
            batch = traced.create_batch()
            for place, body in enumerate(cmd.batch_bodies):
                value, content_type = await encoded(producer, body)
                batch.append(
                    timestamp=cmd.timestamp_ms,
                    key=cmd.key_for(place),
                    value=value,
                    headers=_typed(content_type, headers),
                )
            sent = await traced.send_batch(batch, topic, partition=cmd.partition)  # type: ignore[arg-type]  # aiokafka takes None, too
        else:
            value, content_type = await encoded(producer, cmd.body)
            if cmd.body is None and cmd.key is not None and hasattr(producer, "codec"):
                value = None  # a tombstone, which FastStream 0.6 can't send
            sent = await traced.send(
                topic, value, cmd.key, cmd.partition, cmd.timestamp_ms, _typed(content_type, headers)
            )
        return sent if cmd.no_confirm else await sent


class _Producer(TracedProducer):
    """One that tells its client what is sealed: other middlewares add to a table, which may refuse it."""

    def sealing(self, method: Any) -> Any:
        """Give a method of the client for what nobody may add a trace in clear to."""
        return partial(method, seals=True)


class _Client:
    """Stands for an `AIOKafkaProducer` of one command: what is sent by it goes on through FastStream."""

    __slots__ = ("_call_next", "_cmd")

    def __init__(self, call_next: _Next, cmd: KafkaPublishCommand) -> None:
        self._call_next = call_next
        self._cmd = cmd

    async def send(  # noqa: PLR0917 - aiokafka's signature
        self,
        topic: str,  # noqa: ARG002 - the command has it, and the next three
        value: Any,
        key: Any,  # noqa: ARG002 - likewise
        partition: int | None,  # noqa: ARG002 - likewise
        timestamp_ms: int | None,  # noqa: ARG002 - likewise
        headers: Iterable[tuple[str, Any]],
        *,
        seals: bool = False,
    ) -> asyncio.Future[Any]:
        table = {name: _text(name, header) for name, header in headers}
        return await self._sent([value], table, seals=seals)

    def create_batch(self) -> _Batch:
        return _Batch()

    async def send_batch(
        self,
        batch: _Batch,
        topic: str,  # noqa: ARG002 - as above
        *,
        partition: int,  # noqa: ARG002 - likewise
        seals: bool = False,
    ) -> asyncio.Future[Any]:
        tables = [
            {name: _text(name, header) for name, header in message.headers} for message in batch.messages
        ]
        names = dict.fromkeys(name for table in tables for name in table)
        headers = {name: _EachItsOwn([table.get(name) or "" for table in tables]) for name in names}
        try:
            return await self._sent([message.value for message in batch.messages], headers, seals=seals)
        except BatchBufferOverflowException:
            if HEADER_NAME not in headers:
                raise
            raise MessageSizeTooLargeError from None  # with envelopes: it is tried again without

    async def _sent(
        self, values: Sequence[Any], headers: dict[str, Any], *, seals: bool
    ) -> asyncio.Future[Any]:
        cmd = copy.copy(self._cmd)
        bodies = [value.body if isinstance(value, Unencoded) else value for value in values]
        cmd.body, cmd.extra_bodies = bodies[0], tuple(bodies[1:])
        cmd.headers = SealedTable(headers, headers.get(HEADER_NAME)) if seals else headers
        with left_alone():  # by `interceptors.kafka.instrument`
            sent = await self._call_next(cmd)
        if isinstance(sent, asyncio.Future):
            return sent
        confirmed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        confirmed.set_result(sent)
        return confirmed


class _Appended(NamedTuple):
    timestamp: int | None
    value: Any
    headers: Sequence[tuple[str, Any]]


class _Batch:
    """Stands for aiokafka's `BatchBuilder`: how much fits into one is found out when FastStream builds it."""

    def __init__(self) -> None:
        self.messages: list[_Appended] = []

    def append(
        self,
        *,
        timestamp: int | None,
        key: Any,  # noqa: ARG002 - the command has it
        value: Any,
        headers: Sequence[tuple[str, Any]],
    ) -> _Appended:
        self.messages.append(_Appended(timestamp, value, headers))
        return self.messages[-1]

    def close(self) -> None:
        """Do nothing."""


class _EachItsOwn(str):
    """A header's value that is another one for each message of a batch.

    FastStream has one table of headers for a batch, and encodes it anew for each message, in their order.
    """

    __slots__ = ("_each",)
    _each: cycle[str]

    def __new__(cls, values: Sequence[str]) -> Self:
        value = super().__new__(cls, values[0])
        value._each = cycle(values)
        return value

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return next(self._each).encode(encoding, errors)


def _typed(content_type: str | None, headers: dict[str, str]) -> list[tuple[str, Any]]:
    typed = {"content-type": content_type} if content_type else {}
    return list({**typed, **headers}.items())


def _text(name: str, header: Any) -> Any:
    """Give an envelope as text, which is what FastStream's headers are; others are."""
    return to_text(header) if name == HEADER_NAME else header


def _narrow(msg: StreamMessage[Any], admitted: Sequence[int]) -> None:
    """Take the messages that the policy refuses out of a batch."""
    msg.body = [msg.body[place] for place in admitted]
    msg.batch_headers = [msg.batch_headers[place] for place in admitted]
    msg.headers = first = msg.batch_headers[0]
    msg.reply_to = first.get("reply_to", "")
    msg.content_type = first.get("content-type")
    msg.correlation_id = first.get("correlation_id") or msg.correlation_id
    msg.clear_cache()
