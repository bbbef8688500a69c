"""A message's headers and key as one text, so that one pass scans them all, each name beside its value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan import Edit, member, spliced

if TYPE_CHECKING:
    from interceptors.scan import Finding

Headers = Sequence[tuple[str, object]]

_DEPTH = 4
"""Of tables within tables."""
_KEY = -1


class _Line(NamedTuple):
    """A name and a value of the text."""

    start: int
    """Of the name."""
    value: int
    """Where the value begins."""
    number: int
    """Of the header that it is of, or is a part of; -1 for the key."""
    part: str


class HeaderText:
    """Headers and key, written one a line."""

    def __init__(self, headers: Headers, key: object) -> None:
        """Write them.

        Args:
            headers: names and values; what is neither text nor bytes nor number, nor a table or list of
                those, is left out.
            key: bytes or text, or anything else for none.
        """
        self._headers = headers
        self._lines: list[_Line] = []
        parts: list[bytes] = []
        at = 0
        for number, (name, value) in enumerate(headers):
            part = _part(name)
            for leaf_name, leaf in _leaves(name, value, _DEPTH):
                written = to_bytes(leaf_name) or b"?"
                self._lines.append(_Line(at, at + len(written) + 2, number, part))
                parts += (written, b": ", leaf, b"\n")
                at += len(written) + len(leaf) + 3
        data = to_bytes(key)
        if data:
            self._lines.append(_Line(at, at, _KEY, "key"))
            parts.append(data)
        self.text = b"".join(parts)
        self._starts = [line.start for line in self._lines]

    def placed(self, finding: Finding) -> Finding:
        """Give a finding of the text as one of its header or of the key."""
        line = self._line(finding)
        start, end = (max(0, offset - line.value) for offset in (finding.start, finding.end))
        return finding._replace(start=start, end=end, part=line.part, path="")

    def replaceable(self, finding: Finding) -> bool:
        """Tell whether a finding of the text can be replaced: not in a key, nor in a name."""
        line = self._line(finding)
        return line.number != _KEY and finding.start >= line.value

    def replaced(self, edits: Iterable[Edit]) -> Headers:
        """Give the headers with replacements made.

        Args:
            edits: of the text, in order, each of a finding that is replaceable.

        Returns:
            New headers: bytes stay bytes, a text a text, a number becomes 0, a table an asterisk.
        """
        by_header: dict[int, list[Edit]] = {}
        for edit in edits:
            line = self._lines[bisect_right(self._starts, edit.start) - 1]
            shifted = Edit(edit.start - line.value, edit.end - line.value, edit.text)
            by_header.setdefault(line.number, []).append(shifted)
        headers = list(self._headers)
        for number, of_header in by_header.items():
            name, value = headers[number]
            headers[number] = name, _replaced(value, of_header)
        return headers

    def _line(self, finding: Finding) -> _Line:
        return self._lines[bisect_right(self._starts, finding.start) - 1]


def to_bytes(value: object) -> bytes | None:
    """Give the bytes of bytes or a text; None for anything else."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if isinstance(value, (bytearray, memoryview)):
        try:
            return bytes(value)
        except (BufferError, ValueError):  # a view that was released
            return None
    return None


def _part(name: object) -> str:
    """Name a header; a client may have let anything pass for a name."""
    return f"headers{member(name)}" if isinstance(name, str) else "headers.*"


def _leaves(name: object, value: object, depth: int) -> Iterator[tuple[object, bytes]]:
    """Give what can be scanned of a value with the name beside it; of tables and lists, what is in them."""
    data = to_bytes(value)
    if data is not None:
        yield name, data
    elif type(value) in (int, float):
        yield name, repr(value).encode()
    elif depth and isinstance(value, Mapping):
        for step, part in value.items():
            yield from _leaves(step, part, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(name, part, depth - 1)


def _replaced(value: object, edits: list[Edit]) -> object:
    data = to_bytes(value)
    if data is not None:
        result = spliced(data, edits)
        return result.decode(errors="replace") if isinstance(value, str) else result
    return 0 if isinstance(value, (int, float)) else "*"
