"""What a policy has to say of each channel: who answers for it, why it is there, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.policy_file import ChannelView, PolicyFile

OWNER = Rule(
    "channel-without-owner",
    Severity.WARNING,
    "a channel that nobody answers for",
    "Nobody is asked when what it holds changes, or leaks.",
    "give `owner`, a team",
)
PURPOSE = Rule(
    "channel-without-purpose",
    Severity.WARNING,
    "a channel without a purpose",
    "What data may be used for can't be told without it (GDPR, Article 5(1)(b)).",
    "give `purpose`, in a few words",
)
BASIS = Rule(
    "channel-without-lawful-basis",
    Severity.WARNING,
    "a channel without a lawful basis",
    "Personal data may not be processed without one (GDPR, Article 6(1)).",
    "give `lawful_basis`, such as contract",
)
RETENTION = Rule(
    "channel-without-retention",
    Severity.WARNING,
    "a channel without a retention",
    "What is recorded of it is kept for as long as nobody deletes it (GDPR, Article 5(1)(e)).",
    "give `retention`, such as 30d",
)
SENDERS = Rule(
    "channel-without-senders",
    Severity.WARNING,
    "a channel that anybody may send to",
    "Every service whose key a consumer holds can send what counts here.",
    "give `senders`, the services that do",
)
FIELD_RETENTION = Rule(
    "field-kept-longer",
    Severity.WARNING,
    "a field that is kept longer than its channel",
    "The channel's retention ends first, so that the field's has no effect.",
    "make it as long as the channel's at the most",
)
FIELD_PURPOSE = Rule(
    "field-kept-without-purpose",
    Severity.WARNING,
    "a field that is sent as it is, without a purpose",
    "Nobody can tell whether it still has to be sent (GDPR, Article 5(1)(c)).",
    "give the field `purpose`, or have it dropped",
)
CONSUMERS = Rule(
    "channel-without-consumers",
    Severity.NOTE,
    "a channel that nobody is said to read",
    "The data-flow map ends here, though somebody may read on.",
    "give `consumers`, the services that read it",
)
RULES = (OWNER, PURPOSE, BASIS, RETENTION, SENDERS, FIELD_RETENTION, FIELD_PURPOSE, CONSUMERS)


def check(policy: PolicyFile) -> Iterator[Finding]:
    """Find channels of which something has to be said."""
    for channel in policy.channels:
        if channel.is_traced:
            yield from _channel(policy, channel)
        yield from _fields(policy, channel)


def _channel(policy: PolicyFile, channel: ChannelView) -> Iterator[Finding]:
    entry = channel.entry
    shown = f"the channel {entry.name!r}"
    place = (*channel.steps, "name")
    for key, rule in (("owner", OWNER), ("purpose", PURPOSE), ("lawful_basis", BASIS)):
        if channel.said(key) is None:
            yield policy.finding(rule, place, f"{shown} has no {key}")
    for key, rule in (("retention", RETENTION), ("senders", SENDERS)):
        if channel.holds(key) is None and not (key == "senders" and channel.holds("accept") == "none"):
            yield policy.finding(rule, place, f"{shown} has no {key}")
    if not entry.consumers:
        yield policy.finding(CONSUMERS, place, f"{shown} has no consumers")


def _fields(policy: PolicyFile, channel: ChannelView) -> Iterator[Finding]:
    shown = f"the channel {channel.entry.name!r}"
    for number, field in enumerate(channel.entry.fields):
        at = (*channel.steps, "fields", number)
        retention = channel.holds("retention")
        if field.retention is not None and retention is not None and field.retention > retention:
            yield policy.finding(FIELD_RETENTION, (*at, "retention"), f"{shown} ends before this field")
        if field.handling == "keep" and field.purpose is None:
            yield policy.finding(FIELD_PURPOSE, (*at, "handling"), "the field is kept, and has no purpose")
