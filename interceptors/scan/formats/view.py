"""A view: bytes in a form that can be scanned, which know where they lie in the record."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from interceptors.scan.token import Token

_Item = TypeVar("_Item")
_ASKED_EVERY = 256


class Edit(NamedTuple):
    """A replacement of some bytes."""

    start: int
    end: int
    text: bytes


class View(Protocol):
    """What a format shows of the bytes that it was made from: of the record, or of another view.

    A record may have several: its strings without escapes, what its base64 holds, its columns by their names.
    """

    data: bytes
    """What to scan."""

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where something of `data` lies in what the view was made from."""
        ...

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give where in the document some places of `data` lie, such as `$.customer.email`.

        Args:
            spans: in order.

        Returns:
            A path for each; empty where the format has none.
        """
        ...

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give what may stand in `data` in the place of something, so that all keeps its form.

        Args:
            start: where it begins.
            end: where it ends.
            token: what stands for it; None for a mask that says nothing.

        Returns:
            The text of the edit. It holds nothing of what it replaces, and no detector finds anything in it.
        """
        ...

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Turn replacements in `data` into replacements in what the view was made from.

        Args:
            edits: in order, none overlapping another. One may have another length than what `replacement`
                gives, such as a text that was encoded anew; a form that can't take it masks the place.

        Returns:
            The same, in the terms of what the view was made from.
        """
        ...


class Packing(Protocol):
    """What some bytes of a view hold: decoded, or decompressed."""

    data: bytes
    """What is in it: a record of its own."""

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where something of `data` lies in what was decoded."""
        ...

    def packed(self, data: bytes) -> bytes | None:
        """Encode other bytes in the same manner; None where that can't be done without a loss."""
        ...


class StackedView:
    """A view of what another view shows."""

    def __init__(self, below: View, above: View) -> None:
        """Keep both.

        Args:
            below: has the paths.
            above: made from the data of `below`.
        """
        self.data = above.data
        self._below = below
        self._above = above

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where something lies in what the lower view was made from."""
        return self._below.origin(*self._above.origin(start, end))

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give the paths of the lower view."""
        return self._below.paths([self._above.origin(*span) for span in spans])

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give what fits the upper view."""
        return self._above.replacement(start, end, token)

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Turn the replacements into ones below both."""
        return self._below.edits(self._above.edits(edits))


def never() -> bool:
    """Say that there is time left: where there is no budget."""
    return False


def within(items: Iterable[_Item], spent: Callable[[], bool], every: int = _ASKED_EVERY) -> Iterator[_Item]:
    """Give items as long as there is time.

    Args:
        items: what a view is made of.
        spent: says whether the time is over.
        every: after how many items it is asked.

    Yields:
        The items, or the first of them.
    """
    iterator = iter(items)
    while not spent() and (some := list(islice(iterator, every))):
        yield from some


def spliced(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Make replacements.

    Args:
        data: what to make them in; left as it is.
        edits: in order, none overlapping another.

    Returns:
        The bytes with each replacement made.
    """
    parts: list[bytes] = []
    at = 0
    for edit in edits:
        parts += (data[at : edit.start], edit.text)
        at = edit.end
    return b"".join((*parts, data[at:]))
