"""Where in some bytes the triggers lie: the stdlib's engine, and the interface of any other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from interceptors.scan.detector import literal_in

if TYPE_CHECKING:
    from collections.abc import Sequence

Hit = tuple[int, int]
"""The number of a trigger, and where a match of it ends."""


class Engine(Protocol):
    """Looks for many triggers at once. Safe between threads and after a fork."""

    def hits(self, data: bytes) -> list[Hit]:
        """Give each end of each match of each trigger, in the order of their ends."""
        ...


class StdlibEngine:
    """Looks for one trigger after the other with `re`: slow, and so simple that others are held to it.

    A trigger that holds some literal text is looked for only where that is, in any case.
    """

    def __init__(self, triggers: Sequence[str]) -> None:
        """Compile the triggers.

        Args:
            triggers: regular expressions of one width each.
        """
        self._patterns = [
            (re.compile(trigger.encode("ascii")), literal_in(trigger).lower()) for trigger in triggers
        ]

    def hits(self, data: bytes) -> list[Hit]:
        """Give each end of each match of each trigger, in the order of their ends."""
        hits: list[Hit] = []
        lower = data.lower()
        for number, (pattern, literal) in enumerate(self._patterns):
            if literal not in lower:
                continue
            search = pattern.search
            match = search(data)
            while match is not None:
                hits.append((number, match.end()))
                match = search(data, match.start() + 1)
        hits.sort(key=_end)
        return hits


def _end(hit: Hit) -> int:
    return hit[1]
