"""What is counted for the metrics, where it happens; read when somebody collects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.policy import Action

MOST_CHANNELS = 1000
OTHER_CHANNELS = "(other)"
"""Stands for the channels beyond those, as `(temporary)` does for those that come and go."""


class Names:
    """Lets a bounded number of names through: those that are listed, and the first others."""

    def __init__(self, most: int, other: str, listed: Iterable[str] = ()) -> None:
        """Take the listed names.

        Args:
            most: how many others there may be.
            other: what stands for all further ones.
            listed: names that are let through in any case.
        """
        self._known = set(listed)
        self._most = most + len(self._known)
        self._other = other

    def admit(self, names: Iterable[str]) -> None:
        """Let further names through in any case."""
        further = set(names) - self._known
        self._most += len(further)
        self._known |= further

    def of(self, name: str) -> str:
        """Give the name, or what stands for it."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return self._other
            self._known.add(name)
        return name


class Tally:
    """Counts of one service. How many there are is bounded by channels, verdicts and classes.

    Attributes:
        channels: which channels are counted, and measured, by their own names.
        received: messages by bus, channel and verdict.
        findings: by channel, direction, class and action.
        found: how many identifiers were found in messages that were about to be sent.
        held_back: how many of those did not leave.
        policy_serial: of the policy that is in force, where it has one.
        policies_refused: how many others were not taken up.
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        """Start with nothing.

        Args:
            listed: the channels that the policy lists.
        """
        self.channels = Names(MOST_CHANNELS, OTHER_CHANNELS, listed)
        self.received: Counter[tuple[str, str, str]] = Counter()
        self.findings: Counter[tuple[str, str, str, Action]] = Counter()
        self.found = 0
        self.held_back = 0
        self.policy_serial: int | None = None
        self.policies_refused = 0

    def receive(self, system: str, channel: str, verdict: str) -> None:
        """Count a message that was received."""
        self.received[system, self.channels.of(channel), verdict] += 1

    def find(self, channel: str, direction: str, class_: str, action: Action) -> None:
        """Count an identifier that was found."""
        self.findings[self.channels.of(channel), direction, class_, action] += 1
