from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
QUEUE: Coordinate = ("orders",)
DEAD: Coordinate = ("orders.dead",)


@pytest.fixture
def judge() -> Judge:
    """Judges one envelope, after so many milliseconds, in a window of its own."""
    window = ReplayWindow()

    def judge(
        after: int,
        coordinate: Coordinate = HERE,
        envelope_id: bytes = b"id",
        *,
        redelivered: bool | None = None,
    ) -> Verdict:
        return window.judge(
            envelope_id,
            coordinate,
            issued_at=ISSUED,
            now=ISSUED + after,
            max_age_ms=MAX_AGE,
            retry_window_ms=RETRY,
            redelivered=redelivered,
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
    times: dict[str, Any] = {
        "issued_at": ISSUED,
        "now": ISSUED,
        "max_age_ms": MAX_AGE,
        "retry_window_ms": RETRY,
    }
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


# --- where the broker says whether it delivers again --------------------------------------------------------


def test_where_the_broker_tells_an_id_that_comes_again_at_its_place_is_another_message(judge: Judge) -> None:
    assert judge(0, QUEUE, redelivered=False) is Verdict.FRESH
    assert judge(RETRY, QUEUE, redelivered=False) is Verdict.DUPLICATE
    assert judge(RETRY + 1, QUEUE, redelivered=False) is Verdict.REPLAY
    assert judge(RETRY + 2, QUEUE, redelivered=False) is Verdict.REPLAY


@pytest.mark.parametrize("redelivered", [False, True])
def test_what_this_process_sees_first_is_fresh_whatever_the_broker_has_seen(
    judge: Judge, *, redelivered: bool
) -> None:
    assert judge(0, QUEUE, redelivered=redelivered) is Verdict.FRESH


def test_what_the_broker_delivers_again_is_a_redelivery_however_late(judge: Judge) -> None:
    judge(0, QUEUE, redelivered=False)
    assert judge(RETRY + 1, QUEUE, redelivered=True) is Verdict.REDELIVERY
    assert judge(MAX_AGE + 1, QUEUE, redelivered=True) is Verdict.REDELIVERY


def test_a_duplicate_that_the_broker_delivers_again_is_a_redelivery(judge: Judge) -> None:
    judge(0, QUEUE, redelivered=False)
    judge(1, QUEUE, redelivered=False)
    judge(1, DEAD, redelivered=False)
    assert judge(RETRY + 1, QUEUE, redelivered=True) is Verdict.REDELIVERY
    assert judge(RETRY + 1, DEAD, redelivered=True) is Verdict.REDELIVERY


def test_a_redelivery_at_a_place_that_has_seen_a_replay_may_be_that_replay(judge: Judge) -> None:
    judge(0, QUEUE, redelivered=False)
    judge(1, QUEUE, redelivered=False)
    judge(RETRY + 1, QUEUE, redelivered=False)
    assert judge(RETRY + 2, QUEUE, redelivered=True) is Verdict.REPLAY
    assert judge(RETRY + 3, QUEUE, redelivered=True) is Verdict.REPLAY


def test_a_replay_at_another_place_leaves_the_first_place_its_redeliveries(judge: Judge) -> None:
    judge(0, QUEUE, redelivered=False)
    assert judge(RETRY + 1, DEAD, redelivered=False) is Verdict.REPLAY
    assert judge(RETRY + 2, QUEUE, redelivered=True) is Verdict.REDELIVERY
    assert judge(RETRY + 2, DEAD, redelivered=True) is Verdict.REPLAY


@pytest.mark.parametrize(("after", "verdict"), [(RETRY, Verdict.DUPLICATE), (RETRY + 1, Verdict.REPLAY)])
def test_a_redelivery_at_a_place_where_nothing_was_seen_is_judged_by_time(
    judge: Judge, after: int, verdict: Verdict
) -> None:
    judge(0, QUEUE, redelivered=False)
    assert judge(after, DEAD, redelivered=True) is verdict


@pytest.mark.parametrize("after", [-FUTURE_MS - 1, MAX_AGE + 1])
@pytest.mark.parametrize("redelivered", [False, True])
def test_what_was_out_of_time_at_first_stays_so_whatever_the_broker_says(
    judge: Judge, after: int, *, redelivered: bool
) -> None:
    first = judge(after, QUEUE, redelivered=False)
    assert not first.continues
    for coordinate in (QUEUE, DEAD, QUEUE, DEAD):
        assert judge(0, coordinate, redelivered=redelivered) is first
