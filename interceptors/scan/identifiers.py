"""Placeholder, to be rewritten by its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan.detector import Detector

if TYPE_CHECKING:
    from collections.abc import Sequence


def declared(
    name: str, *, prefix: str = "", pattern: str = "", check: str | None = None, words: Sequence[str] = ()
) -> Detector:
    """Give a detector."""
    raise NotImplementedError(name, prefix, pattern, check, words)


def check_path(text: str) -> None:
    """Check a path."""


def path_matches(pattern: str, path: str) -> bool:
    """Tell whether a path fits."""
    return pattern == path
