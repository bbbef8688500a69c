"""The decorator of handlers, for messages of a bus that is made up here."""

from __future__ import annotations

import asyncio
import gc
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import get_current_span

from interceptors.context import current, current_tenant
from interceptors.errors import RejectedError
from interceptors.keys import MemoryKeys
from interceptors.message import Message
from interceptors.spans import MemorySink
from interceptors.tracing import Handling, handler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    from interceptors import Tracing
    from interceptors.pipeline import Receipt
    from interceptors.tracing import Processing

    Development = Callable[..., Tracing]
    Traced = Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]

FORMS = ["function", "coroutine function", "object", "generator", "async generator"]


class Letter(NamedTuple):
    """A raw message."""

    number: int
    envelope: bytes | None


class Opened(NamedTuple):
    """What a handler is to see of it."""

    number: int
    receipt: Receipt
    consumer: str


@pytest.fixture
def spans() -> MemorySink:
    return MemorySink()


@pytest.fixture
def store() -> MemoryKeys:
    return MemoryKeys("store")


@pytest.fixture
def letter(development: Development, store: MemoryKeys) -> Callable[[int], Letter]:
    """Makes letters that another service has sent."""
    checkout = development(keys=store, tenant="acme")
    return lambda number: Letter(number, checkout.send(Message("post", "orders")).envelope)


@pytest.fixture
def billing(development: Development, store: MemoryKeys, spans: MemorySink) -> Tracing:
    return development("billing", keys=store, sink=spans)


@pytest.fixture
def returned() -> list[Letter]:
    """The letters that were refused, and sent back."""
    return []


@pytest.fixture
def traced(billing: Tracing, returned: list[Letter]) -> Traced:
    """The decorator of the bus that is made up; letters with a negative number are refused."""

    def admit(raw: Letter, consumer: str) -> Opened:
        message = Message("post", "orders", envelopes=(raw.envelope,), coordinate=("orders", raw.number))
        if raw.number < 0:
            raise RejectedError(channel="orders", verdict="missing", coordinate=None)
        return Opened(raw.number, billing.receive(message, consumer=consumer), consumer)

    def process(opened: Opened) -> Processing:
        return billing.process("post", opened.receipt, group="desk")

    async def refuse(raw: Letter) -> None:
        await asyncio.sleep(0)
        returned.append(raw)

    handling = Handling(Letter, lambda raw: [raw.envelope], admit, process, refuse)
    return lambda consumer=None: handler(billing, handling, consumer=consumer)


def in_form(form: str, function: Callable[..., object]) -> Callable[..., Any]:
    """Make a handler of some form out of a function."""

    async def handle(*args: Any, **kwargs: Any) -> object:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    class Handler:
        async def __call__(self, *args: Any, **kwargs: Any) -> object:
            return await handle(*args, **kwargs)

    def generate(*args: Any, **kwargs: Any) -> Iterator[object]:
        yield function(*args, **kwargs)

    async def generate_async(*args: Any, **kwargs: Any) -> AsyncIterator[object]:
        yield await handle(*args, **kwargs)

    forms: dict[str, Callable[..., Any]] = {
        "function": function,
        "coroutine function": handle,
        "object": Handler(),
        "generator": generate,
        "async generator": generate_async,
    }
    return forms[form]


async def result_of(call: object) -> Any:
    """What a handler returns, or the only value that it generates."""
    if inspect.isgenerator(call):
        (value,) = call
        return value
    if inspect.isasyncgen(call):
        (value,) = [value async for value in call]
        return value
    return await call if inspect.isawaitable(call) else call


@pytest.mark.parametrize("form", FORMS)
async def test_a_handler_sees_what_was_admitted_where_the_raw_message_stood(
    traced: Traced, letter: Callable[[int], Letter], form: str
) -> None:
    def handle(*args: Any, **kwargs: Any) -> tuple[tuple[object, ...], dict[str, object]]:
        return args, kwargs

    handled = traced()(in_form(form, handle))

    (before, opened, after), named = await result_of(handled("before", letter(1), "after", urgent=True))
    assert (before, opened.number, opened.receipt.verdict, after) == ("before", 1, "fresh", "after")
    assert named == {"urgent": True}
    args, named = await result_of(handled("before", message=letter(2)))
    assert (args, list(named), named["message"].number) == (("before",), ["message"], 2)


@pytest.mark.parametrize("form", FORMS)
async def test_a_handler_runs_under_the_process_span_and_its_senders_tenant(
    billing: Tracing, spans: MemorySink, traced: Traced, letter: Callable[[int], Letter], form: str
) -> None:
    handled = traced()(in_form(form, lambda _: (current_tenant(), current())))

    tenant, context = await result_of(handled(letter(1)))

    assert billing.flush()
    (span,) = spans.spans
    assert (tenant, context, span.consumer_group) == ("acme", span.context, "desk")
    assert (current_tenant(), current()) == (None, None)


def generating(function: Callable[..., Iterator[object]], *, asynchronous: bool) -> Callable[..., Any]:
    """Make an asynchronous generator function out of one that is not, or leave it."""

    async def generate_async(message: Opened) -> AsyncIterator[object]:
        values = function(message)
        for value in values:
            await asyncio.sleep(0)
            yield value

    return generate_async if asynchronous else function


async def following(values: Any) -> Any:
    """The next value of a generator of either kind."""
    return await anext(values) if inspect.isasyncgen(values) else next(values)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_generators_that_take_turns_each_have_their_own_span_and_the_caller_has_none(
    development: Development, store: MemoryKeys, traced: Traced, letter: Any, *, asynchronous: bool
) -> None:
    globex = development("search", keys=store, tenant="globex")
    tracer = TracerProvider().get_tracer("application")

    def handle(_: Opened) -> Iterator[object]:
        yield current_tenant(), current()
        with tracer.start_as_current_span("work") as work:
            assert isinstance(work, ReadableSpan)
            yield current_tenant(), work.parent and work.parent.span_id
            yield current_tenant(), get_current_span() is work
        yield current_tenant(), current()

    handled = traced()(generating(handle, asynchronous=asynchronous))
    letters = letter(1), Letter(2, globex.send(Message("post", "orders")).envelope)
    acme, other = (handled(one) for one in letters)

    seen = []
    for values in (acme, other, acme, other, acme, other, acme, other):
        seen.append(await following(values))
        assert (current_tenant(), current()) == (None, None)
    for values in (acme, other):
        assert not [value async for value in values] if asynchronous else not list(values)
    for tenant, first, second, third, fourth in (("acme", *seen[::2]), ("globex", *seen[1::2])):
        assert first == fourth
        assert first[0] == tenant
        assert second == (tenant, int.from_bytes(first[1].span_id, "big"))
        assert third == (tenant, True)


async def test_a_generator_is_sent_values_and_exceptions_and_returns(
    billing: Tracing, spans: MemorySink, traced: Traced, letter: Callable[[int], Letter]
) -> None:
    async def answer_async(_: Opened) -> AsyncGenerator[object, object]:
        try:
            yield (yield "first")
        except LookupError:
            yield "caught"

    def answer(_: Opened) -> Generator[object, object, str]:
        try:
            yield (yield "first")
        except LookupError:
            yield "caught"
        return "returned"

    values = traced()(answer)(letter(1))
    assert [next(values), values.send("sent"), values.throw(LookupError())] == ["first", "sent", "caught"]
    with pytest.raises(StopIteration) as stop:
        next(values)
    assert stop.value.value == "returned"
    waited = traced()(answer_async)(letter(2))
    assert [await anext(waited), await waited.asend("sent"), await waited.athrow(LookupError())] == [
        "first",
        "sent",
        "caught",
    ]
    with pytest.raises(StopAsyncIteration):
        await anext(waited)

    assert billing.flush()
    assert [span.error_type for span in spans.spans] == [None, None]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_generator_that_is_closed_early_closes_its_body_and_ends_its_span(
    billing: Tracing, spans: MemorySink, traced: Traced, letter: Any, *, asynchronous: bool
) -> None:
    closed: list[object] = []

    def cleaning(_: Opened) -> Iterator[object]:
        try:
            yield 1
        finally:
            closed.append(current_tenant())

    async def cleaning_async(_: Opened) -> AsyncIterator[object]:
        try:
            yield 1
        finally:
            closed.append(current_tenant())

    values = traced()(cleaning_async if asynchronous else cleaning)(letter(1))
    assert await following(values) == 1
    await values.aclose() if asynchronous else values.close()

    assert closed == ["acme"]
    assert (current_tenant(), current()) == (None, None)
    assert billing.flush()
    assert [span.error_type for span in spans.spans] == ["GeneratorExit"]


@pytest.mark.parametrize("form", FORMS)
async def test_an_error_of_a_handler_marks_its_span_and_is_the_callers(
    billing: Tracing, spans: MemorySink, traced: Traced, letter: Callable[[int], Letter], form: str
) -> None:
    def fail(_: Opened) -> None:
        raise LookupError

    handled = traced()(in_form(form, fail))
    with pytest.raises(LookupError):
        await result_of(handled(letter(1)))

    assert billing.flush()
    assert [span.error_type for span in spans.spans] == ["LookupError"]


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_refused_is_not_handled_and_goes_back_where_a_handler_can_wait_for_that(
    traced: Traced, letter: Callable[[int], Letter], returned: list[Letter], form: str
) -> None:
    handled: list[object] = []
    refused = letter(-1)

    refusing = traced()(in_form(form, handled.append))
    with pytest.raises(RejectedError):
        await result_of(refusing(refused))

    assert handled == []
    assert returned == ([] if form in {"function", "generator"} else [refused])


async def test_a_refusal_that_the_handler_itself_raises_sends_nothing_back(
    traced: Traced, letter: Callable[[int], Letter], returned: list[Letter]
) -> None:
    def fail(_: Opened) -> None:
        raise RejectedError(channel="other", verdict="missing", coordinate=None)

    with pytest.raises(RejectedError, match="other"):
        await traced()(in_form("coroutine function", fail))(letter(1))

    assert returned == []


@pytest.mark.parametrize("form", FORMS)
async def test_a_bus_that_can_send_nothing_back_just_raises(billing: Tracing, form: str) -> None:
    def admit(_: Letter, consumer: str) -> None:
        raise RejectedError(channel=consumer, verdict="missing", coordinate=None)

    handling = Handling(Letter, lambda raw: [raw.envelope], admit, partial(billing.process, "post"))
    refusing = handler(billing, handling, consumer="desk")(in_form(form, lambda _: None))

    with pytest.raises(RejectedError, match="desk"):
        await result_of(refusing(Letter(1, None)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arguments", [(), ("letter", 7, None)])
async def test_a_call_without_a_message_names_the_class_that_it_lacks(
    traced: Traced, form: str, arguments: tuple[object, ...]
) -> None:
    handled: list[object] = []
    library = __name__.partition(".")[0]

    lacking = traced()(in_form(form, lambda *args: handled.append(args)))
    with pytest.raises(TypeError, match=rf"called with a {library}\.Letter among its arguments"):
        await result_of(lacking(*arguments))

    assert handled == []


def test_handlers_of_one_consumer_share_a_memory_and_others_have_their_own(
    traced: Traced, letter: Callable[[int], Letter]
) -> None:
    def verdict_and_consumer(opened: Opened) -> tuple[str | None, str]:
        return opened.receipt.verdict, opened.consumer

    raw = letter(1)
    anyone = traced()
    handlers = [traced("desk"), traced("desk"), anyone, anyone]
    seen = [decorate(verdict_and_consumer)(raw) for decorate in handlers]
    assert [verdict for verdict, _ in seen] == ["fresh", "redelivery", "fresh", "fresh"]
    assert [consumer for _, consumer in seen][:2] == ["desk", "desk"]
    assert len({consumer for _, consumer in seen}) == 3


@pytest.mark.parametrize("form", FORMS)
async def test_what_a_handler_has_seen_goes_with_it_and_what_a_consumer_has_stays(
    billing: Tracing, traced: Traced, letter: Callable[[int], Letter], form: str
) -> None:
    for consumer in (None, "desk"):
        await result_of(traced(consumer)(in_form(form, lambda _: None))(letter(1)))

    gc.collect()

    assert list(billing._receiver._windows) == ["desk"]


def test_a_handler_that_lives_remembers(traced: Traced, letter: Callable[[int], Letter]) -> None:
    raw = letter(1)
    handled = traced()(lambda opened: opened.receipt.verdict)

    first = handled(raw)
    gc.collect()

    assert (first, handled(raw)) == ("fresh", "redelivery")
