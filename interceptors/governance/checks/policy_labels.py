"""What may travel with a trace, and for whom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.governance.checks.sensitive import is_sensitive
from interceptors.policy.catalog_document import Handling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.document import Step
    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.policy_file import PolicyFile
    from interceptors.policy.labels import LabelEntry

CLASS = Rule(
    "label-without-class",
    Severity.WARNING,
    "a label of which nobody has said what it is",
    "The catalog can't say who may see it, nor for how long.",
    "give `class`, such as operational",
)
WIDE = Rule(
    "label-pattern-wide",
    Severity.ERROR,
    "a label whose pattern fits a person's data",
    "An e-mail address, a number or an id that is put into baggage leaves on spans.",
    "list the `values`, make the pattern so narrow that none of these fits, or say `handling: tokenize`",
)
NAMED = Rule(
    "label-sensitive",
    Severity.ERROR,
    "a label that is named like an identifier or a secret",
    "Labels stand in clear on the spans of every service.",
    "leave it out, name what it is for, or say `handling: tokenize`",
)
NOT_EMITTED = Rule(
    "labels-not-emitted",
    Severity.WARNING,
    "labels on a channel that emits nothing",
    "They travel in the envelope, and there is none.",
    "take the labels out, or say `emit: sealed`",
)
NOT_SAMPLED = Rule(
    "labels-not-sampled",
    Severity.WARNING,
    "labels on a channel none of whose traces is sampled",
    "They stand on no span of a trace that begins here.",
    "take the labels out, or give a sampling ratio above 0",
)
RULES = (CLASS, WIDE, NAMED, NOT_EMITTED, NOT_SAMPLED)

_SAMPLES = (
    ("an e-mail address", ("jo.doe@example.com", "jo@example.com", "a@example.com")),
    ("an IP address", ("192.0.2.17", "198.51.100.217", "2001:db8::1")),
    ("a UUID", ("123e4567-e89b-42d3-a456-426614174000", "123e4567e89b42d3a456426614174000")),
    ("a phone number", ("+4915550100123", "+12025550100", "12025550100", "202-555-0100", "+1 202 555 0100")),
    ("a card number", ("4111111111111111", "4111 1111 1111 1111")),
    ("a social security number", ("219-09-9999", "219099999")),
)


def check(policy: PolicyFile) -> Iterator[Finding]:
    """Find what is wrong with labels."""
    for steps, rules in policy.rules():
        for name, label in (getattr(rules, "labels", None) or {}).items():
            yield from _label(policy, (*steps, "labels", name), name, label)
    for channel in policy.channels:
        labels = channel.said_labels()
        if not labels:
            continue
        at = (*channel.steps, "labels") if channel.entry.labels else ("default", "labels")
        if channel.holds("emit") == "none" and channel.entry.labels:
            yield policy.finding(NOT_EMITTED, at, f"the channel {channel.entry.name!r} emits nothing")
        elif channel.holds("sampling_ratio") == 0:
            yield policy.finding(NOT_SAMPLED, at, f"no trace of {channel.entry.name!r} is sampled")


def _label(policy: PolicyFile, at: tuple[Step, ...], name: str, label: LabelEntry) -> Iterator[Finding]:
    if label.what is None:
        yield policy.finding(CLASS, at, f"the label {name!r} has no class")
    if label.handling is not Handling.KEEP:
        return  # no value of it stands on a span
    if is_sensitive(name):
        yield policy.finding(NAMED, at, f"the label {name!r} is named like an identifier or a secret")
    if label.pattern is not None:
        pattern = re.compile(label.pattern, re.ASCII)
        fits = [what for what, texts in _SAMPLES if any(map(pattern.fullmatch, texts))]
        if fits:
            yield policy.finding(WIDE, (*at, "pattern"), f"the pattern of {name!r} fits {', '.join(fits)}")
