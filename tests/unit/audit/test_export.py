from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from interceptors.audit import AuditLog, Entry
from interceptors.audit.entry import START
from interceptors.audit.export import instant, read_lines, write_csv
from interceptors.errors import AuditError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_007, "2026-09-21T14:13:20.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "253402300800000"),
        ((1 << 53) - 1, "9007199254740991"),
    ],
)
def test_an_instant(milliseconds: int, text: str) -> None:
    assert instant(milliseconds) == text


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_as_a_formula_does(begin: str) -> None:
    entry = Entry(0, 0, f'{begin}cmd|"/c calc"!A0', "keys.rotate", {"a": "=1, ä"}, START, "failed")
    out = io.StringIO(newline="")
    write_csv([entry], out)
    head, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert head == ["sequence", "time", "actor", "action", "outcome", "details", "previous"]
    assert row == [
        "0",
        "1970-01-01T00:00:00.000Z",
        f'\'{begin}cmd|"/c calc"!A0',
        "keys.rotate",
        "failed",
        '{"a": "=1, ä"}',
        START,
    ]


def test_the_lines_of_a_log_are_those_that_it_had_at_first(log: AuditLog) -> None:
    log.record("keys.root")
    lines = read_lines(log.path)
    first = next(lines)
    rotated = log.record("keys.rotate")
    assert list(lines) == []
    assert [line.entry for line in read_lines(log.path)] == [first.entry, rotated]


def test_a_log_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"none: can't be read \(No such file"):
        list(read_lines(tmp_path / "none"))
    with pytest.raises(AuditError, match="no ordinary file"):
        list(read_lines(type(tmp_path)("/dev/null")))
