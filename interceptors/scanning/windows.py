"""Scans a text of any length in a bounded memory, findings that run over its lines included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from interceptors.scan.finding import Finding, Unscanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Outcome(Protocol):
    """What an inspection says."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, in order."""
        ...

    @property
    def unscanned(self) -> Unscanned | None:
        """Why not all was scanned."""
        ...


Result = tuple[int, Finding | Unscanned]
"""A record's number, and what was found in it or why it was not scanned to the end."""

BLOCK = 1 << 20
"""How much is scanned at once."""
REACH = 1 << 16
"""How far a finding may reach: what begins nearer to the end of what has been read waits for more."""
_BEFORE = 1 << 10
"""How much is kept of what was scanned, so that a value has its name before it."""
_MARGIN = 1 << 12
"""How far from the last of the findings that are kept others may be missing before it."""


def scan_windows(
    pieces: Iterable[bytes],
    inspect: Callable[[bytes], Outcome],
    *,
    record: int = 0,
    by_lines: bool = False,
    begin: int = 0,
) -> Iterator[Result]:
    """Scan a text.

    Args:
        pieces: the text.
        inspect: looks into a part of it.
        record: the number of the record that it is, or of its first.
        by_lines: whether each line is a record; else all is one.
        begin: what begins before is known already.

    Yields:
        What is found, in order. An offset counts from the begin of the record that a finding begins in.
    """
    window = _Window(inspect, record=record, by_lines=by_lines, begin=begin)
    for piece in pieces:
        window.data += piece
        if len(window.data) >= BLOCK + REACH:
            yield from window.results(held_back=REACH)
    yield from window.results(held_back=0)


class _Window:
    """The part of a text that is being scanned. All its places count from the begin of `data`."""

    def __init__(
        self, inspect: Callable[[bytes], Outcome], *, record: int, by_lines: bool, begin: int
    ) -> None:
        self.data = b""
        self._inspect = inspect
        self._by_lines = by_lines
        self._record = record
        self._record_start = 0
        self._counted = 0  # up to where lines are counted
        self._done = begin  # up to where findings are given

    def results(self, *, held_back: int) -> Iterator[Result]:
        """Give what begins in the window, but not in what is held back at its end."""
        full = True
        while full:
            inspection = self._inspect(self.data)
            findings = inspection.findings
            until = len(self.data) - held_back
            full = inspection.unscanned is Unscanned.FINDINGS and bool(findings)
            if full:
                # Only so many are kept at a time: go on behind them.
                last = findings[-1].start
                until = min(until, last - _MARGIN if last - _MARGIN > self._done else last + 1)
            begin, self._done = self._done, max(self._done, until)
            for finding in findings:
                if begin <= finding.start < until:
                    yield self._placed(finding)
                    self._done = max(self._done, finding.end)
            if inspection.unscanned is not None and not full:
                yield self._record, inspection.unscanned
            full = full and until < len(self.data) - held_back
            self._forget()

    def _placed(self, finding: Finding) -> Result:
        self._count(finding.start)
        start, end = finding.start - self._record_start, finding.end - self._record_start
        return self._record, finding._replace(start=start, end=end)

    def _count(self, until: int) -> None:
        if self._by_lines and until > self._counted:
            lines = self.data.count(b"\n", self._counted, until)
            if lines:
                self._record += lines
                self._record_start = self.data.rindex(b"\n", self._counted, until) + 1
            self._counted = until

    def _forget(self) -> None:
        """Drop what is not needed any more."""
        gone = min(self._done, len(self.data)) - _BEFORE
        if gone <= 0:
            return
        self._count(gone)
        self.data = self.data[gone:]
        self._done -= gone
        self._counted -= gone
        self._record_start -= gone
