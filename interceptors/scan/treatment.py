"""What becomes of a text."""

from __future__ import annotations

from enum import StrEnum


class Treatment(StrEnum):
    """What becomes of a text, from the laxest to the strictest."""

    KEEP = "keep"
    TOKEN = "token"  # noqa: S105 - the name of a treatment
    MASK = "mask"
    EMPTY = "empty"
    """Nothing of it stays, not even its length: for values that are told by where they stand."""
