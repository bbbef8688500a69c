"""What feature flags turn on: never more than the policy names, and only where it says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from interceptors.policy.compiled import ALL_SAMPLED
from interceptors.policy.labels import NO_LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.policy import Channel, Policy
    from interceptors.policy.governance_document import Enhancement, Enhancements

LABELS = "interceptors.labels"
PAYLOAD_SAMPLING = "interceptors.payload_sampling"
VERBOSE_SPANS = "interceptors.verbose_spans"


class Enhancing(NamedTuple):
    """What is on."""

    labels: bool = True
    """Whether the labels travel that the policy names."""
    sampled: int = 0
    """Of 2^32 payloads, how many are scanned at the least."""
    verbose: bool = False
    """Whether spans say how large messages are."""


POLICY_ALONE = Enhancing()
"""What holds where the policy names nothing that a flag decides."""


def enhancing_of(flags: Mapping[str, object], enhancements: Enhancements, environment: str) -> Enhancing:
    """Tell what is on.

    Args:
        flags: values by name, of any type; what is missing or of a wrong type is off.
        enhancements: what the policy lets flags decide, and where.
        environment: where this is.

    Returns:
        What is on: a part of what the policy allows, whatever the flags say.
    """

    def on(name: str) -> bool:
        return flags.get(name) is True

    return Enhancing(
        labels=enhancements.labels is None or (_here(enhancements.labels, environment) and on(LABELS)),
        sampled=_part(flags.get(PAYLOAD_SAMPLING))
        if _here(enhancements.payload_sampling, environment)
        else 0,
        verbose=_here(enhancements.verbose_spans, environment) and on(VERBOSE_SPANS),
    )


def _here(enhancement: Enhancement | None, environment: str) -> bool:
    return enhancement is not None and environment in enhancement.environments


def _part(value: object) -> int:
    """Give how many of 2^32 a ratio means; 0 for what is none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        return 0
    return int(value * ALL_SAMPLED)


def enhanced(policy: Policy, enhancing: Enhancing) -> Policy:
    """Give what a policy is with what flags turn on.

    Args:
        policy: as it was compiled.
        enhancing: what is on.

    Returns:
        The policy itself where it says all that already.
    """
    if enhancing.labels and not enhancing.sampled:
        return policy

    def change(channel: Channel) -> Channel:
        payload = channel.payload
        if payload is not None and payload.sampled < enhancing.sampled:
            payload = replace(payload, sampled=enhancing.sampled)
        labels = channel.labels if enhancing.labels else NO_LABELS
        return replace(channel, payload=payload, labels=labels)

    return policy.changed(change)
