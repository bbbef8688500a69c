"""Values told by where they stand, whatever they hold: found in a record, and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.finding import Unscanned
from interceptors.scan.formats import compressed, dispatch, json
from interceptors.scan.formats.dispatch import Format
from interceptors.scan.formats.json_values import json_values
from interceptors.scan.formats.view import never

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scan.formats.json_values import Choose, Tokenize, Treated, Values
    from interceptors.scan.places import Paths

_DEPTH = 4
"""Of documents within strings."""
_MOST = 1 << 20
"""Bytes that a compressed record may hold: as many as a scan opens, since that is not held to a time."""


class Fields(NamedTuple):
    """The values of a record that paths mean."""

    body: bytes
    values: Values | None
    """None where the record's form has no places that are known here."""
    unscanned: Unscanned | None
    """Why not all of them were found, if so."""
    opened: compressed.Opened | None = None
    """What the record was, before it was opened."""

    def treated(self, choose: Choose) -> list[Treated]:
        """Tell what `replaced` makes of each value, by the numbers of the paths."""
        return [] if self.values is None else [*self.values.treated(choose)]

    def replaced(self, choose: Choose, tokenize: Tokenize) -> bytes | None:
        """Give the record with other values; see `Values.replaced`. None where it can't be packed again."""
        if self.values is None:
            return self.body
        data = self.values.replaced(choose, tokenize)
        if data is self.values.document:
            return self.body
        return data if self.opened is None else self.opened.packed(data)

    def __repr__(self) -> str:
        """Show nothing of the record."""
        return f"Fields(unscanned={self.unscanned!r})"


def fields(body: bytes, paths: Paths, spent: Callable[[], bool] = never) -> Fields:
    """Find values in a record.

    Args:
        body: JSON, or several documents in a row; also compressed. In other forms nothing is found.
        paths: where.
        spent: says whether the time is over.

    Returns:
        The values. Nothing is raised, whatever the record holds.
    """
    opened = None
    data = body
    if not json.begins(body):
        opened = compressed.opened(body, _MOST)
        if opened is not None:
            if opened.unscanned is not None:
                return Fields(body, None, opened.unscanned)
            data = opened.data
    # A single number or word is JSON as well, and is told by reading it.
    if dispatch.told(data) not in {Format.JSON, Format.TEXT}:
        return Fields(body, None, Unscanned.PLACES)
    values = json_values(data, paths, _DEPTH, spent)
    unscanned = None
    if not values.whole:
        unscanned = Unscanned.TIME if spent() else Unscanned.PLACES
    return Fields(body, values, unscanned, opened)
