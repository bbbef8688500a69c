from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from interceptors.audit import AuditLog, Check, Checkpoint, Entry, Verification, parse_entry, verify
from interceptors.audit.checkpoint import origin_of, read_checkpoint
from interceptors.audit.entry import LONGEST, START, chain_hash
from interceptors.audit.merkle import Tree, leaf_hash
from interceptors.audit.signed_tree import checkpoint_path
from interceptors.audit.verification import MOST_FINDINGS
from interceptors.errors import AuditError
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from interceptors.signatures import VerificationKey

RECORDS, KEPT = 8, 5
PLACES = range(RECORDS)
OTHER = SigningKey(bytes(32))


class Kept(NamedTuple):
    """A log of eight records, and a checkpoint of the first five that is kept elsewhere."""

    log: Path
    outside: Path
    lines: list[bytes]
    key: SigningKey

    def write(self, lines: Sequence[bytes]) -> None:
        self.log.write_bytes(b"".join(line + b"\n" for line in lines))

    def offset(self, place: int) -> int:
        return sum(len(line) + 1 for line in self.lines[:place])

    def verify(self) -> Verification:
        return verify(self.log, [self.outside], [self.key.public])


@pytest.fixture
def kept(signed: AuditLog, key: SigningKey, tmp_path: Path) -> Kept:
    outside = tmp_path / "outside"
    for number in range(RECORDS):
        signed.record("token.resolve", number=number)
        if number + 1 == KEPT:
            outside.write_bytes(checkpoint_path(signed.path).read_bytes())
    return Kept(signed.path, outside, signed.path.read_bytes().splitlines(), key)


def chained(lines: Sequence[bytes]) -> list[bytes]:
    """Number and chain records anew, as somebody would who can write the file and has no key."""
    previous, anew = START, []
    for place, line in enumerate(lines):
        entry = parse_entry(line)
        again = Entry(
            place, entry.time, entry.actor, entry.action, entry.details, previous, entry.outcome
        ).line()
        previous = chain_hash(again)
        anew.append(again)
    return anew


def altered(line: bytes) -> bytes:
    return line.replace(b'"number":', b'"number":1')


def checks(found: Verification) -> list[tuple[Check, int | None]]:
    return [(finding.check, finding.record) for finding in found.findings]


def test_a_log_that_holds(kept: Kept) -> None:
    tree = Tree()
    for line in kept.lines:
        tree.append(leaf_hash(line))
    found = kept.verify()
    assert found == Verification(RECORDS, RECORDS, origin_of(kept.lines[0]), tree.root(), ())
    assert found.holds
    found.require()


def test_without_a_key_the_chain_alone_is_checked(kept: Kept) -> None:
    found = verify(kept.log)
    assert (found.records, found.signed, found.holds) == (RECORDS, 0, True)
    kept.write([altered(kept.lines[0]), *kept.lines[1:]])
    assert checks(verify(kept.log)) == [(Check.CHAIN, 1)]


@pytest.mark.parametrize("place", PLACES)
def test_an_altered_record_is_found(kept: Kept, place: int) -> None:
    lines = list(kept.lines)
    lines[place] = altered(lines[place])
    kept.write(lines)
    found = kept.verify()
    if place + 1 < RECORDS:
        first = found.findings[0]
        assert (first.check, first.record) == (Check.CHAIN, place + 1)
        assert first.offset == kept.offset(place + 1) + 1  # a digit was put in
        assert f"line {place + 2}, at byte {first.offset}: record {place + 1} does not continue" in first.text
    if place == 0:
        assert checks(found)[1:] == [(Check.ORIGIN, 0), (Check.ORIGIN, 0)]
    elif place < KEPT:
        assert checks(found)[1:] == [(Check.ROOT, 0), (Check.ROOT, 0)]
    else:
        assert checks(found)[-1] == (Check.ROOT, KEPT)
        assert (
            f"of records {KEPT} to {RECORDS - 1}, from byte {kept.offset(KEPT)} on" in found.findings[-1].text
        )
    assert ("it is the last, or several were written anew" in found.findings[-1].text) == (
        place == RECORDS - 1
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("garbage", [b"no record", b"", b"x" * (LONGEST + 1), b"x" * 3 * LONGEST, b"\xff\0"])
def test_a_record_that_is_none_any_more_is_found(kept: Kept, place: int, garbage: bytes) -> None:
    lines = list(kept.lines)
    lines[place] = garbage
    kept.write(lines)
    first = kept.verify().findings[0]
    assert (first.check, first.record, first.offset) == (Check.FORM, place, kept.offset(place))


@pytest.mark.parametrize("place", PLACES)
def test_a_removed_record_is_found(kept: Kept, place: int) -> None:
    kept.write([*kept.lines[:place], *kept.lines[place + 1 :]])
    found = kept.verify()
    if place + 1 < RECORDS:
        first = found.findings[0]
        assert (first.check, first.record, first.offset) == (Check.SEQUENCE, place, kept.offset(place))
        assert f"holds record {place + 1}; {place} to {place} are missing before it" in first.text
    else:
        assert checks(found) == [(Check.LENGTH, RECORDS - 1)]


@pytest.mark.parametrize("place", PLACES[:-1])
def test_records_in_another_order_are_found(kept: Kept, place: int) -> None:
    lines = list(kept.lines)
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    kept.write(lines)
    found = kept.verify()
    assert checks(found)[:2] == [(Check.SEQUENCE, place), (Check.SEQUENCE, place + 1)]
    assert found.findings[0].offset == kept.offset(place)


@pytest.mark.parametrize("place", PLACES)
def test_a_repeated_record_is_found(kept: Kept, place: int) -> None:
    kept.write([*kept.lines[: place + 1], *kept.lines[place:]])
    first = kept.verify().findings[0]
    assert (first.check, first.record, first.offset) == (Check.SEQUENCE, place + 1, kept.offset(place + 1))
    assert f"holds record {place} where {place + 1} belongs: repeated, or out of order" in first.text


@pytest.mark.parametrize("place", range(RECORDS + 1))
def test_an_inserted_record_is_found(kept: Kept, place: int) -> None:
    """It goes on from the record before it, and the one after it doesn't go on from it."""
    previous = chain_hash(kept.lines[place - 1]) if place else START
    forged = Entry(place, 1, "key-administration", "token.resolve", {}, previous).line()
    kept.write([*kept.lines[:place], forged, *kept.lines[place:]])
    found = kept.verify()
    if place < RECORDS:
        assert checks(found)[0] == (Check.SEQUENCE, place + 1)
    else:
        assert checks(found) == [(Check.UNSIGNED, RECORDS)]
        assert f"records 8 to 8, from byte {kept.offset(RECORDS)} on, are under no" in found.findings[0].text


@pytest.mark.parametrize("left", PLACES)
def test_a_log_that_was_cut_off_is_found(kept: Kept, left: int) -> None:
    """Before the checkpoint that was kept, it contradicts both; after it, the one beside the log."""
    kept.write(kept.lines[:left])
    expected = [(Check.LENGTH, left)] * (1 + (left < KEPT))
    if left == 0:
        expected = [(Check.ORIGIN, 0), (Check.ORIGIN, 0)]
    assert checks(kept.verify()) == expected


@pytest.mark.parametrize("left", range(1, RECORDS))
def test_a_log_that_was_cut_off_with_its_checkpoint_is_found_by_one_that_was_kept(
    kept: Kept, left: int
) -> None:
    """Somebody has kept an old state of everything beside the log, and puts it back."""
    tree = Tree()
    for line in kept.lines[:left]:
        tree.append(leaf_hash(line))
    kept.write(kept.lines[:left])
    old = Checkpoint(origin_of(kept.lines[0]), left, tree.root()).sign(kept.key)
    newest = checkpoint_path(kept.log).rename(kept.outside)
    checkpoint_path(kept.log).write_text(old, encoding="utf-8")
    found = verify(kept.log, [newest], [kept.key.public])
    assert checks(found) == [(Check.LENGTH, left), (Check.ROLLED_BACK, None)]
    assert f"it was made of 8 records; those from {left} on were cut off" in found.findings[0].text
    assert verify(kept.log, (), [kept.key.public]).holds


def test_a_line_that_was_torn_is_named_and_is_no_record(kept: Kept) -> None:
    with kept.log.open("ab") as file:
        file.write(b'{"action"')
    found = kept.verify()
    assert (found.records, found.signed) == (RECORDS, RECORDS)
    assert [(finding.check, finding.offset) for finding in found.findings] == [
        (Check.TORN, kept.offset(RECORDS))
    ]


def test_a_last_line_without_its_newline_is_torn(kept: Kept) -> None:
    kept.log.write_bytes(kept.log.read_bytes().removesuffix(b"\n"))
    assert checks(kept.verify()) == [(Check.TORN, RECORDS - 1), (Check.LENGTH, RECORDS - 1)]


@pytest.mark.parametrize("place", PLACES)
def test_a_log_that_was_written_anew_from_some_record_on_is_found(kept: Kept, place: int) -> None:
    anew = chained([*kept.lines[:place], *map(altered, kept.lines[place:])])
    kept.write(anew)
    assert verify(kept.log).holds
    found = checks(kept.verify())
    if place == 0:
        assert found == [(Check.ORIGIN, 0)] * 2
    elif place < KEPT:
        assert found == [(Check.ROOT, 0)] * 2
    else:
        assert found == [(Check.ROOT, KEPT)]


def test_a_log_that_was_written_anew_and_signed_by_another_key_is_found(kept: Kept) -> None:
    kept.log.unlink()
    checkpoint_path(kept.log).unlink()
    log = AuditLog(kept.log, actor="key-administration", key=OTHER)
    for line in kept.lines:
        log.record(parse_entry(line).action)
    found = kept.verify()
    assert checks(found) == [(Check.SIGNATURE, None), (Check.ORIGIN, 0)]
    assert "signed by none of the keys" in found.findings[0].text


@pytest.mark.parametrize(
    ("alter", "check"),
    [
        (lambda note: note.replace(b"\n8\n", b"\n7\n"), "not a signature by the key"),
        (lambda note: note[:-5] + b"AA==\n", "not a signature by the key"),
        (lambda note: note.split(b"\n\n")[0] + b"\n", "not a signed note"),
        (lambda _: b"", "not a signed note"),
    ],
)
def test_a_forged_checkpoint_is_found(kept: Kept, alter: Callable[[bytes], bytes], check: str) -> None:
    beside = checkpoint_path(kept.log)
    beside.write_bytes(alter(beside.read_bytes()))
    finding, *others = kept.verify().findings
    assert (finding.check, others) == (Check.SIGNATURE, [])
    assert f"{beside}: {check}" in finding.text


def test_a_checkpoint_of_another_log_is_found(kept: Kept, tmp_path: Path) -> None:
    another = AuditLog(tmp_path / "another", actor="key-administration", key=kept.key)
    for _ in range(3):
        another.record("keys.root")
    found = verify(kept.log, [checkpoint_path(another.path)], [kept.key.public])
    assert checks(found) == [(Check.ORIGIN, 0)]


def test_an_old_checkpoint_that_was_put_back_is_found(kept: Kept) -> None:
    beside = checkpoint_path(kept.log)
    newest = kept.outside.with_name("newest")
    newest.write_bytes(beside.read_bytes())
    beside.write_bytes(kept.outside.read_bytes())
    assert checks(verify(kept.log, [newest], [kept.key.public])) == [(Check.ROLLED_BACK, None)]
    assert checks(kept.verify()) == [(Check.UNSIGNED, KEPT)]


def test_that_there_is_no_checkpoint_is_found(kept: Kept) -> None:
    checkpoint_path(kept.log).unlink()
    assert checks(verify(kept.log, keys=[kept.key.public])) == [(Check.SIGNATURE, None)]


def test_two_checkpoints_agree_if_the_log_has_grown_from_one_to_the_other(kept: Kept, tmp_path: Path) -> None:
    """The later one is signed, too: by somebody who has the key and has written the first records anew."""
    anew = chained([altered(line) if place == 2 else line for place, line in enumerate(kept.lines)])
    tree = Tree()
    for line in anew:
        tree.append(leaf_hash(line))
    later = tmp_path / "later"
    later.write_text(Checkpoint(origin_of(anew[0]), RECORDS, tree.root()).sign(kept.key), encoding="utf-8")
    checkpoint_path(kept.log).unlink()
    kept.write(anew)
    assert verify(kept.log, [later], [kept.key.public]).holds
    assert checks(verify(kept.log, [kept.outside, later], [kept.key.public])) == [(Check.ROOT, 0)]
    kept.write(kept.lines)
    assert checks(verify(kept.log, [kept.outside, later], [kept.key.public])) == [(Check.ROOT, KEPT)]


def test_what_is_written_meanwhile_is_left_for_the_next_time(
    kept: Kept, signed: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record_first(content: bytes, keys: Collection[VerificationKey]) -> object:
        signed.record("keys.rotate")
        return read_checkpoint(content, keys)

    monkeypatch.setattr("interceptors.audit.verification.read_checkpoint", record_first)
    found = kept.verify()
    assert (found.records, found.findings) == (RECORDS, ())


def test_a_log_that_is_cut_while_it_is_read(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_first(content: bytes, keys: Collection[VerificationKey]) -> object:
        kept.write(kept.lines[:2])
        return read_checkpoint(content, keys)

    monkeypatch.setattr("interceptors.audit.verification.read_checkpoint", cut_first)
    with pytest.raises(AuditError, match="it has become shorter while it was read"):
        kept.verify()


def test_so_many_findings_are_enough(kept: Kept) -> None:
    kept.write([b"no record"] * (MOST_FINDINGS + 5))
    found = verify(kept.log)
    assert (found.records, len(found.findings)) == (MOST_FINDINGS + 5, MOST_FINDINGS)
    with pytest.raises(AuditError, match=r"^line 1, at byte 0: not a record: .*; and 99 more$"):
        found.require()
    kept.write([b"no record"])
    with pytest.raises(AuditError, match=r"object with the fields of a record$"):
        verify(kept.log).require()


def test_an_empty_log_holds(path: Path) -> None:
    path.touch()
    assert verify(path) == Verification(0, 0, "", Tree().root(), ())


def test_what_can_not_be_read(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"none: can't be read \(No such file"):
        verify(tmp_path / "none")
    with pytest.raises(AuditError, match=r"none: can't be read \(No such file"):
        verify(kept.log, [tmp_path / "none"], [kept.key.public])
    with pytest.raises(AuditError, match="a checkpoint says nothing without a key"):
        verify(kept.log, [kept.outside])
    with pytest.raises(AuditError, match="/dev/null: no ordinary file"):
        verify(type(tmp_path)("/dev/null"))


def test_no_finding_shows_what_a_record_holds(kept: Kept) -> None:
    kept.write([line.replace(b"token.resolve", b"a.secret") for line in reversed(kept.lines)])
    assert "secret" not in f"{kept.verify()}"


def test_two_logs_that_were_signed_as_one_are_told(kept: Kept, tmp_path: Path) -> None:
    origin = origin_of(kept.lines[0])
    (tmp_path / "split").write_text(Checkpoint(origin, KEPT, bytes(32)).sign(kept.key))
    found = verify(kept.log, [kept.outside, tmp_path / "split"], [kept.key.public])

    (finding,) = found.findings
    assert finding.check is Check.ROOT
    assert f"split: another checkpoint of {KEPT} records holds" in finding.text
