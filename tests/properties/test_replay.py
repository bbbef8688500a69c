"""The verdicts on one envelope, whatever comes in whatever order, beside a model that forgets nothing."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from interceptors.replay import FUTURE_MS, ReplayWindow, Verdict

ISSUED = 1_790_000_000_000
MAX_AGE = 3_600_000
RETRY = 120_000

Place = tuple[str]


class Sighting(NamedTuple):
    """An envelope that comes in, so long after the one before."""

    later: int
    place: Place
    redelivered: bool | None


class Model:
    """Keeps every message that it has been shown, and looks through them all."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, Sighting, Verdict]] = []

    def judge(self, age: int, sighting: Sighting) -> Verdict:
        verdict = self._verdict(age, sighting)
        self._seen.append((age, sighting, verdict))
        return verdict

    def _verdict(self, age: int, sighting: Sighting) -> Verdict:
        if not self._seen:
            in_time = -FUTURE_MS <= age <= MAX_AGE
            return Verdict.FRESH if in_time else (Verdict.STALE if age > 0 else Verdict.FUTURE)
        seen_at, _, verdict = self._seen[0]
        if verdict is not Verdict.FRESH:
            return verdict
        by_time = Verdict.DUPLICATE if age - seen_at <= RETRY else Verdict.REPLAY
        if sighting.redelivered is False:
            return by_time
        # One that was here before; which of them it is can't be told, so that it is held to be the worst.
        here = {verdict for _, seen, verdict in self._seen if seen.place == sighting.place}
        if not here:
            return by_time
        return Verdict.REPLAY if Verdict.REPLAY in here else Verdict.REDELIVERY


gaps = st.sampled_from([0, 1, RETRY - 1, RETRY, RETRY + 1, MAX_AGE]) | st.integers(0, 2 * RETRY)
places = st.sampled_from([("orders",), ("orders.dead",), ("orders.retry",)])
starts = st.sampled_from([-FUTURE_MS - 1, -FUTURE_MS, 0, MAX_AGE, MAX_AGE + 1])


@given(starts, st.lists(st.builds(Sighting, gaps, places, st.booleans()), min_size=1, max_size=12))
def test_where_the_broker_tells_the_window_judges_as_the_model_does(
    age: int, sightings: list[Sighting]
) -> None:
    both_judge_alike(age, sightings)


@given(starts, st.lists(st.builds(Sighting, gaps, places, st.none()), min_size=1, max_size=12))
def test_where_the_coordinate_tells_the_window_judges_as_the_model_does(
    age: int, sightings: list[Sighting]
) -> None:
    both_judge_alike(age, sightings)


def both_judge_alike(age: int, sightings: list[Sighting]) -> None:
    window, model = ReplayWindow(), Model()
    for sighting in sightings:
        age += sighting.later
        verdict = window.judge(
            b"id",
            sighting.place,
            issued_at=ISSUED,
            now=ISSUED + age,
            max_age_ms=MAX_AGE,
            retry_window_ms=RETRY,
            redelivered=sighting.redelivered,
        )
        assert verdict is model.judge(age, sighting)
