from __future__ import annotations

from interceptors.policy import Action
from interceptors.tracing.tally import MOST_CHANNELS, OTHER_CHANNELS, Names, Tally


def test_the_first_names_are_let_through_and_one_stands_for_the_rest() -> None:
    names = Names(2, "(other)")
    assert [names.of(name) for name in ("a", "b", "a", "c", "d", "b", "c")] == [
        "a",
        "b",
        "a",
        "(other)",
        "(other)",
        "b",
        "(other)",
    ]


def test_listed_names_are_let_through_in_any_case_and_take_no_place() -> None:
    names = Names(1, "(other)", ["x", "y"])
    assert [names.of(name) for name in ("a", "b", "x", "y")] == ["a", "(other)", "x", "y"]


def test_what_is_received_and_what_is_found_share_the_channels() -> None:
    tally = Tally(["listed"])
    for number in range(MOST_CHANNELS):
        tally.receive("kafka", f"made up {number}", "fresh")
    for channel in ("listed", "one more", "another"):
        tally.receive("kafka", channel, "fresh")
        tally.find(channel, "sent", "personal.email", Action.REDACT)
    assert len(tally.received) == MOST_CHANNELS + 2
    assert tally.received["kafka", OTHER_CHANNELS, "fresh"] == 2
    assert tally.findings == {
        ("listed", "sent", "personal.email", Action.REDACT): 1,
        (OTHER_CHANNELS, "sent", "personal.email", Action.REDACT): 2,
    }


def test_names_that_are_listed_later_take_no_place_either() -> None:
    names = Names(1, "(other)", ["x"])
    assert [names.of(name) for name in ("a", "y")] == ["a", "(other)"]
    names.admit(["x", "y"])
    assert [names.of(name) for name in ("x", "y", "a", "b")] == ["x", "y", "a", "(other)"]
