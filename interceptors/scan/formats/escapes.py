"""The escapes of a JSON string (RFC 8259, section 7), undone without a parser: they also lie in logs."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[\"\\/bfnrt])"
)
_SHORT = {
    rb"\"": b'"',
    rb"\/": b"/",
    b"\\\\": b"\\",
    rb"\b": b"\b",
    rb"\f": b"\f",
    rb"\n": b"\n",
    rb"\r": b"\r",
    rb"\t": b"\t",
}
_TELLING = re.compile(rb"\\(?:[\"/]|u[0-9a-fA-F]{4})")


def telling(data: bytes) -> bool:
    """Say whether there are escapes that can hide something: not only those of control characters."""
    return b"\\" in data and _TELLING.search(data) is not None


def undone(data: bytes) -> bytes:
    r"""Undo one level of escapes: `\u0040` becomes `@`; what is no escape stays as it is."""
    if b"\\" not in data:
        return data
    if b"\\\\" not in data and b"\\u" not in data:  # each backslash stands for itself: no need for a regex
        for escape, text in _SHORT.items():
            data = data.replace(escape, text)
        return data
    return _ESCAPE.sub(_text, data)


def _text(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    short = _SHORT.get(escape)
    if short is not None:
        return short
    code = int(escape[2:6], 16)
    if len(escape) == 12:  # noqa: PLR2004 - a surrogate pair
        code = 0x10000 + ((code - 0xD800) << 10) + int(escape[8:], 16) - 0xDC00
    return chr(code).encode("utf-8", "surrogatepass")


class Origins:
    """Where the bytes of a text without escapes lie in the text with them: four numbers for each escape."""

    def __init__(self, data: bytes) -> None:
        """Note the escapes.

        Args:
            data: the text with them.
        """
        self._at, self._until = array("Q"), array("Q")
        self._begins, self._ends = array("Q"), array("Q")
        shorter = 0
        for match in _ESCAPE.finditer(data):
            begin, end = match.span()
            at = begin - shorter
            until = at + len(_text(match))
            self._at.append(at)
            self._until.append(until)
            self._begins.append(begin)
            self._ends.append(end)
            shorter = end - until

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where a part of the text lies; an escape counts whole."""
        first = bisect_right(self._at, start) - 1
        if first < 0:
            begin = start
        elif start < self._until[first]:
            begin = self._begins[first]
        else:
            begin = self._ends[first] + start - self._until[first]
        last = bisect_left(self._at, end) - 1
        if last < 0:
            return begin, end
        return begin, self._ends[last] + max(0, end - self._until[last])
