"""Records for people: read out of a log, chosen, and written for a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from interceptors.audit.lines import walk
from interceptors.audit.locked import locked
from interceptors.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from interceptors.audit.entry import Entry
    from interceptors.audit.lines import Line

_HEAD = ("sequence", "time", "actor", "action", "outcome", "details", "previous")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet takes for a formula."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_lines(log: Path) -> Iterator[Line]:
    """Give the lines that a log has now, with what is wrong with each.

    Raises:
        AuditError: it can't be read.
    """
    try:
        with locked(log, write=False) as file:
            end = file.seek(0, os.SEEK_END)
        with log.open("rb") as file:
            yield from walk(file, end)
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
    except AuditError as error:
        problem = f"{error}"
    else:
        return
    raise AuditError(f"{log}: {problem}")


def instant(milliseconds: int) -> str:
    """Write a record's time as RFC 3339 has it, in UTC; as the number where no calendar reaches so far."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def write_csv(entries: Iterable[Entry], out: TextIO) -> None:
    """Write records as CSV (RFC 4180), so that no spreadsheet runs what is in them.

    Args:
        entries: the records.
        out: a text file, opened with `newline=""`.
    """
    writer = csv.writer(out)
    writer.writerow(_HEAD)
    for entry in entries:
        details = json.dumps(entry.details, ensure_ascii=False, sort_keys=True)
        cells = (instant(entry.time), entry.actor, entry.action, entry.outcome or "", details, entry.previous)
        writer.writerow([entry.sequence, *map(_harmless, cells)])


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
