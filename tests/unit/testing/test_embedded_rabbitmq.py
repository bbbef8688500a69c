"""What the embedded RabbitMQ does, by the clients that people use.

Every test that takes `rabbitmq` holds on a real broker as well: where there is a fixture `real_rabbitmq` that
gives the URL of one, add `"real"` to `BROKERS`.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
import string
import sys
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.exceptions import (
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
    QueueEmpty,
)
from aio_pika.patterns import RPC, Master
from aiormq.exceptions import ChannelAccessRefused, ChannelLockedResource
from celery import Celery
from pamqp import commands, frame
from pamqp.header import ContentHeader, ProtocolHeader
from pamqp.heartbeat import Heartbeat

from interceptors import MissingExtraError
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue

    Inbox = asyncio.Queue[AbstractIncomingMessage]

kombu: Any = importlib.import_module("kombu")  # most of its types are left out

BROKERS = ["embedded"]
DEADLINE = 20
"""Seconds that anything may take."""


@pytest.fixture(scope="module")
def embedded_rabbitmq() -> Iterator[str]:
    with EmbeddedRabbitMQ() as broker:
        yield broker.url


@pytest.fixture(params=BROKERS)
def rabbitmq(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_rabbitmq")
    return url


@pytest.fixture
async def deadline() -> AsyncIterator[None]:
    """Ends a test that would wait for ever."""
    loop = asyncio.get_running_loop()

    def give_up() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel(f"not done after {DEADLINE} s")

    timer = loop.call_later(DEADLINE, give_up)
    yield
    timer.cancel()


@pytest.fixture
async def connection(rabbitmq: str, deadline: None) -> AsyncIterator[AbstractConnection]:
    async with await aio_pika.connect(rabbitmq) as connection:
        yield connection


@pytest.fixture
async def channel(connection: AbstractConnection) -> AbstractChannel:
    return await connection.channel()


@pytest.fixture
async def queue(channel: AbstractChannel) -> AbstractQueue:
    """One that is this connection's own, with a name that the broker gave it."""
    return await channel.declare_queue(exclusive=True)


async def consume(queue: AbstractQueue, **options: Any) -> Inbox:
    """What the queue gives to a new consumer, as it comes."""
    inbox: Inbox = asyncio.Queue()
    await queue.consume(inbox.put, **options)
    return inbox


async def waiting(channel: AbstractChannel, queue: AbstractQueue) -> int | None:
    """How many messages the queue has ready."""
    declared = await channel.declare_queue(queue.name, passive=True)
    return declared.declaration_result.message_count


async def publish(channel: AbstractChannel, queue: AbstractQueue, *bodies: bytes) -> None:
    for body in bodies:
        await channel.default_exchange.publish(Message(body), queue.name)


async def with_dead_letters(
    channel: AbstractChannel, **arguments: Any
) -> tuple[AbstractQueue, AbstractQueue]:
    """A queue, and the one that its dead letters go to."""
    graveyard = await channel.declare_queue(exclusive=True)
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graveyard.name}
    return await channel.declare_queue(exclusive=True, arguments=dead | arguments), graveyard


# --- messages -------------------------------------------------------------------------------------------


async def test_a_message_arrives_with_all_its_properties(
    channel: AbstractChannel, queue: AbstractQueue
) -> None:
    sent = Message(
        b"\x00\xffbody",
        content_type="application/json",
        content_encoding="utf-8",
        headers={"a": "b"},
        delivery_mode=DeliveryMode.PERSISTENT,
        priority=3,
        correlation_id="c",
        reply_to="r",
        message_id="m",
        timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        type="t",
        app_id="a",
    )

    await channel.default_exchange.publish(sent, queue.name)

    received = await queue.get()
    await received.ack()
    assert received.body == sent.body
    assert received.properties == sent.properties
    assert (received.exchange, received.routing_key, received.redelivered) == ("", queue.name, False)


HEADERS: dict[str, Any] = {
    "bool": True,
    "int8": -5,
    "int16": 300,
    "uint16": 65000,
    "int32": -(2**31),
    "uint32": 2**32 - 1,
    "int64": -(2**63),
    "float": 0.5,
    "decimal": Decimal("-1.25"),
    "text": "häder",
    "empty": "",
    "bytes": bytearray(b"\x00\xff"),
    "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "none": None,
    "list": [1, "two", [3.5, None], {"four": 5}],
    "table": {"deep": {"deeper": [bytearray(b"\x01")]}},
}


@pytest.mark.parametrize("name", HEADERS)
async def test_a_header_of_any_type_arrives_as_it_was(
    name: str, channel: AbstractChannel, queue: AbstractQueue
) -> None:
    headers = {name: HEADERS[name]}

    await channel.default_exchange.publish(Message(b"", headers=headers), queue.name)

    received = await queue.get(no_ack=True)
    assert received.headers == headers
    assert type(received.headers[name]) is type(HEADERS[name])


async def test_headers_of_every_type_survive_death(channel: AbstractChannel) -> None:
    queue, graveyard = await with_dead_letters(channel)
    await channel.default_exchange.publish(Message(b"", headers=HEADERS), queue.name)
    inbox = await consume(graveyard, no_ack=True)

    await (await queue.get()).reject()

    headers = (await inbox.get()).headers
    assert {name: value for name, value in headers.items() if not name.startswith("x-")} == HEADERS


@pytest.mark.parametrize("size", [0, 131064, 131065, 300_000])
async def test_a_body_of_any_size_arrives(size: int, channel: AbstractChannel, queue: AbstractQueue) -> None:
    body = bytes(number % 251 for number in range(size))

    await publish(channel, queue, body)

    assert (await queue.get(no_ack=True)).body == body


async def test_messages_come_in_their_order(channel: AbstractChannel, queue: AbstractQueue) -> None:
    bodies = [b"%d" % number for number in range(50)]
    inbox = await consume(queue, no_ack=True)

    await publish(channel, queue, *bodies)

    assert [(await inbox.get()).body for _ in bodies] == bodies


async def test_consumers_of_a_queue_take_turns(connection: AbstractConnection, queue: AbstractQueue) -> None:
    channel = await connection.channel()
    inboxes = [await consume(queue, no_ack=True), await consume(queue, no_ack=True)]

    await publish(channel, queue, b"1", b"2", b"3", b"4")

    got = [{(await inbox.get()).body, (await inbox.get()).body} for inbox in inboxes]
    assert sorted(map(sorted, got)) == [[b"1", b"3"], [b"2", b"4"]]


# --- publishing -----------------------------------------------------------------------------------------


async def test_a_publish_is_confirmed(channel: AbstractChannel, queue: AbstractQueue) -> None:
    first, second = [await channel.default_exchange.publish(Message(b""), queue.name) for _ in range(2)]

    assert isinstance(first, commands.Basic.Ack)
    assert isinstance(second, commands.Basic.Ack)
    assert (first.delivery_tag, second.delivery_tag) == (1, 2)


async def test_a_mandatory_message_without_a_way_comes_back(connection: AbstractConnection) -> None:
    channel = await connection.channel(on_return_raises=True)

    with pytest.raises(PublishError) as caught:
        await channel.default_exchange.publish(Message(b"x", headers={"a": 1}), "nobody-there")

    returned = caught.value.message
    assert returned is not None
    assert isinstance(returned.delivery, commands.Basic.Return)
    assert (returned.delivery.reply_code, returned.delivery.reply_text) == (312, "NO_ROUTE")
    assert (returned.body, returned.header.properties.headers) == (b"x", {"a": 1})


async def test_a_message_without_a_way_is_dropped_if_it_may_be(channel: AbstractChannel) -> None:
    confirmed = await channel.default_exchange.publish(Message(b"x"), "nobody-there", mandatory=False)

    assert isinstance(confirmed, commands.Basic.Ack)


async def test_publishing_to_an_exchange_that_is_not_there_closes_the_channel_alone(
    connection: AbstractConnection, channel: AbstractChannel
) -> None:
    exchange = await channel.get_exchange("nowhere", ensure=False)

    with pytest.raises((ChannelNotFoundEntity, DeliveryError)):
        await exchange.publish(Message(b""), "key")

    another = await connection.channel()
    assert (await another.declare_queue(exclusive=True)).name


async def test_a_transaction_publishes_and_settles_when_it_is_committed(
    connection: AbstractConnection, queue: AbstractQueue
) -> None:
    channel = await connection.channel(publisher_confirms=False)
    other = await connection.channel()
    await publish(other, queue, b"before")
    transaction = channel.transaction()
    await transaction.select()
    mine = await channel.get_queue(queue.name)
    await (await mine.get()).ack()
    await publish(channel, queue, b"in it")
    seen_before = await waiting(other, queue)

    await transaction.commit()

    assert seen_before == 0
    assert (await queue.get(no_ack=True)).body == b"in it"
    await channel.close()
    assert await waiting(other, queue) == 0  # what was acknowledged does not come back


async def test_a_transaction_that_is_rolled_back_did_nothing(
    connection: AbstractConnection, queue: AbstractQueue
) -> None:
    channel = await connection.channel(publisher_confirms=False)
    other = await connection.channel()
    await publish(other, queue, b"before")
    transaction = channel.transaction()
    await transaction.select()
    mine = await channel.get_queue(queue.name)
    await (await mine.get()).ack()
    await publish(channel, queue, b"in it")

    await transaction.rollback()

    await channel.close()
    again = await queue.get(no_ack=True)
    assert (again.body, again.redelivered) == (b"before", True)
    assert await waiting(other, queue) == 0


# --- taking and settling ----------------------------------------------------------------------------------


async def test_an_empty_queue_gives_nothing(queue: AbstractQueue) -> None:
    assert await queue.get(fail=False) is None
    with pytest.raises(QueueEmpty):
        await queue.get()


async def test_what_is_requeued_comes_first_and_says_so(
    channel: AbstractChannel, queue: AbstractQueue
) -> None:
    await publish(channel, queue, b"1", b"2", b"3")
    first, second = await queue.get(), await queue.get()
    await first.nack()
    await second.reject(requeue=True)

    got = [await queue.get(no_ack=True) for _ in range(3)]

    assert [(message.body, message.redelivered) for message in got] == [
        (b"1", True),
        (b"2", True),
        (b"3", False),
    ]


async def test_one_answer_settles_all_before_it(connection: AbstractConnection, queue: AbstractQueue) -> None:
    channel = await connection.channel()
    mine = await channel.get_queue(queue.name)
    await publish(channel, queue, b"1", b"2", b"3")
    _, second, _ = [await mine.get() for _ in range(3)]

    await second.ack(multiple=True)
    await channel.close()

    assert (await queue.get(no_ack=True)).body == b"3"
    assert await queue.get(fail=False) is None


async def test_no_more_is_sent_than_the_prefetch_allows(
    connection: AbstractConnection, queue: AbstractQueue
) -> None:
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=2)
    inbox = await consume(await channel.get_queue(queue.name))
    await publish(channel, queue, b"1", b"2", b"3")
    first, _ = await inbox.get(), await inbox.get()
    left = await waiting(channel, queue)

    await first.ack()

    assert left == 1
    assert (await inbox.get()).body == b"3"


async def test_a_prefetch_can_be_that_of_the_whole_channel(
    connection: AbstractConnection, queue: AbstractQueue
) -> None:
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1, global_=True)
    mine = await channel.get_queue(queue.name)
    inbox: Inbox = asyncio.Queue()
    for _ in range(2):
        await mine.consume(inbox.put)
    await publish(channel, queue, b"1", b"2")
    first = await inbox.get()
    left = await waiting(channel, queue)

    await first.ack()

    assert left == 1
    assert (await inbox.get()).body == b"2"


@pytest.mark.parametrize("ends", ["channel", "connection"])
async def test_what_was_not_settled_goes_to_another(
    ends: str, rabbitmq: str, connection: AbstractConnection
) -> None:
    channel = await connection.channel()
    queue = await channel.declare_queue(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), auto_delete=True
    )
    survivor = await consume(queue)
    leaver = await aio_pika.connect(rabbitmq)
    leaving = await leaver.channel()
    inbox = await consume(await leaving.get_queue(queue.name))
    await publish(channel, queue, b"1", b"2")
    await survivor.get()
    lost = await inbox.get()

    await (leaver if ends == "connection" else leaving).close()

    again = await survivor.get()
    assert (again.body, again.redelivered) == (lost.body, True)
    await leaver.close()


async def test_after_a_cancel_nothing_comes_but_answers_are_taken(
    channel: AbstractChannel, queue: AbstractQueue
) -> None:
    inbox: Inbox = asyncio.Queue()
    tag = await queue.consume(inbox.put)
    await publish(channel, queue, b"1")
    received = await inbox.get()

    await queue.cancel(tag)
    await publish(channel, queue, b"2")
    await received.nack()

    got = [await queue.get(no_ack=True) for _ in range(2)]
    assert [(message.body, message.redelivered) for message in got] == [(b"1", True), (b"2", False)]
    assert inbox.empty()


async def test_an_unknown_delivery_tag_closes_the_channel(
    channel: AbstractChannel, queue: AbstractQueue
) -> None:
    await publish(channel, queue, b"1")
    received = await queue.get()
    assert received.delivery_tag == 1
    await received.channel.basic_ack(8)

    with pytest.raises(ChannelPreconditionFailed, match="unknown delivery tag 8"):
        await asyncio.wait_for(asyncio.shield(received.channel.closing), DEADLINE)


async def test_recover_requeues_all(channel: AbstractChannel, queue: AbstractQueue) -> None:
    await publish(channel, queue, b"1", b"2")
    received = [await queue.get(), await queue.get()]

    await received[0].channel.basic_recover(requeue=True)

    again = [await queue.get(no_ack=True) for _ in range(2)]
    assert [(message.body, message.redelivered) for message in again] == [(b"1", True), (b"2", True)]


async def test_a_quorum_queue_counts_what_came_back(channel: AbstractChannel) -> None:
    queue = await channel.declare_queue(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
        durable=True,
        arguments={"x-queue-type": "quorum"},
    )
    inbox = await consume(queue)
    await publish(channel, queue, b"1")

    await (await inbox.get()).nack()
    await (await inbox.get()).nack()

    last = await inbox.get()
    assert (last.headers["x-delivery-count"], last.redelivered) == (2, True)
    await last.ack()
    await queue.delete(if_unused=False, if_empty=False)


# --- death ------------------------------------------------------------------------------------------------


async def test_a_rejected_message_is_dead_lettered(channel: AbstractChannel) -> None:
    exchange = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), auto_delete=True
    )
    queue, graveyard = await with_dead_letters(channel)
    await queue.bind(exchange, "key")
    await exchange.publish(Message(b"x", headers={"mine": 1}, message_id="m"), "key")
    inbox = await consume(graveyard, no_ack=True)
    began = datetime.now(UTC).replace(microsecond=0)

    await (await queue.get()).reject()

    dead = await inbox.get()
    assert isinstance(dead.headers["x-death"], list)
    (death,) = dead.headers["x-death"]
    assert isinstance(death, dict)
    died = death.pop("time")
    assert isinstance(died, datetime)
    assert began <= died <= datetime.now(UTC)
    assert death == {
        "count": 1,
        "reason": "rejected",
        "queue": queue.name,
        "exchange": exchange.name,
        "routing-keys": ["key"],
    }
    rest = {name: value for name, value in dead.headers.items() if name != "x-death"}
    assert rest == {
        "mine": 1,
        "x-first-death-exchange": exchange.name,
        "x-first-death-queue": queue.name,
        "x-first-death-reason": "rejected",
    }
    assert (dead.body, dead.message_id, dead.exchange) == (b"x", "m", "")
    assert (dead.routing_key, dead.redelivered) == (graveyard.name, False)


async def test_each_death_is_counted_the_latest_first(channel: AbstractChannel) -> None:
    queue, graveyard = await with_dead_letters(channel)
    inbox = await consume(graveyard, no_ack=True)
    headers: Any = {}
    for round_ in range(3):
        expiration = 0.001 if round_ == 1 else None
        await channel.default_exchange.publish(
            Message(b"", headers=headers, expiration=expiration), queue.name
        )
        if expiration is None:
            await (await queue.get()).reject()
        headers = (await inbox.get()).headers

    assert [(death["reason"], death["count"]) for death in headers["x-death"]] == [
        ("rejected", 2),
        ("expired", 1),
    ]
    assert headers["x-death"][1]["original-expiration"] == "1"
    assert headers["x-first-death-reason"] == "rejected"


@pytest.mark.parametrize("whose", ["message", "queue"])
async def test_a_message_that_waits_too_long_dies(whose: str, channel: AbstractChannel) -> None:
    lifetime = {"x-message-ttl": 20} if whose == "queue" else {}
    queue, graveyard = await with_dead_letters(channel, **lifetime)
    inbox = await consume(graveyard, no_ack=True)

    expiration = 0.02 if whose == "message" else None
    await channel.default_exchange.publish(Message(b"x", expiration=expiration), queue.name)

    dead = await inbox.get()
    assert dead.headers["x-first-death-reason"] == "expired"
    assert dead.expiration is None
    assert await queue.get(fail=False) is None


async def test_a_message_that_may_not_wait_still_goes_to_a_consumer_that_is_there(
    channel: AbstractChannel,
) -> None:
    queue = await channel.declare_queue(exclusive=True, arguments={"x-message-ttl": 0})
    await publish(channel, queue, b"nobody there")
    inbox = await consume(queue, no_ack=True)

    await publish(channel, queue, b"somebody there")

    assert (await inbox.get()).body == b"somebody there"


async def test_a_message_does_not_die_in_circles(channel: AbstractChannel) -> None:
    """Without a consumer on the way, it is not put into a queue again in which it died."""
    exchange = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
        ExchangeType.FANOUT,
        auto_delete=True,
    )
    circle: dict[str, Any] = {"x-dead-letter-exchange": exchange.name, "x-message-ttl": 5}
    queue = await channel.declare_queue(exclusive=True, arguments=circle)
    watch = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange)
    await watch.bind(exchange)
    inbox = await consume(watch, no_ack=True)

    await publish(channel, queue, b"1")
    first = await inbox.get()
    await publish(channel, queue, b"2")

    assert [first.body, (await inbox.get()).body] == [b"1", b"2"]


# --- exchanges and queues ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "binding", "keys"),  # each key with whether it leads to the queue
    [
        (ExchangeType.DIRECT, "a.b", {"a": False, "a.b": True, "a.b.c": False}),
        (ExchangeType.FANOUT, "a", {"a": True, "b": True, "": True}),
        (ExchangeType.TOPIC, "a.*", {"a": False, "a.b": True, "a.b.c": False, "b.b": False}),
        (ExchangeType.TOPIC, "a.#", {"a": True, "a.b": True, "a.b.c": True, "b": False, "b.a": False}),
        (ExchangeType.TOPIC, "#.z", {"z": True, "a.z": True, "a.b.z": True, "a": False, "z.a": False}),
        (ExchangeType.TOPIC, "*.#.*", {"a": False, "a.b": True, "a.b.c": True}),
    ],
)
async def test_an_exchange_routes(
    kind: ExchangeType, binding: str, keys: dict[str, bool], channel: AbstractChannel, queue: AbstractQueue
) -> None:
    exchange = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), kind, auto_delete=True
    )
    await queue.bind(exchange, binding)
    inbox = await consume(queue, no_ack=True)

    for key in keys:
        await exchange.publish(Message(b""), key, mandatory=False)
    await publish(channel, queue, b"last")

    led = [key for key, leads in keys.items() if leads]
    assert [(await inbox.get()).routing_key for _ in [*led, "last"]] == [*led, queue.name]


@pytest.mark.parametrize(
    ("arguments", "led"),
    [
        ({"x-match": "all", "a": 1, "b": "two"}, ["both"]),
        ({"a": 1, "b": "two"}, ["both"]),
        ({"x-match": "any", "a": 1, "b": "two"}, ["both", "one"]),
        ({"a": None}, ["both", "one", "other"]),
    ],
)
async def test_an_exchange_routes_by_headers(
    arguments: dict[str, Any], led: list[str], channel: AbstractChannel, queue: AbstractQueue
) -> None:
    kind = ExchangeType.HEADERS
    exchange = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), kind, auto_delete=True
    )
    await queue.bind(exchange, arguments=arguments)
    messages: dict[str, Any] = {
        "both": {"a": 1, "b": "two", "c": 3},
        "one": {"a": 1},
        "other": {"a": 2},
        "none": {},
    }
    for key, headers in messages.items():
        await exchange.publish(Message(b"", headers=headers), key, mandatory=False)
    await publish(channel, queue, b"last")

    got = [(await queue.get(no_ack=True)).routing_key for _ in [*led, "last"]]

    assert got == [*led, queue.name]


async def test_two_bindings_of_a_queue_bring_a_message_once(
    channel: AbstractChannel, queue: AbstractQueue
) -> None:
    exchange = await channel.get_exchange("amq.topic")
    word = uuid.uuid4().hex
    await queue.bind(exchange, f"{word}.*")
    await queue.bind(exchange, f"*.{word}")

    await exchange.publish(Message(b""), f"{word}.{word}")

    assert await waiting(channel, queue) == 1


async def test_a_binding_that_is_undone_leads_nowhere(channel: AbstractChannel, queue: AbstractQueue) -> None:
    exchange = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    )
    await queue.bind(exchange, "key")
    await queue.unbind(exchange, "key")

    await exchange.publish(Message(b""), "key", mandatory=False)

    assert await waiting(channel, queue) == 0
    await exchange.delete()


async def test_an_exchange_can_lead_to_another(channel: AbstractChannel, queue: AbstractQueue) -> None:
    outer = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), auto_delete=True
    )
    inner = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), auto_delete=True
    )
    await inner.bind(outer, "key")
    await queue.bind(inner, "key")

    await outer.publish(Message(b"x"), "key")

    assert (await queue.get(no_ack=True)).exchange == outer.name


async def test_what_finds_no_way_takes_the_alternate(channel: AbstractChannel, queue: AbstractQueue) -> None:
    alternate = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
        ExchangeType.FANOUT,
        auto_delete=True,
    )
    exchange = await channel.declare_exchange(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
        arguments={"alternate-exchange": alternate.name},
    )
    await queue.bind(alternate)

    await exchange.publish(Message(b"x"), "no such way")

    assert (await queue.get(no_ack=True)).routing_key == "no such way"
    await exchange.delete()


async def test_an_exclusive_queue_is_nobody_elses_and_goes_with_its_owner(
    rabbitmq: str, deadline: None
) -> None:
    async with await aio_pika.connect(rabbitmq) as other:
        owner = await aio_pika.connect(rabbitmq)
        queue = await (await owner.channel()).declare_queue(exclusive=True)

        with pytest.raises(ChannelLockedResource):
            await (await other.channel()).declare_queue(queue.name, passive=True)
        await owner.close()

        assert queue.name.startswith("amq.gen-")
        with pytest.raises(ChannelNotFoundEntity):
            await (await other.channel()).declare_queue(queue.name, passive=True)


async def test_an_auto_deleted_queue_goes_with_its_last_consumer(
    connection: AbstractConnection, channel: AbstractChannel
) -> None:
    queue = await channel.declare_queue(
        "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)), auto_delete=True
    )
    inbox: Inbox = asyncio.Queue()
    tags = [await queue.consume(inbox.put) for _ in range(2)]

    await queue.cancel(tags[0])
    still = await waiting(channel, queue)
    await queue.cancel(tags[1])

    assert still == 0
    with pytest.raises(ChannelNotFoundEntity):
        await waiting(await connection.channel(), queue)


async def test_a_purge_drops_what_waits(channel: AbstractChannel, queue: AbstractQueue) -> None:
    await publish(channel, queue, b"1", b"2")

    purged = await queue.purge()

    assert purged.message_count == 2
    assert await queue.get(fail=False) is None


async def test_a_queue_can_be_declared_again_only_as_it_is(channel: AbstractChannel) -> None:
    name = "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    await channel.declare_queue(name, exclusive=True)

    again = await channel.declare_queue(name, exclusive=True)

    assert again.name == name
    with pytest.raises(ChannelPreconditionFailed, match="inequivalent arg"):
        await channel.declare_queue(name, exclusive=True, arguments={"x-message-ttl": 1})


async def test_names_of_the_brokers_own_are_refused(connection: AbstractConnection) -> None:
    with pytest.raises(ChannelAccessRefused, match="reserved prefix"):
        await (await connection.channel()).declare_queue("amq.mine")
    with pytest.raises(ChannelAccessRefused, match="reserved prefix"):
        await (await connection.channel()).declare_exchange("amq.mine")


async def test_consuming_from_a_queue_that_is_not_there_closes_the_channel_alone(
    connection: AbstractConnection, channel: AbstractChannel
) -> None:
    queue = await channel.get_queue("nowhere", ensure=False)

    with pytest.raises(ChannelNotFoundEntity, match="no queue 'nowhere'"):
        await queue.get()

    assert (await (await connection.channel()).declare_queue(exclusive=True)).name


async def test_an_exclusive_consumer_stays_alone(channel: AbstractChannel, queue: AbstractQueue) -> None:
    await consume(queue, exclusive=True)

    with pytest.raises(ChannelAccessRefused, match="exclusive use"):
        await consume(queue)


# --- patterns and other clients ---------------------------------------------------------------------------


async def test_remote_calls_are_answered(channel: AbstractChannel) -> None:
    async def add(*, left: int, right: int) -> int:
        return left + right

    rpc = await RPC.create(channel)
    name = f"add-{uuid.uuid4()}"
    await rpc.register(name, add, auto_delete=True)

    results = await asyncio.gather(*(rpc.call(name, {"left": number, "right": 1}) for number in range(5)))

    assert results == [1, 2, 3, 4, 5]
    await rpc.close()


async def test_a_worker_gets_what_its_master_gives_out(channel: AbstractChannel) -> None:
    done: asyncio.Queue[int] = asyncio.Queue()

    async def work(*, number: int) -> None:
        await done.put(number)

    master = Master(channel)
    name = f"work-{uuid.uuid4()}"
    worker = await master.create_worker(name, work, auto_delete=True)

    for number in range(3):
        await master.create_task(name, {"number": number})

    assert sorted([await done.get() for _ in range(3)]) == [0, 1, 2]
    await worker.close()


async def test_an_answer_goes_straight_to_who_asked(
    connection: AbstractConnection, channel: AbstractChannel, queue: AbstractQueue
) -> None:
    answers = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
    inbox = await consume(answers, no_ack=True)
    question = Message(b"?", reply_to="amq.rabbitmq.reply-to", correlation_id="1")
    await channel.default_exchange.publish(question, queue.name)
    asked = await queue.get(no_ack=True)
    assert asked.reply_to not in {None, "amq.rabbitmq.reply-to"}

    other = await connection.channel()
    await other.default_exchange.publish(Message(b"!", correlation_id="1"), str(asked.reply_to))

    answer = await inbox.get()
    assert (answer.body, answer.correlation_id) == (b"!", "1")


def test_celery_sends_and_kombu_receives(rabbitmq: str) -> None:
    name = "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    app = Celery(broker=rabbitmq, set_as_current=False)
    app.conf.task_queues = [kombu.Queue(name, durable=True, auto_delete=True)]
    app.conf.task_default_queue = name
    headers = {"float": 1.1, "bytes": b"\x00\xff", "list": [1, "two"], "big": 2**40}

    with kombu.Connection(rabbitmq) as connection, connection.SimpleQueue(app.conf.task_queues[0]) as inbox:
        sent = app.send_task("tasks.add", (1, 2), {"three": 3}, headers=headers)
        received = inbox.get(timeout=DEADLINE)
        received.ack()
        empty = inbox.qsize()

    assert received.headers["id"] == sent.id
    assert received.payload[:2] == [[1, 2], {"three": 3}]
    assert {name: received.headers[name] for name in headers} == headers
    assert empty == 0
    app.close()


def test_a_float_of_full_width_survives_death(rabbitmq: str) -> None:
    """py-amqp sends it so; decoding and encoding it by aio-pika's library would halve it."""
    with kombu.Connection(rabbitmq) as connection, connection.channel() as channel:
        graveyard = kombu.Queue("", exclusive=True)(channel)
        graveyard.declare()
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graveyard.name}
        queue = kombu.Queue("", exclusive=True, queue_arguments=dead)(channel)
        queue.declare()
        message = channel.prepare_message("x", content_encoding="utf-8", headers={"float": 1.1})
        channel.basic_publish(message, "", queue.name)
        queue.get().reject()
        received: list[Any] = []
        with kombu.Consumer(
            channel, [graveyard], on_message=received.append, no_ack=True, auto_declare=False
        ):
            while not received:
                connection.drain_events(timeout=DEADLINE)

    assert received[0].headers["float"] == 1.1
    assert received[0].headers["x-death"][0]["queue"] == queue.name


# --- the wire, and the broker's own life ------------------------------------------------------------------


class RawClient:
    """A client that says what a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *methods: Any, channel: int = 0) -> None:
        for method in methods:
            self.writer.write(frame.marshal(method, channel))

    async def receive(self) -> Any:
        head = await self.reader.readexactly(7)
        _, _, size = frame.frame_parts(head)
        assert size is not None
        return frame.unmarshal(head + await self.reader.readexactly(size + 1))[2]

    async def until_closed(self) -> Any:
        """The broker's last word; none if it just hung up."""
        try:
            return await self.receive()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None

    async def shake_hands(self, *, heartbeat: int = 0) -> None:
        self.writer.write(ProtocolHeader().marshal())
        start = await self.receive()
        assert isinstance(start, commands.Connection.Start)
        login = commands.Connection.StartOk(
            {"capabilities": {"consumer_cancel_notify": True}}, "PLAIN", "\0guest\0guest", "en_US"
        )
        self.send(login)
        assert isinstance(await self.receive(), commands.Connection.Tune)
        self.send(commands.Connection.TuneOk(10, 131072, heartbeat), commands.Connection.Open("/"))
        assert isinstance(await self.receive(), commands.Connection.OpenOk)


@pytest.fixture
async def raw(rabbitmq: str, deadline: None) -> AsyncIterator[RawClient]:
    address = urlsplit(rabbitmq)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    yield RawClient(reader, writer)
    writer.close()


async def test_who_speaks_another_protocol_is_told_which_is_spoken(raw: RawClient) -> None:
    raw.writer.write(b"GET / HTTP/1.1\r\n\r\n")

    assert await raw.reader.readexactly(8) == b"AMQP\x00\x00\x09\x01"


NOT_FRAMES = {
    "unknown type": b"\x63\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\xce",
    "no end": b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\x00",
    "too large": b"\x01\x00\x00\xff\xff\xff\xff",
    "unknown method": b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce",
    "method cut off": b"\x01\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x32\x00\x01\xce",
    "channel never opened": frame.marshal(commands.Basic.Ack(1), 3),
    "content of nothing": b"\x02\x00\x01\x00\x00\x00\x01\x00\xce",
}


@pytest.mark.parametrize("garbage", NOT_FRAMES.values(), ids=NOT_FRAMES)
async def test_garbage_ends_only_the_connection_that_sent_it(
    garbage: bytes, raw: RawClient, channel: AbstractChannel, queue: AbstractQueue
) -> None:
    await raw.shake_hands()
    raw.send(commands.Channel.Open(), channel=1)
    assert isinstance(await raw.receive(), commands.Channel.OpenOk)

    raw.writer.write(garbage)

    closed = await raw.until_closed()
    assert closed is None or isinstance(closed, commands.Connection.Close)
    await publish(channel, queue, b"still here")
    assert (await queue.get(no_ack=True)).body == b"still here"


async def test_properties_that_are_none_end_the_connection(raw: RawClient) -> None:
    await raw.shake_hands()
    raw.send(commands.Channel.Open(), commands.Basic.Publish(routing_key="x"), channel=1)
    header = b"\x00\x3c\x00\x00" + bytes(8) + b"\x20\x00" + b"\x00\x00\x00\x09\x01aQ"
    raw.writer.write(b"\x02\x00\x01" + len(header).to_bytes(4) + header + b"\xce")
    assert isinstance(await raw.receive(), commands.Channel.OpenOk)

    closed = await raw.until_closed()
    assert closed is None or isinstance(closed, commands.Connection.Close)


REFUSED = [  # without a name, a method is about the queue that was declared last
    (commands.Basic.Get(queue="nowhere"), 404),
    (commands.Queue.Purge(queue="nowhere"), 404),
    (commands.Queue.Bind(exchange="nowhere"), 404),
    (commands.Queue.Bind(exchange=""), 403),
    (commands.Exchange.Declare(exchange=""), 403),
    (commands.Exchange.Declare(exchange="amq.mine"), 403),
    (commands.Exchange.Declare(exchange="mine", exchange_type="weird"), 503),
    (commands.Exchange.Declare(exchange="amq.topic", exchange_type="fanout", durable=True), 406),
    (commands.Exchange.Delete(exchange="amq.topic"), 403),
    (commands.Queue.Delete(if_unused=True), 406),
    (commands.Queue.Delete(if_empty=True), 406),
    (commands.Basic.Consume(consumer_tag="tag"), 530),
    (commands.Basic.Consume(queue="amq.rabbitmq.reply-to", consumer_tag="other"), 406),
    (commands.Basic.Qos(prefetch_size=1), 540),
    (commands.Basic.Recover(requeue=False), 540),
    (commands.Basic.Reject(delivery_tag=99), 406),
    (commands.Tx.Commit(), 406),
    (commands.Tx.Rollback(), 406),
    (commands.Channel.Open(), 504),
]


def named(case: tuple[Any, Any]) -> str:
    return str(case[0].name)


@pytest.mark.parametrize("case", REFUSED, ids=named)
async def test_what_cannot_be_done_closes_the_channel_or_the_connection(
    case: tuple[Any, int], raw: RawClient
) -> None:
    method, code = case
    await raw.shake_hands()
    raw.send(commands.Channel.Open(), commands.Queue.Declare(queue="", exclusive=True), channel=1)
    _, declared = await raw.receive(), await raw.receive()
    raw.send(commands.Basic.Qos(prefetch_count=1), commands.Basic.Consume(consumer_tag="tag"), channel=1)
    _, consuming = await raw.receive(), await raw.receive()
    assert isinstance(consuming, commands.Basic.ConsumeOk)
    for _ in range(2):  # one is delivered, one waits
        raw.send(commands.Basic.Publish(routing_key=declared.queue), ContentHeader(), channel=1)
    assert isinstance(await raw.receive(), commands.Basic.Deliver)
    assert isinstance(await raw.receive(), ContentHeader)

    raw.send(method, channel=1)

    closed = await raw.receive()
    assert isinstance(
        closed, commands.Channel.Close if code in {403, 404, 406} else commands.Connection.Close
    )
    assert (closed.reply_code, closed.class_id, closed.method_id) == (
        code,
        method.index >> 16,
        method.frame_id,
    )


HARMLESS = [
    (commands.Queue.Delete(queue="nowhere"), commands.Queue.DeleteOk),
    (commands.Queue.Unbind(queue="nowhere", exchange="amq.topic"), commands.Queue.UnbindOk),
    (commands.Exchange.Delete(exchange="nowhere"), commands.Exchange.DeleteOk),
    (commands.Exchange.Unbind(destination="nowhere", source="amq.topic"), commands.Exchange.UnbindOk),
    (commands.Basic.Cancel(consumer_tag="nobody"), commands.Basic.CancelOk),
    (commands.Channel.Flow(active=True), commands.Channel.FlowOk),
    (commands.Channel.Close(200, "", 0, 0), commands.Channel.CloseOk),
]


@pytest.mark.parametrize("case", HARMLESS, ids=named)
async def test_what_is_not_there_can_be_undone(case: tuple[Any, type], raw: RawClient) -> None:
    method, answer = case
    await raw.shake_hands()
    raw.send(commands.Channel.Open(), method, channel=1)
    assert isinstance(await raw.receive(), commands.Channel.OpenOk)

    assert isinstance(await raw.receive(), answer)


async def test_a_consumer_hears_that_its_queue_is_deleted(raw: RawClient) -> None:
    await raw.shake_hands()
    declare = commands.Queue.Declare(queue="", exclusive=True)
    raw.send(commands.Channel.Open(), declare, commands.Basic.Consume(consumer_tag="tag"), channel=1)
    assert [type(await raw.receive()) for _ in range(3)] == [
        commands.Channel.OpenOk,
        commands.Queue.DeclareOk,
        commands.Basic.ConsumeOk,
    ]

    raw.send(commands.Queue.Delete(), channel=1)

    told = [await raw.receive(), await raw.receive()]
    assert {type(method) for method in told} == {commands.Basic.Cancel, commands.Queue.DeleteOk}
    assert [method.consumer_tag for method in told if isinstance(method, commands.Basic.Cancel)] == ["tag"]


async def test_the_broker_says_that_it_is_there(raw: RawClient) -> None:
    await raw.shake_hands(heartbeat=1)

    assert isinstance(await raw.receive(), Heartbeat)


async def test_a_robust_connection_finds_a_broker_that_came_back(deadline: None) -> None:
    broker = EmbeddedRabbitMQ()
    connection = await aio_pika.connect_robust(broker.url, reconnect_interval=0.05)
    channel = await connection.channel()
    queue = await channel.declare_queue(auto_delete=True)
    inbox = await consume(queue, no_ack=True)
    back = asyncio.Event()
    connection.reconnect_callbacks.add(lambda *_: back.set())

    broker.close()
    with EmbeddedRabbitMQ(port=urlsplit(broker.url).port or 0):
        await back.wait()
        await channel.ready()
        await publish(channel, queue, b"x")

        assert (await inbox.get()).body == b"x"
        await connection.close()


async def test_brokers_and_virtual_hosts_share_nothing(embedded_rabbitmq: str) -> None:
    with EmbeddedRabbitMQ() as other:
        for url in (other.url, f"{embedded_rabbitmq}elsewhere"):
            async with (
                await aio_pika.connect(embedded_rabbitmq) as here,
                await aio_pika.connect(url) as there,
            ):
                name = (await (await here.channel()).declare_queue("mine", auto_delete=True)).name
                with pytest.raises(ChannelNotFoundEntity):
                    await (await there.channel()).declare_queue(name, passive=True)


def test_close_frees_the_port_and_may_be_done_twice() -> None:
    broker = EmbeddedRabbitMQ()
    broker.close()
    broker.close()

    with pytest.raises(ConnectionRefusedError), kombu.Connection(broker.url) as connection:
        connection.transport.establish_connection()  # `connect` waits two seconds before it tells


def test_a_port_in_use_is_an_error(embedded_rabbitmq: str) -> None:
    with pytest.raises(OSError, match="in use"):
        EmbeddedRabbitMQ(port=urlsplit(embedded_rabbitmq).port or 0)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    package = "interceptors.testing.embedded_rabbitmq."
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pamqp", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[rabbitmq\]'"):
        EmbeddedRabbitMQ()
