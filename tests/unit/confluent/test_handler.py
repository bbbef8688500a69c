"""`confluent.traced`: functions of either form, and messages raw and traced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import KafkaError, Message

from interceptors import RejectedError, Tracing, confluent
from interceptors.context import TraceContext, current

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.keys import MemoryKeys
    from interceptors.spans import Span

    RawMessage = Callable[..., tuple[Message, TraceContext]]
    Spans = Callable[[], list[Span]]


def verdict_of(message: confluent.TracedMessage) -> str | None:
    return message.receipt.verdict


def test_a_function_runs_under_the_process_span(
    billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    raw, parent = raw_message(offset=7)

    @confluent.traced(billing, group_id="invoices")
    def handle(message: Message) -> tuple[Any, TraceContext | None]:
        return message.headers(), current()

    headers, seen = handle(raw)

    (span,) = spans()
    assert (headers, seen) == ([("name", b"value")], span.context)
    assert current() is None
    assert (span.parent_span_id, span.offset, span.consumer_group) == (parent.span_id, 7, "invoices")


async def test_a_coroutine_function_runs_under_the_process_span(
    billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    @confluent.traced(billing)
    async def handle(*, message: Message) -> TraceContext | None:
        await asyncio.sleep(0)
        assert message.value() == b"value"
        return current()

    assert await handle(message=raw_message()[0]) == spans()[0].context


def test_a_message_that_is_traced_already_is_handed_on(
    billing: Tracing, spans: Spans, raw_message: RawMessage
) -> None:
    handle = confluent.traced(billing)(confluent.traced(billing)(verdict_of))

    assert handle(raw_message()[0]) == "fresh"
    assert [span.verdict for span in spans()] == ["fresh"]


def test_handlers_of_one_group_remember_together(billing: Tracing, raw_message: RawMessage) -> None:
    raw, _ = raw_message()
    apart = [confluent.traced(billing)(verdict_of) for _ in range(2)]
    together = [confluent.traced(billing, group_id="invoices")(verdict_of) for _ in range(2)]

    assert [handle(raw) for handle in (*apart, *together)] == ["fresh", "fresh", "fresh", "redelivery"]


def test_a_message_that_the_policy_rejects_is_not_handled(keys: MemoryKeys) -> None:
    handled: list[Message] = []
    with Tracing.for_development("billing", keys=keys, policy={"default": {"accept": "reject"}}) as billing:
        handle = confluent.traced(billing)(handled.append)
        with pytest.raises(RejectedError) as caught:
            handle(Message(topic="orders", partition=0, offset=3))

    assert handled == []
    assert (caught.value.verdict, caught.value.coordinate) == ("missing", ("orders", 0, 3))


def test_an_error_is_handed_on_untraced(billing: Tracing, spans: Spans) -> None:
    failed = Message(topic="orders", error=KafkaError(KafkaError._PARTITION_EOF))

    assert confluent.traced(billing)(lambda message: message)(failed) is failed
    assert spans() == []


def test_a_call_without_a_message_is_wrong_use(billing: Tracing) -> None:
    with pytest.raises(TypeError, match=r"confluent_kafka\.Message"):
        confluent.traced(billing)(verdict_of)(None)  # type: ignore[arg-type]  # that is the point
