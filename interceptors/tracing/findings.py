"""What is said and counted of identifiers that were found where the policy does not declare them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.policy import Action, place
from interceptors.scan import Unscanned

if TYPE_CHECKING:
    from collections import Counter

    from interceptors.policy import Channel, Screened
    from interceptors.scan import Finding
    from interceptors.tracing.tally import Tally

logger = logging.getLogger("interceptors")

_REPLACING = (Action.REDACT, Action.TOKENIZE)
MASKED = "masked, with no token key"
"""What is counted, for each identifier that was to become a token and could not."""
_SAID = 1024


class Findings:
    """Counts findings by class, and says each kind once a channel."""

    def __init__(self, counts: Counter[str], tally: Tally) -> None:
        """Take where to count.

        Args:
            counts: of the tracing.
            tally: likewise, for the metrics.
        """
        self._counts = counts
        self._tally = tally
        self._said: BoundedMap[tuple[str, str, str], bool] = BoundedMap(_SAID)

    def sent(self, channel: Channel, screened: Screened) -> None:
        """Take note of what was found in a message that is about to be sent."""
        self._note(channel, screened, "sent")
        self._tally.found += len(screened.findings)
        self._tally.held_back += _held_back(channel, screened)
        if screened.blocked:
            self._counts["blocked"] += 1
        if screened.masked:
            self._counts[MASKED] += screened.masked
            if self._is_news(channel.name, "sent", "masked"):
                logger.warning(
                    "channel %r: there is no token key for what is to be tokenized, so that it is masked; "
                    "others like it are only counted",
                    channel.name,
                )
        if screened.kept:
            self._counts["found where nothing can be replaced"] += screened.kept
            if self._is_news(channel.name, "sent", "kept"):
                logger.warning(
                    "channel %r: what was found in a key, in a header's name or in a header that the bus "
                    "goes by stays as it is; only `block` keeps it back",
                    channel.name,
                )

    def received(self, channel: Channel, screened: Screened) -> None:
        """Take note of what was found in a message that was received."""
        self._note(channel, screened, "received")

    def _note(self, channel: Channel, screened: Screened, direction: str) -> None:
        for finding in screened.findings:
            action = _action(channel, finding, direction)
            self._counts[f"{finding.class_} {direction}"] += 1
            self._tally.find(channel.shown, direction, finding.class_, action)
            if self._is_news(channel.name, direction, finding.class_):
                logger.warning(
                    "channel %r: %s in a message %s, which the policy doesn't declare (%s); others like it "
                    "are only counted",
                    channel.name,
                    place(finding),
                    direction,
                    action,
                )
        if screened.unscanned is not None:
            self._counts["not scanned to the end"] += 1
            if self._is_news(channel.name, direction, screened.unscanned):
                logger.warning(
                    "channel %r: a message %s was not scanned to the end: %s; others like it are only "
                    "counted",
                    channel.name,
                    direction,
                    screened.unscanned,
                )

    def _is_news(self, channel: str, direction: str, what: str) -> bool:
        if self._said.get((channel, direction, what)) is not None:
            return False
        self._said.set((channel, direction, what), True)  # noqa: FBT003 - a set of triples
        return True


def _action(channel: Channel, finding: Finding, direction: str) -> Action:
    """Tell what becomes of a finding."""
    if channel.payload is None or direction == "received":
        return Action.OBSERVE
    return channel.payload.decide(finding).action or Action.OBSERVE


def _held_back(channel: Channel, screened: Screened) -> int:
    """Tell how many of the findings in a message that is about to be sent do not leave with it."""
    if screened.blocked:
        return len(screened.findings)
    replaced = [
        finding
        for finding in screened.findings
        if _action(channel, finding, "sent") in _REPLACING
        and not (finding.part == "body" and screened.unscanned is Unscanned.FORM)
    ]
    return max(len(replaced) - screened.kept, 0)
