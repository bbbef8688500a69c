"""What a channel's payloads may hold: the rules in the form that a message meets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from interceptors.bounded import BoundedMap
from interceptors.scan import Treatment, path_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.policy.field_rules import FieldRules
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


class Declaration(NamedTuple):
    """Something that a policy expects somewhere."""

    place: str
    """A path in the body; `headers.` and a header's name in lower case; empty for anywhere."""
    line: str
    """Where the policy says so."""
    excepted: bool = False
    """Whether an exception says so, which counts instead of the bounds."""

    def means(self, finding: Finding) -> bool:
        """Tell whether a finding lies there."""
        if not self.place.startswith("$"):
            return not self.place or self.place == finding.part.lower()
        return path_matches(self.place, finding.path)


class Decision(NamedTuple):
    """What becomes of a finding, and which line of the policy says so."""

    action: Action | None
    """None where it is declared: it may be sent."""
    line: str
    """Empty for what is built in."""


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """The rules of one channel's payloads."""

    inspector: Inspector
    """Looks for all that is asked for."""
    actions: Mapping[str, Action]
    """By detector: what becomes of a finding that is not declared."""
    decided_by: Mapping[str, str]
    """By detector: the line of the document that says so; empty for what is built in."""
    declarations: Mapping[str, tuple[Declaration, ...]]
    """By detector."""
    bounded: Mapping[str, Decision]
    """By detector: the least that becomes of a finding, even where it is declared."""
    domains: Mapping[str, str]
    """By detector: the domain of its tokens."""
    only: Mapping[str, str]
    """By detector: the one path where it counts at all."""
    fields: FieldRules
    """What becomes of values by where they stand."""
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

    def decide(self, finding: Finding) -> Decision:
        """Tell what becomes of a finding as it is sent, and by which line."""
        name = finding.detector
        only = self.only.get(name)
        if only is not None and not path_matches(only, finding.path):
            return Decision(None, f"identifiers.{name}.path")
        declared = [each for each in self.declarations.get(name, ()) if each.means(finding)]
        if not declared:
            return Decision(self.actions[name], self.decided_by[name])
        bound = self.bounded.get(name)
        excepted = [each for each in declared if each.excepted]
        if bound is None or excepted:
            return Decision(None, (excepted or declared)[0].line)
        return bound

    def declared(self, finding: Finding) -> bool:
        """Tell whether the policy declares what was found, or does not ask for it there."""
        return self.decide(finding).action is None

    def treatment(self, finding: Finding) -> Treatment:
        """Tell what becomes of the text of a finding."""
        action = self.decide(finding).action
        return Treatment.KEEP if action is None else _TREATMENTS[action]

    def blocks(self, finding: Finding) -> bool:
        """Tell whether a finding keeps the message from being sent."""
        return self.decide(finding).action is Action.BLOCK
