"""A text that is made of pieces of a binary record, and knows where each of them comes from."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from interceptors.scan.formats.plain import PlainView
from interceptors.scan.formats.view import Edit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.scan.token import Token


class Rendered:
    """The text, and its pieces: those that are copied, and numbers, which are written out.

    What stands between them (quotes, colons, commas) comes from nowhere. Pieces are kept in arrays, 33 bytes
    each, since a hostile record may be made of nothing else.
    """

    def __init__(self) -> None:
        """Begin with no text."""
        self.text = bytearray()
        # Of each piece in turn: where it begins and ends in the text, and where in the record.
        self._bounds = array("Q")
        self._numbers = bytearray()

    def add(self, text: bytes, start: int, end: int, *, number: bool = False) -> None:
        """Add a piece.

        Args:
            text: what it reads.
            start: where it lies in the record.
            end: where it ends there.
            number: whether it is a number written out; else it is the record's own bytes.
        """
        begin = len(self.text)
        self.text += text
        self._bounds.extend((begin, len(self.text), start, end))
        self._numbers.append(number)

    def piece(self, start: int, end: int) -> int:
        """Give the number of the piece in which the text from `start` to `end` begins."""
        pieces = self._pieces(start, end)
        return pieces.start if pieces else max(0, pieces.start - 1)

    def _pieces(self, start: int, end: int) -> range:
        """Give the pieces that have a part of the text from `start` to `end`."""
        pieces = range(len(self._numbers))
        first = bisect_right(pieces, start, key=lambda piece: self._bounds[4 * piece + 1])
        return range(first, bisect_left(pieces, end, key=lambda piece: self._bounds[4 * piece]))

    def _part(self, piece: int, start: int, end: int) -> tuple[int, int]:
        """Give where the part of a piece that is shown between `start` and `end` lies in the record."""
        first, last, begin, stop = self._bounds[4 * piece : 4 * piece + 4]
        if self._numbers[piece]:
            return begin, stop
        return begin + max(0, start - first), stop - max(0, last - end)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where the text from `start` to `end` lies in the record: a number as a whole."""
        pieces = self._pieces(start, end)
        if not pieces:
            at = self._bounds[4 * pieces.start - 1] if pieces.start else 0
            return at, at
        return self._part(pieces[0], start, end)[0], self._part(pieces[-1], start, end)[1]

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give what may stand in the place of some text: digits for a number, else as many bytes."""
        pieces = self._pieces(start, end)
        if len(pieces) == 1 and self._numbers[pieces[0]]:
            return b"0" if token is None else token.number
        return PlainView(b"").replacement(0, end - start, token)

    def edits(
        self, edits: list[Edit], encode: Callable[[int, int, int], bytes] | None = None
    ) -> Iterator[Edit]:
        """Turn replacements in the text into replacements in the record, where all keeps its length.

        Args:
            edits: in order, none overlapping another. What is not as long as what it replaces becomes a mask.
            encode: gets where a number lies in the record and its new value, and gives its new bytes. None
                where there are no numbers.
        """
        done = -1
        for start, end, text in edits:
            fits = len(text) == end - start
            for piece in self._pieces(start, end):
                begin, stop = self._part(piece, start, end)
                if not self._numbers[piece]:
                    offset = max(0, self._bounds[4 * piece] - start)
                    width = stop - begin
                    yield Edit(begin, stop, text[offset : offset + width] if fits else b"*" * width)
                elif encode is not None and piece != done:
                    yield Edit(begin, stop, encode(begin, stop, int(text) if text.isdigit() else 0))
                    done = piece
