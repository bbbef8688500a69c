"""What a task sees while it runs, and what its span says of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, Task, signals
from celery.app.trace import ExceptionInfo
from celery.exceptions import Ignore, Reject, WorkerLostError
from celery.worker.request import Request
from celery.worker.state import revoked
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.trace import get_current_span

from interceptors.celery.publishing import RECEIPT
from interceptors.context import current, current_tenant
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Shop, Shops


class Warehouse(Task):  # type: ignore[misc]  # Celery has no types
    """A task class of a user's."""

    seen: list[Any] = []  # noqa: RUF012 - what Celery makes of the class is one object for each task

    def before_start(self, *_: object) -> None:
        self.seen.append(("before", current(), self.request.receipt.verdict))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(("call", current(), self.request.receipt.verdict))
        return self.run(*args, **kwargs)


class Noting(Request):  # type: ignore[misc]  # Celery has no types
    """A request class of a user's, in the worker's main process."""

    seen: list[Any] = []  # noqa: RUF012 - as above

    def __init__(self, message: Any, **options: Any) -> None:
        super().__init__(message, **options)
        self.seen.append(HEADER_NAME in self.request_dict or HEADER_NAME in self.message.headers)


def test_span_and_tenant_are_current_in_the_task_and_not_after_it(shop: Shops) -> None:
    orders = shop()
    seen: list[Any] = []

    def after(**_: object) -> None:
        seen.append((current(), current_tenant()))

    @orders.task()
    def place() -> None:
        span = get_current_span().get_span_context()
        seen.append((span.trace_id.to_bytes(16, "big"), span.span_id.to_bytes(8, "big"), current_tenant()))

    signals.task_postrun.connect(after)  # behind ours
    with orders.tracing.tenant("globex"):
        place.delay()
    orders.work_off()
    signals.task_postrun.disconnect(after)
    processed = orders.span("process", "place")
    assert seen[:2] == [(processed.context.trace_id, processed.context.span_id, "globex"), (None, None)]
    assert processed.tenant == "globex"


def test_what_a_task_sends_belongs_to_its_tenant_and_trace(shop: Shops) -> None:
    orders = shop()

    @orders.task()
    def place() -> None:
        orders.app.send_task("ship", queue="elsewhere")

    with orders.tracing.tenant("globex"):
        place.delay()
    orders.work_off()
    sent, processed = orders.span("send", "ship"), orders.span("process", "place")
    assert (sent.tenant, sent.parent_span_id) == ("globex", processed.context.span_id)
    orders.taken("elsewhere")


def test_the_request_holds_nothing_of_the_envelope(shop: Shops) -> None:
    orders = shop()
    seen: list[Any] = []

    @orders.task(bind=True)
    def place(self: Any) -> None:
        request = self.request
        names = vars(request).keys() | (request.headers or {}).keys()
        seen.append((names & {HEADER_NAME, RECEIPT}, request.headers, request.get("x-name")))

    place.delay()
    place.apply_async(headers={"x-name": "value"})
    orders.work_off()
    assert seen == [(set(), None, None), (set(), {"x-name": "value"}, "value")]


def test_receivers_of_task_prerun_see_no_envelope(shop: Shops) -> None:
    seen: dict[str, Any] = {}

    def look(when: str, task: Any) -> None:
        if task.name == "place":
            request = task.request
            seen[when] = (vars(request).keys() & {HEADER_NAME, RECEIPT}, (request.headers or {}).keys())

    def before(task: Any, **_: object) -> None:
        look("before", task)

    def behind(task: Any, **_: object) -> None:
        look("behind", task)

    signals.task_prerun.connect(before)
    orders = shop()
    signals.task_prerun.connect(behind)

    @orders.task()
    def place() -> None:
        """Do nothing."""

    place.apply_async(headers={"x-name": "value"})
    orders.work_off()
    for receiver in (before, behind):
        signals.task_prerun.disconnect(receiver)
    # One that was connected before `connect` finds the receipt, whose repr hides what the envelope hid.
    assert seen == {"before": ({RECEIPT}, {"x-name", RECEIPT}), "behind": (set(), {"x-name"})}


def test_a_tasks_own_classes_work_as_they_do(shop: Shops) -> None:
    Warehouse.seen.clear()
    Noting.seen.clear()
    orders = shop(main=lambda *args, **options: Celery(*args, task_cls=Warehouse, **options))

    @orders.task(Request=Noting)
    def place() -> str:
        return "placed"

    pending = place.delay()
    orders.work_off()
    assert orders.result(pending) == "placed"
    context = orders.span("process", "place").context
    assert Warehouse.seen[:2] == [("before", context, "fresh"), ("call", context, "fresh")]
    assert Noting.seen == [False]


def test_queue_time(shop: Shops) -> None:
    now_ms = 1_790_000_000_000
    orders = shop(clock=lambda: now_ms * 1_000_000)

    @orders.task()
    def place() -> None:
        """Do nothing."""

    place.delay()
    now_ms += 1_500
    orders.work_off()
    assert orders.span("process", "place").queue_time_ms == 1_500


class DeliveryError(Exception):
    """A business error."""


# The canary is in the text of each.
@pytest.mark.parametrize(
    ("error", "name"),
    [
        (DeliveryError("secret"), "DeliveryError"),
        (KeyError("secret"), "KeyError"),
        (Ignore("secret"), None),
        (Reject("secret", requeue=False), "Reject"),
    ],
    ids=["own", "built in", "ignored", "rejected"],
)
def test_of_an_error_its_class_is_recorded(shop: Shops, error: Exception, name: str | None) -> None:
    orders = shop()

    @orders.task()
    def place() -> None:
        raise error

    place.delay()
    orders.work_off()
    assert orders.span("process", "place").error_type == name


def attempts(orders: Shop) -> None:
    """Hold that the attempts of `place` are siblings, each with a link to what sent it."""
    first, *retries = sends = orders.spans("send", "place")
    processed = orders.spans("process", "place")
    assert len(processed) == len(sends) == 3
    assert {span.parent_span_id for span in processed} == {first.context.span_id}
    assert {span.context.trace_id for span in [*sends, *processed]} == {first.context.trace_id}
    assert processed[0].links == ()
    assert [span.links[0].span_id for span in processed[1:]] == [span.context.span_id for span in retries]
    # What sent a retry is below the attempt that asked for it.
    assert [span.parent_span_id for span in retries] == [span.context.span_id for span in processed[:-1]]
    assert [span.verdict for span in processed] == ["fresh"] * 3


def by_hand(task: Any) -> None:
    if task.request.retries < 2:
        raise task.retry(exc=DeliveryError("secret"), countdown=task.request.retries * 0.01)


def by_itself(task: Any) -> None:
    if task.request.retries < 2:
        raise DeliveryError("secret")


def with_headers(task: Any) -> None:
    if task.request.retries < 2:
        raise task.retry(countdown=0, headers={"x-name": "value", HEADER_NAME: "earlier"})


@pytest.mark.parametrize(
    ("run", "error"), [(by_hand, "DeliveryError"), (by_itself, "DeliveryError"), (with_headers, "Retry")]
)
@pytest.mark.parametrize("above", [False, True], ids=["outside", "in a span"])
def test_retries_are_siblings(shop: Shops, run: Callable[[Any], None], error: str, *, above: bool) -> None:
    orders = shop()
    linked = threading.Event()

    @orders.task()
    def start() -> None:
        place.apply_async(headers={"x-name": "value"}, link=shipped.si())

    @orders.task()
    def shipped() -> None:
        linked.set()

    @orders.task(bind=True, autoretry_for=(DeliveryError,), retry_backoff=False, default_retry_delay=0)
    def place(self: Any) -> str:
        assert self.request.headers == {"x-name": "value"}
        run(self)
        return "placed"

    with orders.tracing.tenant("globex"):
        (start.delay if above else start)()
    with orders.worker():
        assert linked.wait(20)
    attempts(orders)
    processed = orders.spans("process", "place")
    assert [span.error_type for span in processed] == [error, error, None]
    assert {span.tenant for span in processed} == {"globex"}
    assert orders.above(orders.span("process", "shipped")) is processed[-1]


def test_the_main_process_retries_for_a_child_that_was_lost(shop: Shops) -> None:
    orders = shop(policy={"default": {"labels": {"region": {"values": ["eu"]}}}})
    requests: list[Any] = []

    def keep(request: Any, **_: object) -> None:
        requests.append(request)

    @orders.task(retry_on_worker_lost=True, default_retry_delay=0)
    def place() -> None:
        """Do nothing."""

    signals.task_received.connect(keep)
    token = otel_context.attach(baggage.set_baggage("region", "eu"))
    with orders.tracing.tenant("globex"):
        place.apply_async(headers={"x-name": "value"})
    otel_context.detach(token)
    orders.work_off()
    signals.task_received.disconnect(keep)
    requests[0].task.backend.forget(requests[0].id)  # as a child that is lost leaves no result
    with pytest.raises(WorkerLostError) as lost:
        raise WorkerLostError
    requests[0].on_failure(ExceptionInfo((lost.type, lost.value, lost.tb)))
    orders.work_off()

    first, retry = orders.spans("send", "place")
    attempt, second = orders.spans("process", "place")
    assert {span.tenant for span in (first, retry, attempt, second)} == {"globex"}
    assert attempt.parent_span_id == second.parent_span_id == retry.parent_span_id == first.context.span_id
    assert [link.span_id for link in second.links] == [retry.context.span_id]
    assert [span.labels for span in (first, attempt, retry, second)] == [{"region": "eu"}] * 4
    assert current() is None


def test_an_eager_task_crosses_no_bus(shop: Shops) -> None:
    orders = shop(task_always_eager=True)
    seen: list[Any] = []

    @orders.task(bind=True)
    def place(self: Any) -> str:
        seen.append((current(), self.request.get("receipt"), self.request.get("processing")))
        return "placed"

    assert place.delay().get() == "placed"
    assert place.apply().get() == "placed"
    assert place() == "placed"
    assert seen == [(None, None, None)] * 3
    assert current() is None
    assert orders.spans("send") + orders.spans("process") == []
    assert orders.taken() == []


def test_an_eager_task_in_a_task_leaves_its_span_current(shop: Shops) -> None:
    orders = shop()
    seen: list[Any] = []

    @orders.task()
    def inner() -> None:
        seen.append(current())
        raise DeliveryError

    @orders.task(bind=True)
    def place(self: Any) -> None:
        inner.apply()
        seen.append(current())

    place.delay()
    orders.work_off()
    processed = orders.span("process", "place")
    assert seen == [processed.context] * 2
    assert processed.error_type is None
    assert orders.spans("process", "inner") == []


def test_a_revoked_and_an_expired_task_have_no_process_span(shop: Shops) -> None:
    orders = shop()
    gone: list[Any] = []

    def hear(request: Any, expired: bool, **_: object) -> None:  # noqa: FBT001 - Celery's
        gone.append((request.id, expired))

    @orders.task()
    def place() -> None:
        raise AssertionError

    signals.task_revoked.connect(hear)
    place.apply_async(task_id="expired", expires=datetime.now(UTC) - timedelta(seconds=5))
    place.apply_async(task_id="revoked")
    revoked.add("revoked")
    orders.work_off()
    revoked.discard("revoked")
    signals.task_revoked.disconnect(hear)
    assert gone == [("expired", True), ("revoked", False)]
    assert orders.spans("process", "place") == []
    assert orders.taken() == []


def plain(orders: Shop) -> Shop:
    """The same app, connected to nothing."""
    app = Celery(orders.app.main, broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(orders.app.conf.changes)
    return type(orders)(app, orders.tracing, orders._sink)


@pytest.mark.parametrize("extended", [False, True])
def test_results_are_those_of_plain_celery(shop: Shops, *, extended: bool) -> None:
    orders = shop(result_extended=extended, task_track_started=True)
    stored: list[Any] = []
    for one in (orders, plain(orders)):

        @one.task()
        def place(article: str) -> list[str]:
            return [article]

        @one.task()
        def fail() -> None:
            raise DeliveryError("reason")

        placed, failed = (
            task.apply_async(args, task_id=task.name, headers={"x-name": "value"})
            for task, args in ((place, ("book",)), (fail, ()))
        )
        one.work_off()
        assert one.result(placed) == ["book"]
        assert isinstance(one.result(failed), DeliveryError)
        for pending in (placed, failed):
            meta = dict(one.app.backend.get_task_meta(pending.id))
            meta["result"] = repr(meta["result"])
            meta["traceback"] = bool(meta["traceback"])
            del meta["date_done"]
            stored.append((type(pending).__name__, meta))
            pending.forget()
    assert stored[:2] == stored[2:]
    assert ("name" in stored[0][1]) is extended


def test_an_ignored_result_is_not_stored(shop: Shops) -> None:
    orders = shop()

    @orders.task(ignore_result=True)
    def place() -> str:
        return "placed"

    pending = place.delay()
    orders.work_off()
    assert orders.app.backend.get_task_meta(pending.id)["status"] == "PENDING"
    assert orders.span("process", "place").error_type is None
