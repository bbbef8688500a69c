"""`connect`: to which app, how often, and what it says where it can't."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, current_app, signals
from celery.app.trace import build_tracer

from interceptors import ConfigurationError, Tracing
from interceptors.celery import connect
from interceptors.celery.message import received
from interceptors.celery.publishing import RECEIPT
from interceptors.celery.working import receive
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from interceptors.keys import MemoryKeys

    from .conftest import Shops


def test_an_app_is_connected_once(shop: Shops) -> None:
    orders = shop()
    with pytest.raises(ConfigurationError, match="'shop' is connected already; call connect once"):
        connect(orders.app, orders.tracing)
    orders.app.send_task("place")
    assert len(orders.spans("send")) == 1


def test_protocol_1_is_refused_with_a_way_out(shop: Shops) -> None:
    orders = shop(task_protocol=1)

    @orders.task()
    def place() -> None:
        raise AssertionError

    for send in (place.delay, lambda: orders.app.send_task("place", headers={"x-name": "value"})):
        with pytest.raises(ConfigurationError, match="set task_protocol = 2"):
            send()
    assert orders.taken() == []


def test_two_apps_have_a_tracing_each(shop: Shops) -> None:
    orders, billing = shop("orders", tenant="acme"), shop("billing", tenant="globex")
    for one in (orders, billing):

        @one.task(bind=True)
        def place(self: Any) -> str:
            return str(self.request.receipt.tenant)

        pending = place.delay()
        one.work_off()
        assert one.result(pending) == one.span("process", "place").tenant
        assert len(one.spans("send", "place")) == len(one.spans("process", "place")) == 1
    assert (orders.span("process", "place").service, orders.span("process", "place").tenant) == (
        "orders",
        "acme",
    )
    assert (billing.span("process", "place").service, billing.span("process", "place").tenant) == (
        "billing",
        "globex",
    )


def test_an_app_that_is_not_connected_stays_as_it_is(shop: Shops) -> None:
    orders = shop()
    other = Celery("other", broker="memory://", backend="cache+memory://", set_as_current=False)
    other.conf.update(orders.app.conf.changes)
    bare = type(orders)(other, orders.tracing, orders._sink)
    seen: list[Any] = []

    @bare.task(bind=True)
    def place(self: Any) -> None:
        seen.append((self.request.get("receipt"), self.request.argsrepr))

    place.delay()
    bare.work_off()
    assert seen == [(None, "()")]
    assert orders.spans("send") + orders.spans("process") == []


def test_the_current_app_by_its_proxy(shop: Shops, keys: MemoryKeys) -> None:
    orders = shop()
    app = Celery("proxied", broker="memory://", backend="cache+memory://")
    app.conf.update(orders.app.conf.changes)
    connect(current_app, orders.tracing)
    one = type(orders)(app, orders.tracing, orders._sink)

    @one.task(bind=True)
    def place(self: Any) -> str:
        return str(self.request.receipt.verdict)

    pending = place.delay()
    one.work_off()
    assert one.result(pending) == "fresh"
    assert len(one.spans("process", "place")) == 1


def test_an_app_may_be_connected_before_it_is_configured(keys: MemoryKeys) -> None:
    app = Celery("late", set_as_current=False)
    with Tracing.for_development("late", keys=keys) as tracing:
        connect(app, tracing)
        app.config_from_object({"broker_url": "memory://", "task_default_queue": "late"})
        app.send_task("place")
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("late", no_ack=True)
    assert HEADER_NAME in message.headers


def test_a_child_hands_its_spans_over_before_it_ends(shop: Shops) -> None:
    orders = shop()
    orders.app.send_task("place")
    sink = orders._sink
    assert sink.spans == []
    signals.worker_process_shutdown.send(sender=None, pid=1, exitcode=0)
    assert [span.task_name for span in sink.spans] == ["place"]


def test_threads_send_at_once(shop: Shops) -> None:
    orders = shop()
    barrier = threading.Barrier(4)

    def send(tenant: str) -> None:
        with orders.tracing.tenant(tenant):
            barrier.wait()
            for _ in range(20):
                orders.app.send_task(tenant)

    threads = [threading.Thread(target=send, args=(f"tenant-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = orders.spans("send")
    assert len(spans) == 80
    assert all(span.task_name == span.tenant for span in spans)
    orders.taken()


def test_a_task_that_a_worker_found_in_another_app_is_named(
    shop: Shops, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker looks tasks up in the current app, which need not be its own where it is embedded."""
    orders = shop()
    other = Celery("other", broker="memory://", backend="cache+memory://", set_as_current=False)
    ran: list[bool] = []

    @other.task(name="place", shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def place() -> None:
        ran.append(True)

    receipt = receive(orders.tracing, received({"task": "place", "id": "1"}, {"routing_key": "celery"}))

    build_tracer("place", place, app=other)("1", (), {}, {RECEIPT: receipt, "delivery_info": {}})

    assert ran == [True]
    assert "looked up in the app 'other', which is not connected" in caplog.text
