"""Tasks that are put together, and tasks that come later: one trace, each below what led to it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord, group, shared_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Shop, Shops


class Sums:
    """Tasks that add numbers up."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

        @shop.task()
        def add(left: int, right: int) -> int:
            return left + right

        @shop.task()
        def double(number: int) -> int:
            return 2 * number

        @shop.task()
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        @shop.task()
        def fail(*_: object) -> None:
            raise ArithmeticError

        self.add, self.double, self.total, self.fail = add, double, total, fail

    def one_trace(self) -> None:
        """Hold that all of it is in one trace, and nothing was redelivered."""
        spans = self.shop.spans("send") + self.shop.spans("process")
        assert len({span.context.trace_id for span in spans}) == 1
        assert {span.verdict for span in self.shop.spans("process")} == {"fresh"}
        assert len(self.shop.spans("send")) == len(self.shop.spans("process"))


@pytest.fixture
def sums(shop: Shops) -> Sums:
    return Sums(shop())


def test_chain(sums: Sums) -> None:
    shop = sums.shop
    pending = chain(sums.add.s(1, 2), sums.double.s(), sums.total.si([1, 2]), app=shop.app).apply_async()
    with shop.worker():
        assert shop.result(pending) == 3
    sums.one_trace()
    first, second, third = (shop.span("process", name) for name in ("add", "double", "total"))
    assert (shop.above(third), shop.above(second), shop.above(first)) == (second, first, None)


def test_group(sums: Sums) -> None:
    shop = sums.shop

    @shop.task()
    def start() -> None:
        group((sums.double.s(number) for number in range(3)), app=shop.app).apply_async()

    start.delay()
    shop.work_off()
    shop.work_off()
    started = shop.span("process", "start")
    doubled = shop.spans("process", "double")
    assert [shop.above(span) for span in doubled] == [started] * 3
    assert len({span.parent_span_id for span in doubled}) == 3


def test_a_group_outside_of_a_span_is_as_many_traces(sums: Sums) -> None:
    shop = sums.shop
    pending = group((sums.double.s(number) for number in range(3)), app=shop.app).apply_async()
    with shop.worker():
        assert shop.result(pending) == [0, 2, 4]
    assert len({span.context.trace_id for span in shop.spans("process")}) == 3


def test_chord(sums: Sums) -> None:
    shop = sums.shop
    pending = chord([sums.double.s(1), sums.double.s(2)], app=shop.app)(sums.total.s())
    with shop.worker():
        assert shop.result(pending) == 6
    # The body is sent by whichever part was done last.
    assert shop.above(shop.span("process", "total")) is shop.spans("process", "double")[-1]


@pytest.mark.parametrize(
    ("name", "make", "result"),
    [
        ("celery.map", lambda sums: sums.double.map([1, 2]), [2, 4]),
        ("celery.starmap", lambda sums: sums.add.starmap([(1, 2), (3, 4)]), [3, 7]),
        ("celery.starmap", lambda sums: sums.add.chunks([(1, 2), (3, 4)], 2).group(), [[3, 7]]),
    ],
    ids=["map", "starmap", "chunks"],
)
def test_one_message_of_many_calls(
    sums: Sums, name: str, make: Callable[[Sums], Any], result: list[Any]
) -> None:
    shop = sums.shop
    pending = make(sums).apply_async()
    with shop.worker():
        assert shop.result(pending) == result
    sums.one_trace()
    assert shop.span("process").task_name == name


def test_link(sums: Sums) -> None:
    shop = sums.shop
    pending = sums.add.apply_async((1, 2), link=sums.double.s())
    with shop.worker():
        assert shop.result(pending) == 3
        assert shop.result(pending.children[0]) == 6
    sums.one_trace()
    assert shop.above(shop.span("process", "double")) is shop.span("process", "add")


def test_link_error(sums: Sums) -> None:
    shop = sums.shop
    caught = threading.Event()

    @shop.task()
    def catch(_uuid: str) -> None:
        caught.set()

    sums.fail.apply_async(link_error=catch.s())
    with shop.worker():
        assert caught.wait(20)
    sums.one_trace()
    failed = shop.span("process", "fail")
    assert failed.error_type == "ArithmeticError"
    assert shop.above(shop.span("process", "catch")) is failed


def test_replace(sums: Sums) -> None:
    shop = sums.shop

    @shop.task(bind=True)
    def place(self: Any) -> None:
        raise self.replace(chain(sums.add.s(1, 2), sums.double.s(), app=shop.app))

    pending = place.delay()
    with shop.worker():
        assert shop.result(pending) == 6
    sums.one_trace()
    placed, added, doubled = (shop.span("process", name) for name in ("place", "add", "double"))
    assert (shop.above(added), shop.above(doubled)) == (placed, added)
    assert (placed.error_type, added.links) == (None, ())


def test_a_task_that_replaces_itself_is_no_retry(sums: Sums) -> None:
    shop = sums.shop

    @shop.task(bind=True)
    def place(self: Any, left: int) -> str:
        if left:
            raise self.replace(place.s(left - 1))
        return "placed"

    pending = place.delay(1)
    with shop.worker():
        assert shop.result(pending) == "placed"
    first, second = shop.spans("process", "place")
    assert shop.above(second) is first
    assert second.links == ()


@pytest.mark.parametrize(
    "later", [{"countdown": 0.01}, {"eta": datetime(2026, 1, 1, tzinfo=UTC)}], ids=["countdown", "eta"]
)
@pytest.mark.parametrize("acks_late", [False, True])
def test_a_task_that_runs_later(sums: Sums, later: dict[str, Any], *, acks_late: bool) -> None:
    shop = sums.shop

    @shop.task(bind=True, acks_late=acks_late)
    def place(self: Any) -> str:
        return str(self.request.receipt.verdict)

    pending = place.apply_async(**later)
    with shop.worker():
        assert shop.result(pending) == "fresh"
    sums.one_trace()
    assert shop.taken() == []


def test_a_shared_task(sums: Sums) -> None:
    shop = sums.shop

    def share() -> str:
        return "shared"

    shared = shared_task(share, name="share")
    with shop.worker():
        assert shop.result(shop.app.tasks[shared.name].delay()) == "shared"
    sums.one_trace()
    assert shop.span("process").task_name == shared.name
