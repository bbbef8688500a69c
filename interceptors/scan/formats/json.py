"""JSON: scanned as it lies, or with its escapes undone; still valid when a part of it is replaced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.scan.formats.escapes import Origins, telling, undone
from interceptors.scan.formats.json_path import Position, Walker
from interceptors.scan.formats.view import Edit, never

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.scan.token import Token

_JSON = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]{0,64}"
    rb"(?:\{[ \t\r\n]{0,256}[\"}]"
    rb"|\[[ \t\r\n]{0,256}(?:[\[{\"\]]|(?:-?[0-9][0-9.eE+-]{0,30}|true|false|null)"
    rb"[ \t\r\n]{0,256}(?:,|\][ \t\r\n]{0,64}\Z)))"
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"[ \t\r\n]*+\Z', re.DOTALL)
_NUMBER = b"0123456789+-.eE"
_DELIMITERS = b' \t\r\n{}[],:"'
_TOKENS = re.compile(b"[^%b]++" % re.escape(_DELIMITERS))
_LONGEST_TOKEN = 1 << 10

_USUAL = frozenset((b'{"', b"[{"))


def begins(body: bytes) -> bool:
    """Say whether a record begins like a JSON object or array."""
    return body[:2] in _USUAL or _JSON.match(body) is not None


def sniff(body: bytes) -> bool:
    """Say whether a record looks like JSON: by its first bytes, unless it is a string and nothing else."""
    return begins(body) or (body[:1] == b'"' and _STRING.match(body) is not None)


def json_views(data: bytes, depth: int, spent: Callable[[], bool] = never) -> tuple[list[JsonView], bool]:
    """Show a JSON document, or several in a row.

    Without a backslash that is the document itself. With one, its escapes are undone; and undone once more as
    long as there are escapes within, since a string may hold a document whose strings hold another.

    Args:
        data: the document.
        depth: how many levels of escapes are undone at most.
        spent: says whether the time is over; then one level is undone and no more.

    Returns:
        The views, and whether there were more levels.
    """
    if b"\\" not in data:
        return [JsonView(data, (), depth)], False
    views: list[JsonView] = []
    levels: tuple[bytes, ...] = (data,)
    while not views or (len(levels) <= depth and telling(levels[-1]) and not spent()):
        levels = (*levels, undone(levels[-1]))
        views.append(JsonView(data, levels[1:], depth))
    return views, telling(levels[-1])


_UNQUOTED = (Position.BARE, Position.INNER)


class JsonView:
    """A document with no, one or more levels of its escapes undone.

    Paths are `$.items[3].email`. A key that holds a finding has the path of its object and `.*`. The path of
    something in a document within a string is that of the string and then that in the document:
    `$.payload.customer.email`.

    A string is replaced by as many asterisks; a number, the whole of it, by 0 or one that no identifier is.
    Keys that are masked are numbered, so that they stay different.
    """

    def __init__(self, source: bytes, levels: tuple[bytes, ...], depth: int) -> None:
        """Keep.

        Args:
            source: the document.
            levels: the document with one level of escapes undone, with two, and so on.
            depth: how many documents within strings are looked into.
        """
        self.data = levels[-1] if levels else source
        self._source = source
        self._levels = levels
        self._depth = depth
        self._origins: list[Origins] | None = None
        self._places: dict[tuple[int, int], tuple[str, Position]] = {}
        self._keys: list[tuple[int, int]] = []

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where something lies in the document; an escape counts whole."""
        if not self._levels:
            return start, end
        if self._origins is None:  # of use on a finding only
            self._origins = [Origins(text) for text in (*self._levels[-2::-1], self._source)]
        for origins in self._origins:
            start, end = origins.origin(start, end)
        return start, end

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give the paths, in one pass that ends where the last of them begins."""
        walker = Walker(self._depth)
        at = 0
        paths = []
        for span in spans:
            start, _ = self.origin(*span)
            walker.read(self._source, at, start)
            at = max(at, start)
            place = self._places[span] = walker.where()
            if place[1] is Position.KEY and span not in self._keys:
                self._keys.append(span)
            paths.append(place[0])
        return paths

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give asterisks or a token; for a number, a number."""
        position = self._position(start, end)
        if position in _UNQUOTED and self._is_number(start, end):
            return b"0" if token is None else token.number
        if token is not None:
            return token.text
        mask = b"*" * (end - start)
        if position is Position.KEY and self._keys.index((start, end)):
            number = b"%d" % self._keys.index((start, end))
            mask = mask[len(number) :] + number
        return mask

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give the replacements in the document: within strings, or of whole numbers, whatever was found."""
        changed: list[Edit] = []
        self.paths([(start, end) for start, end, _ in edits])
        for edit in edits:
            start, end, text = edit
            position = self._position(start, end)
            if position in _UNQUOTED and self._is_number(start, end):
                changed.append(Edit(*self.origin(*self._token(start, end)), text))
            elif position is Position.BARE or b'"' in self.data[start:end]:
                changed += self._across(start, end, inside=position is not Position.BARE)
            else:
                changed.append(Edit(*self.origin(start, end), text))
        return changed

    def _across(self, start: int, end: int, *, inside: bool) -> list[Edit]:
        """Mask what runs over the border of a string: its quotes and what is between strings stay."""
        edits: list[Edit] = []
        for piece in self.data[start:end].split(b'"'):
            if inside:
                spans = [(start, start + len(piece), b"*" * len(piece))] if piece else []
            else:
                spans = [
                    (*self._token(start + match.start(), start + match.end()), b"0")
                    for match in _TOKENS.finditer(piece)
                ]
            edits += (Edit(*self.origin(begin, stop), text) for begin, stop, text in spans)
            start += len(piece) + 1
            inside = not inside
        return edits

    def _position(self, start: int, end: int) -> Position:
        if (start, end) not in self._places:
            self.paths([(start, end)])
        return self._places[start, end][1]

    def _token(self, start: int, end: int) -> tuple[int, int]:
        """Give the whole number or literal that a part of one belongs to."""
        least = max(0, start - _LONGEST_TOKEN)
        while start > least and self.data[start - 1] not in _DELIMITERS:
            start -= 1
        match = _TOKENS.match(self.data, end, end + _LONGEST_TOKEN)
        return start, end if match is None else match.end()

    def _is_number(self, start: int, end: int) -> bool:
        return not self.data[start:end].strip(_NUMBER)
