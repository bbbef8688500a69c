from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Protocol

import pytest

from interceptors.context import current, current_tenant, new_root
from interceptors.message import Message
from interceptors.pipeline import Outgoing
from interceptors.policy import Channel, Emit
from interceptors.spans import Operation, Span
from interceptors.tracing import OpenSpan, Processing, Sending
from interceptors.tracing.scopes import Current

if TYPE_CHECKING:
    from interceptors.context import TraceContext

    class Ended(Protocol):
        """What has ended, with its error."""

        spans: list[tuple[Span, BaseException | None]]

        def __call__(self, span: Span, error: BaseException | None) -> None: ...


ORDERS = Channel("orders")
MESSAGE = Message("kafka", "orders", b"body", headers=[("name", b"value")])


@pytest.fixture
def span() -> Span:
    return Span(Operation.PROCESS, "kafka", "orders", new_root(), None, 1, "checkout", "acme")


def current_of(tenant: str, context: TraceContext) -> Current:
    return Current(tenant, context, context)


def here() -> tuple[str | None, TraceContext | None]:
    return current_tenant(), current()


def test_the_repr_of_what_becomes_current_shows_no_label() -> None:
    shown = repr(current_of("acme", new_root())._replace(labels={"region": "eu"}))
    assert shown == "Current(tenant='acme')"


def test_a_sending_ends_once(ended: Ended, span: Span) -> None:
    sending = Sending(Outgoing(ORDERS, MESSAGE, b"envelope"), span, ended)
    error = TimeoutError()
    sending.end(error)
    sending.end()
    assert ended.spans == [(span, error)]
    assert sending.span is None
    assert sending.envelope == b"envelope"
    assert (sending.body, sending.headers) == (MESSAGE.body, MESSAGE.headers)


def test_a_sending_that_is_not_recorded_ends_as_well(ended: Ended) -> None:
    Sending(Outgoing(ORDERS, MESSAGE), None, ended).end()
    assert ended.spans == []


@pytest.mark.parametrize("envelope", [b"envelope", None])
@pytest.mark.parametrize(("emit", "seals"), [(Emit.SEALED, True), (Emit.NONE, False)])
def test_what_seals_is_for_the_channel_to_say_and_not_for_whether_there_was_a_key(
    ended: Ended, envelope: bytes | None, emit: Emit, *, seals: bool
) -> None:
    outgoing = Outgoing(Channel("orders", emit=emit), MESSAGE, envelope)
    assert Sending(outgoing, None, ended).seals is seals


def test_an_open_span_ends_with_its_block_and_is_never_current(ended: Ended, span: Span) -> None:
    with OpenSpan(span, ended) as open_span:
        assert open_span.span is span
        assert here() == (None, None)
        assert ended.spans == []
    assert ended.spans == [(span, None)]
    open_span.end()
    assert len(ended.spans) == 1


def test_an_error_in_the_block_of_an_open_span_marks_it_and_stays_the_callers(
    ended: Ended, span: Span
) -> None:
    error = ConnectionError()
    with pytest.raises(ConnectionError) as raised, OpenSpan(span, ended):
        raise error
    assert raised.value is error
    assert ended.spans == [(span, error)]


def test_a_processing_gives_what_an_adapter_sends_a_retry_with(ended: Ended, span: Span) -> None:
    attempt = new_root()
    processing = Processing(span, Current("acme", span.context, attempt), ended)
    assert (processing.context, processing.attempt) == (span.context, attempt)
    processing.end()
    assert (processing.context, processing.attempt) == (span.context, attempt)  # a failure is seen at its end
    untraced = Processing(None, None, ended)
    assert (untraced.context, untraced.attempt) == (None, None)


def test_inside_a_processing_its_span_and_tenant_are_current_and_then_what_was(
    ended: Ended, span: Span
) -> None:
    before = here()
    with Processing(span, current_of("acme", span.context), ended) as processing:
        assert here() == ("acme", span.context)
        assert processing.span is span
        assert ended.spans == []
    assert here() == before
    assert ended.spans == [(span, None)]


def test_an_exception_marks_the_span_and_stays_the_callers(ended: Ended, span: Span) -> None:
    error = KeyError("order")
    with pytest.raises(KeyError) as raised, Processing(span, current_of("acme", span.context), ended):
        raise error
    assert raised.value is error
    assert ended.spans == [(span, error)]
    assert here() == (None, None)


def test_processings_nest(ended: Ended, span: Span) -> None:
    inner = new_root()
    with Processing(span, current_of("acme", span.context), ended):
        with Processing(None, current_of("globex", inner), ended):
            assert here() == ("globex", inner)
        assert here() == ("acme", span.context)


def test_one_that_is_not_traced_changes_nothing(ended: Ended, span: Span) -> None:
    with Processing(span, current_of("acme", span.context), ended):
        with Processing(None, None, ended):
            assert here() == ("acme", span.context)
        assert here() == ("acme", span.context)


def test_entered_twice_it_is_left_twice_over(ended: Ended, span: Span) -> None:
    processing = Processing(span, current_of("acme", span.context), ended)
    with processing:
        with processing:
            assert here() == ("acme", span.context)
        assert ended.spans == [(span, None)]
    assert here() == (None, None)
    assert len(ended.spans) == 1


def test_left_in_another_context_it_changes_nothing_there(ended: Ended, span: Span) -> None:
    processing = Processing(span, current_of("acme", span.context), ended)
    other = new_root()

    def leave() -> object:
        with Processing(None, current_of("globex", other), ended):
            processing.end()
            return here()

    processing.__enter__()
    assert contextvars.Context().run(leave) == ("globex", other)
    assert ended.spans == [(span, None)]
    assert here() == ("acme", span.context)
    processing.end()  # where it was entered, it is left now
    assert here() == (None, None)
    assert len(ended.spans) == 1


def test_what_has_become_current_since_stays(ended: Ended, span: Span) -> None:
    first = Processing(span, current_of("acme", span.context), ended)
    second_context = new_root()
    second = Processing(None, current_of("globex", second_context), ended)
    first.__enter__()
    second.__enter__()
    first.end()
    assert here() == ("globex", second_context)
    second.end()
    first.end()
    assert here() == (None, None)


async def test_tasks_do_not_see_each_others(ended: Ended) -> None:
    both_inside = asyncio.Barrier(2)

    async def handle(tenant: str) -> bool:
        context = new_root()
        with Processing(None, current_of(tenant, context), ended):
            await both_inside.wait()
            return here() == (tenant, context)

    assert all(await asyncio.gather(handle("acme"), handle("globex")))
    assert here() == (None, None)


async def test_a_task_may_enter_and_end_what_another_has_entered(ended: Ended, span: Span) -> None:
    processing = Processing(span, current_of("acme", span.context), ended)
    seen = []

    async def work() -> None:
        with processing:
            seen.append(here())
        seen.append(here())

    with processing:
        await asyncio.create_task(work())
        assert seen == [("acme", span.context), (None, None)]
        assert here() == ("acme", span.context)  # until this task leaves it, too
    assert here() == (None, None)
    assert len(ended.spans) == 1
