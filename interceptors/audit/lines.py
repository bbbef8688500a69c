"""The lines of a log: its end, which is looked at before each append, and all of it, which is checked."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from interceptors.audit.entry import LONGEST, START, Entry, chain_hash, parse_entry
from interceptors.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WINDOW = 3 * (LONGEST + 1)
"""What is read of the end: the last two lines, and one that was torn, at their longest."""


class Check(StrEnum):
    """What was checked of a log."""

    FORM = "form"
    SEQUENCE = "sequence"
    CHAIN = "chain"
    TORN = "torn"
    LENGTH = "length"
    ROOT = "root"
    ORIGIN = "origin"
    SIGNATURE = "signature"
    ROLLED_BACK = "rolled back"
    UNSIGNED = "unsigned"


class Finding(NamedTuple):
    """Something that doesn't hold."""

    check: Check
    """Which check has found it."""
    text: str
    """What is wrong, place included; nothing of what any record holds but its number."""
    record: int | None = None
    """The place of the line among the log's, from 0: the sequence that its record should have."""
    offset: int | None = None
    """Where in the file that line begins, in bytes."""


class Line(NamedTuple):
    """One line of a log."""

    place: int
    """Which, from 0."""
    offset: int
    """Where it begins."""
    content: bytes
    """It, without its newline."""
    entry: Entry | None
    """What it holds, if it is a record."""
    finding: Finding | None
    """What is wrong with it."""


class End(NamedTuple):
    """The end of a log."""

    length: int
    """Bytes up to and with the last newline."""
    torn: int
    """Bytes after that: a line that a crash has left half written."""
    last: bytes | None
    """The last line; None in an empty log."""
    sequence: int
    """The number of the next record."""


def read_end(file: int) -> End:
    """Look at the last two lines of a log.

    Args:
        file: its descriptor.

    Raises:
        AuditError: they are no records, or the last does not continue the one before it.
        OSError: the file can't be read.
    """
    size = os.fstat(file).st_size
    start = max(0, size - _WINDOW)
    window = os.pread(file, size - start, start)
    whole, newline, torn = window.rpartition(b"\n")
    if len(torn) > LONGEST or (start and whole.count(b"\n") < 2):  # noqa: PLR2004 - two whole lines, and what precedes
        raise AuditError(f"its last {len(window)} bytes are no lines of records")
    if not newline:
        return End(0, len(torn), None, 0)
    lines = whole.split(b"\n")[-2:]
    entries = [parse_entry(line) for line in lines]
    before = [-1, START] if len(lines) == 1 else [entries[0].sequence, chain_hash(lines[0])]
    if [entries[-1].sequence - 1, entries[-1].previous] != before:
        raise AuditError("its last record does not continue the one before it")
    return End(start + len(whole) + 1, len(torn), lines[-1], entries[-1].sequence + 1)


def walk(file: BinaryIO, end: int, *, sequence: int = 0) -> Iterator[Line]:
    """Give the lines of a log, each checked against the one before it.

    Args:
        file: the log, at the beginning of a line; from its own beginning, the first line is checked as such.
        end: how far to read.
        sequence: the number of the first record.

    Raises:
        AuditError: there are fewer bytes than that.
    """
    offset = file.tell()
    chain = START if offset == 0 else None
    place = sequence
    while offset < end:
        raw = file.readline(min(end - offset, LONGEST + 1))
        if not raw:
            raise AuditError("it has become shorter while it was read")
        content = raw.removesuffix(b"\n")
        line = _line(place, offset, content, sequence, chain)
        offset += len(raw)
        if content is raw and offset == end:
            line = _bad(line, Check.TORN, "cut off before its end; the next record takes its place")
        while raw and not raw.endswith(b"\n") and offset < end:
            line = _bad(line, Check.FORM, f"longer than {LONGEST} bytes")
            raw = file.readline(min(end - offset, LONGEST))
            offset += len(raw)
        yield line
        place += 1
        sequence = (line.entry.sequence if line.entry else sequence) + 1
        chain = chain_hash(content)


def _line(place: int, offset: int, content: bytes, sequence: int, chain: str | None) -> Line:
    """Check a line: is it a record, of the right number, and does it go on from the line before?"""
    line = Line(place, offset, content, None, None)
    try:
        entry = parse_entry(content)
    except AuditError as error:
        return _bad(line, Check.FORM, f"{error}")
    line = line._replace(entry=entry)
    if entry.sequence > sequence:
        text = f"holds record {entry.sequence}; {sequence} to {entry.sequence - 1} are missing before it"
        return _bad(line, Check.SEQUENCE, text)
    if entry.sequence < sequence:
        text = f"holds record {entry.sequence} where {sequence} belongs: repeated, or out of order"
        return _bad(line, Check.SEQUENCE, text)
    if chain not in (None, entry.previous):
        text = f"record {sequence} does not continue the line before it: that was altered, or this was put in"
        return _bad(line, Check.CHAIN, text)
    return line


def _bad(line: Line, check: Check, text: str) -> Line:
    place = f"line {line.place + 1}, at byte {line.offset}"
    return line._replace(finding=Finding(check, f"{place}: {text}", line.place, line.offset))
