"""MessagePack, shown as text: `{"email":"…","card":4111…,`, with names before values as in JSON."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.formats.paths import STEPS, member
from interceptors.scan.formats.rendered import Rendered
from interceptors.scan.formats.view import never, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interceptors.scan.formats.view import Edit
    from interceptors.scan.token import Token

_DEPTH = 512
"""How deep containers are followed. What is deeper is shown as bytes."""
_MOST = 1 << 18
"""How many values are read one by one. What comes then is shown as bytes."""
_SNIFFED = 64
"""How many values are looked at to tell whether a body is MessagePack."""
_INTEGRAL = 1 << 63
_SIGNED = 0xD0


# What a value is. The order is that of the questions below: strings, containers, all that have a count, ….
_TEXT, _DATA, _ARRAY, _MAP, _INTEGER, _FLOAT, _NOTHING, _REST = range(8)
_STRINGS = _DATA
"""The last kind of those whose bytes are shown: strings, and binary data and extensions."""
_COUNTED = _MAP
"""The last kind of those that begin with a length or a count."""


class _Marker(NamedTuple):
    """What a first byte says (the MessagePack specification, "Formats")."""

    kind: int
    width: int = 0
    """Of what follows: a count, a length or a number."""
    fixed: int = 0
    """The count or length where nothing follows."""
    skipped: int = 0
    """Bytes before the content: an extension's type."""


def _markers() -> Iterator[_Marker]:
    yield from [_Marker(_INTEGER)] * 0x80
    yield from (_Marker(_MAP, 0, count) for count in range(16))
    yield from (_Marker(_ARRAY, 0, count) for count in range(16))
    yield from (_Marker(_TEXT, 0, length) for length in range(32))
    yield from (_Marker(_NOTHING), _Marker(_REST), _Marker(_NOTHING), _Marker(_NOTHING))
    yield from (_Marker(_DATA, width) for width in (1, 2, 4))
    yield from (_Marker(_DATA, width, skipped=1) for width in (1, 2, 4))
    yield from (_Marker(_FLOAT, width) for width in (4, 8))
    yield from (_Marker(_INTEGER, width) for width in (1, 2, 4, 8) * 2)
    yield from (_Marker(_DATA, 0, length, skipped=1) for length in (1, 2, 4, 8, 16))
    yield from (_Marker(_TEXT, width) for width in (1, 2, 4))
    yield from (_Marker(kind, width) for kind in (_ARRAY, _MAP) for width in (2, 4))
    yield from [_Marker(_INTEGER)] * 0x20


_MARKERS = tuple(map(tuple, _markers()))
_NAMES = (_TEXT, _DATA, _INTEGER)
_DOUBLE = b"\xcb"


@dataclass(slots=True)
class _Level:
    """A container that is not at its end yet."""

    named: bool
    """Whether it is a map."""
    left: int
    """How many values are to come; in a map, names count as well."""
    count: int
    key: tuple[int, int] | None = None
    """Where the name of the value that comes now lies, if it is a string."""

    def step(self) -> str:
        """Write the step to the value that was read last."""
        return f"[{self.count - self.left - 1}]"


_Value = tuple[int, int, int, bool]
"""Kind; begin and end, of a string without its length, of a number with its marker; whether it is a name."""

_END: _Value = (_REST, 0, 0, False)


def _values(body: bytes, stack: list[_Level]) -> Iterator[_Value]:  # noqa: C901 - one loop, since it is hot
    """Read what lies in some bytes, one object after the other.

    Args:
        body: anything.
        stack: is kept at the containers around the value that was given last.
    """
    at, size = 0, len(body)
    for _ in range(_MOST):
        if at >= size:
            return
        kind, width, count, skipped = _MARKERS[body[at]]
        start, end = at, at + 1 + width
        if kind <= _COUNTED:
            if width:
                count = int.from_bytes(body[at + 1 : end])
            if kind <= _STRINGS:
                start = end + skipped
                end = start + count
            elif len(stack) >= _DEPTH:
                break
        if end > size or kind == _REST:
            break
        while stack and not stack[-1].left:
            stack.pop()
        key = False
        if stack:
            level = stack[-1]
            level.left -= 1
            if level.named and level.left % 2:
                key = True
                level.key = (start, end) if kind == _TEXT else None
        yield kind, start, end, key
        if _STRINGS < kind <= _COUNTED:
            count *= kind - _STRINGS
            stack.append(_Level(kind == _MAP, count, count))
        at = end
    if at < size:
        stack.clear()
        yield _REST, at, size, False


def _path(body: bytes, stack: list[_Level], *, key: bool) -> str:
    """Write where the value lies that was read last."""
    if len(stack) > STEPS:
        return ""
    steps = ["$"]
    for number, level in enumerate(stack):
        if not level.named:
            steps.append(level.step())
        elif level.key is None or (key and number == len(stack) - 1):
            steps.append(".*")
        else:
            steps.append(member(body[slice(*level.key)].decode("utf-8", "replace")))
    return "".join(steps)


def sniff(body: bytes) -> bool:
    """Tell whether a body is MessagePack: maps or arrays with well-formed strings, to the end.

    Args:
        body: anything; its first values are looked at.
    """
    if not body or not _STRINGS < _MARKERS[body[0]][0] <= _COUNTED:
        return False
    stack: list[_Level] = []
    last = 0
    for kind, start, last, key in islice(_values(body, stack), _SNIFFED):
        if kind == _REST or (not stack and not _STRINGS < kind <= _COUNTED) or (key and kind not in _NAMES):
            return False
        if kind == _TEXT:
            try:
                body[start:last].decode()
            except UnicodeDecodeError:
                return False
    return last < len(body) or not any(level.left for level in stack)


class MessagePackView:
    """Objects, one after the other, as text that is no JSON but reads like it: nothing is escaped."""

    def __init__(self, body: bytes, spent: Callable[[], bool] = never) -> None:
        """Write it out.

        Args:
            body: anything; what is no MessagePack is shown as it is.
            spent: says whether the time is over; what comes then is not shown.
        """
        self._body = body
        self._rendered = rendered = Rendered()
        for kind, start, end, key in within(_values(body, []), spent):
            if kind == _MAP:
                rendered.text += b"{"
                continue
            if kind == _ARRAY:
                rendered.text += b"["
                continue
            if kind <= _STRINGS:
                rendered.text += b'"'
                rendered.add(body[start:end], start, end)
                rendered.text += b'"'
            elif kind == _NOTHING:
                rendered.text += b"null"
            elif kind == _REST:
                rendered.add(body[start:end], start, end)
                break
            else:
                rendered.add(_digits(body[start:end]), start, end, number=True)
            rendered.text += b":" if key else b","
        self.data = bytes(rendered.text)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the bytes of a string, or all of a number."""
        return self._rendered.origin(start, end)

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give the path of the value in which each begins; what is in a name is its map's `.*`."""
        stack: list[_Level] = []
        values = _values(self._body, stack)
        paths: list[str] = []
        end, path = -1, ""
        for span in spans:
            begin, _ = self.origin(*span)
            while end <= begin:
                kind, _, end, key = next(values, _END)
                if kind == _REST:
                    end, path = len(self._body) + 1, ""
                elif end > begin:
                    path = _path(self._body, stack, key=key)
                    if key:  # nor is it shown above what it is the name of
                        stack[-1].key = None
            paths.append(path)
        return paths

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give asterisks or a token of the same length; for a number another one."""
        return self._rendered.replacement(start, end, token)

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give replacements of the same lengths, so that no length that stands before one changes."""
        return list(self._rendered.edits(edits, self._number))

    def _number(self, start: int, end: int, value: int) -> bytes:
        """Write a number as wide as the one that is there: 0 where it has no room for it, and for a float."""
        marker = self._body[start : start + 1]
        width = end - start - 1
        if width == 8 and marker != _DOUBLE:  # noqa: PLR2004 - bytes: where all that is not 0 has room
            return marker + value.to_bytes(width)
        return marker + bytes(width) if width else b"\0"


def _digits(number: bytes) -> bytes:
    """Write a number as in JSON; a whole one without a point, as some write each that is over 32 bits."""
    marker, width = number[0], len(number) - 1
    if not width:
        return b"%d" % (marker if marker < _SIGNED else marker - 256)
    if _MARKERS[marker][0] == _INTEGER:
        return b"%d" % int.from_bytes(number[1:], signed=marker >= _SIGNED)
    (value,) = struct.unpack(">f" if width == 4 else ">d", number[1:])  # noqa: PLR2004 - bytes
    whole = abs(value) < _INTEGRAL and value == int(value)
    return b"%d" % int(value) if whole else repr(value).encode()
