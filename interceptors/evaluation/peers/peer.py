"""What the peers have in common: they read text, count characters, and have names of their own."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from interceptors.evaluation.scoring import Prediction, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from interceptors.evaluation.labelled import Record


PRIVATE = "PRIVATE_"
"""Before the name for an address, where a peer tells private ones by the same name as public ones."""


class Kind(NamedTuple):
    """What a peer's name stands for here."""

    class_: str
    detector: str = ""
    """The detector of ours that looks for the same; empty where the name stands for several."""


class Entity(NamedTuple):
    """What a peer found: its name for it, and where, in characters."""

    name: str
    start: int
    end: int


class Peer:
    """A scanner that is none of ours."""

    def __init__(self, name: str, kinds: Mapping[str, Kind], find: Callable[[str], Iterable[Entity]]) -> None:
        """Wrap it.

        Args:
            name: what it is called.
            kinds: what its names stand for; what it finds under another name is left out.
            find: lets it read a text.
        """
        self.name = name
        self.find = find
        self._kinds = kinds
        self._names = {
            word for kind in kinds.values() for word in Prediction(kind.detector, kind.class_, 0, 0).names()
        } - {""}

    def claims(self, class_: str) -> bool:
        """Say whether one of its names stands for a class, a family or a detector's kind."""
        return class_ in self._names

    def read(self, record: Record) -> Reading:
        """Let it read a record. One that it fails on counts as not looked at."""
        text, offsets = _decoded(record.body)
        try:
            entities = list(self.find(text))
        except Exception:  # noqa: BLE001 - whatever a peer raises, it is its answer to this record
            return Reading((), whole=False)
        predictions: list[Prediction] = []
        for entity in entities:
            name = entity.name
            if PRIVATE + name in self._kinds and _is_private(text[entity.start : entity.end]):
                name = PRIVATE + name
            kind = self._kinds.get(name)
            if kind is not None:
                start, end = offsets[entity.start], offsets[entity.end]
                predictions.append(Prediction(kind.detector, kind.class_, start, end))
        return Reading(predictions)


def _is_private(address: str) -> bool:
    """Say whether an address is one of a private network."""
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


def _decoded(body: bytes) -> tuple[str, range | list[int]]:
    """Give the text of some bytes, and the byte at which each of its characters begins."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
        return text, range(len(text) + 1)
    if len(text) == len(body):
        return text, range(len(text) + 1)
    return text, list(accumulate((len(character.encode()) for character in text), initial=0))
