from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.replay import FUTURE_MS, ReplayWindow, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.message import Coordinate

    Judge = Callable[..., Verdict]

MAX_AGE = 7 * 24 * 3_600_000
RETRY = 120_000
ISSUED = 1_790_000_000_000
HERE: Coordinate = ("orders", 0, 7)
THERE: Coordinate = ("orders", 1, 7)
ELSEWHERE: Coordinate = ("orders", 2, 0)


@pytest.fixture
def judge() -> Judge:
    """Judges one envelope, after so many milliseconds, in a window of its own."""
    window = ReplayWindow()

    def judge(after: int, coordinate: Coordinate = HERE, envelope_id: bytes = b"id") -> Verdict:
        return window.judge(
            envelope_id,
            coordinate,
            issued_at=ISSUED,
            now=ISSUED + after,
            max_age_ms=MAX_AGE,
            retry_window_ms=RETRY,
        )

    return judge


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (0, Verdict.FRESH),
        (MAX_AGE, Verdict.FRESH),
        (MAX_AGE + 1, Verdict.STALE),
        (-FUTURE_MS, Verdict.FRESH),
        (-FUTURE_MS - 1, Verdict.FUTURE),
    ],
)
def test_the_age_decides_at_first_sight(judge: Judge, after: int, verdict: Verdict) -> None:
    assert judge(after) is verdict


def test_the_same_place_again_is_a_redelivery_however_late(judge: Judge) -> None:
    judge(0)
    assert judge(1) is Verdict.REDELIVERY
    assert judge(MAX_AGE + 1) is Verdict.REDELIVERY


@pytest.mark.parametrize("after", [-FUTURE_MS - 1, MAX_AGE + 1])
def test_what_was_out_of_time_at_first_stays_so_wherever_it_comes(judge: Judge, after: int) -> None:
    first = judge(after)
    assert not first.continues
    for coordinate in (HERE, THERE, HERE, THERE):
        assert judge(0, coordinate) is first


def test_another_place_is_a_duplicate_within_the_retry_window_and_a_replay_after(judge: Judge) -> None:
    judge(0)
    assert judge(RETRY, THERE) is Verdict.DUPLICATE
    assert judge(RETRY + 1, ELSEWHERE) is Verdict.REPLAY


def test_a_duplicate_that_is_redelivered_is_a_redelivery_even_across_the_window(judge: Judge) -> None:
    judge(0)
    judge(RETRY, THERE)
    assert judge(RETRY + 1, THERE) is Verdict.REDELIVERY
    assert judge(RETRY + 1, HERE) is Verdict.REDELIVERY


def test_a_replay_that_is_redelivered_is_a_replay_again(judge: Judge) -> None:
    judge(0)
    judge(RETRY + 1, THERE)
    assert judge(RETRY + 2, THERE) is Verdict.REPLAY
    assert judge(RETRY + 2, HERE) is Verdict.REDELIVERY
    assert judge(RETRY + 3, THERE) is Verdict.REPLAY


def test_the_retry_window_starts_at_the_first_sight_and_not_when_it_was_sealed(judge: Judge) -> None:
    judge(MAX_AGE // 2)
    assert judge(MAX_AGE // 2 + RETRY, THERE) is Verdict.DUPLICATE


def test_two_envelopes_at_one_place_are_two(judge: Judge) -> None:
    judge(0)
    assert judge(1, HERE, b"another") is Verdict.FRESH


def test_windows_share_nothing() -> None:
    times = {"issued_at": ISSUED, "now": ISSUED, "max_age_ms": MAX_AGE, "retry_window_ms": RETRY}
    assert {ReplayWindow().judge(b"id", HERE, **times) for _ in range(2)} == {Verdict.FRESH}


def test_a_window_is_bounded_and_remembers_the_last_half() -> None:
    capacity = 64
    window = ReplayWindow(capacity)

    def judge(number: int, coordinate: Coordinate) -> Verdict:
        return window.judge(
            number.to_bytes(2, "big"),
            coordinate,
            issued_at=ISSUED,
            now=ISSUED,
            max_age_ms=MAX_AGE,
            retry_window_ms=RETRY,
        )

    for number in range(10 * capacity):
        judge(number, HERE)
        judge(number, THERE)
    assert len(window._first) <= capacity
    assert len(window._elsewhere) <= capacity
    last = range(10 * capacity - capacity // 2, 10 * capacity)
    assert {judge(number, ELSEWHERE) for number in last} == {Verdict.DUPLICATE}
    assert judge(0, HERE) is Verdict.FRESH


def test_of_the_verdicts_three_continue() -> None:
    assert {verdict for verdict in Verdict if verdict.continues} == {
        Verdict.FRESH,
        Verdict.REDELIVERY,
        Verdict.DUPLICATE,
    }
