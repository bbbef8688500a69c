from __future__ import annotations

from typing import Any

import pytest

from interceptors.keys.root_file import RootEntry, Schedule
from interceptors.keys.schedule import Step, noted, steps

SCHEDULE = Schedule(tenant="acme", every=90, overlap=7, retire=60)


def epoch(number: int, use: str = "open", **times: int) -> RootEntry:
    fields: dict[str, Any] = {"use": use, **times}
    return RootEntry(tenant="acme", epoch=number, root="5e" * 32, **fields)


def test_the_next_epoch_is_made_so_early_that_the_overlap_has_passed_when_it_is_to_seal() -> None:
    assert steps(SCHEDULE, [epoch(1, "seal", created=0, sealing=1000)]) == [Step(1083, "acme", "rotate", 2)]


@pytest.mark.parametrize(("times", "at"), [({"created": 500}, 583), ({}, 83)], ids=["made", "unknown"])
def test_an_epoch_that_is_not_known_to_seal_since_some_time_has_sealed_since_it_was_made(
    times: dict[str, int], at: int
) -> None:
    assert steps(SCHEDULE, [epoch(1, "seal", **times)]) == [Step(at, "acme", "rotate", 2)]


def test_an_epoch_is_promoted_when_it_has_been_in_every_file_for_the_overlap() -> None:
    sealing = epoch(1, "seal", sealing=0)
    assert steps(SCHEDULE, [sealing, epoch(2, created=10, written=500)]) == [Step(507, "acme", "promote", 2)]


def test_an_epoch_that_is_not_in_every_file_is_not_promoted_nor_another_one_made() -> None:
    assert steps(SCHEDULE, [epoch(1, "seal", sealing=0), epoch(2, created=10)]) == []


def test_what_was_retired_is_destroyed_the_earliest_first() -> None:
    epochs = [epoch(1, retired=200), epoch(2, retired=100), epoch(3), epoch(4, "seal", sealing=1000)]
    assert steps(SCHEDULE, epochs) == [
        Step(160, "acme", "destroy", 2),
        Step(260, "acme", "destroy", 1),
        Step(1083, "acme", "rotate", 5),
    ]


def test_neither_the_epoch_that_seals_nor_the_next_one_is_destroyed() -> None:
    epochs = [epoch(1, "seal", sealing=0, retired=1), epoch(2, written=1, retired=1)]
    assert [step.action for step in steps(SCHEDULE, epochs)] == ["promote"]


def test_when_all_files_are_written_what_waits_is_noted_as_written_and_what_is_over_as_retired() -> None:
    epochs = [epoch(1, retired=5), epoch(2), epoch(3, "seal", sealing=3), epoch(4), epoch(5, written=7)]
    assert noted(epochs, 100) == [
        epoch(1, retired=5),
        epoch(2, retired=100),
        epoch(3, "seal", sealing=3),
        epoch(4, written=100),
        epoch(5, written=7),
    ]


def test_where_no_epoch_seals_all_of_them_wait() -> None:
    assert noted([epoch(1)], 100) == [epoch(1, written=100)]
