"""What RabbitMQ does to messages, and what a receiver makes of it, on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import string
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aio_pika.exceptions import PublishError
from aiormq.abc import DeliveredMessage

from interceptors.context import Scope, current, new_root
from interceptors.rabbitmq import TracedChannel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aio_pika.abc import AbstractConnection

    from interceptors.rabbitmq import TracedMessage, TracedQueue
    from tests.conftest import Service, Services

DEADLINE = 20
"""Seconds after which what doesn't happen is given up."""
EXPIRES = {"x-expires": 60_000}
"""A queue of these tests goes by itself, in milliseconds, when nobody uses it any more."""
LATER_S = 3600
"""Longer than the publish-retry window."""


class Inbox:
    """The messages that a consumer was given, in order; it leaves settling them to the test."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[TracedMessage] = asyncio.Queue()

    async def consume(self, queue: TracedQueue) -> Inbox:
        await queue.consume(self._messages.put)
        return self

    async def next(self) -> TracedMessage:
        async with asyncio.timeout(DEADLINE):
            return await self._messages.get()


@pytest.fixture
async def connection(real_rabbitmq: str) -> AsyncIterator[AbstractConnection]:
    async with await aio_pika.connect(real_rabbitmq) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """The name of a queue that only this test knows."""
    return "orders-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


@pytest.fixture
async def sending(connection: AbstractConnection, checkout: Service) -> TracedChannel:
    return TracedChannel(await connection.channel(), checkout.tracing)


@pytest.fixture
async def receiving(connection: AbstractConnection, billing: Service) -> TracedChannel:
    return TracedChannel(await connection.channel(), billing.tracing)


async def declared(channel: Any, name: str, arguments: dict[str, Any] | None = None) -> Any:
    return await channel.declare_queue(name, durable=True, arguments=EXPIRES | (arguments or {}))


async def publish(channel: Any, name: str, *bodies: bytes, **properties: Any) -> None:
    for body in bodies:
        await channel.default_exchange.publish(aio_pika.Message(body, **properties), name)


def dead_lettering(name: str, **more: Any) -> dict[str, Any]:
    """The arguments of a queue whose dead letters go to a queue."""
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": name, **more}


def policy_of(*channels: Sequence[str]) -> dict[str, Any]:
    """A policy whose channels list these queues."""
    return {
        "channels": [
            {"name": f"channel-{number}", "match": {"rabbitmq": list(queues)}}
            for number, queues in enumerate(channels)
        ]
    }


def verdict(message: TracedMessage) -> str:
    return str(message.receipt.verdict)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("cause", ["rejected", "expired"])
async def test_a_dead_letter_is_fresh_in_a_queue_of_its_channel_and_invalid_elsewhere(
    connection: AbstractConnection, service: Services, name: str, cause: str, *, listed: bool
) -> None:
    dead = f"{name}.dead"
    policy = policy_of([name, dead] if listed else [name])
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    sending = TracedChannel(await connection.channel(), checkout.tracing)
    receiving = TracedChannel(await connection.channel(), billing.tracing)
    letters = await Inbox().consume(await declared(receiving, dead))
    expiry = {"x-message-ttl": 0} if cause == "expired" else {}
    queue = await declared(receiving, name, dead_lettering(dead, **expiry))
    if cause == "rejected":
        inbox = await Inbox().consume(queue)
        await publish(sending, name, b"order")
        rejected = await inbox.next()
        assert verdict(rejected) == "fresh"
        await rejected.reject()
    else:
        await publish(sending, name, b"order")

    letter = await letters.next()
    await letter.ack()

    deaths: Any = letter.headers["x-death"]
    assert [death["reason"] for death in deaths] == [cause]
    assert (letter.body, verdict(letter)) == (b"order", "fresh" if listed else "invalid")
    span = billing.spans("process")[-1]
    assert (span.context.trace_id == checkout.span("send").context.trace_id) == listed


@pytest.mark.parametrize("later_s", [0, LATER_S])
async def test_what_comes_round_by_a_wait_queue_is_redelivered_however_late(
    sending: TracedChannel, receiving: TracedChannel, billing: Service, name: str, later_s: int
) -> None:
    wait = f"{name}.wait"
    inbox = await Inbox().consume(await declared(receiving, name, dead_lettering(wait)))
    await declared(receiving, wait, dead_lettering(name, **{"x-message-ttl": 1}))
    await publish(sending, name, b"order")

    seen: list[TracedMessage] = []
    for _ in range(3):
        seen.append(await inbox.next())
        await seen[-1].reject()
        billing.clock.ahead_s += later_s

    assert [verdict(one) for one in seen] == ["fresh", "redelivery", "redelivery"]
    # The broker's own flag says nothing of it.
    assert [one.redelivered for one in seen] == [False] * 3
    assert [one.receipt.parent for one in seen] == [seen[0].receipt.parent] * 3


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_what_is_requeued_is_redelivered_under_its_trace(
    sending: TracedChannel, receiving: TracedChannel, billing: Service, name: str, kind: str
) -> None:
    inbox = await Inbox().consume(await declared(receiving, name, {"x-queue-type": kind}))
    await publish(sending, name, b"order")

    seen: list[TracedMessage] = []
    for _ in range(3):
        seen.append(await inbox.next())
        await seen[-1].nack(requeue=True)
        billing.clock.ahead_s += LATER_S

    assert [verdict(one) for one in seen] == ["fresh", "redelivery", "redelivery"]
    counts = [one.headers.get("x-delivery-count") for one in seen[1:]]
    assert counts == ([1, 2] if kind == "quorum" else [None, None])
    assert [one.receipt.parent for one in seen] == [seen[0].receipt.parent] * 3


@pytest.mark.parametrize("by", ["server", "client"])
async def test_a_handler_whose_consumer_is_cancelled_goes_on_under_its_trace(
    sending: TracedChannel,
    receiving: TracedChannel,
    checkout: Service,
    billing: Service,
    name: str,
    *,
    by: str,
) -> None:
    queue = await declared(receiving, name)
    began, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    traces: list[bytes | None] = []

    async def handle(message: TracedMessage) -> None:
        async with message.process():
            began.set()
            await go_on.wait()
            context = current()
            traces.append(context and context.trace_id)
        done.set()

    tag = await queue.consume(handle)
    await publish(sending, name, b"0")
    async with asyncio.timeout(DEADLINE):
        await began.wait()
        if by == "server":
            await sending.queue_delete(name)
            await declared(sending, name)
        else:
            await queue.cancel(tag)
        await publish(sending, name, b"1")
        go_on.set()
        await done.wait()

    (left,) = [await queue.get()]
    await left.ack()
    assert (left.body, verdict(left)) == (b"1", "fresh")
    assert traces == [checkout.spans("send")[0].context.trace_id]
    assert [(span.context.trace_id, span.error_type) for span in billing.spans("process")] == [
        (traces[0], None)
    ]


async def test_what_a_closed_channel_had_not_acknowledged_is_redelivered_in_order(
    connection: AbstractConnection, sending: TracedChannel, billing: Service, name: str
) -> None:
    await declared(sending, name)
    await publish(sending, name, b"0", b"1", b"2")
    first = TracedChannel(await connection.channel(), billing.tracing)
    inbox = await Inbox().consume(await first.get_queue(name))
    seen = [await inbox.next() for _ in range(3)]
    await seen[0].ack()
    await first.close()

    second = TracedChannel(await connection.channel(), billing.tracing)
    inbox = await Inbox().consume(await second.get_queue(name))
    again = [await inbox.next() for _ in range(2)]

    assert [(one.body, verdict(one)) for one in again] == [(b"1", "redelivery"), (b"2", "redelivery")]
    assert [one.receipt.parent for one in again] == [one.receipt.parent for one in seen[1:]]


@pytest.mark.parametrize("reply_to", ["amq.rabbitmq.reply-to", "amq.gen"])
async def test_a_call_and_its_answer_are_one_trace(
    sending: TracedChannel,
    receiving: TracedChannel,
    checkout: Service,
    billing: Service,
    name: str,
    *,
    reply_to: str,
) -> None:
    handling_ended = asyncio.Event()

    async def answer(message: TracedMessage) -> None:
        async with message.process():
            assert message.reply_to
            await publish(receiving, message.reply_to, b"answer", correlation_id=message.correlation_id)
        handling_ended.set()

    await (await declared(receiving, name)).consume(answer)
    if reply_to == "amq.gen":
        replies = await sending.declare_queue("", exclusive=True)
    else:
        replies = await sending.get_queue(reply_to, ensure=False)
    answers: asyncio.Queue[TracedMessage] = asyncio.Queue()
    await replies.consume(answers.put, no_ack=True)
    root = new_root()
    scope = Scope("acme", root)
    await publish(sending, name, b"question", correlation_id="7", reply_to=replies.name)
    scope.leave()
    async with asyncio.timeout(DEADLINE):
        answered = await answers.get()
        await handling_ended.wait()  # the answer may be here before its publisher has its confirmation

    assert (answered.body, answered.correlation_id, verdict(answered)) == (b"answer", "7", "fresh")
    assert (answered.receipt.sender, answered.receipt.channel.name) == ("billing", reply_to)
    asked, handled = checkout.span("send"), billing.span("process")
    told, heard = billing.span("send"), checkout.span("process")
    chain = [span.parent_span_id for span in (asked, handled, told, heard)]
    assert chain == [root.span_id, *(span.context.span_id for span in (asked, handled, told))]
    assert {span.context.trace_id for span in (asked, handled, told, heard)} == {root.trace_id}


@pytest.mark.parametrize(
    ("to", "later_s", "expected"),
    [
        ("its queue", 0, "duplicate"),
        ("its queue", LATER_S, "replay"),
        ("its channel", LATER_S, "fresh"),  # each queue has a memory of its own
        ("another channel", 0, "invalid"),
        ("no channel", 0, "invalid"),
    ],
)
async def test_a_message_that_somebody_publishes_again(
    connection: AbstractConnection, service: Services, name: str, *, to: str, later_s: int, expected: str
) -> None:
    places = {place: f"{name}.{number}" for number, place in enumerate(("its queue", "its channel"))}
    places |= {"another channel": f"{name}.other", "no channel": f"{name}.unlisted"}
    policy = policy_of([places["its queue"], places["its channel"]], [places["another channel"]])
    checkout, billing = service("checkout", policy=policy), service("billing", policy=policy)
    sending = TracedChannel(await connection.channel(), checkout.tracing)
    receiving = TracedChannel(await connection.channel(), billing.tracing)
    for place in places.values():
        await declared(receiving, place)
    # As a shovel does: it reads and publishes what it reads, whatever that is.
    shovel = await connection.channel()
    await publish(sending, places["its queue"], b"order")
    raw = await (await shovel.get_queue(places["its queue"])).get()
    await raw.nack(requeue=True)
    inbox = await Inbox().consume(await receiving.get_queue(places["its queue"]))
    await (await inbox.next()).ack()
    billing.clock.ahead_s = later_s
    if to != "its queue":
        inbox = await Inbox().consume(await receiving.get_queue(places[to]))

    await shovel.default_exchange.publish(aio_pika.Message(raw.body, headers=raw.headers), places[to])
    moved = await inbox.next()
    await moved.ack()

    assert (moved.body, verdict(moved)) == (b"order", expected)
    span = billing.spans("process")[-1]
    sent = checkout.span("send").context
    assert (span.context.trace_id == sent.trace_id) == (expected in {"duplicate", "fresh"})
    assert len(span.links) == (expected == "replay")


async def settled_out_of_order(channel: Any, sending: Any, name: str) -> list[object]:
    """What can be seen of a consumer with a prefetch of 2 that settles in an order of its own."""
    queue = await declared(channel, name)
    await publish(sending, name, *(b"%d" % number for number in range(6)))
    await channel.set_qos(prefetch_count=2)
    inbox = await Inbox().consume(queue)
    seen: list[object] = []

    async def receive(count: int) -> list[Any]:
        messages = [await inbox.next() for _ in range(count)]
        ready = (await declared(sending, name)).declaration_result.message_count
        seen.append(([(one.body, one.redelivered, one.delivery_tag) for one in messages], ready))
        return messages

    zero, one = await receive(2)
    await one.ack()
    (two,) = await receive(1)
    await zero.nack(requeue=True)
    (again,) = await receive(1)
    await again.ack(multiple=True)
    three, four = await receive(2)
    await four.reject()
    await three.ack()
    await (await receive(1))[0].ack()
    assert two.body == b"2"
    return seen


async def test_prefetch_and_the_order_of_settling_are_aio_pikas_own(
    connection: AbstractConnection, receiving: TracedChannel, name: str
) -> None:
    bare = await connection.channel()
    expected = await settled_out_of_order(await connection.channel(), bare, f"{name}.bare")
    assert await settled_out_of_order(receiving, bare, name) == expected


@pytest.mark.parametrize("committed", [True, False])
async def test_a_transaction_is_the_brokers_and_its_spans_end(
    connection: AbstractConnection, checkout: Service, receiving: TracedChannel, name: str, *, committed: bool
) -> None:
    queue = await declared(receiving, name)
    channel = TracedChannel(await connection.channel(publisher_confirms=False), checkout.tracing)
    with contextlib.suppress(LookupError):
        async with channel.transaction():
            await publish(channel, name, b"order")
            assert await queue.get(fail=False) is None
            if not committed:
                raise LookupError

    arrived = await queue.get(fail=False)
    assert (arrived is not None) == committed
    sent = checkout.span("send")
    if arrived is not None:
        await arrived.ack()
        assert verdict(arrived) == "fresh"
        assert arrived.receipt.parent == sent.context


@pytest.mark.parametrize("raises", [True, False])
async def test_a_message_that_no_queue_takes_is_returned_and_marks_its_span(
    connection: AbstractConnection, checkout: Service, name: str, *, raises: bool
) -> None:
    channel = TracedChannel(await connection.channel(on_return_raises=raises), checkout.tracing)
    message = aio_pika.Message(b"order")

    if raises:
        with pytest.raises(PublishError):
            await channel.default_exchange.publish(message, name)
    else:
        returned = await channel.default_exchange.publish(message, name)
        assert isinstance(returned, DeliveredMessage)
        assert returned.body == b"order"

    assert checkout.span("send").error_type == "PublishError"
