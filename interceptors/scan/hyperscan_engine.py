"""The engine that is on where the extra `scan` is installed: Hyperscan (on ARM, Vectorscan)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import hyperscan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.scan.engine import Hit


class HyperscanEngine:
    """Looks for all triggers in one pass of an automaton, outside the GIL."""

    def __init__(self, triggers: Sequence[str]) -> None:
        """Compile the triggers.

        Args:
            triggers: regular expressions of one width each.
        """
        count = len(triggers)
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[trigger.encode("ascii") for trigger in triggers],
            ids=list(range(count)),
            elements=count,
            flags=[0] * count,
        )
        self._thread = threading.local()

    def hits(self, data: bytes) -> list[Hit]:
        """Give each end of each match of each trigger, in the order of their ends."""
        hits: list[Hit] = []
        try:
            scratch = self._thread.scratch
        except AttributeError:
            scratch = self._thread.scratch = self._database.scratch.clone()
        try:
            self._database.scan(data, match_event_handler=_keep, context=hits, scratch=scratch)
        except hyperscan.ScratchInUseError:  # a signal handler that sends, while this thread scans
            hits.clear()
            again = self._database.scratch.clone()
            self._database.scan(data, match_event_handler=_keep, context=hits, scratch=again)
        return hits


def _keep(number: int, _start: int, end: int, _flags: int, hits: Any) -> None:  # noqa: ANN401 - the context is an object to them
    hits.append((number, end))
