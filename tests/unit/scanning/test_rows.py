from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.scan import Finding, Inspector
from interceptors.scanning import rows
from interceptors.scanning.rows import scan_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = b"id,text\n"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few rows."""
    monkeypatch.setattr(rows, "PART", 64)


def told(pieces: Iterable[bytes], inspector: Inspector) -> list[tuple[int, int, int, str]]:
    """Record, start, end and path of each tag."""
    found = []
    for record, result in scan_rows(pieces, inspector):
        assert isinstance(result, Finding)
        found.append((record, result.start, result.end, result.path))
    return found


def test_a_row_is_a_record_and_the_names_are_the_first(inspector: Inspector) -> None:
    table = NAMES + b"".join(b"%d,tag=abc;\n" % number for number in range(1000))
    expected = [
        (number + 1, len(f"{number},tag="), len(f"{number},tag=abc;"), f"$[{number}].text")
        for number in range(1000)
    ]
    pieces = [table[at : at + 97] for at in range(0, len(table), 97)]
    assert told(pieces, inspector) == expected


def test_what_lies_in_the_names_is_told_once(inspector: Inspector) -> None:
    table = b"id,tag=abc;\n" + b"1,nothing\n" * 100
    assert [found[:3] for found in told([table], inspector)] == [(0, 7, 11)]


def test_a_line_without_an_end_is_the_last_row(inspector: Inspector) -> None:
    assert [found[:3] for found in told([NAMES, b"1,tag=abc;"], inspector)] == [(1, 6, 10)]
    assert told([b""], inspector) == []


def test_a_part_ends_where_a_row_does(inspector: Inspector) -> None:
    # Cut at the end of a line, a part would begin within quotes, and its separators would be text.
    row = b'1,"' + b"line\n" * 10 + b'",tag=abc;\n'
    table = b"id,lines,text\n" + row * 50
    found = told([table], inspector)
    assert [record for record, *_ in found] == [11 + 11 * number for number in range(50)]
    assert {path.partition(".")[2] for *_, path in found} == {"text"}


@pytest.mark.parametrize("quote", [b"", b'5"'], ids=["no quotes", "one that is never closed"])
def test_a_row_that_is_longer_than_a_part_is_scanned(inspector: Inspector, quote: bytes) -> None:
    table = NAMES + b"1," + quote + b"x" * 500 + b"\n2,tag=abc;\n" + b"3,y\n" * 100
    assert [found[:3] for found in told([table], inspector)] == [(2, 6, 10)]


def test_a_row_without_an_end_is_cut(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LONGEST_ROW", 200)
    longest = 0

    def pieces() -> Iterable[bytes]:
        yield NAMES
        for _ in range(100):
            yield b"x" * 50

    class Measured(Inspector):
        def inspect(self, body: bytes, **settings: object) -> object:  # type: ignore[override]  # handed on
            nonlocal longest
            longest = max(longest, len(body))
            return inspector.inspect(body, **settings)  # type: ignore[arg-type]  # as above

    assert list(scan_rows(pieces(), Measured([]))) == []
    assert longest <= len(NAMES) + 250


def test_more_findings_than_are_kept_at_a_time_are_all_told(
    inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PART", 1 << 20)
    table = NAMES + b"1,tag=abc;\n" * 5000
    assert [record for record, *_ in told([table], inspector)] == list(range(1, 5001))
