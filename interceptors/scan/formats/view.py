"""A view: bytes in a form that can be scanned, which know where they lie in the record."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    def replacement(self, start: int, end: int, digest: bytes | None) -> bytes:
        """Give what may stand in `data` in the place of something, so that all keeps its form.

        Args:
            start: where it begins.
            end: where it ends.
            digest: what a token is to be made of; None for a mask that says nothing.

        Returns:
            The text of the edit. It holds nothing of what it replaces, and no detector finds anything in it.
        """
        ...

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Turn replacements in `data` into replacements in what the view was made from.

        Args:
            edits: in order, none overlapping another.

        Returns:
            The same, in the terms of what the view was made from.
        """
        ...


class Segment(NamedTuple):
    """A run of a view's bytes and where it comes from."""

    start: int
    origin_start: int
    origin_end: int
    copied: bool
    """Whether it is the same bytes; else it comes from that place as a whole."""


class Segments:
    """Where each run of a view's bytes lies in what the view was made from."""

    def __init__(self, segments: list[Segment]) -> None:
        """Keep them.

        Args:
            segments: in the order of the view, from its first byte on.
        """
        self._segments = segments
        self._starts = [segment.start for segment in segments]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where the view's bytes from `start` to `end` lie; what was not copied counts whole."""
        first = self._segments[max(0, bisect_right(self._starts, start) - 1)]
        last = self._segments[max(0, bisect_left(self._starts, end) - 1)]
        begin = first.origin_start + (start - first.start if first.copied else 0)
        stop = last.origin_start + (end - last.start) if last.copied else last.origin_end
        return begin, stop


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
