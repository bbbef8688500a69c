"""What the policy decides for a message that is sent: its channel, whether it is sampled, and its labels.

The policy is asked as it is for all but the first message of a topic: it remembers which channel that is.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from measure import Case, each

from interceptors.policy import check_policy

if TYPE_CHECKING:
    from measure import Report

    from interceptors.policy import Policy

TITLE = "what the policy is asked for a message"
LIMIT_US = 2
PLAIN, FULL = "a plain channel", "a channel with all that a policy can say"
LABELS = {"region": "eu", "plan": "gold"}


def decided(report: Report) -> None:
    """Print the table, and whether the slower one of both keeps to the goal."""
    policy = _policy()
    cases = [_case(policy, PLAIN, "plain", {}), _case(policy, FULL, "orders.retry", LABELS)]
    rows = report.compare(TITLE, cases)
    slower = max(rows[case.name].cpu_us for case in cases)
    report.goal(f"the policy is asked in at most {LIMIT_US} µs CPU", slower, LIMIT_US)


def _policy() -> Policy:
    everything = {
        "payload": {"on_leak": "block", "actions": {"payment": "redact"}, "allow": ["personal.email"]},
        "fields": [{"path": "$.customer.name", "class": "personal.name", "handling": "drop"}],
        "labels": {"region": {"values": ["eu", "us"]}, "plan": {"pattern": "[a-z]{1,16}"}},
        "sampling_ratio": 0.5,
        "senders": ["checkout"],
        "signed": True,
    }
    exception = {"id": "EX-1", "reason": "a migration", "requested_by": "shop", "approved_by": "security"}
    document = {
        "version": 1,
        "channels": [
            {"name": "plain", "match": {"kafka": ["plain"]}},
            {"name": "everything", "match": {"kafka": ["orders", "orders.*"]}} | everything,
        ],
        "baseline": {"max_age": "1d", "payload": {"actions": {"payment": "redact"}, "on_leak": "redact"}},
        "environments": {"production": {"accept": "reject"}},
        "exceptions": [
            exception
            | {"channels": ["everything"], "expires": "2100-01-01T00:00:00Z", "rules": {"max_age": "7d"}}
        ],
    }
    return check_policy(document, "benchmark", environment="production", now=time.time_ns() // 1_000_000)


def _case(policy: Policy, name: str, topic: str, admitted: dict[str, str]) -> Case:
    trace_id = os.urandom(16)

    def decision() -> tuple[object, ...]:
        channel = policy.channels("kafka", topic)[0]
        sampled = channel.samples(trace_id)
        scanned = channel.payload is not None and channel.payload.samples(trace_id)
        labels = channel.labels.admitted(LABELS)[0] if channel.labels.rules else {}
        return channel.emit, sampled, scanned, labels

    def check(found: tuple[object, ...]) -> None:
        assert found[-1] == admitted, f"{name}: it was another one's rules that answered"

    return Case(name, each(decision), check)
