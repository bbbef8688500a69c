"""What a task looks like on the bus, and what may stop it from getting there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord, group, signals
from celery.beat import Scheduler

from interceptors import LeakError, Tracing
from interceptors.celery.publishing import TracedProducer
from interceptors.envelope import HEADER_NAME, from_text

if TYPE_CHECKING:
    from interceptors.context import TraceContext
    from interceptors.message import Message
    from interceptors.tracing import Sending

    from .conftest import Shop, Shops

CLEAR = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "baggage": "user=7", "B3": "0", "x-name": "value"}


class Blocking(Tracing):
    """One whose policy blocks some tasks."""

    def send(self, message: Message, *, attempt: TraceContext | None = None) -> Sending:
        if message.type.endswith("blocked"):
            raise LeakError("blocked")
        return super().send(message, attempt=attempt)


def sent_event(orders: Shop, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Send the task `place`, and give the event that says that it was sent."""
    seen: list[dict[str, Any]] = []
    with orders.app.connection_for_read() as connection:
        receiver = orders.app.events.Receiver(connection, handlers={"task-sent": seen.append})
        with receiver.consumer_context() as (_, channel, _consumers):
            orders.app.send_task("place", *arguments, **options)
            while not seen:
                channel.connection.client.drain_events(timeout=5)
    (event,) = seen
    return event


def test_the_envelope_is_one_flat_text(shop: Shops) -> None:
    orders = shop()
    orders.app.send_task("place", (1,))
    headers = orders.sent().headers
    assert re.fullmatch("[A-Za-z0-9_-]+", headers[HEADER_NAME], re.ASCII)
    assert from_text(headers[HEADER_NAME])[:1] == b"\x11"
    assert [name for name in headers if "interceptors" in name] == []
    span = orders.span("send")
    assert (span.system, span.channel, span.task_name) == ("celery", orders.queue, "place")


def test_what_celery_tells_of_a_task_is_removed(shop: Shops) -> None:
    orders = shop()
    orders.app.send_task("place", ("argument",), {"key": "word"})
    message = orders.sent()
    assert {"argsrepr", "kwargsrepr", "origin"} & message.headers.keys() == set()
    assert message.decode()[:2] == [["argument"], {"key": "word"}]


def test_what_celery_tells_of_a_task_is_kept_where_the_policy_says_so(shop: Shops) -> None:
    orders = shop(policy={"default": {"task_metadata": "kept"}})
    orders.app.send_task("place", ("argument",), {"key": "word"})
    headers = orders.sent().headers
    assert headers["argsrepr"] == "('argument',)"
    assert headers["kwargsrepr"] == "{'key': 'word'}"
    assert "@" in headers["origin"]


@pytest.mark.parametrize(
    ("rules", "args", "kwargs"),
    [({}, "", ""), ({"task_metadata": "kept"}, "('argument',)", "{'key': 'word'}")],
    ids=["removed", "kept"],
)
def test_the_event_that_says_it_was_sent_tells_no_more(
    shop: Shops, rules: dict[str, str], args: str, kwargs: str
) -> None:
    orders = shop(policy={"default": rules}, task_send_sent_event=True)
    event = sent_event(orders, ("argument",), {"key": "word"}, task_id="1")
    told = (event["args"], event["kwargs"], event["name"], event["uuid"])
    assert told == (args, kwargs, "place", "1")
    assert HEADER_NAME in orders.sent().headers


@pytest.mark.parametrize(
    "payload",
    [{"on_leak": "redact"}, {"on_leak": "redact", "allow": [{"class": "personal.email", "path": "$[0][0]"}]}],
    ids=["in the body as well", "in headers alone"],
)
def test_where_arguments_are_redacted_the_event_that_says_it_was_sent_tells_none(
    shop: Shops, payload: dict[str, Any]
) -> None:
    rules = {"task_metadata": "kept", "payload": payload}
    orders = shop(policy={"default": rules}, task_send_sent_event=True)

    event = sent_event(orders, ("jo.doe@example.com",))

    assert (event["args"], event["kwargs"]) == ("", "")
    in_body = "allow" not in payload
    assert orders.sent().headers.get("argsrepr") == (None if in_body else f"('{'*' * 18}',)")


def test_what_a_field_takes_out_of_the_arguments_is_quoted_nowhere(shop: Shops) -> None:
    field = {"path": "$[0][0]", "class": "personal.name", "handling": "drop"}
    rules = {"task_metadata": "kept", "fields": [field]}
    orders = shop(policy={"default": rules}, task_send_sent_event=True)

    event = sent_event(orders, ("A Person",))

    message = orders.sent()
    assert "A Person" not in f"{event} {message.headers} {message.body}"
    assert message.payload[0] == [""]


def test_where_something_else_is_taken_out_the_event_quotes_the_arguments_still(shop: Shops) -> None:
    rules = {"task_metadata": "kept", "payload": {"on_leak": "redact"}}
    orders = shop(policy={"default": rules}, task_send_sent_event=True)

    event = sent_event(orders, ("a",), headers=CLEAR | {"contact": "b@example.com"})

    assert (event["args"], event["kwargs"]) == ("('a',)", "{}")
    headers = orders.sent().headers
    assert (headers["contact"], "traceparent" in headers) == ("*" * 13, False)


def test_where_somebody_else_takes_the_quotes_out_the_event_tells_none(shop: Shops) -> None:
    orders = shop(policy={"default": {"task_metadata": "kept"}}, task_send_sent_event=True)

    def take(headers: dict[str, Any], **_: object) -> None:
        del headers["kwargsrepr"]

    signals.before_task_publish.connect(take)
    event = sent_event(orders, ("argument",), {"key": "word"})
    signals.before_task_publish.disconnect(take)

    assert (event["args"], event["kwargs"]) == ("", "")


@pytest.mark.parametrize("rule", ["removed", "kept"])
def test_what_celery_tells_of_a_task_is_looked_into_only_where_it_is_kept(shop: Shops, rule: str) -> None:
    payload = {"on_leak": "observe", "allow": [{"class": "personal.email", "path": "$[0][0]"}]}
    orders = shop(policy={"default": {"task_metadata": rule, "payload": payload}})

    orders.app.send_task("place", ("jo.doe@example.com",))

    assert orders.tracing.counts["personal.email sent"] == (rule == "kept")


def test_a_task_keeps_the_id_and_the_name_that_it_is_known_by(shop: Shops) -> None:
    orders = shop(policy={"default": {"payload": {"on_leak": "redact"}}})
    ran: list[str] = []

    @orders.task(bind=True)
    def place(task: Any, to: str) -> None:
        ran.append(f"{task.request.id} {to} {task.request.contact}")

    pending = place.apply_async(("a",), task_id="jo.doe@example.com", headers={"contact": "b@example.com"})
    orders.work_off()

    assert ran == [f"{pending.id} a *************"]
    assert orders.tracing.counts["found where nothing can be replaced"] == 2


def test_clear_trace_headers_do_not_go_with_an_envelope(shop: Shops) -> None:
    orders = shop()
    given = dict(CLEAR)
    orders.app.send_task("place", headers=given)
    headers = orders.sent().headers
    assert headers.keys() & CLEAR.keys() == {"x-name"}
    assert given == CLEAR


def test_clear_trace_headers_go_where_nothing_is_sealed(shop: Shops) -> None:
    orders = shop(policy={"default": {"emit": "none"}})
    orders.app.send_task("place", headers=CLEAR)
    headers = orders.sent().headers
    assert headers.items() >= CLEAR.items()
    assert HEADER_NAME not in headers
    assert orders.spans("send") == []


def test_a_receiver_of_a_signal_can_add_no_clear_header(shop: Shops) -> None:
    orders = shop()

    def add(headers: dict[str, Any], **_: object) -> None:
        headers.update(CLEAR)
        headers[HEADER_NAME] = "forged"

    signals.before_task_publish.connect(add)
    orders.app.send_task("place")
    signals.before_task_publish.disconnect(add)
    headers = orders.sent().headers
    assert headers.keys() & CLEAR.keys() == {"x-name"}
    assert headers[HEADER_NAME] != "forged"


@pytest.mark.parametrize("rules", [{}, {"emit": "none"}], ids=["sealed", "none"])
def test_the_envelope_of_an_earlier_message_is_not_sent_on(shop: Shops, rules: dict[str, str]) -> None:
    orders = shop(policy={"default": rules})
    earlier = {HEADER_NAME: "earlier"}
    orders.app.send_task("place", headers=earlier)
    headers = orders.sent().headers
    assert headers.get(HEADER_NAME) != "earlier"
    assert (HEADER_NAME in headers) is (rules == {})


def test_a_task_is_bound_to_its_name_and_where_the_policy_asks_to_its_id(shop: Shops) -> None:
    for binding, level in ((None, 2), ("channel", 1), ("message", 3)):
        orders = shop(policy={"default": {"binding": binding} if binding else {}})
        orders.app.send_task("place")
        assert from_text(orders.sent().headers[HEADER_NAME])[1] == level


def test_what_the_policy_blocks_raises_in_the_caller(shop: Shops) -> None:
    orders = shop(kind=Blocking)
    published: list[object] = []

    def note(sender: object, **_: object) -> None:
        published.append(sender)

    signals.after_task_publish.connect(note)

    @orders.task()
    def blocked(*_: object) -> None:
        raise AssertionError

    @orders.task()
    def unlock(*_: object) -> None:
        raise AssertionError

    one = blocked.si()
    for call in (
        blocked.delay,
        one.apply_async,
        lambda: orders.app.send_task("blocked"),
        group(one, one, app=orders.app).apply_async,
        chain(one, unlock.si(), app=orders.app).apply_async,
        lambda: chord([one, one], app=orders.app)(unlock.si()),
    ):
        with pytest.raises(LeakError, match="blocked"):
            call()
    signals.after_task_publish.disconnect(note)
    assert orders.taken() == []
    assert published == []


# How Celery reports that a callback could not be published.
@pytest.mark.filterwarnings("ignore:Exception raised outside body:RuntimeWarning")
def test_a_blocked_callback_does_not_run(shop: Shops) -> None:
    orders = shop(kind=Blocking)
    ran: list[str] = []

    @orders.task()
    def place() -> None:
        ran.append("place")

    @orders.task()
    def blocked() -> None:
        ran.append("blocked")

    with orders.worker():
        pending = chain(place.si(), blocked.si(), app=orders.app).apply_async()
        assert isinstance(orders.result(pending.parent), LeakError)
    assert ran == ["place"]
    assert orders.taken() == []
    assert orders.span("process").error_type == "LeakError"


@pytest.mark.parametrize("way", ["connection", "producer", "publisher"])
def test_the_callers_connection_is_used(shop: Shops, way: str) -> None:
    orders = shop()

    @orders.task()
    def place() -> None:
        raise AssertionError

    with orders.app.connection_for_write() as connection:
        given = connection if way == "connection" else orders.app.amqp.Producer(connection)
        place.apply_async(**{way: given})
        assert connection.connected
    assert HEADER_NAME in orders.sent().headers


def test_beat_sends_sealed(shop: Shops) -> None:
    orders = shop(
        beat_schedule={
            "known": {"task": "place", "schedule": 0},
            "by name": {"task": "elsewhere", "schedule": 0},
        }
    )

    @orders.task()
    def place() -> None:
        raise AssertionError

    beat = Scheduler(app=orders.app)
    beat.tick()
    beat.tick()
    sent = orders.taken()
    assert {message.headers["task"] for message in sent} == {"place", "elsewhere"}
    assert all(HEADER_NAME in message.headers for message in sent)
    assert len({span.context.trace_id for span in orders.spans("send")}) == 2


def test_a_repr_shows_nothing_of_the_broker(shop: Shops) -> None:
    orders = shop()
    with orders.app.producer_or_acquire(None) as producer:
        assert repr(TracedProducer(producer, orders.tracing)) == "TracedProducer(Producer)"
