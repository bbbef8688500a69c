"""What a worker makes of a message: the verdict, and what follows from it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, signals
from celery.exceptions import Reject

from interceptors import RejectedError
from interceptors.celery import connect
from interceptors.envelope import HEADER_NAME
from interceptors.errors import Answer
from interceptors.keys import MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.pipeline import Receipt

    from .conftest import Shop, Shops


class Clock:
    """The time, and as much later as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_s * 1_000_000_000


def recording(orders: Shop, *names: str) -> list[Receipt]:
    """Define tasks that keep what they were received with."""
    seen: list[Receipt] = []

    def run(self: Any) -> None:
        seen.append(self.request.receipt)

    for name in names:
        orders.app.task(run, name=name, bind=True, shared=False)
    return seen


@pytest.fixture
def rejected() -> Iterator[list[Any]]:
    """What `task_rejected` said."""
    heard: list[Any] = []

    def hear(message: Any, exc: Any, **_: object) -> None:
        heard.append((message.headers["task"], exc))

    signals.task_rejected.connect(hear)
    yield heard
    signals.task_rejected.disconnect(hear)


def verdicts(orders: Shop, task: str) -> list[str | None]:
    return [span.verdict for span in orders.spans("process", task)]


def test_a_fresh_message_continues_its_trace(shop: Shops) -> None:
    orders = shop()
    seen = recording(orders, "place")
    orders.app.send_task("place")
    orders.work_off()
    (receipt,) = seen
    sent, processed = orders.span("send", "place"), orders.span("process", "place")
    assert (receipt.verdict, receipt.tenant, receipt.sender) == ("fresh", "acme", "shop")
    assert (processed.verdict, processed.sender, processed.tenant) == ("fresh", "shop", "acme")
    assert processed.context.trace_id == sent.context.trace_id
    assert processed.parent_span_id == sent.context.span_id


@pytest.mark.parametrize(("accept", "verdict"), [("optional", None), ("required", "missing")])
def test_a_message_of_somebody_else_starts_a_trace(shop: Shops, accept: str, verdict: str | None) -> None:
    orders = shop(policy={"default": {"accept": accept}})
    seen = recording(orders, "place")
    foreign = Celery("foreign", broker="memory://", set_as_current=False)
    foreign.conf.task_default_queue = orders.queue
    foreign.send_task("place", headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    orders.work_off()
    assert [receipt.verdict for receipt in seen] == [verdict]
    processed = orders.span("process", "place")
    assert (processed.parent_span_id, processed.links, processed.tenant) == (None, (), "acme")
    assert processed.context.trace_id != bytes.fromhex("ab" * 16)


@pytest.mark.parametrize("payload", [{"args": ["book"]}, {}], ids=["args", "none"])
def test_a_message_of_protocol_1_is_one_without_an_envelope(
    shop: Shops, caplog: pytest.LogCaptureFixture, payload: dict[str, Any]
) -> None:
    orders = shop(policy={"default": {"accept": "required"}})
    seen: list[Any] = []

    @orders.task(bind=True)
    def place(self: Any, article: str = "") -> None:
        seen.append((article, self.request.receipt.verdict, self.request.headers["x-name"]))

    with orders.app.connection_for_write() as connection:
        orders.app.amqp.Producer(connection, auto_declare=False).publish(
            {"task": "place", "id": "1", **payload},
            headers={"x-name": "value"},
            exchange="",
            routing_key=orders.queue,
        )
    orders.work_off()
    assert seen == [("".join(payload.get("args", ())), "missing", "value")]
    assert [one for one in caplog.records if one.name.startswith("interceptors")] == []


def test_a_message_under_another_tasks_name_is_found_out(shop: Shops) -> None:
    orders = shop()
    seen = recording(orders, "place", "refund")
    orders.app.send_task("place")
    message = orders.sent()
    for _ in range(2):
        orders.put(message, message.headers | {"task": "refund"})
    orders.work_off()
    assert [(one.verdict, one.answer) for one in seen] == [("invalid", Answer.NOT_AUTHENTIC)] * 2
    trace = orders.span("send", "place").context.trace_id
    assert trace not in {span.context.trace_id for span in orders.spans("process", "refund")}


def test_a_message_in_another_queue_is_found_out(shop: Shops) -> None:
    orders = shop()
    seen = recording(orders, "place")
    elsewhere = f"{orders.queue}-elsewhere"
    orders.app.send_task("place")
    message = orders.sent()
    orders.put(message, message.headers, elsewhere)
    with orders.worker(queues=[elsewhere]):
        pending = orders.app.AsyncResult(message.headers["id"])
        assert orders.result(pending) is None
    assert [(one.verdict, one.answer) for one in seen] == [("invalid", Answer.NOT_AUTHENTIC)]


def test_queues_that_are_one_channel_are_one(shop: Shops) -> None:
    channels = [{"name": "orders", "match": {"celery": ["orders-*"]}}]
    orders = shop(policy={"channels": channels})
    seen = recording(orders, "place")
    elsewhere = f"{orders.queue}-elsewhere"
    orders.app.send_task("place", queue=elsewhere)
    (message,) = orders.taken(elsewhere)
    orders.put(message, message.headers)
    orders.work_off()
    assert [(one.verdict, one.channel.name) for one in seen] == [("fresh", "orders")]


@pytest.mark.parametrize(
    ("binding", "verdict", "answer"),
    [("type", "duplicate", None), ("message", "invalid", Answer.NOT_AUTHENTIC)],
)
def test_a_message_under_another_id(shop: Shops, binding: str, verdict: str, answer: Answer | None) -> None:
    orders = shop(policy={"default": {"binding": binding}})
    seen = recording(orders, "place")
    orders.app.send_task("place")
    message = orders.sent()
    orders.put(message, message.headers)
    orders.put(message, message.headers | {"id": "another"})
    orders.work_off()
    assert [(one.verdict, one.answer) for one in seen] == [("fresh", None), (verdict, answer)]


def test_a_message_under_another_id_is_a_replay_later_on(shop: Shops) -> None:
    clock = Clock()
    orders = shop(clock=clock)
    recording(orders, "place")
    orders.app.send_task("place")
    message = orders.sent()
    orders.put(message, message.headers)
    orders.work_off()
    clock.ahead_s = 3 * 60
    orders.put(message, message.headers | {"id": "another"})
    orders.work_off()
    first, second = orders.spans("process", "place")
    assert (first.verdict, second.verdict) == ("fresh", "replay")
    assert second.context.trace_id != first.context.trace_id
    assert [link.span_id for link in second.links] == [orders.span("send", "place").context.span_id]


def test_a_message_that_comes_again_is_a_redelivery(shop: Shops) -> None:
    orders = shop()
    recording(orders, "place")
    orders.app.send_task("place")
    message = orders.sent()
    for _ in range(3):
        orders.put(message, message.headers)
    orders.work_off()
    assert verdicts(orders, "place") == ["fresh", "redelivery", "redelivery"]
    trace = orders.span("send", "place").context.trace_id
    assert {span.context.trace_id for span in orders.spans("process", "place")} == {trace}


def test_a_message_that_the_task_puts_back_keeps_its_envelope(shop: Shops) -> None:
    orders = shop()
    runs: list[Any] = []
    over = threading.Event()

    @orders.task(bind=True, acks_late=True)
    def place(self: Any) -> None:
        runs.append((self.request.receipt.verdict, self.request.headers))
        if len(runs) == 1:
            raise Reject("not now", requeue=True)
        over.set()

    place.apply_async(headers={"x-name": "value"})
    with orders.worker():
        assert over.wait(20)
    assert runs == [("fresh", {"x-name": "value"}), ("redelivery", {"x-name": "value"})]
    assert [span.error_type for span in orders.spans("process")] == ["Reject", None]


def test_an_envelope_of_unknown_keys_is_invalid(shop: Shops) -> None:
    orders, foreign = shop(), shop("foreign", own_keys=MemoryKeys("foreign"))
    seen = recording(orders, "place")
    foreign.app.send_task("place")
    message = foreign.sent()
    orders.put(message, message.headers)
    orders.work_off()
    assert [(one.verdict, one.answer) for one in seen] == [("invalid", Answer.UNKNOWN_KEY)]


@pytest.mark.parametrize("envelope", [None, 7, True, [], {}, "", "é", "E" * 164, ["EQE"]])
def test_any_value_may_be_in_the_envelopes_header(shop: Shops, envelope: object) -> None:
    orders = shop()
    seen = recording(orders, "place")
    orders.app.send_task("place")
    message = orders.sent()
    orders.put(message, message.headers | {HEADER_NAME: envelope})
    orders.work_off()
    assert [one.verdict for one in seen] == ["invalid"]


def test_headers_that_look_like_celerys_own_cost_no_verdict(shop: Shops) -> None:
    orders = shop()
    runs: list[Any] = []

    @orders.task(bind=True)
    def place(self: Any) -> None:
        runs.append((self.request.receipt.verdict, HEADER_NAME in vars(self.request)))

    place.delay()
    message = orders.sent()
    for headers in (
        {"headers": [1]},
        {"receipt": "forged"},
        {"processing": 1},
        {"interceptors-receipt": "x"},
    ):
        orders.put(message, message.headers | headers)
    orders.work_off()
    assert runs == [("fresh", False)] + [("redelivery", False)] * 3


@pytest.mark.parametrize("remade", [False, True], ids=["started", "reloaded"])
def test_what_the_policy_refuses_does_not_run(shop: Shops, rejected: list[Any], *, remade: bool) -> None:
    orders = shop(policy={"default": {"accept": "reject"}})
    ran: list[str] = []

    @orders.task()
    def refund() -> None:
        ran.append("refund")

    @orders.task()
    def place() -> str:
        return "placed"

    orders.app.send_task("place")
    message = orders.sent()
    with orders.worker() as worker:
        if remade:
            worker.consumer.update_strategies()
        orders.put(message, message.headers | {"task": "refund"})
        orders.put(message, {name: message.headers[name] for name in message.headers if name != HEADER_NAME})
        assert orders.result(place.delay()) == "placed"
    assert ran == []
    assert orders.taken() == []
    assert [(task, error.channel, error.verdict) for task, error in rejected] == [
        ("refund", orders.queue, "invalid"),
        ("place", orders.queue, "missing"),
    ]
    assert all(isinstance(error, RejectedError) for _, error in rejected)
    assert rejected[0][1].coordinate == (message.headers["id"], 0)
    assert len(orders.spans("process")) == 1
    assert orders.tracing.counts["rejected"] == 2


def test_accept_none_opens_nothing(shop: Shops) -> None:
    orders = shop(policy={"default": {"accept": "none"}})
    runs: list[Any] = []

    @orders.task(bind=True)
    def place(self: Any) -> None:
        runs.append((self.request.receipt.verdict, HEADER_NAME in vars(self.request), self.request.headers))

    place.delay()
    orders.work_off()
    assert runs == [(None, False, None)]
    assert orders.spans("process") == []


def test_a_worker_that_was_started_before_says_so(
    shop: Shops, keys: MemoryKeys, caplog: pytest.LogCaptureFixture
) -> None:
    orders = shop()
    late = Celery("late", broker="memory://", backend="cache+memory://", set_as_current=False)
    late.conf.update(orders.app.conf.changes)
    late_shop = type(orders)(late, orders.tracing, orders._sink)
    seen = recording(late_shop, "place")
    pending = orders.app.send_task("place")
    message = orders.sent()
    with late_shop.worker():
        connect(late, orders.tracing)
        orders.put(message, message.headers)
        assert late_shop.result(late.AsyncResult(pending.id)) is None
    assert [one.verdict for one in seen] == [None]
    (said,) = [one for one in caplog.records if one.name == "interceptors.celery"]
    assert said.levelno == logging.ERROR
    assert "connect(app, tracing) where the app is made" in said.message
