"""Files, folders and standard input: found, opened and scanned, one after the other."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import MissingExtraError
from interceptors.files import shown
from interceptors.scan.finding import Unscanned
from interceptors.scanning.compressed import decompressed
from interceptors.scanning.records import HEAD, recognise, scan_stream
from interceptors.scanning.report import Found, Problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from interceptors.scan.inspection import Format, Inspector
    from interceptors.scanning.records import Readable

STANDARD_INPUT = "-"


class File(NamedTuple):
    """A file to scan."""

    name: str
    size: int
    """In bytes; 0 where it is not known."""


def find_files(names: Iterable[str], problems: Problems) -> list[File]:
    """Find the files that are named, and all in the folders that are.

    Args:
        names: of files and folders, and `-`.
        problems: gets what can't be read.

    Returns:
        In the order of the names; those of a folder in the order of theirs. In a folder, symbolic links are
        not followed, and what is no file is left out.
    """
    files: list[File] = []
    for name in names:
        if name == STANDARD_INPUT and sys.stdin is None:
            problems.add("-: the standard input is closed; pipe something into it, or name a file")
            continue
        try:
            status = None if name == STANDARD_INPUT else os.stat(name)  # noqa: PTH116 - as it was named
        except OSError as error:
            problems.add(f"{shown(name)}: {_why(error)}; name a file, a folder, - or kafka://host:port/topic")
            continue
        if status is not None and stat.S_ISDIR(status.st_mode):
            files += sorted(_within(name, problems))
        else:
            files.append(File(name, 0 if status is None else status.st_size))
    return files


def _within(folder: str, problems: Problems) -> Iterator[File]:
    def unreadable(error: OSError) -> None:
        problems.add(f"{shown(str(error.filename))}: {_why(error)}; let this user read it")

    for parent, _, names in os.walk(folder, onerror=unreadable):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118 - names stay as they were given
            try:
                status = os.lstat(path)
            except OSError as error:
                unreadable(error)
                continue
            if stat.S_ISREG(status.st_mode):
                yield File(path, status.st_size)


def scan_files(
    files: Iterable[File],
    inspector: Inspector,
    asked: Format,
    *,
    problems: Problems,
    advanced: Callable[[int], None],
) -> Iterator[Found]:
    """Scan files.

    Args:
        files: which.
        inspector: looks into records.
        asked: what they are.
        problems: gets what can't be read; the other files are scanned all the same.
        advanced: is told how many bytes were read, again and again.

    Yields:
        What was found.
    """
    for file in files:
        try:
            yield from _scan_file(file.name, inspector, asked, problems, advanced)
        except OSError as error:
            problems.add(f"{shown(file.name)}: {_why(error)}; let this user read it")
        except MissingExtraError as error:
            problems.add(f"{shown(file.name)}: {error}")


def _scan_file(
    name: str, inspector: Inspector, asked: Format, problems: Problems, advanced: Callable[[int], None]
) -> Iterator[Found]:
    opened = nullcontext(sys.stdin.buffer) if name == STANDARD_INPUT else open(name, "rb")  # noqa: PTH123, SIM115 - as it was named; closed below

    def damaged() -> None:
        text = "it is damaged, and could not be decompressed to its end; what comes before was scanned"
        problems.add(f"{shown(name)}: {text}")

    with opened as raw:
        source = _Peekable(_Counted(raw, advanced))
        stream = _Peekable(decompressed(source, source.peek(HEAD), damaged))
        shape = recognise(name, stream.peek(HEAD), asked)
        for record, result in scan_stream(stream, shape, inspector):
            if isinstance(result, Unscanned):
                problems.unscanned(name, record, result)
            else:
                yield Found(name, record, result)


class _Counted:
    """A stream that says how much of it was read."""

    def __init__(self, stream: Readable, advanced: Callable[[int], None]) -> None:
        self._stream = stream
        self._advanced = advanced

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""
        data = self._stream.read(size)
        self._advanced(len(data))
        return data


class _Peekable:
    """A stream whose begin can be looked at before it is read."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Give the first bytes."""
        self._head = self._stream.read(size)
        return self._head

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""
        head, self._head = self._head[:size], self._head[size:]
        return head if len(head) == size else head + self._stream.read(size - len(head))


def _why(error: OSError) -> str:
    return error.strerror or "it can't be read"
