"""`kafka.traced`: functions of every form, and records raw and traced."""

from __future__ import annotations

import asyncio
import gc
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import ConsumerRecord

from interceptors import RejectedError, Tracing, kafka
from interceptors.context import TraceContext, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from interceptors.keys import MemoryKeys
    from interceptors.spans import MemorySink, Span

    RawRecord = Callable[..., tuple[ConsumerRecord, TraceContext]]


def span_of(tracing: Tracing, spans: MemorySink) -> Span:
    assert tracing.flush()
    (span,) = spans.spans
    return span


async def test_a_coroutine_function_runs_under_the_process_span(
    billing: Tracing, spans: MemorySink, raw_record: RawRecord
) -> None:
    raw, parent = raw_record(offset=7)
    seen: list[Any] = []

    @kafka.traced(billing, group_id="invoices")
    async def handle(record: kafka.TracedRecord) -> str:
        await asyncio.sleep(0)
        seen.extend([record.headers, record.value, current()])
        return "handled"

    assert await handle(raw) == "handled"

    span = span_of(billing, spans)
    assert seen == [(("name", b"value"),), b"value", span.context]
    assert current() is None
    assert (span.context.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)
    assert (span.partition, span.offset, span.consumer_group) == (0, 7, "invoices")
    assert (span.sender, span.verdict, span.error_type) == ("checkout", "fresh", None)


def test_a_function_runs_under_the_process_span(
    billing: Tracing, spans: MemorySink, raw_record: RawRecord
) -> None:
    raw, parent = raw_record(None)
    seen: list[TraceContext | None] = []

    @kafka.traced(billing)
    def handle(record: kafka.TracedRecord) -> bytes | None:
        seen.append(current())
        value: bytes | None = record.value
        return value

    assert handle(raw) is None

    span = span_of(billing, spans)
    assert seen == [span.context]
    assert (span.parent_span_id, span.tombstone) == (parent.span_id, True)


class Invoices:
    """Handles records in a method."""

    def __init__(self) -> None:
        self.seen: list[kafka.TracedRecord] = []

    def on_order(self, record: kafka.TracedRecord, *, urgent: bool = False) -> bool:
        self.seen.append(record)
        return urgent


def test_a_method_gets_the_record_where_its_caller_puts_it(billing: Tracing, raw_record: RawRecord) -> None:
    invoices = Invoices()
    on_order = kafka.traced(billing)(Invoices.on_order)

    assert on_order(invoices, raw_record()[0], urgent=True)
    assert not on_order(invoices, record=raw_record(offset=1)[0])

    assert [(record.offset, record.headers) for record in invoices.seen] == [
        (0, (("name", b"value"),)),
        (1, (("name", b"value"),)),
    ]


async def test_a_coroutine_function_takes_the_record_by_keyword(
    billing: Tracing, raw_record: RawRecord
) -> None:
    @kafka.traced(billing)
    async def handle(number: int, *, record: kafka.TracedRecord) -> tuple[int, str | None]:
        await asyncio.sleep(0)
        return number, record.receipt.verdict

    assert await handle(1, record=raw_record()[0]) == (1, "fresh")


def test_the_caller_keeps_its_record_and_arguments(billing: Tracing, raw_record: RawRecord) -> None:
    raw, _ = raw_record()
    before = dict(raw.__dict__)
    arguments = {"record": raw}

    kafka.traced(billing)(lambda record: record)(**arguments)

    assert raw.__dict__ == before
    assert arguments["record"] is raw


def test_a_record_that_is_traced_already_is_handed_on(
    billing: Tracing,
    spans: MemorySink,
    raw_record: RawRecord,
    received: Callable[[ConsumerRecord], kafka.TracedRecord],
) -> None:
    record = received(raw_record()[0])

    assert kafka.traced(billing)(lambda record: record)(record) is record

    assert span_of(billing, spans).verdict == "fresh"  # seen once, not twice


@pytest.mark.parametrize("form", ["function", "coroutine function"])
async def test_an_error_marks_the_span_and_is_the_callers(
    billing: Tracing, spans: MemorySink, raw_record: RawRecord, form: str
) -> None:
    def handle(record: kafka.TracedRecord) -> None:
        raise LookupError(record.value)

    async def handle_async(record: kafka.TracedRecord) -> None:
        await asyncio.sleep(0)
        handle(record)

    async def call() -> None:
        handled: Any = kafka.traced(billing)(handle if form == "function" else handle_async)(raw_record()[0])
        if inspect.isawaitable(handled):
            await handled

    with pytest.raises(LookupError):
        await call()

    assert span_of(billing, spans).error_type == "LookupError"
    assert current() is None


@pytest.mark.parametrize("form", ["function", "coroutine function"])
async def test_a_record_that_the_policy_rejects_is_not_handled(keys: MemoryKeys, form: str) -> None:
    handled: list[object] = []

    async def handle_async(record: object) -> None:
        await asyncio.sleep(0)
        handled.append(record)

    with Tracing.for_development("billing", keys=keys, policy={"default": {"accept": "reject"}}) as billing:
        handle: Any = kafka.traced(billing)(handled.append if form == "function" else handle_async)
        record = unmarked(offset=3)
        with pytest.raises(RejectedError) as caught:
            await maybe(handle, record)

    assert handled == []
    assert (caught.value.channel, caught.value.verdict) == ("orders", "missing")
    assert caught.value.coordinate == ("orders", 0, 3)


def unmarked(*, offset: int) -> Any:
    """A record without an envelope, of a consumer that deserializes."""
    return ConsumerRecord("orders", 0, offset, 0, 0, None, {"deserialized": True}, None, -1, 1, ())


async def maybe(function: Callable[[Any], Any], record: Any) -> None:
    result = function(record)
    if inspect.isawaitable(result):
        await result


@pytest.mark.parametrize("arguments", [(), ("record",), (None, 1)])
async def test_a_call_without_a_record_is_wrong_use(billing: Tracing, arguments: tuple[object, ...]) -> None:
    async def handle_async(*_: object) -> None:
        pytest.fail("it was called")

    with pytest.raises(TypeError, match=r"aiokafka\.ConsumerRecord"):
        kafka.traced(billing)(lambda *_: None)(*arguments)
    with pytest.raises(TypeError, match=r"aiokafka\.ConsumerRecord"):
        await kafka.traced(billing)(handle_async)(*arguments)


def test_the_function_keeps_its_name(billing: Tracing) -> None:
    @kafka.traced(billing)
    def on_order(record: object) -> None:
        """Handle an order."""

    assert (on_order.__name__, on_order.__doc__) == ("on_order", "Handle an order.")


async def test_where_no_thread_is_to_be_had_a_record_is_handled_and_its_key_tried_again_with_the_next(
    billing: Tracing, raw_record: RawRecord, threadless: Callable[[], AbstractContextManager[None]]
) -> None:
    @kafka.traced(billing)
    async def handle(record: kafka.TracedRecord) -> tuple[bytes, str | None]:
        await asyncio.sleep(0)
        return record.value, record.receipt.verdict

    with threadless():
        first = await handle(raw_record(b"0")[0])
    second = await handle(raw_record(b"1", offset=1)[0])

    assert (first, second) == ((b"0", "invalid"), (b"1", "fresh"))


def verdict_of(record: kafka.TracedRecord) -> str | None:
    return record.receipt.verdict


def test_each_of_the_handlers_of_a_record_sees_it_for_the_first_time(
    billing: Tracing, raw_record: RawRecord
) -> None:
    raw, _ = raw_record()
    traced = kafka.traced(billing)
    handlers = [traced(verdict_of), traced(verdict_of), kafka.traced(billing)(verdict_of)]

    assert [handle(raw) for handle in handlers] == ["fresh"] * 3


def test_a_handler_that_is_decorated_twice_sees_a_record_once(
    billing: Tracing, spans: MemorySink, raw_record: RawRecord
) -> None:
    handle = kafka.traced(billing)(kafka.traced(billing)(verdict_of))

    assert handle(raw_record()[0]) == "fresh"
    assert span_of(billing, spans).verdict == "fresh"


class Archive:
    """Handles records by being called."""

    async def __call__(self, record: kafka.TracedRecord) -> tuple[bytes, TraceContext | None]:
        await asyncio.sleep(0)
        return record.value, current()


async def test_an_object_with_a_coroutine_to_call_runs_under_the_process_span(
    billing: Tracing, spans: MemorySink, raw_record: RawRecord
) -> None:
    handle = kafka.traced(billing)(Archive())

    handled = await handle(raw_record()[0])

    assert handled == (b"value", span_of(billing, spans).context)
    assert current() is None


def test_what_a_handler_has_seen_goes_with_it(billing: Tracing, raw_record: RawRecord) -> None:
    def handle_once() -> str | None:
        return kafka.traced(billing)(verdict_of)(raw_record()[0])

    assert [handle_once() for _ in range(3)] == ["fresh"] * 3
    gc.collect()
    assert not billing._receiver._windows
