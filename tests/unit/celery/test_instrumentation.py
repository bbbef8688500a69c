"""Every app instrumented, and let go of again."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from interceptors import ConfigurationError, celery
from interceptors.celery.message import received
from interceptors.celery.publishing import RECEIPT
from interceptors.celery.working import receive
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Shop, Shops


DEADLINE = 20
"""Seconds after which what doesn't happen is given up."""


@pytest.fixture
def box(shop: Shops) -> Callable[[], Shop]:
    """Makes apps that nobody has connected by hand."""
    return lambda: shop("box", connected=False)


@pytest.fixture
def instrumented() -> Iterator[Callable[[Shop], None]]:
    """Instruments Celery with the tracing of one of them, until the test is over."""
    yield lambda shop: celery.instrument(shop.tracing)
    celery.uninstrument()


def names(shop: Shop) -> set[str]:
    """Send a task, and give the names of its headers."""
    shop.app.send_task("pack")
    return {name for name in shop.sent().headers if name in {HEADER_NAME, "traceparent", "argsrepr"}}


def test_apps_of_before_and_after_are_connected(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None]
) -> None:
    before = box()
    instrumented(before)
    after = box()

    assert [names(before), names(after)] == [{HEADER_NAME}] * 2


def test_a_task_goes_all_the_way(box: Callable[[], Shop], instrumented: Callable[[Shop], None]) -> None:
    shop = box()
    instrumented(shop)
    verdicts: list[str] = []

    @shop.task(bind=True)
    def pack(task: Any) -> None:
        verdicts.append(task.request.receipt.verdict)

    pack.delay()
    shop.work_off()

    assert verdicts == ["fresh"]
    assert shop.span("process", "pack").parent_span_id == shop.span("send", "pack").context.span_id


def test_afterwards_apps_are_as_they_were(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None]
) -> None:
    begin, shop = Celery.__init__, box()
    before = (shop.app.send_task, shop.app.loader.on_process_cleanup, set(shop.app.steps["consumer"]))
    instrumented(shop)
    during = box()
    assert Celery.__init__ is not begin

    celery.uninstrument()

    assert Celery.__init__ is begin
    loader, steps = shop.app.loader, shop.app.steps["consumer"]
    assert (shop.app.send_task, loader.on_process_cleanup, set(steps)) == before
    assert [HEADER_NAME in names(each) for each in (shop, during, box())] == [False] * 3


def test_instrumented_again_it_is_as_the_first_time(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None]
) -> None:
    shop = box()
    instrumented(shop)
    celery.uninstrument()
    instrumented(shop)

    assert names(shop) == {HEADER_NAME}
    assert len(shop.app.steps["consumer"]) == 1


def test_an_initializer_that_somebody_has_replaced_since_passes_on(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin: Any = Celery.__init__
    instrumented(box())
    ours: Any = Celery.__init__

    def since(app: Any, *args: Any, **settings: Any) -> None:
        ours(app, *args, **settings)

    monkeypatch.setattr(Celery, "__init__", since)
    assert HEADER_NAME in names(box())
    celery.uninstrument()

    assert HEADER_NAME not in names(box())
    monkeypatch.setattr(Celery, "__init__", begin)


def test_an_app_whose_send_task_somebody_has_wrapped_is_connected_once(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None]
) -> None:
    shop = box()
    instrumented(shop)
    inner = shop.app.send_task
    shop.app.send_task = functools.partial(inner)
    celery.uninstrument()
    assert HEADER_NAME not in names(shop)
    instrumented(shop)

    assert HEADER_NAME in names(shop)
    assert shop.span("send").task_name == "pack"


def test_what_is_connected_by_hand_is_left_to_that(
    box: Callable[[], Shop], shop: Shops, instrumented: Callable[[Shop], None]
) -> None:
    """Before or after; and stays connected."""
    other, before = box(), shop("before")
    instrumented(other)
    after = shop("after")
    during = [names(before), names(after)]
    celery.uninstrument()

    assert [*during, names(before), names(after)] == [{HEADER_NAME}] * 4
    assert [len(each.spans("send", "pack")) for each in (before, after, other)] == [2, 2, 0]
    with pytest.raises(ConfigurationError, match="connected already"):
        celery.connect(after.app, after.tracing)


def test_another_tracing_is_refused(box: Callable[[], Shop], instrumented: Callable[[Shop], None]) -> None:
    instrumented(box())

    with pytest.raises(ConfigurationError, match="uninstrument"):
        instrumented(box())


def test_a_worker_goes_on_when_it_is_over(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None]
) -> None:
    """What it runs then is traced still, and what it receives after that is not."""
    shop = box()
    instrumented(shop)
    running, go_on, ran = threading.Event(), threading.Event(), threading.Event()
    seen: list[tuple[int, bool]] = []

    @shop.task(bind=True)
    def pack(task: Any, number: int) -> None:
        seen.append((number, hasattr(task.request, "receipt")))
        running.set()
        assert go_on.wait(DEADLINE)
        if number == 2:
            ran.set()

    pack.delay(1)
    with shop.worker():
        assert running.wait(DEADLINE)
        celery.uninstrument()
        pack.delay(2)
        go_on.set()
        assert ran.wait(DEADLINE)

    assert seen == [(1, True), (2, False)]
    assert len(shop.spans("process", "pack")) == 1


def test_what_was_received_and_not_run_is_stripped_and_traced_still(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None]
) -> None:
    """With the receipt in its headers, no broker would take it were it published again."""
    shop = box()
    instrumented(shop)
    connection = shop.app.send_task.__self__  # which a worker has that runs
    seen: list[Any] = []

    @shop.task(bind=True)
    def pack(task: Any) -> None:
        seen.append((task.request.receipt, task.request.headers))

    receipt = receive(shop.tracing, received({"task": "pack", "id": "1"}, {"routing_key": "celery"}))
    celery.uninstrument()
    request = {RECEIPT: receipt, "headers": {RECEIPT: receipt, "name": "value"}, "delivery_info": {}}
    build_tracer("pack", pack, app=shop.app)("1", (), {}, request)
    del connection

    assert seen == [(receipt, {"name": "value"})]
    assert len(shop.spans("process", "pack")) == 1


@pytest.mark.parametrize("order", ["the peer first", "the peer last"])
def test_beside_a_peer_no_trace_goes_in_clear(
    box: Callable[[], Shop], instrumented: Callable[[Shop], None], *, order: str
) -> None:
    shop, provider = box(), TracerProvider(shutdown_on_exit=False)
    kind: Any = CeleryInstrumentor
    peer = kind()
    steps: list[Callable[[], object]] = [
        lambda: peer.instrument(tracer_provider=provider),
        lambda: instrumented(shop),
    ]
    try:
        for step in steps if order == "the peer first" else reversed(steps):
            step()
        with provider.get_tracer("application").start_as_current_span("work"):
            assert names(shop) == {HEADER_NAME}
    finally:
        peer.uninstrument()
