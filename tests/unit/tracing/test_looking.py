"""Looking for changed keys and policies: in the background, and before a message where that is overdue."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.tracing import looking as module
from interceptors.tracing.looking import ON_LOOP_S, OVERDUE_NS, PATIENCE_S, Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 30.0
"""Seconds after which a test fails rather than wait on."""


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 1_000 * OVERDUE_NS

    def __call__(self) -> int:
        return self.now


class Looked:
    """Stands for a keyring or what governs: counts how often it is looked at, and may hang or fail."""

    def __init__(self) -> None:
        self.times = 0
        self.hanging = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.sends: Callable[[], None] = lambda: None

    def look(self) -> None:
        self.times += 1
        self.sends()
        if not self.gate.is_set():
            self.hanging.release()
            assert self.gate.wait(DEADLINE)
        if self.error is not None:
            raise self.error

    refresh = look


class Looks:
    """What is looked at, and by what clock."""

    def __init__(self) -> None:
        self.keys, self.policy, self.clock = Looked(), Looked(), Clock()
        keyring: Any = self.keys
        governing: Any = self.policy
        self.looking = Looking(keyring, governing, self.clock)

    @property
    def times(self) -> tuple[int, int]:
        return self.keys.times, self.policy.times

    def overdue(self) -> bool:
        return self.looking.is_overdue(self.clock())

    def settle(self) -> None:
        """Wait until no look is under way."""
        for part in (self.looking._keys, self.looking._policy):
            part._aside.wait(DEADLINE)

    def look(self) -> tuple[int, int]:
        """Have a message look; give how often keys and policy had been looked at when it went on."""
        found: list[tuple[int, int]] = []
        self.looking.look(lambda: found.append(self.times))
        (times,) = found
        return times


@pytest.fixture
def looks() -> Iterator[Looks]:
    looks = Looks()
    yield looks
    looks.keys.gate.set()
    looks.policy.gate.set()
    looks.settle()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long other threads were waited for at the most, in which no time passes."""
    waits: list[float] = []

    def join(_: threading.Thread, timeout: float) -> None:
        waits.append(timeout)

    monkeypatch.setattr(threading.Thread, "join", join)
    return waits


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, in seconds, by which a look is given up."""
    ticks = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=ticks))
    return ticks


@contextlib.contextmanager
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread is to be had to look in."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("interceptors-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


@pytest.mark.parametrize(
    ("passed", "overdue"), [(0, False), (OVERDUE_NS - 1, False), (OVERDUE_NS, True), (-1, True)]
)
def test_a_look_is_overdue_after_a_while_and_where_the_clock_was_set_back(
    looks: Looks, passed: int, *, overdue: bool
) -> None:
    looks.clock.now += passed
    assert looks.overdue() == overdue
    assert looks.look() == ((1, 1) if overdue else (0, 0))
    assert not looks.overdue()


def test_in_the_background_it_is_looked_each_time_and_none_is_overdue_then(looks: Looks) -> None:
    for times in (1, 2):
        looks.clock.now += OVERDUE_NS
        looks.looking.keep()
        looks.settle()
        assert looks.times == (times, times)
        assert not looks.overdue()


def test_a_look_counts_from_its_end_and_from_the_older_one_of_both(looks: Looks) -> None:
    looks.clock.now += OVERDUE_NS
    looks.policy.gate.clear()
    looks.looking.keep()
    assert looks.policy.hanging.acquire(timeout=DEADLINE)
    assert looks.overdue()  # the keys alone were looked at
    looks.clock.now += 1
    looks.policy.gate.set()
    looks.settle()
    assert looks.looking.looked == looks.clock.now - 1
    looks.looking.keep()
    looks.settle()
    assert looks.looking.looked == looks.clock.now


def test_all_messages_wait_for_one_look(looks: Looks) -> None:
    looks.clock.now += OVERDUE_NS
    looks.keys.gate.clear()
    went_on: list[tuple[int, int, bool]] = []

    def message() -> None:
        looks.looking.look(lambda: went_on.append((*looks.times, looks.keys.gate.is_set())))

    messages = [threading.Thread(target=message) for _ in range(8)]
    for each in messages:
        each.start()
    assert looks.keys.hanging.acquire(timeout=DEADLINE)
    looks.keys.gate.set()
    for each in messages:
        each.join(DEADLINE)
    assert went_on == [(1, 1, True)] * 8


def test_a_look_that_hangs_is_waited_for_once_by_all_messages_together(
    looks: Looks, waits: list[float], ticks: Clock
) -> None:
    ticks.now = 0
    looks.clock.now += OVERDUE_NS
    looks.keys.gate.clear()
    looks.policy.gate.clear()
    looks.look()
    assert waits == [PATIENCE_S] * 2
    assert looks.overdue()  # no time has passed, so that others wait, too
    ticks.now = 1
    looks.look()
    assert waits[2:] == [PATIENCE_S - 1] * 2
    ticks.now = 2
    looks.look()
    assert waits[4:] == [0, 0]
    assert not looks.overdue()  # given up
    looks.clock.now += OVERDUE_NS
    ticks.now = 100
    looks.look()
    assert waits[6:] == [0, 0]
    assert not looks.overdue()
    assert looks.times == (1, 1)


def test_a_thread_with_an_event_loop_is_held_up_for_a_moment_at_the_most(
    looks: Looks, waits: list[float], ticks: Clock
) -> None:
    looks.clock.now += OVERDUE_NS
    looks.keys.gate.clear()
    looks.policy.gate.clear()

    async def message() -> None:
        ticks.now = 0
        looks.look()
        ticks.now = 1
        looks.look()

    asyncio.run(message())
    assert waits[:2] == [ON_LOOP_S] * 2
    assert waits[2:4] == [0, 0]
    assert looks.overdue()  # others wait for it as long as they may


@pytest.mark.parametrize(("hangs", "goes_on"), [("keys", "policy"), ("policy", "keys")])
def test_one_that_hangs_keeps_the_other_from_nothing(
    looks: Looks, monkeypatch: pytest.MonkeyPatch, hangs: str, goes_on: str
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    hanging, going = getattr(looks, hangs), getattr(looks, goes_on)
    hanging.gate.clear()
    for times in (1, 2):
        looks.looking.keep()
        getattr(looks.looking, f"_{goes_on}")._aside.wait(DEADLINE)
        assert going.times == times
    assert hanging.hanging.acquire(timeout=DEADLINE)
    assert hanging.times == 1


@pytest.mark.parametrize("fails", ["keys", "policy"])
def test_a_look_that_fails_counts_and_no_message_looks_again_at_once(
    looks: Looks, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    looks.clock.now += OVERDUE_NS
    getattr(looks, fails).error = OSError("CANARY")
    assert looks.look() == (1, 1)
    assert not looks.overdue()
    assert caplog.messages == ["a background chore failed with OSError"]


def test_where_no_thread_is_to_be_had_a_message_goes_on(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks.clock.now += OVERDUE_NS
    with no_threads(monkeypatch):
        assert looks.look() == (0, 0)
    assert not looks.overdue()
    looks.clock.now += OVERDUE_NS
    assert looks.look() == (1, 1)


def test_where_no_other_thread_is_to_be_had_the_background_thread_looks_itself(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks.clock.now += OVERDUE_NS
    with no_threads(monkeypatch):
        for times in (1, 2):
            looks.looking.keep()
            assert looks.times == (times, times)
    assert not looks.overdue()
    looks.looking.keep()
    looks.settle()
    assert looks.times == (3, 3)


def test_a_look_that_the_background_thread_makes_itself_is_not_made_twice(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    looks.clock.now += OVERDUE_NS
    looks.keys.gate.clear()
    keeping = threading.Thread(target=looks.looking.keep)
    with no_threads(monkeypatch):
        keeping.start()
        assert looks.keys.hanging.acquire(timeout=DEADLINE)
    assert looks.look()[0] == 1
    assert not looks.overdue()  # given up
    looks.keys.gate.set()
    keeping.join(DEADLINE)
    assert looks.keys.times == 1


def test_after_the_end_nothing_is_looked_at(looks: Looks) -> None:
    looks.looking.end()
    looks.clock.now += OVERDUE_NS
    looks.looking.keep()
    looks.settle()
    assert not looks.overdue()
    assert looks.look() == (0, 0)


@pytest.mark.parametrize("asks", ["keys", "policy"])
def test_what_a_look_sends_itself_waits_for_no_look(
    looks: Looks, caplog: pytest.LogCaptureFixture, asks: str
) -> None:
    """As a provider may, which asks over HTTP and carries an envelope along."""
    sent: list[tuple[int, int]] = []
    getattr(looks, asks).sends = lambda: sent.append(looks.look())
    looks.clock.now += OVERDUE_NS
    assert looks.look() == (1, 1)
    assert len(sent) == 1
    assert caplog.messages == []


def test_a_message_that_is_sent_in_the_midst_of_another_waits_for_it_no_longer_than_for_a_look(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a signal handler may, and what is garbage collected."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    looks.clock.now += OVERDUE_NS
    with looks.looking._beginning:
        assert looks.look() == (0, 0)
    assert looks.overdue()
    assert looks.look() == (1, 1)


def test_a_child_does_not_wait_for_what_a_thread_of_its_parent_held(looks: Looks) -> None:
    looks.looking._beginning.acquire()
    looks.looking.in_child()
    looks.clock.now += OVERDUE_NS
    assert looks.look() == (1, 1)


def test_what_comes_after_is_done_whatever_the_look_has_found(looks: Looks) -> None:
    done: list[Callable[[], None]] = []
    looks.looking.look(lambda: done.append(looks.settle))
    assert len(done) == 1
