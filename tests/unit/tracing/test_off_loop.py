from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import NoReturn

import pytest

from interceptors.tracing import off_loop
from interceptors.tracing.off_loop import _threads as threads

DEADLINE = 30.0
_values: ContextVar[str] = ContextVar("value", default="")


async def test_keys_are_fetched_in_another_thread() -> None:
    fetched_in: list[threading.Thread] = []

    await off_loop(lambda: fetched_in.append(threading.current_thread()))

    assert len(fetched_in) == 1
    assert threading.current_thread() not in fetched_in


async def test_what_is_current_is_so_in_the_other_thread() -> None:
    found: list[str] = []
    _values.set("here")
    await off_loop(lambda: found.append(_values.get()))
    assert found == ["here"]


async def test_a_program_that_fills_the_threads_of_its_loop_holds_no_message_up() -> None:
    full, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))

    def work() -> None:
        loop.call_soon_threadsafe(full.set)
        release.wait(DEADLINE)

    working = asyncio.create_task(asyncio.to_thread(work))
    await full.wait()
    await off_loop(lambda: None)
    assert not working.done()
    release.set()
    await working


def test_a_child_has_threads_of_its_own() -> None:
    asyncio.run(off_loop(lambda: None))  # so that one idles, which the child would wait for
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(asyncio.wait_for(off_loop(lambda: None), DEADLINE))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


async def test_where_no_thread_is_to_be_had_the_message_goes_on() -> None:
    fetched: list[object] = []
    threads.begin()  # else one that idles would do it

    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        await off_loop(lambda: fetched.append(None))

    assert fetched == []


async def test_a_cancellation_gets_through() -> None:
    asked, answer = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def fetch() -> None:
        loop.call_soon_threadsafe(asked.set)
        answer.wait(DEADLINE)

    task = asyncio.create_task(off_loop(fetch))
    await asked.wait()
    task.cancel()
    await asyncio.wait({task})
    answer.set()

    assert task.cancelled()
