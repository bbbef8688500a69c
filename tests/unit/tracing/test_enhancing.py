"""What flags turn on is a part of what the policy allows, whatever they say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.policy import Policy, check_policy
from interceptors.policy.compiled import ALL_SAMPLED
from interceptors.policy.document import check_policy_document
from interceptors.tracing.enhancing import (
    LABELS,
    PAYLOAD_SAMPLING,
    POLICY_ALONE,
    VERBOSE_SPANS,
    Enhancing,
    enhanced,
    enhancing_of,
)

RULES: dict[str, Any] = {
    "version": 1,
    "channels": [
        {
            "name": "orders",
            "match": {"kafka": ["orders", "ord*"]},
            "labels": {"region": {"values": ["eu", "us"]}},
            "payload": {"sample": 0.5, "on_leak": "block"},
        },
        {"name": "silent", "match": {"rabbitmq": ["silent"]}},
    ],
    "default": {"labels": {"plan": {"pattern": "[a-z]{1,8}"}}},
}
ALL_ON: dict[str, object] = {LABELS: True, PAYLOAD_SAMPLING: 1.0, VERBOSE_SPANS: True}


def enhancing(flags: dict[str, object], environment: str = "staging", **named: Any) -> Enhancing:
    document = check_policy_document({"version": 1, "enhancements": named}, "policy")
    return enhancing_of(flags, document.enhancements, environment)


def somewhere(*names: str) -> dict[str, Any]:
    return {name: {"environments": ["staging"]} for name in names}


ALL = somewhere("labels", "payload_sampling", "verbose_spans")


def test_what_the_policy_does_not_name_no_flag_decides() -> None:
    assert enhancing(ALL_ON) == enhancing({}) == POLICY_ALONE


def test_what_it_names_is_off_until_a_flag_turns_it_on() -> None:
    assert enhancing({}, **ALL) == Enhancing(labels=False, sampled=0, verbose=False)
    assert enhancing(ALL_ON, **ALL) == Enhancing(labels=True, sampled=ALL_SAMPLED, verbose=True)


def test_elsewhere_than_it_says_it_stays_off() -> None:
    assert enhancing(ALL_ON, "production", **ALL) == Enhancing(labels=False, sampled=0, verbose=False)


@pytest.mark.parametrize("value", [1, "true", None, [True], {"value": True}, math.nan])
def test_a_flag_of_a_wrong_type_is_off(value: object) -> None:
    assert not enhancing({LABELS: value}, **ALL).labels
    assert not enhancing({VERBOSE_SPANS: value}, **ALL).verbose


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (0.25, ALL_SAMPLED // 4),
        (1, ALL_SAMPLED),
        (0, 0),
        (-1.0, 0),
        (1.5, 0),
        (math.nan, 0),
        (math.inf, 0),
        (True, 0),
        ("1.0", 0),
        (None, 0),
    ],
)
def test_a_part_of_the_payloads_is_a_ratio_and_else_none(value: object, sampled: int) -> None:
    assert enhancing({PAYLOAD_SAMPLING: value}, **ALL).sampled == sampled


def test_a_policy_that_says_all_that_already_stays_itself() -> None:
    policy = check_policy(RULES, "policy")
    assert enhanced(policy, POLICY_ALONE) is policy


def test_a_channel_that_lies_in_many_places_stays_one() -> None:
    policy = enhanced(check_policy(RULES, "policy"), Enhancing(sampled=ALL_SAMPLED))
    assert len(policy.channels("kafka", "orders")) == 1


FLAGS = st.dictionaries(
    st.sampled_from([LABELS, PAYLOAD_SAMPLING, VERBOSE_SPANS]),
    st.one_of(
        st.booleans(),
        st.floats(),
        st.integers(),
        st.text(max_size=5),
        st.none(),
        st.lists(st.booleans(), max_size=2),
    ),
)
NAMED = st.sets(st.sampled_from(["labels", "payload_sampling", "verbose_spans"]))
OFFERED = st.dictionaries(
    st.sampled_from(["region", "plan", "customer"]),
    st.sampled_from(["eu", "us", "free", "someone@example.com", 5]),
)
PLACES = st.sampled_from(
    [("kafka", "orders"), ("kafka", "order"), ("rabbitmq", "silent"), ("kafka", "unlisted"), ("celery", "q")]
)


def as_compiled(policy: Policy, place: tuple[str, str]) -> list[tuple[object, ...]]:
    """All that a channel says but for what flags may change."""
    return [
        (
            one.name,
            one.emit,
            one.accept,
            one.senders,
            one.level,
            one.lowest_level,
            one.signed,
            one.max_age_ms,
            one.retry_window_ms,
            one.task_metadata,
            one.sampled,
            one.shown,
            None if one.payload is None else (one.payload.actions, one.payload.on_unscanned),
        )
        for one in policy.channels(*place)
    ]


@given(
    flags=FLAGS,
    named=NAMED,
    environment=st.sampled_from(["staging", "production"]),
    place=PLACES,
    offered=OFFERED,
    trace=st.binary(min_size=16, max_size=16),
)
def test_whatever_flags_say_what_leaves_is_a_part_of_what_the_policy_allows(
    *,
    flags: dict[str, object],
    named: set[str],
    environment: str,
    place: tuple[str, str],
    offered: dict[str, object],
    trace: bytes,
) -> None:
    policy = check_policy(RULES, "policy")
    on = enhancing(flags, environment, **somewhere(*named))
    changed = enhanced(policy, on)
    assert as_compiled(changed, place) == as_compiled(policy, place)
    for before, after in zip(policy.channels(*place), changed.channels(*place), strict=True):
        allowed, _ = before.labels.admitted(offered)
        kept, _ = after.labels.admitted(offered)
        assert kept.items() <= allowed.items()
        if before.payload is not None and after.payload is not None:
            # What was looked into still is.
            assert after.payload.samples(trace) >= before.payload.samples(trace)
    assert not on.verbose or (environment == "staging" and "verbose_spans" in named)
