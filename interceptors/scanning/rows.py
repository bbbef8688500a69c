"""Scans a table part by part, each with the row of names before it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.scan.finding import Unscanned
from interceptors.scan.inspection import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interceptors.scan.inspection import Inspector
    from interceptors.scanning.windows import Result

PART = 1 << 16
"""How much is scanned at once."""
LONGEST_ROW = 32 << 20
"""A longer row is cut."""
_TRIED = 64
"""How many ends of lines are tried as the end of a row. Quotes that don't match are no table's."""
_ROW = re.compile(r"\$\[[0-9]+\]")


def scan_rows(pieces: Iterable[bytes], inspector: Inspector) -> Iterator[Result]:
    """Scan a table (CSV).

    Args:
        pieces: the table.
        inspector: looks into its parts.

    Yields:
        The number of a line, the names' being 0, and what begins there.
    """
    table = _Table(inspector)
    rest = b""
    for piece in pieces:
        rest += piece
        while len(rest) > PART and (end := _end_of_rows(rest)):
            yield from table.results(rest[:end])
            rest = rest[end:]
    yield from table.results(rest)


def _end_of_rows(data: bytes) -> int:
    """Give where a row ends, best at the end of a part; 0 where more has to be read to know."""
    first = at = data.rfind(b"\n", 0, PART)
    for _ in range(_TRIED):
        if at < 0:
            break
        if _is_outside_quotes(data, at):
            return at + 1
        at = data.rfind(b"\n", 0, at)
    at = data.find(b"\n", PART)
    for _ in range(_TRIED):
        if at < 0:
            return LONGEST_ROW if len(data) > LONGEST_ROW else 0
        if _is_outside_quotes(data, at):
            return at + 1
        at = data.find(b"\n", at + 1)
    return max(first, 0) + 1 if first >= 0 else data.find(b"\n", PART) + 1


def _is_outside_quotes(data: bytes, at: int) -> bool:
    return data.count(b'"', 0, at) % 2 == 0


class _Table:
    """The names of the columns, and how many lines are done."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._names: bytes | None = None
        self._lines = 0

    def results(self, rows: bytes) -> Iterator[Result]:
        """Give what is in the next rows, the first of all being that of the names."""
        if self._names is None:
            self._names, newline, rows = rows.partition(b"\n")
            self._names += newline
            yield from self._part(b"", told_from=0)
            self._lines = 1
        if rows:
            yield from self._part(rows, told_from=len(self._names))

    def _part(self, rows: bytes, *, told_from: int) -> Iterator[Result]:
        names = self._names or b""
        data = names + rows
        inspection = self._inspector.inspect(data, format=Format.CSV)
        half = rows.find(b"\n", len(rows) // 2) + 1
        if inspection.unscanned is Unscanned.FINDINGS and 0 < half < len(rows):
            yield from self._part(rows[:half], told_from=told_from)
            yield from self._part(rows[half:], told_from=told_from)
            return
        counted = line_start = told_from
        line = self._lines
        for finding in inspection.findings:
            if finding.start < told_from:
                continue
            passed = data.count(b"\n", counted, finding.start)
            if passed:
                line += passed
                line_start = data.rindex(b"\n", counted, finding.start) + 1
            counted = finding.start
            yield (
                line,
                finding._replace(
                    start=finding.start - line_start,
                    end=finding.end - line_start,
                    path=_ROW.sub(f"$[{line - 1}]", finding.path, count=1),
                ),
            )
        if inspection.unscanned is not None:
            yield line, inspection.unscanned
        self._lines += rows.count(b"\n")
