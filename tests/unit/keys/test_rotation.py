from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError
from interceptors.keys.key_file import KeyringFile, read_key_file, write_key_file
from interceptors.keys.schedule import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.audit import AuditLog
    from interceptors.keys import KeyAdministration

    Administer = Callable[..., KeyAdministration]

DAY = 86400
START = 1_000_000


class Clock:
    """A clock that is set by hand, in days since the start."""

    def __init__(self) -> None:
        self.day = 0.0

    def __call__(self) -> float:
        return START + self.day * DAY


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "checkout.json"


@pytest.fixture
def scheduled(administer: Administer, clock: Clock, file: Path) -> KeyAdministration:
    """An administration whose `acme` seals for 90 days, with an overlap of 7, and opens for 60 more."""
    administration = administer(clock)
    administration.root("acme")
    administration.grant("checkout", "acme", [], file)
    administration.rotation.schedule("acme", every=90 * DAY, overlap=7 * DAY, retire=60 * DAY)
    return administration


def ticked(administration: KeyAdministration, clock: Clock, day: float) -> list[tuple[str, str, int]]:
    """What a tick on some day has done: action, tenant and epoch."""
    clock.day = day
    done: list[Step] = []
    administration.rotation.tick(done.append)
    return [(step.action, step.tenant, step.epoch) for step in done]


def uses(file: Path) -> dict[int, str]:
    return {key.epoch: key.use for key in read_key_file(file, KeyringFile).keys}


def test_the_keys_of_a_tenant_go_through_their_life_by_themselves(
    scheduled: KeyAdministration, clock: Clock, file: Path
) -> None:
    found = {day: done for day in range(260) if (done := ticked(scheduled, clock, day))}
    assert found == {
        83: [("rotate", "acme", 2)],
        90: [("promote", "acme", 2)],
        150: [("destroy", "acme", 1)],
        173: [("rotate", "acme", 3)],
        180: [("promote", "acme", 3)],
        240: [("destroy", "acme", 2)],
    }
    assert uses(file) == {3: "seal"}


def test_a_tick_when_nothing_is_due_does_nothing(
    scheduled: KeyAdministration, clock: Clock, tmp_path: Path, file: Path, recorded: Callable[[], Any]
) -> None:
    before = ((tmp_path / "roots.json").read_bytes(), file.stat().st_ino, recorded())
    assert ticked(scheduled, clock, 82.9) == []
    assert ((tmp_path / "roots.json").read_bytes(), file.stat().st_ino, recorded()) == before


@pytest.mark.parametrize("late", [1000, 3000])
def test_after_a_long_time_without_a_tick_each_step_keeps_its_time_from_then_on(
    scheduled: KeyAdministration, clock: Clock, late: int, file: Path
) -> None:
    assert ticked(scheduled, clock, late) == [("rotate", "acme", 2)]
    assert uses(file) == {1: "seal", 2: "open"}
    assert ticked(scheduled, clock, late + 6.9) == []
    assert ticked(scheduled, clock, late + 500) == [("promote", "acme", 2)]
    # What was retired only now has not been retired for long, though the promotion was overdue.
    assert ticked(scheduled, clock, late + 500 + 59.9) == []
    assert ticked(scheduled, clock, late + 500 + 60) == [("destroy", "acme", 1)]


def test_the_overlap_begins_when_all_key_files_are_written(
    scheduled: KeyAdministration, clock: Clock, file: Path
) -> None:
    content = file.read_bytes()
    file.unlink()
    file.parent.rmdir()
    file.parent.touch()
    with pytest.raises(ConfigurationError, match="can't be written"):
        ticked(scheduled, clock, 83)
    with pytest.raises(ConfigurationError, match="can't be written"):
        ticked(scheduled, clock, 120)
    file.parent.unlink()
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_bytes(content)
    assert ticked(scheduled, clock, 121) == []
    assert uses(file) == {1: "seal", 2: "open"}
    assert ticked(scheduled, clock, 127) == []
    assert ticked(scheduled, clock, 128) == [("promote", "acme", 2)]


def test_a_retirement_that_reached_no_file_is_made_up_for_before_it_counts(
    scheduled: KeyAdministration, clock: Clock, file: Path
) -> None:
    ticked(scheduled, clock, 83)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigurationError, match="can't be written"):
        ticked(scheduled, clock, 90)
    file.rmdir()
    assert ticked(scheduled, clock, 100) == []
    assert uses(file) == {1: "open", 2: "seal"}
    assert ticked(scheduled, clock, 159) == []
    assert ticked(scheduled, clock, 160) == [("destroy", "acme", 1)]


def test_what_is_not_known_of_older_files_counts_from_now(
    administer: Administer, clock: Clock, tmp_path: Path, scheduled: KeyAdministration
) -> None:
    clock.day = 10
    scheduled.rotate("acme")
    scheduled.promote("acme")
    roots = tmp_path / "roots.json"
    old = json.loads(roots.read_text())
    for root in old["roots"]:
        for time in ("written", "sealing", "retired", "created"):
            root.pop(time, None)
    roots.write_text(json.dumps(old))
    again = administer(clock)
    assert ticked(again, clock, 500) == [("rotate", "acme", 3)]
    assert ticked(again, clock, 559) == [("promote", "acme", 3)]
    assert ticked(again, clock, 560) == [("destroy", "acme", 1)]
    assert ticked(again, clock, 619) == [("destroy", "acme", 2)]


def test_a_clock_that_goes_back_makes_nothing_due(scheduled: KeyAdministration, clock: Clock) -> None:
    ticked(scheduled, clock, 83)
    assert ticked(scheduled, clock, -5) == []


def test_keys_rotated_by_hand_and_after_a_revocation_fit_in(
    scheduled: KeyAdministration, clock: Clock
) -> None:
    clock.day = 50
    scheduled.rotate("acme", now=True)
    assert scheduled.rotation.due() == [
        Step(START + 110 * DAY, "acme", "destroy", 1),
        Step(START + 133 * DAY, "acme", "rotate", 3),
    ]


def test_one_tenant_s_trouble_holds_no_other_one_up(
    scheduled: KeyAdministration, clock: Clock, tmp_path: Path, file: Path
) -> None:
    scheduled.root("globex")
    other = tmp_path / "billing.json"
    scheduled.grant("billing", "globex", [], other)
    scheduled.rotation.schedule("globex", every=90 * DAY, overlap=7 * DAY, retire=60 * DAY)
    file.unlink()
    file.mkdir()
    done: list[Step] = []
    clock.day = 83
    with pytest.raises(ConfigurationError, match=r"checkout\.json: can't be written"):
        scheduled.rotation.tick(done.append)
    assert [(step.action, step.tenant) for step in done] == [("rotate", "globex")]
    assert uses(other) == {1: "seal", 2: "open"}


def test_a_tick_that_can_not_be_recorded_does_nothing(
    scheduled: KeyAdministration, clock: Clock, audit: AuditLog, tmp_path: Path
) -> None:
    audit.path.unlink()
    audit.path.mkdir()
    before = (tmp_path / "roots.json").read_bytes()
    with pytest.raises(ConfigurationError, match=r"audit\.jsonl"):
        ticked(scheduled, clock, 83)
    assert (tmp_path / "roots.json").read_bytes() == before


def test_schedules_are_recorded_replaced_and_ended(
    scheduled: KeyAdministration, clock: Clock, recorded: Callable[[], Any]
) -> None:
    scheduled.rotation.schedule("acme", every=10, overlap=3, retire=6)
    assert scheduled.rotation.due() == [Step(START + 7, "acme", "rotate", 2)]
    scheduled.rotation.unschedule("acme")
    assert scheduled.rotation.due() == []
    assert ticked(scheduled, clock, 500) == []
    assert recorded()[-2:] == [
        ("keys.schedule", {"tenant": "acme", "every": 10, "overlap": 3, "retire": 6}),
        ("keys.unschedule", {"tenant": "acme"}),
    ]
    with pytest.raises(ConfigurationError, match="'acme' has no schedule"):
        scheduled.rotation.unschedule("acme")


def test_a_schedule_needs_a_root_and_times_that_hold(scheduled: KeyAdministration) -> None:
    with pytest.raises(ConfigurationError, match="'globex' has no root"):
        scheduled.rotation.schedule("globex", every=2, overlap=1, retire=1)
    with pytest.raises(ConfigurationError, match=r"schedule: .*overlap.*; give other times"):
        scheduled.rotation.schedule("acme", every=2, overlap=2, retire=1)


def crash_before_key_files(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Make a change that a crash ends between the roots' file and the key files."""

    def write(path: Path, content: Any) -> None:
        if isinstance(content, KeyringFile):
            raise SystemExit
        write_key_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("interceptors.keys.root_store.write_key_file", write)
        with pytest.raises(SystemExit):
            change()


CHANGES: dict[str, Callable[[KeyAdministration], object]] = {
    "destroy": lambda administration: administration.destroy("acme", 1),
    "revoke": lambda administration: administration.revoke_sender("checkout", "acme", reason="a test"),
    "revoke-service": lambda administration: administration.revoke_service("checkout", reason="a test"),
    "withdraw": lambda administration: administration.withdraw("checkout"),
    "rotate-tokens": lambda administration: administration.tokens.rotate("acme"),
    "destroy-tokens": lambda administration: administration.tokens.destroy("acme", 1),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("by", ["tick", "write"])
def test_what_a_crash_kept_from_the_key_files_is_made_up_for(
    *, administer: Administer, file: Path, monkeypatch: pytest.MonkeyPatch, change: str, by: str
) -> None:
    administration = administer()
    administration.root("acme")
    administration.tokens.root("acme")
    administration.grant("checkout", "acme", [], file, tokens=["customer"])
    administration.rotate("acme", now=True)
    administration.tokens.rotate("acme")
    before = file.read_text()
    crash_before_key_files(monkeypatch, lambda: CHANGES[change](administration))
    assert file.read_text() == before

    again = administer()
    if by == "tick":
        again.rotation.tick(lambda _: None)
    else:
        again.write()
    changed = read_key_file(file, KeyringFile)
    epochs, versions = [key.epoch for key in changed.keys], [token.version for token in changed.tokens]
    assert {
        "destroy": epochs == [2],
        "revoke": len(epochs) == 2 and all(key.revoked for key in changed.keys),
        "revoke-service": epochs == versions == [],
        "withdraw": epochs == versions == [],
        "rotate-tokens": versions == [1, 2, 3],
        "destroy-tokens": versions == [2],
    }[change]
    assert json.loads((file.parent.parent / "roots.json").read_text())["unwritten"] == {}


def test_a_key_file_that_is_anothers_by_now_is_not_emptied(
    administer: Administer, clock: Clock, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    administration = administer(clock)
    administration.root("acme")
    administration.grant("checkout", "acme", [], file)
    crash_before_key_files(monkeypatch, lambda: administration.withdraw("checkout"))
    again = administer(clock)
    again.grant("billing", "acme", [], file)
    again.rotation.tick(lambda _: None)
    found = read_key_file(file, KeyringFile)
    assert (found.service, len(found.keys)) == ("billing", 1)


def test_what_was_missed_and_can_not_be_recorded_is_not_made_up_for(
    administer: Administer, clock: Clock, file: Path, audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    administration = administer(clock)
    administration.root("acme")
    administration.grant("checkout", "acme", [], file)
    crash_before_key_files(monkeypatch, lambda: administration.withdraw("checkout"))
    before = file.read_text()
    audit.path.unlink()
    audit.path.mkdir()
    with pytest.raises(ConfigurationError, match=r"audit\.jsonl: can't be written"):
        administer(clock).rotation.tick(lambda _: None)
    assert file.read_text() == before
