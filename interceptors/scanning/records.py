"""From a stream to records: how it is cut, and what was found in each."""

from __future__ import annotations

import json
from enum import Enum, auto
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from interceptors.scan.finding import Unscanned
from interceptors.scan.inspection import Format, Inspection, Inspector
from interceptors.scanning.rows import scan_rows
from interceptors.scanning.windows import BLOCK, Result, scan_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WHOLE = 32 << 20
"""The longest record that is looked into as a whole; of a longer one there are no paths, since it is scanned
as text, part by part."""
HEAD = BLOCK
"""How much is looked at to tell what a stream is."""
_NOT_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b"))


class Readable(Protocol):
    """What can be read: `read` gives less than it is asked for only at the end."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""
        ...


class Cut(Enum):
    """What of a stream is a record."""

    WHOLE = auto()
    """All of it."""
    LINES = auto()
    """Each line, looked into by itself."""
    TEXT = auto()
    """Each line, but what is found may run over several."""
    ROWS = auto()
    """Each line, and the first names the columns."""


class Shape(NamedTuple):
    """What a stream is."""

    cut: Cut
    format: Format


_BY_FORMAT = {
    Format.TEXT: Shape(Cut.TEXT, Format.TEXT),
    Format.FORM: Shape(Cut.LINES, Format.FORM),
    Format.CSV: Shape(Cut.ROWS, Format.CSV),
    Format.MESSAGEPACK: Shape(Cut.WHOLE, Format.MESSAGEPACK),
    Format.REGISTRY: Shape(Cut.WHOLE, Format.REGISTRY),
    Format.BYTES: Shape(Cut.WHOLE, Format.BYTES),
}
_LINES_OF_JSON = Shape(Cut.LINES, Format.JSON)
_BY_SUFFIX = {
    ".jsonl": _LINES_OF_JSON,
    ".ndjson": _LINES_OF_JSON,
    ".csv": _BY_FORMAT[Format.CSV],
    ".tsv": _BY_FORMAT[Format.CSV],
    ".msgpack": _BY_FORMAT[Format.MESSAGEPACK],
}
_COMPRESSED = {".gz", ".zst", ".lz4"}


def recognise(name: str, head: bytes, asked: Format) -> Shape:
    """Tell what a stream is: by what was asked for, else by its name, else by how it begins.

    Args:
        name: the file's.
        head: its first bytes, up to `HEAD`.
        asked: what the caller says that it is.
    """
    shape = _BY_FORMAT.get(asked)
    if shape is not None:
        return shape
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes and asked is Format.AUTO else ""
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if asked is Format.JSON or suffix == ".json" or _begins_json(head):
        return _json(head)
    newline = b"\n" in head.rstrip()
    if head.translate(None, _NOT_TEXT) != head or not (newline or _is_utf8(head)):
        return Shape(Cut.WHOLE, Format.AUTO)
    # A line by itself may be anything, such as a form; more are text.
    return _BY_FORMAT[Format.TEXT] if newline or len(head) >= HEAD else Shape(Cut.WHOLE, Format.AUTO)


def _json(head: bytes) -> Shape:
    """Tell a document from one a line: of those, the first line is complete and not the only one."""
    first, _, rest = head.lstrip().partition(b"\n")
    try:
        complete = bool(rest.strip()) and json.loads(first) is not ...
    except (ValueError, RecursionError):
        complete = False
    return _LINES_OF_JSON if complete else Shape(Cut.WHOLE, Format.JSON)


def _begins_json(head: bytes) -> bool:
    """Tell JSON from text that begins with a bracket, such as `[INFO] started`: its first line may go on."""
    first, newline, _ = head.lstrip().partition(b"\n")
    if first[:1] not in {b"{", b"["}:
        return False
    if not newline:
        return True  # one line: its end may not be in the head, and it is one record, whatever it is
    text = first.decode("utf-8", "replace").rstrip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return True
    return True


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) >= HEAD and error.start > len(head) - 4
    return True


def scan_stream(stream: Readable, shape: Shape, inspector: Inspector) -> Iterator[Result]:
    """Scan a stream in a bounded memory.

    Args:
        stream: what to read.
        shape: what it is.
        inspector: looks into records.

    Yields:
        The number of a record, and what was found in it or why it was not scanned to the end.
    """
    match shape.cut:
        case Cut.WHOLE:
            return _whole(stream, shape.format, inspector)
        case Cut.LINES:
            return _lines(stream, shape.format, inspector)
        case Cut.TEXT:
            return scan_windows(blocks(stream), _as(Format.TEXT, inspector), by_lines=True)
        case Cut.ROWS:
            return scan_rows(blocks(stream), inspector)


def blocks(stream: Readable) -> Iterator[bytes]:
    """Give all of a stream."""
    while block := stream.read(BLOCK):
        yield block


def _as(form: Format, inspector: Inspector) -> Callable[[bytes], Inspection]:
    return lambda data: inspector.inspect(data, format=form)


def _whole(stream: Readable, form: Format, inspector: Inspector) -> Iterator[Result]:
    data = stream.read(WHOLE + 1)
    as_text = _as(Format.TEXT if form is Format.JSON else Format.BYTES, inspector)
    if len(data) > WHOLE:
        yield from scan_windows(chain([data], blocks(stream)), as_text)
    else:
        form = form if _may_be(form, data) else Format.AUTO
        yield from _results(0, data, inspector.inspect(data, format=form), inspector)


def _may_be(form: Format, data: bytes) -> bool:
    """Tell whether a record can be what it was said to be: read as MessagePack, a text would hold nothing."""
    match form:
        case Format.MESSAGEPACK:
            return data[:1] >= b"\x80"
        case Format.REGISTRY:
            return data[:1] == b"\0"
        case _:
            return True


def _lines(stream: Readable, form: Format, inspector: Inspector) -> Iterator[Result]:
    rest = b""
    number = 0
    for block in chain(blocks(stream), [b"\n"]):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            inspection = inspector.inspect(line, format=form)
            if inspection.findings or inspection.unscanned is not None:
                yield from _results(number, line, inspection, inspector)
            number += 1
        if len(rest) > WHOLE:
            long = _LongLine(rest, stream)
            yield from scan_windows(long.pieces(), _as(Format.TEXT, inspector), record=number)
            rest = long.rest
            number += 1


def _results(number: int, data: bytes, inspection: Inspection, inspector: Inspector) -> Iterator[Result]:
    """Give what is in a record. What is behind the findings that are kept is scanned as text."""
    for finding in inspection.findings:
        yield number, finding
    if inspection.unscanned is Unscanned.FINDINGS and inspection.findings:
        begin = inspection.findings[-1].end
        yield from scan_windows([data], _as(Format.TEXT, inspector), record=number, begin=begin)
    elif inspection.unscanned is not None:
        yield number, inspection.unscanned


class _LongLine:
    """A line that is too long to be kept."""

    def __init__(self, begin: bytes, stream: Readable) -> None:
        self._begin = begin
        self._stream = stream
        self.rest = b""
        """What was read and lies behind it."""

    def pieces(self) -> Iterator[bytes]:
        """Give the line."""
        yield self._begin
        for block in blocks(self._stream):
            piece, newline, self.rest = block.partition(b"\n")
            yield piece
            if newline:
                return
