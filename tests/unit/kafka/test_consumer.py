"""What a consumer does that no broker is needed for, or can be asked for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as otel_context

from interceptors.context import Scope, TraceContext, current, current_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager

    from aiokafka import ConsumerRecord
    from opentelemetry.context import Context

    from interceptors import Tracing
    from interceptors.kafka import TracedConsumer, TracedRecord
    from interceptors.spans import MemorySink

    RawRecord = Callable[..., tuple[ConsumerRecord, TraceContext]]
    ConsumerOf = Callable[..., TracedConsumer]


async def one(consumer: TracedConsumer) -> TracedRecord:
    return await consumer.getone()


async def many(consumer: TracedConsumer) -> TracedRecord:
    ((record,),) = (await consumer.getmany(max_records=1)).values()
    return record


@pytest.fixture(params=[one, many])
def fetch(request: pytest.FixtureRequest) -> Callable[[TracedConsumer], Coroutine[Any, Any, TracedRecord]]:
    """Each way to ask for a record: `getone` and `getmany`."""
    way: Callable[[TracedConsumer], Coroutine[Any, Any, TracedRecord]] = request.param
    return way


async def test_where_no_thread_is_to_be_had_the_record_is_handed_out_and_its_key_tried_again_with_the_next(
    consumer_of: ConsumerOf,
    raw_record: RawRecord,
    fetch: Callable[[TracedConsumer], Coroutine[Any, Any, TracedRecord]],
    threadless: Callable[[], AbstractContextManager[None]],
) -> None:
    consumer = consumer_of(*(raw_record(b"%d" % number, offset=number)[0] for number in range(2)))

    with threadless():
        first = await fetch(consumer)
    second = await fetch(consumer)

    assert [(first.value, first.receipt.verdict), (second.value, second.receipt.verdict)] == [
        (b"0", "invalid"),
        (b"1", "fresh"),
    ]
    assert first.receipt.answer == "unknown key"
    await consumer.stop()


# What is current.


async def test_consumers_that_one_task_reads_in_turn_leave_what_was_current_before(
    consumer_of: ConsumerOf, raw_record: RawRecord
) -> None:
    acme = consumer_of(raw_record()[0])
    globex = consumer_of(raw_record(tenant="globex")[0])
    before = otel_context.get_current()

    await acme.getone()
    await globex.getone()
    await acme.stop()
    during = current_tenant()
    await globex.stop()

    assert during == "globex"
    assert (current_tenant(), current()) == (None, None)
    assert otel_context.get_current() is before


def depth(context: Context) -> int:
    """How many scopes lie below one another."""
    return sum(1 + depth(value.before) for value in context.values() if isinstance(value, Scope))


async def test_consumers_that_one_task_reads_in_turn_leave_no_chain_behind(
    consumer_of: ConsumerOf, raw_record: RawRecord
) -> None:
    rounds = 500
    consumers = [
        consumer_of(*(raw_record(offset=offset, tenant=tenant)[0] for offset in range(rounds)))
        for tenant in ("acme", "globex")
    ]
    depths = set()
    for _ in range(rounds):
        for consumer in consumers:
            await consumer.getone()
        depths.add(depth(otel_context.get_current()))
    for consumer in consumers:
        await consumer.stop()

    assert depths == {len(consumers)}
    assert depth(otel_context.get_current()) == 0
    assert current_tenant() is None


async def test_a_task_that_a_handler_started_keeps_its_tenant_and_span_when_the_handler_has_moved_on(
    consumer_of: ConsumerOf, raw_record: RawRecord
) -> None:
    consumer = consumer_of(raw_record()[0], raw_record(offset=1, tenant="globex")[0])
    moved_on = asyncio.Event()

    async def work() -> tuple[str | None, TraceContext | None]:
        await moved_on.wait()
        return current_tenant(), current()

    await consumer.getone()
    handled = current()
    task = asyncio.create_task(work())
    await consumer.getone()
    await consumer.stop()
    moved_on.set()

    assert await task == ("acme", handled)


async def test_what_a_handler_of_one_tenant_receives_of_another_is_not_below_its_span(
    billing: Tracing, spans: MemorySink, consumer_of: ConsumerOf, raw_record: RawRecord
) -> None:
    acme = consumer_of(raw_record()[0])
    globex = consumer_of(raw_record(tenant="globex")[0])
    await acme.getone()
    handled = current()
    assert handled is not None

    await globex.getmany()

    assert billing.flush()
    (span,) = spans.spans
    assert (span.operation.operation, span.tenant, span.parent_span_id) == ("receive", "globex", None)
    assert span.context.trace_id != handled.trace_id
    await acme.stop()


# Errors.


async def test_an_error_of_a_deserializer_says_where_its_record_lies_and_not_what_it_holds(
    consumer_of: ConsumerOf, raw_record: RawRecord, caplog: pytest.LogCaptureFixture
) -> None:
    def deserialize(value: bytes | None) -> object:
        raise LookupError(value)

    consumer = consumer_of(raw_record(b"secret", offset=7)[0], value_deserializer=deserialize)

    with caplog.at_level(logging.WARNING), pytest.raises(LookupError) as raised:
        await consumer.getone()

    assert consumer._tracing.counts["deserializer failed"] == 1
    assert raised.value.__notes__ == ["while deserializing the record at ('orders', 0, 7)"]
    assert caplog.messages == ["a deserializer failed with LookupError at ('orders', 0, 7)"]


async def test_an_error_that_leaves_the_consumers_block_marks_the_span_that_is_open(
    billing: Tracing, spans: MemorySink, consumer_of: ConsumerOf, raw_record: RawRecord
) -> None:
    async def fail() -> None:
        async with consumer_of(raw_record()[0]) as consumer:
            await consumer.getone()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert billing.flush()
    assert [span.error_type for span in spans.spans] == ["LookupError"]
    assert current() is None


# What was seen.


@pytest.mark.parametrize(("group", "verdict"), [(None, "fresh"), ("invoices", "duplicate")])
async def test_what_a_consumer_has_seen_is_forgotten_with_it_and_what_a_group_has_is_not(
    billing: Tracing, consumer_of: ConsumerOf, raw_record: RawRecord, group: str | None, verdict: str
) -> None:
    raw, _ = raw_record()
    verdicts = []
    for offset in range(2):
        raw.offset = offset  # another copy of the same message
        consumer = consumer_of(raw, group_id=group)
        verdicts.append((await consumer.getone()).receipt.verdict)
        await consumer.stop()

    assert verdicts == ["fresh", verdict]
    assert list(billing._receiver._windows) == [name for name in [group] if name]
