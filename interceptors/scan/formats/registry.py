"""Avro and Protobuf behind the five bytes of a schema registry: 0, and the schema's id.

The schema is not here, so that Avro's numbers can't be told from what stands beside them: a card number that
is an Avro `long` is missed. Strings are found in both, numbers in Protobuf.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.scan.formats.json import json_views
from interceptors.scan.formats.json import sniff as sniff_json
from interceptors.scan.formats.plain import PlainView
from interceptors.scan.formats.protobuf import parsed, varint
from interceptors.scan.formats.view import Edit, never, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from interceptors.scan.formats.view import View

_HEADER = 5
_INDEXES = 16
"""How deep, and how far into its file, a Protobuf message may be declared."""
_RUN = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")
_TEXT = re.compile(rb"[\x20-\x7e]{6}")
"""What a run has to have, to hold an identifier at all."""
_WIDEST = 3
"""Bytes of a length: of strings up to a megabyte."""
_SEARCHED = 1 << 10
"""How long a run may be in which numbers are looked for between strings."""
_UNEXPLAINED = 3
"""What a byte that is no string and no length costs, where a string costs 1."""
_CONTINUED = 0x80

Span = tuple[int, int]


def sniff(body: bytes) -> bool:
    """Tell whether a body begins as a schema registry's serializers begin it.

    Args:
        body: anything.
    """
    return len(body) > _HEADER and body[0] == 0


def views(body: bytes, depth: int, spent: Callable[[], bool] = never) -> tuple[Sequence[View], bool]:
    """Show a body behind the five bytes: JSON, or what reads as Protobuf to its end, as such; else as Avro.

    Args:
        body: what `sniff` says yes to.
        depth: how many levels of JSON's escapes are undone.
        spent: says whether the time is over; what comes then stays as it is.

    Returns:
        Its views, and whether there are more levels of escapes than were undone.
    """
    content = body[_HEADER:]
    if sniff_json(content):
        documents, more = json_views(content, depth, spent)
        return [_BehindView(document) for document in documents], more
    message = _message(body)
    shown = None if message is None else parsed(body, message, spent)
    return [AvroView(body, spent) if shown is None else shown], False


def _message(body: bytes) -> int | None:
    """Give where a Protobuf message begins: behind the indexes that say which of the schema's it is."""
    read = varint(body, _HEADER, len(body))
    if read is None or read[0] % 2 or read[0] > 2 * _INDEXES:
        return None
    count, at = read[0] // 2, read[1]
    for _ in range(count):
        read = varint(body, at, len(body))
        if read is None or read[0] % 2 or read[0] > 2 * _INDEXES:
            return None
        at = read[1]
    return at


class _BehindView:
    """What a view shows of the bytes behind the header."""

    def __init__(self, content: View) -> None:
        self.data = content.data
        self.paths = content.paths
        self.replacement = content.replacement
        self._content = content

    def origin(self, start: int, end: int) -> tuple[int, int]:
        start, end = self._content.origin(start, end)
        return start + _HEADER, end + _HEADER

    def edits(self, edits: list[Edit]) -> list[Edit]:
        return [Edit(start + _HEADER, end + _HEADER, text) for start, end, text in self._content.edits(edits)]


class AvroView(PlainView):
    """The body, without the lengths that would be taken for characters of the string behind them."""

    def __init__(self, body: bytes, spent: Callable[[], bool] = never) -> None:
        """Look for strings.

        Args:
            body: anything.
            spent: says whether the time is over; what comes then stays as it is.
        """
        shown = bytearray(body)
        shown[:_HEADER] = bytes(len(body[:_HEADER]))
        for run in within(_RUN.finditer(body, _HEADER), spent, every=1):
            at, end = run.span()
            if _TEXT.search(body, at, end) is None:
                continue
            for start, stop in (*_strings(body, at, end), (end, end)):
                shown[at:start] = bytes(start - at)
                at = stop
        super().__init__(bytes(shown))


def _strings(body: bytes, start: int, end: int) -> Iterable[Span]:
    """Give the strings that a run of readable bytes consists of; all of it, where that can't be told.

    Each string is behind its length (a zigzag varint), so they make a chain that ends where the run does, or
    before the first bytes of a long length. Of several chains the one of the fewest strings is taken.
    """
    ends = {end}
    while len(ends) < _WIDEST and body[min(ends) - 1] >= _CONTINUED:
        ends.add(min(ends) - 1)
    chains = [
        chain
        for first in range(max(_HEADER, start - _WIDEST), start + 1)
        if (chain := _chain(body, first, start, ends))
    ]
    if chains:
        return min(chains, key=len)
    return _searched(body, start, end) or [(start, end)]


def _string(body: bytes, at: int, end: int) -> Span | None:
    """Give the string whose length stands at some place."""
    read = varint(body, at, min(end, at + _WIDEST))
    if read is None or read[0] % 2 or not read[0] or read[1] + read[0] // 2 > end:
        return None
    string = read[1], read[1] + read[0] // 2
    try:
        body[slice(*string)].decode()
    except UnicodeDecodeError:
        return None
    return string


def _chain(body: bytes, at: int, start: int, ends: set[int]) -> list[Span] | None:
    """Follow a chain of strings to its end."""
    chain: list[Span] = []
    last = max(ends)
    while at not in ends:
        string = _string(body, at, last)
        if string is None or string[0] < start:
            return None
        chain.append(string)
        at = string[1]
    return chain


def _searched(body: bytes, start: int, end: int) -> list[Span] | None:
    """Find the strings between which the fewest bytes are left over: numbers that happen to be readable."""
    if end - start > _SEARCHED:
        return None
    begin = max(_HEADER, start - _WIDEST)
    best: list[tuple[int, Span | None]] = [(0, None)] * (end - begin + 1)
    for at in range(end - 1, begin - 1, -1):
        rest, _ = best[at + 1 - begin]
        best[at - begin] = (rest + (_UNEXPLAINED if at >= start else 0), None)
        string = _string(body, at, end)
        if string is not None and string[0] >= start:
            cost, _ = best[string[1] - begin]
            if cost + 1 < best[at - begin][0]:
                best[at - begin] = (cost + 1, string)
    if best[0][0] > (end - start) * _UNEXPLAINED // 4:
        return None
    strings: list[Span] = []
    at = begin
    while at < end:
        _, string = best[at - begin]
        if string is not None:
            strings.append(string)
        at = at + 1 if string is None else string[1]
    return strings
