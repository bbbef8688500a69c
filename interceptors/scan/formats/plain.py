"""Bytes as they are: text, and whatever has no format that is known here."""

from __future__ import annotations

from base64 import b32encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.scan.formats.view import Edit


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

    def replacement(self, start: int, end: int, digest: bytes | None) -> bytes:
        """Give asterisks, or as much of a token as there is room for."""
        length = end - start
        return b"*" * length if digest is None else token(digest)[:length].ljust(length, b"*")

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give the replacements themselves."""
        return edits


def token(digest: bytes) -> bytes:
    """Write a digest as a token: `tok_` and 16 characters that no detector takes for anything."""
    return b"tok_" + b32encode(digest[:10]).lower()
