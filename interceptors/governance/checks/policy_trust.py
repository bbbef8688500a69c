"""Exceptions, and what else of a policy is about who decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.policy_file import PolicyFile

EXPIRED = Rule(
    "exception-expired",
    Severity.WARNING,
    "an exception that has ended",
    "It holds no more, and still reads as if it did.",
    "take it out, or ask for a new one",
)
LONG = Rule(
    "exception-too-long",
    Severity.WARNING,
    "an exception for more than 90 days",
    "What holds for so long is no exception, and nobody looks at it again.",
    "let it end sooner, or change the policy",
)
SELF_APPROVED = Rule(
    "exception-self-approved",
    Severity.ERROR,
    "an exception that was approved by who asked for it",
    "Nobody else has answered for it.",
    "have somebody else approve it",
)
UNKNOWN_ENVIRONMENT = Rule(
    "exception-for-unknown-environment",
    Severity.WARNING,
    "an exception for an environment that the policy does not know",
    "It may be a slip, so that the exception holds nowhere.",
    "name an environment as `environments` does",
)
TOKENS = Rule(
    "token-domain-unused",
    Severity.WARNING,
    "a domain of tokens in which nothing is tokenized",
    "It has no effect: nothing of its classes is tokenized.",
    "take it out, or tokenize one of its classes",
)
EXPIRED_POLICY = Rule(
    "policy-expired",
    Severity.ERROR,
    "a policy that has expired",
    "Where policies have to be signed, no service starts on it.",
    "review it, and sign it with a later `expires` and a higher `serial`",
)
RULES = (EXPIRED, LONG, SELF_APPROVED, UNKNOWN_ENVIRONMENT, TOKENS, EXPIRED_POLICY)

_MS_PER_DAY = 86_400_000
_LONGEST_MS = 90 * _MS_PER_DAY


def check(policy: PolicyFile, now_ms: int) -> Iterator[Finding]:
    """Find what has ended, or was never decided by two.

    Args:
        policy: a policy.
        now_ms: milliseconds since the epoch.
    """
    document = policy.document
    if document.expires is not None and document.expires <= now_ms:
        yield policy.finding(EXPIRED_POLICY, ("expires",), "the policy has expired")
    for place, exception in enumerate(document.exceptions):
        at = ("exceptions", place)
        if exception.expires <= now_ms:
            yield policy.finding(EXPIRED, (*at, "expires"), f"the exception {exception.id!r} has ended")
        elif exception.expires - now_ms > _LONGEST_MS:
            days = (exception.expires - now_ms) // _MS_PER_DAY
            yield policy.finding(
                LONG, (*at, "expires"), f"the exception {exception.id!r} has {days} days left"
            )
        if exception.requested_by.strip().casefold() == exception.approved_by.strip().casefold():
            shown = f"the exception {exception.id!r} has one name for both"
            yield policy.finding(SELF_APPROVED, (*at, "approved_by"), shown)
        for name in exception.environments or ():
            if document.environments and name not in document.environments:
                shown = f"`environments` has no {name!r}"
                yield policy.finding(UNKNOWN_ENVIRONMENT, (*at, "environments"), shown)
    tokenized = _tokenized(policy)
    for domain, entry in document.tokens.domains.items():
        if not any(tokenized & {what, *policy.detectors_of(what)} for what in entry.classes):
            shown = f"nothing tokenizes what is in {domain!r}"
            yield policy.finding(TOKENS, ("tokens", "domains", domain), shown)


def _tokenized(policy: PolicyFile) -> set[str]:
    """Give the detectors whose findings are tokenized on some channel, or would be by an exception.

    And what fields and labels call what they tokenize.
    """
    found: set[str] = set()
    for _, rules in policy.rules():
        payload = rules.payload
        if payload is not None:
            if payload.on_leak == "tokenize":
                return policy.all_detectors()
            for name, action in (payload.actions or {}).items():
                if action == "tokenize":
                    found |= policy.detectors_of(name)
        labels = getattr(rules, "labels", None) or {}
        for entry in (*getattr(rules, "fields", ()), *labels.values()):
            if entry.handling == "tokenize":
                found |= {entry.what, *policy.detectors_of(entry.what)}
    return found
