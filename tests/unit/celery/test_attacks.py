"""What somebody who may write to the broker puts beside an envelope: in a body, a routing key, a table."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Exchange, Queue

from interceptors.celery.message import received
from interceptors.celery.working import receive
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from .conftest import Shop, Shops


def with_body(message: Any, args: list[Any], **embedded: Any) -> Any:
    """A message whose body says something else."""
    _, kwargs, embed = json.loads(message.body)
    return SimpleNamespace(
        body=json.dumps([args, kwargs, embed | embedded]),
        content_type=message.content_type,
        content_encoding=message.content_encoding,
    )


def recording(shop: Shop) -> list[Any]:
    """Define the task `refund`, and note what each run sees."""
    runs: list[Any] = []

    @shop.task(bind=True)
    def refund(self: Any, amount: int) -> None:
        receipt = self.request.receipt
        runs.append((amount, receipt.verdict, receipt.tenant))

    return runs


EMBEDDED: list[dict[str, Any]] = [
    {"interceptors-receipt": "made up"},
    {"receipt": "made up", "processing": "made up"},
    {"headers": "no table"},
    {"task": "newsletter", "id": "other", "delivery_info": {"routing_key": "newsletters"}},
    {"is_eager": True},
]


@pytest.mark.parametrize("embedded", EMBEDDED, ids=",".join)
def test_a_body_can_put_nothing_in_the_place_of_the_receipt(shop: Shops, embedded: dict[str, Any]) -> None:
    orders = shop()
    runs = recording(orders)
    other = shop("mail", tenant="globex")
    other.app.send_task("newsletter", queue="newsletters")
    (foreign,) = other.taken("newsletters")
    orders.app.send_task("refund", (1,))
    message = orders.sent()
    embedded = embedded | {HEADER_NAME: foreign.headers[HEADER_NAME]}

    orders.put(with_body(message, [1], **embedded), message.headers)
    orders.work_off()

    assert runs == [(1, "fresh", "acme")]
    assert orders.span("process", "refund").parent_span_id == orders.span("send", "refund").context.span_id


@pytest.mark.parametrize(("binding", "verdict"), [("type", "fresh"), ("message", "invalid")])
def test_other_arguments_are_found_out_where_the_message_is_bound(
    shop: Shops, binding: str, verdict: str
) -> None:
    orders = shop(policy={"default": {"binding": binding}})
    runs = recording(orders)
    orders.app.send_task("refund", (1,))
    message = orders.sent()

    orders.put(with_body(message, [1_000_000]), message.headers)
    orders.work_off()

    assert [(amount, found) for amount, found, _ in runs] == [(1_000_000, verdict)]


@pytest.mark.parametrize("options", [{}, {"serializer": "yaml"}, {"compression": "gzip"}])
def test_a_bound_body_is_the_one_that_travels(shop: Shops, options: dict[str, str]) -> None:
    orders = shop(
        policy={"default": {"binding": "message", "accept": "reject"}}, accept_content=["json", "yaml"]
    )
    runs = recording(orders)

    orders.app.send_task("refund", (1,), **options)
    orders.work_off()

    assert runs == [(1, "fresh", "acme")]


def bound_by(shop: Shop, **keys: str) -> None:
    """Have a worker consume queues that are bound by other keys than their names."""
    topics = Exchange("topics", type="topic")
    shop.app.conf.task_queues = [
        Queue(shop.queue, Exchange(shop.queue), routing_key=shop.queue),
        *(Queue(name, topics, routing_key=key) for name, key in keys.items()),
    ]


@pytest.mark.parametrize("routing_key", ["payments", "pay", "nothing.of.the.sort", ""])
def test_a_routing_key_is_no_way_round_a_refusal(shop: Shops, routing_key: str) -> None:
    """Whatever the policy lists the queue by, and whatever the message says that it was routed by."""
    orders = shop(policy={"channels": [{"name": "p", "match": {"celery": ["pay"]}, "accept": "reject"}]})
    bound_by(orders, payments="pay")
    queues = orders.app.amqp.queues.values()
    message = received({"task": "refund", "id": "1"}, {"routing_key": routing_key}, None, queues)

    assert receive(orders.tracing, message).rejected


def test_a_task_of_a_topic_is_not_refused_for_another_queues_sake(shop: Shops) -> None:
    policy = {
        "channels": [
            {"name": "strict", "match": {"celery": ["strict"]}, "accept": "reject"},
            {"name": "pay", "match": {"celery": ["pay.*"]}},
        ]
    }
    orders = shop(policy=policy)
    bound_by(orders, payments="pay.#", strict="strict")
    queues = orders.app.amqp.queues.values()
    foreign = {"task": "refund", "id": "1"}

    taken = [
        receive(orders.tracing, received(foreign, {"routing_key": key}, None, queues)).rejected
        for key in ("pay.eu", "strict", "unknown")
    ]

    assert taken == [False, True, True]


def test_a_task_that_comes_round_over_a_wait_queue_is_a_redelivery(shop: Shops) -> None:
    orders = shop()
    orders.app.send_task("refund", (1,))
    headers = orders.sent().headers
    queues = orders.app.amqp.queues.values()
    info = {"routing_key": orders.queue, "redelivered": False}
    deaths = [{"queue": orders.queue, "reason": "rejected", "count": 1}]

    first = receive(orders.tracing, received(headers, info, None, queues))
    again = receive(orders.tracing, received(headers | {"x-death": deaths}, info, None, queues))
    copied = receive(orders.tracing, received(headers, info, None, queues))

    assert [one.verdict for one in (first, again, copied)] == ["fresh", "redelivery", "duplicate"]


@pytest.mark.parametrize("table", ["headers", "stamps"])
def test_a_trace_in_clear_does_not_leave_in_a_table_either(shop: Shops, table: str) -> None:
    orders = shop()
    nested = {"sentry-trace": "clear", "baggage": "clear", "mine": "kept"}

    orders.app.send_task("refund", (1,), headers={table: nested})

    assert orders.sent().headers[table] == {"mine": "kept"}
    assert nested["baggage"] == "clear"


def test_an_id_of_any_length_is_remembered_in_little(shop: Shops) -> None:
    long, other = "x" * 50_000, "x" * 49_999 + "y"
    coordinates = [received({"task": "t", "id": one}, {}).coordinate for one in (long, long, other)]

    assert coordinates[0] == coordinates[1] != coordinates[2]
    assert all(len(str(coordinate)) < 100 for coordinate in coordinates)
