"""A message's headers or key as one text, so that one pass scans them all, each name beside its value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan import Edit, member, spliced

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from interceptors.scan import Finding

Headers = Sequence[tuple[str, object]]

_DEPTH = 4
"""Of tables within tables."""
_LONGEST = 512
"""Bits of a number; a longer one is no identifier, and may be too long to be written."""
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
    """Headers and key, written one a line.

    Attributes:
        text: all of it.
    """

    def __init__(self, headers: Headers, key: object, fixed: Collection[str] = ()) -> None:
        """Write them.

        Args:
            headers: names and values; what is neither text nor bytes nor number, nor a table or list of
                those, is left out.
            key: bytes or text, or anything else for none.
            fixed: the names of headers whose values can't be replaced.
        """
        self._fixed = fixed
        self._headers = headers
        self._leaves: list[tuple[int, bytes, bytes]] = []
        parts: list[bytes] = []
        for number, (name, value) in enumerate(headers):
            if value is None:  # most headers of Celery's
                continue
            data = leaf_bytes(value)
            leaves = _leaves(name, value, _DEPTH) if data is None else ((name, data),)
            for leaf_name, leaf in leaves:
                written = to_bytes(leaf_name) or b"?"
                self._leaves.append((number, written, leaf))
                parts += (written, b": ", leaf, b"\n")
        parts.append(to_bytes(key) or b"")
        self.text = b"".join(parts)

    @cached_property
    def _lines(self) -> list[_Line]:
        """The lines of the text: asked for where something was found, which is rare."""
        lines: list[_Line] = []
        at = 0
        for number, written, leaf in self._leaves:
            lines.append(_Line(at, at + len(written) + 2, number, _part(self._headers[number][0])))
            at += len(written) + len(leaf) + 3
        if len(self.text) > at:
            lines.append(_Line(at, at, _KEY, "key"))
        return lines

    @cached_property
    def _starts(self) -> list[int]:
        return [line.start for line in self._lines]

    def placed(self, finding: Finding) -> Finding:
        """Give a finding of the text as one of its header or of the key."""
        line = self._line(finding)
        start, end = (max(0, offset - line.value) for offset in (finding.start, finding.end))
        return finding._replace(start=start, end=end, part=line.part, path="")

    def replaceable(self, finding: Finding) -> bool:
        """Tell whether a finding of the text can be replaced: not in a key, a name, or a fixed header."""
        line = self._line(finding)
        if line.number == _KEY or finding.start < line.value:
            return False
        name: object = self._headers[line.number][0]
        return not isinstance(name, str) or name not in self._fixed

    def replaced(self, edits: Iterable[Edit], document: Callable[[bytes], bytes | None]) -> Headers:
        """Give the headers with replacements made.

        Args:
            edits: of the text, in order, each of a finding that is replaceable.
            document: gives a value that is a document of its own with what is in it replaced, so that it
                stays one; None where the edits have to do.

        Returns:
            New headers: bytes stay bytes, a text a text, a table a table; a number becomes 0.
        """
        by_line: dict[int, list[Edit]] = {}
        for edit in edits:
            number = bisect_right(self._starts, edit.start) - 1
            value_at = self._lines[number].value
            by_line.setdefault(number, []).append(Edit(edit.start - value_at, edit.end - value_at, edit.text))
        first: dict[int, int] = {}
        for number, line in enumerate(self._lines):
            first.setdefault(line.number, number)
        headers = list(self._headers)
        for header in {self._lines[number].number for number in by_line}:
            name, value = headers[header]
            lines = count(first[header])

            def changed(leaf: object, lines: Iterator[int] = lines) -> object:
                edits = by_line.get(next(lines))
                return leaf if edits is None else _replaced(leaf, edits, document)

            headers[header] = name, _rebuilt(value, changed, _DEPTH)
        return headers

    def _line(self, finding: Finding) -> _Line:
        return self._lines[bisect_right(self._starts, finding.start) - 1]


def to_bytes(value: object) -> bytes | None:
    """Give the bytes of bytes or a text; None for anything else."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        try:
            return bytes(value)
        except (BufferError, ValueError):  # a view that was released
            return None
    return None


def to_text(data: bytes) -> str:
    """Give the text that `to_bytes` made bytes of, lone surrogates included."""
    try:
        return data.decode(errors="surrogatepass")
    except UnicodeDecodeError:  # a replacement has cut a character in two
        return data.decode(errors="replace")


def _part(name: object) -> str:
    """Name a header; a client may have let anything pass for a name."""
    return f"headers{member(name)}" if isinstance(name, str) else "headers.*"


def leaf_bytes(value: object) -> bytes | None:
    """Give what is scanned of a value that holds no others; None for anything else."""
    if type(value) is str:  # nearly always
        return to_bytes(value)
    if type(value) in (float, Decimal) or (type(value) is int and value.bit_length() <= _LONGEST):
        return str(value).encode()
    return to_bytes(value)


def _leaves(name: object, value: object, depth: int) -> Iterator[tuple[object, bytes]]:
    """Give what can be scanned of a value with the name beside it; of tables and lists, what is in them."""
    data = leaf_bytes(value)
    if data is not None:
        yield name, data
    elif depth and isinstance(value, Mapping):
        for step, part in value.items():
            yield from _leaves(step, part, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(name, part, depth - 1)


def _rebuilt(value: object, changed: Callable[[object], object], depth: int) -> object:
    """Give a value with other leaves, which are asked for in the order of `_leaves`."""
    if leaf_bytes(value) is not None:
        return changed(value)
    if depth and isinstance(value, Mapping):
        return {step: _rebuilt(part, changed, depth - 1) for step, part in value.items()}
    if depth and isinstance(value, (list, tuple)):
        parts = [_rebuilt(part, changed, depth - 1) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value


def _replaced(value: object, edits: list[Edit], document: Callable[[bytes], bytes | None]) -> object:
    if isinstance(value, (int, float, Decimal)):
        return type(value)(0)
    data = to_bytes(value) or b""
    result = document(data)
    if result is None:
        result = spliced(data, edits)
    return to_text(result) if isinstance(value, str) else result
