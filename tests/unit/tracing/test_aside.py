"""Work in a thread of its own: once at a time, and no fault of it is anybody's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from interceptors.tracing.aside import Aside

if TYPE_CHECKING:
    import pytest

DEADLINE = 30.0


def test_work_is_done_in_another_thread_and_again() -> None:
    threads: list[str] = []
    aside = Aside(lambda: threads.append(threading.current_thread().name), "work")
    assert not aside.busy
    for _ in range(2):
        assert aside.start(DEADLINE)
        assert not aside.busy
    assert threads == ["work", "work"]


def test_work_that_hangs_is_not_begun_twice_and_nobody_waits_for_it() -> None:
    begun, release = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        begun.release()
        release.wait(DEADLINE)

    aside = Aside(hang, "work")
    assert aside.start()
    assert begun.acquire(timeout=DEADLINE)
    assert aside.busy
    assert not aside.start(DEADLINE)
    assert not begun.acquire(blocking=False)
    release.set()
    aside.wait(DEADLINE)
    assert aside.start(DEADLINE)


def test_whoever_wants_to_waits_for_what_is_under_way_and_for_nothing_else() -> None:
    release, done = threading.Event(), threading.Event()

    def work() -> None:
        release.wait(DEADLINE)
        done.set()

    aside = Aside(work, "work")
    aside.wait(DEADLINE)  # not begun
    assert aside.start()
    for timeout in (0.0, -1.0):
        aside.wait(timeout)
        assert not done.is_set()
    release.set()
    aside.wait(DEADLINE)
    assert done.is_set()
    aside.wait(DEADLINE)  # over


def test_a_fault_is_logged_by_its_type_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("CANARY")

    aside = Aside(fail, "work")
    assert aside.start(DEADLINE)
    assert aside.start(DEADLINE)
    assert caplog.messages == ["a background chore failed with OSError"] * 2
    assert "CANARY" not in caplog.text


def test_where_no_thread_can_be_started_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    aside = Aside(lambda: None, "work")
    assert not aside.start(DEADLINE)
    assert not aside.busy


def test_whoever_has_claimed_it_does_it_in_its_own_thread() -> None:
    seen: list[tuple[bool, bool]] = []
    aside = Aside(lambda: seen.append((aside.busy, aside.here)), "work")
    assert not aside.here
    aside.claim()
    assert not aside.start()  # it is under way
    aside.do()
    assert seen == [(True, True)]
    assert (aside.busy, aside.here) == (False, False)
    assert aside.start(DEADLINE)
    assert seen[1:] == [(True, True)]
