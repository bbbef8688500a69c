"""Bytes as they are: text, and whatever has no format that is known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan.formats.escapes import Origins, telling, undone
from interceptors.scan.formats.view import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.scan.token import Token


def plain_views(data: bytes) -> list[PlainView]:
    """Show some bytes: as they are, and where JSON's escapes lie in them, as in a log, without those."""
    views = [PlainView(data)]
    if telling(data):
        views.append(UnescapedView(data))
    return views


class PlainView:
    """The record itself. What replaces something is as long as it was, since a length may stand before it."""

    def __init__(self, data: bytes) -> None:
        """Keep the bytes."""
        self.data = data

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the place itself."""
        return start, end

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give no paths: there is no structure."""
        return [""] * len(spans)

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give asterisks, or as much of a token as there is room for."""
        length = end - start
        return b"*" * length if token is None else token.text[:length].ljust(length, b"*")

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give the replacements, a mask in place of any that is not as long as what it replaces."""
        return [_fitted(*self.origin(start, end), text) for start, end, text in edits]


class UnescapedView(PlainView):
    """Text with JSON's escapes undone."""

    def __init__(self, data: bytes) -> None:
        """Undo the escapes."""
        super().__init__(undone(data))
        self._source = data
        self._origins: Origins | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the place in the text with its escapes."""
        if self._origins is None:
            self._origins = Origins(self._source)
        return self._origins.origin(start, end)


def _fitted(start: int, end: int, text: bytes) -> Edit:
    return Edit(start, end, text if len(text) == end - start else b"*" * (end - start))
