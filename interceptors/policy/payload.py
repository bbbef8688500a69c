"""What a channel's payloads may hold: the rules in the form that a message meets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.scan import Treatment, path_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.scan import Finding, Inspector


class Action(StrEnum):
    """What becomes of an identifier that is sent undeclared."""

    OBSERVE = "observe"
    """It is counted, and said once."""
    REDACT = "redact"
    """It is replaced by as many asterisks (in JSON, a number by 0)."""
    TOKENIZE = "tokenize"
    """It is replaced by a digest of it under a key of the sender's: the same for the same text."""
    BLOCK = "block"
    """The message is not sent: LeakError."""


class OnUnscanned(StrEnum):
    """What becomes of a message that is sent and could not be scanned to the end, or not be redacted."""

    PASS = "pass"  # noqa: S105 - a word of the policy
    """It is sent, and counted."""
    BLOCK = "block"
    """It is not sent: LeakError."""


_CLEAN = 1024
_TREATMENTS = {
    Action.OBSERVE: Treatment.KEEP,
    Action.REDACT: Treatment.MASK,
    Action.TOKENIZE: Treatment.TOKEN,
    Action.BLOCK: Treatment.KEEP,
}


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """The rules of one channel's payloads."""

    inspector: Inspector
    """Looks for all that is asked for."""
    actions: Mapping[str, Action]
    """By detector."""
    allowed: Mapping[str, tuple[str, ...]]
    """By detector: the paths where it is declared; the empty path is everywhere."""
    only: Mapping[str, str]
    """By detector: the one path where it counts at all."""
    on_unscanned: OnUnscanned
    time_ns: int
    """How long scanning one message may take, in nanoseconds."""
    sampled: int
    """Of 2^32 messages, how many are scanned."""
    clean: BoundedMap[bytes, bool] = field(default_factory=lambda: BoundedMap(_CLEAN), repr=False)
    """Digests of headers in which nothing was found: most messages of a channel have the same ones."""

    def samples(self, trace_id: bytes) -> bool:
        """Tell whether a message is among those that are scanned; both ends of a trace decide the same.

        Args:
            trace_id: of the trace that the message belongs to, whose last bytes are random (W3C Trace
                Context, level 2). A message without one is always scanned.
        """
        return bool(self.sampled) and int.from_bytes(trace_id[-4:], "big") < self.sampled

    def declared(self, finding: Finding) -> bool:
        """Tell whether the policy declares what was found, or does not ask for it there."""
        name = finding.detector
        place = self.only.get(name)
        if place is not None and not path_matches(place, finding.path):
            return True
        return any(not path or path_matches(path, finding.path) for path in self.allowed.get(name, ()))

    def treatment(self, finding: Finding) -> Treatment:
        """Tell what becomes of the text of a finding."""
        return Treatment.KEEP if self.declared(finding) else _TREATMENTS[self.actions[finding.detector]]

    def blocks(self, finding: Finding) -> bool:
        """Tell whether an undeclared finding keeps the message from being sent."""
        return self.actions[finding.detector] is Action.BLOCK
