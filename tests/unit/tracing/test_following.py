"""The processings that a consumer has opened by itself, in tasks and in threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.context import current_tenant
from interceptors.tracing import Following

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.spans import Span
    from interceptors.tracing import Processing

    ProcessingOf = Callable[[str], Processing]

PATIENCE = 30.0


@pytest.fixture
def following() -> Following:
    return Following()


def tenants(ended: Any) -> list[str]:
    """Whose processings have ended, in order."""
    return [span.tenant for span, _ in ended.spans]


def in_a_thread(work: Callable[[], object]) -> None:
    """Run something in a thread that is gone afterwards."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(PATIENCE)


def test_what_was_opened_is_current_until_its_thread_moves_on(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    following.open(processing_of("acme"))
    assert (current_tenant(), tenants(ended)) == ("acme", [])

    following.end_finished()

    assert (current_tenant(), tenants(ended)) == (None, ["acme"])
    following.end_finished()
    assert tenants(ended) == ["acme"]


def test_an_ended_processing_is_not_held(following: Following, processing_of: ProcessingOf) -> None:
    for number in range(10):
        following.end_finished()
        following.open(processing_of(f"tenant-{number}"))
    assert len(following._open) == 1
    following.end_all()
    assert not following._open


async def test_in_a_task_it_is_current_until_that_moves_on(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    following.open(processing_of("acme"))
    await asyncio.sleep(0)
    assert (current_tenant(), tenants(ended)) == ("acme", [])

    following.end_finished()

    assert (current_tenant(), tenants(ended)) == (None, ["acme"])


async def test_tasks_that_take_turns_do_not_end_each_others(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    opened, ended_first = asyncio.Barrier(2), asyncio.Event()

    async def first() -> list[str]:
        following.open(processing_of("acme"))
        await opened.wait()
        following.end_finished()
        found = tenants(ended)
        assert current_tenant() is None
        ended_first.set()
        return found

    async def second() -> list[str]:
        following.open(processing_of("globex"))
        await opened.wait()
        await ended_first.wait()
        assert current_tenant() == "globex"
        following.end_finished()
        assert current_tenant() is None
        return tenants(ended)

    assert [*await asyncio.gather(first(), second())] == [["acme"], ["acme", "globex"]]


async def test_what_a_task_left_open_ends_when_another_asks_after_it_is_done(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    may_end = asyncio.Event()

    async def leave_open(tenant: str) -> None:
        following.open(processing_of(tenant))
        if tenant == "globex":
            await may_end.wait()

    done, running = (asyncio.create_task(leave_open(tenant)) for tenant in ("acme", "globex"))
    await done

    following.end_finished()

    assert tenants(ended) == ["acme"]
    may_end.set()
    await running
    following.end_finished()
    assert tenants(ended) == ["acme", "globex"]


async def test_what_a_cancelled_task_left_open_ends_too(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    opened = asyncio.Event()

    async def hang() -> None:
        following.open(processing_of("acme"))
        opened.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await opened.wait()
    task.cancel()
    await asyncio.wait({task})

    following.end_finished()

    assert tenants(ended) == ["acme"]


def test_what_a_thread_left_open_ends_when_another_asks_after_it_is_gone(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    in_a_thread(lambda: following.open(processing_of("acme")))
    assert (current_tenant(), tenants(ended)) == (None, [])

    following.end_finished()

    assert tenants(ended) == ["acme"]


def test_threads_that_take_turns_do_not_end_each_others(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    opened, may_end = threading.Event(), threading.Event()
    seen: list[str | None] = []

    def other() -> None:
        following.open(processing_of("globex"))
        opened.set()
        may_end.wait(PATIENCE)
        seen.append(current_tenant())
        following.end_finished()
        seen.append(current_tenant())

    following.open(processing_of("acme"))
    thread = threading.Thread(target=other)
    thread.start()
    assert opened.wait(PATIENCE)

    following.end_finished()

    assert tenants(ended) == ["acme"]
    may_end.set()
    thread.join(PATIENCE)
    assert (seen, tenants(ended)) == (["globex", None], ["acme", "globex"])


def test_what_a_thread_opens_while_another_moves_on_is_not_lost(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    opened, may_end = threading.Event(), threading.Event()

    def other() -> None:
        following.open(processing_of("globex"))
        opened.set()
        may_end.wait(PATIENCE)
        following.end_finished()

    thread = threading.Thread(target=other)

    def meanwhile(span: Span, error: BaseException | None) -> None:
        ended(span, error)
        thread.start()
        assert opened.wait(PATIENCE)

    processing = processing_of("acme")
    processing._end = meanwhile
    following.open(processing)

    following.end_finished()

    may_end.set()
    thread.join(PATIENCE)
    assert tenants(ended) == ["acme", "globex"]


async def test_a_task_and_the_thread_that_its_loop_runs_in_are_two(
    following: Following, processing_of: ProcessingOf, ended: Any
) -> None:
    loop = asyncio.get_running_loop()
    called = asyncio.Event()

    def call() -> None:  # by the loop itself, and in no task
        following.open(processing_of("globex"))
        following.end_finished()
        called.set()

    following.open(processing_of("acme"))
    loop.call_soon(call)
    await called.wait()

    assert tenants(ended) == ["globex"]
    following.end_finished()
    assert tenants(ended) == ["globex", "acme"]


@pytest.mark.parametrize("error", [None, LookupError("order")])
def test_closing_ends_all_of_every_thread_and_says_what_went_wrong(
    following: Following, processing_of: ProcessingOf, ended: Any, error: LookupError | None
) -> None:
    in_a_thread(lambda: following.open(processing_of("globex")))
    following.open(processing_of("acme"))

    following.end_all(error)

    assert [(span.tenant, why) for span, why in ended.spans] == [("globex", error), ("acme", error)]
    assert current_tenant() is None
    following.end_finished()
    assert len(ended.spans) == 2


async def test_a_task_that_is_done_is_not_kept_alive(
    following: Following, processing_of: ProcessingOf
) -> None:

    async def handle() -> None:
        following.open(processing_of("acme"))

    task = asyncio.create_task(handle())
    await task
    gone = weakref.ref(task)
    del task
    await asyncio.sleep(0)  # the loop lets go of it
    gc.collect()
    assert gone() is None
    following.end_all()
