"""Protobuf without its schema: what the wire format tells, as text; its paths are of the fields' numbers."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.formats.rendered import Rendered
from interceptors.scan.formats.view import never

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.scan.formats.view import Edit
    from interceptors.scan.token import Token

_DEPTH = 32
_MOST = 1 << 16
"""How many fields a message may have, those of messages within it included."""
_ASKED_EVERY = 64
"""After how many fields the time is asked for."""
_HIGHEST = (1 << 29) - 1
"""The highest field number that may be."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10
"""The most bytes of a varint."""
_EXACT = 1 << 53
"""From here on, not every whole number is a double."""
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TAG_OF_A_LENGTH = re.compile(rb"[\x02\x0a\x12\x1a\x22\x2a\x32\x3a\x42\x4a\x52\x5a\x62\x6a\x72\x7a\x80-\xff]")


class _Message(NamedTuple):
    """Where a message may lie."""

    start: int
    end: int
    path: str
    depth: int
    """How many more messages may lie within each other in it."""


class _Field(NamedTuple):
    wire: int
    start: int
    end: int
    path: str
    """Of its message."""
    number: int


def varint(body: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Read a varint.

    Args:
        body: what it lies in.
        at: where it begins.
        end: where it ends at the latest.

    Returns:
        Its value, and where it ends; None where there is none.
    """
    value = 0
    for position in range(at, min(at + _LONGEST, end)):
        byte = body[position]
        value |= (byte & 0x7F) << 7 * (position - at)
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, position + 1
    return None


def _is_text(chunk: bytes) -> bool:
    if _CONTROL.search(chunk):
        return False
    try:
        chunk.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(body: bytes, message: _Message, fields: list[_Field], spent: Callable[[], bool]) -> bool:
    """Read a message.

    Args:
        body: what it lies in.
        message: where.
        fields: what is read is added, even if it is none in the end.
        spent: says whether the time is over.

    Returns:
        Whether it is one; it is not where there is no time to tell.
    """
    at, end, path, depth = message
    while at < end:
        tag = varint(body, at, end)
        if tag is None or len(fields) >= _MOST or (not len(fields) % _ASKED_EVERY and spent()):
            return False
        number, wire, at = tag[0] >> 3, tag[0] & 7, tag[1]
        start = at
        if wire == _VARINT:
            read = varint(body, at, end)
            at = end + 1 if read is None else read[1]
        elif wire == _LENGTH:
            read = varint(body, at, end)
            if read is None:
                return False
            start = read[1]
            at = start + read[0]
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            return False
        if at > end or not 0 < number <= _HIGHEST:
            return False
        within = _Message(start, at, f"{path}.{number}", depth - 1)
        if wire != _LENGTH or not _read_within(body, within, fields, spent):
            fields.append(_Field(wire, start, at, path, number))
    return True


def _read_within(body: bytes, message: _Message, fields: list[_Field], spent: Callable[[], bool]) -> bool:
    """Read bytes that may be a message. What reads like a text is one unless it is made of texts itself."""
    start, end, _, depth = message
    text = _is_text(body[start:end])
    if start == end or not depth or (text and _TAG_OF_A_LENGTH.match(body, start) is None):
        return False
    before = len(fields)
    if _read(body, message, fields, spent) and not (
        text and any(field.wire != _LENGTH for field in fields[before:])
    ):
        return True
    del fields[before:]
    return False


class ProtobufView:
    """A message as text: its strings in quotes and its whole numbers in digits, without names.

    Numbers of fixed width count only where they are a double that is whole: as an integer, every other double
    would look like an identifier of 19 digits.
    """

    def __init__(self, body: bytes, fields: list[_Field]) -> None:
        """Write it out; `parsed` makes these."""
        self._fields: list[_Field] = []
        self._doubles: set[int] = set()
        self._rendered = rendered = Rendered()
        for field in fields:
            chunk = body[field.start : field.end]
            if field.wire == _LENGTH:
                rendered.text += b'"'
                rendered.add(chunk, field.start, field.end)
                rendered.text += b'",'
            else:
                number = _whole(field.wire, chunk)
                if number is None:
                    continue
                if field.wire == _FIXED64:
                    self._doubles.add(field.start)
                rendered.add(b"%d" % number, field.start, field.end, number=True)
                rendered.text += b","
            self._fields.append(field)
        self.data = bytes(rendered.text)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the bytes of a string, or all of a number."""
        return self._rendered.origin(start, end)

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give the numbers of the fields, such as `$.3.1`."""
        fields = (self._fields[self._rendered.piece(*span)] for span in spans)
        return [f"{field.path}.{field.number}" for field in fields]

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give asterisks or a token of the same length; for a number another one."""
        return self._rendered.replacement(start, end, token)

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give replacements of the same lengths, so that no length that stands before one changes."""
        return list(self._rendered.edits(edits, self._number))

    def _number(self, start: int, end: int, value: int) -> bytes:
        """Write a number as wide as the one that is there: 0 where that has no room, and for a double."""
        width = end - start
        if start in self._doubles:
            return bytes(width)
        if value >> 7 * width:
            value = 0
        groups = [value >> 7 * place & 0x7F for place in range(width)]
        return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def _whole(wire: int, chunk: bytes) -> int | None:
    if wire == _VARINT:
        read = varint(chunk, 0, len(chunk))
        return None if read is None else read[0]
    if wire == _FIXED64:
        (value,) = struct.unpack("<d", chunk)
        return int(value) if abs(value) < _EXACT and value == int(value) else None
    return None


def parsed(body: bytes, at: int, spent: Callable[[], bool] = never) -> ProtobufView | None:
    """Show a message.

    Args:
        body: what it lies in.
        at: where it begins; it ends with the body.
        spent: says whether the time is over.

    Returns:
        The view; None where it is no message, or there is no time to tell.
    """
    fields: list[_Field] = []
    if at >= len(body) or not _read(body, _Message(at, len(body), "$", _DEPTH), fields, spent):
        return None
    return ProtobufView(body, fields)
