from __future__ import annotations

import asyncio
import threading
from typing import NoReturn

import pytest

from interceptors.tracing import off_loop


async def test_keys_are_fetched_in_another_thread() -> None:
    fetched_in: list[threading.Thread] = []

    await off_loop(lambda: fetched_in.append(threading.current_thread()))

    assert len(fetched_in) == 1
    assert threading.current_thread() not in fetched_in


async def test_where_no_thread_is_to_be_had_the_message_goes_on() -> None:
    fetched: list[object] = []

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
        answer.wait(30)

    task = asyncio.create_task(off_loop(fetch))
    await asked.wait()
    task.cancel()
    await asyncio.wait({task})
    answer.set()

    assert task.cancelled()
