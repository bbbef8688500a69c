from __future__ import annotations

from typing import Any

import pytest

from interceptors.envelope import Level
from interceptors.envelope.batch import CHANNEL as BATCH_CHANNEL
from interceptors.errors import PolicyError
from interceptors.policy import Accept, Channel, Emit, PolicyDocument, check_policy
from interceptors.policy.compiling import Compiler
from interceptors.policy.resolution import Settled, settled_rules

NOW = 1_800_000_000_000
LATER = "2030-01-01T00:00:00Z"


def document(own: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    entry = {"name": "orders", "match": {"kafka": ["orders"]}} | (own or {})
    return {"version": 1, "channels": [entry]} | parts


def excepted(rules: dict[str, Any], **other: Any) -> dict[str, Any]:
    entry = {
        "id": "EX-1",
        "reason": "a migration",
        "requested_by": "shop",
        "approved_by": "security",
        "channels": ["orders"],
        "expires": LATER,
        "rules": rules,
    }
    return entry | other


def channel(
    own: dict[str, Any] | None = None, *, environment: str = "", now: int = NOW, **parts: Any
) -> Channel:
    policy = check_policy(document(own, **parts), "policy", environment=environment, now=now)
    (found,) = policy.channels("kafka", "orders")
    return found


def settled(own: dict[str, Any] | None = None, *, environment: str = "", **parts: Any) -> dict[str, Settled]:
    compiler = Compiler(PolicyDocument.model_validate(document(own, **parts)), "policy")
    return settled_rules(compiler.layers(0, environment, NOW), "kafka")


@pytest.mark.parametrize(
    ("key", "laxer", "stricter"),
    [
        ("emit", "sealed", "none"),
        ("accept", "none", "optional"),
        ("accept", "optional", "required"),
        ("accept", "required", "reject"),
        ("binding", "tenant", "channel"),
        ("binding", "type", "message"),
        ("signed", False, True),
        ("max_age", "7d", "1d"),
        ("retry_window", "2m", "1m"),
        ("task_metadata", "kept", "removed"),
        ("sampling_ratio", 1.0, 0.5),
        ("retention", "30d", "7d"),
    ],
)
def test_of_a_bound_and_what_a_channel_says_the_stricter_counts(key: str, laxer: Any, stricter: Any) -> None:
    bound = settled({key: laxer}, baseline={key: stricter})[key]
    held = settled({key: stricter}, baseline={key: laxer})[key]

    assert bound.value == held.value
    assert (bound.path, bound.overruled) == (f"baseline.{key}", (f"channels[0].{key}",))
    assert (held.path, held.overruled) == (f"channels[0].{key}", ())


def test_the_bounds_of_an_environment_hold_there_alone() -> None:
    environments = {"production": {"accept": "reject"}, "staging": {"accept": "required"}}
    for name, accept in (("production", Accept.REJECT), ("staging", Accept.REQUIRED), ("", Accept.OPTIONAL)):
        assert channel({"accept": "optional"}, environment=name, environments=environments).accept is accept


def test_the_case_of_an_environments_name_gets_nobody_past_its_bounds() -> None:
    environments = {"production": {"accept": "required"}, "Production": {"max_age": "1h"}}
    found = channel({"accept": "optional"}, environment="PRODUCTION", environments=environments)
    assert (found.accept, found.max_age_ms) == (Accept.REQUIRED, 3_600_000)


def test_of_baseline_and_environment_the_stricter_counts() -> None:
    parts: dict[str, Any] = {"baseline": {"max_age": "1h"}, "environments": {"production": {"max_age": "2h"}}}
    assert settled({}, environment="production", **parts)["max_age"] == (
        3_600_000,
        "baseline.max_age",
        "stricter, and nobody may go below it",
        (),
    )


def test_bounds_hold_for_names_that_no_channel_lists() -> None:
    policy = check_policy(
        {"version": 1, "default": {"accept": "none"}, "baseline": {"accept": "reject"}}, "policy"
    )
    assert policy.channels("celery", "emails")[0].accept is Accept.REJECT


def test_a_bound_of_senders_leaves_those_that_both_name() -> None:
    both = {"senders": ["storefront", "billing"]}
    assert channel(both, baseline={"senders": ["billing", "ledger"]}).senders == frozenset({"billing"})
    assert channel({}, baseline={"senders": ["ledger"]}).senders == frozenset({"ledger"})
    assert (
        settled(both, baseline={"senders": ["billing", "storefront"]})["senders"].path
        == "channels[0].senders"
    )
    with pytest.raises(PolicyError, match="no sender is left") as raised:
        channel({"senders": ["storefront"]}, baseline={"senders": ["ledger"]})
    assert raised.value.path == "baseline.senders"


def test_an_exception_counts_instead_of_everything_until_it_ends() -> None:
    parts: dict[str, Any] = {
        "baseline": {"accept": "required"},
        "environments": {"production": {"accept": "reject"}},
        "exceptions": [excepted({"accept": "optional"})],
    }
    end = 1_893_456_000_000  # LATER
    held = settled({"accept": "required"}, environment="production", **parts)["accept"]

    assert (held.value, held.path) == (Accept.OPTIONAL, "exceptions[0].rules.accept")
    assert held.overruled == ("channels[0].accept", "environments.production.accept")
    assert channel({}, environment="production", now=end - 1, **parts).accept is Accept.OPTIONAL
    assert channel({}, environment="production", now=end, **parts).accept is Accept.REJECT
    assert check_policy(document({}, **parts), "policy", now=end - 1).until == end
    assert check_policy(document({}, **parts), "policy", now=end).until is None
    assert (
        check_policy(document({}, **parts), "policy").channels("kafka", "orders")[0].accept is Accept.REQUIRED
    )


def test_an_exception_is_for_its_channels_and_environments() -> None:
    channels = [{"name": name, "match": {"kafka": [name]}} for name in ("orders", "refunds")]
    exception = excepted({"emit": "none"}, environments=["staging"])
    for environment, emits in (("staging", [Emit.NONE, Emit.SEALED]), ("production", [Emit.SEALED] * 2)):
        policy = check_policy(
            {"version": 1, "channels": channels, "exceptions": [exception]},
            "policy",
            environment=environment,
            now=NOW,
        )
        assert [policy.channels("kafka", name)[0].emit for name in ("orders", "refunds")] == emits


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_exceptions_the_stricter_counts(turn: int) -> None:
    both = [excepted({"accept": "none"}), excepted({"accept": "optional"}, id="EX-2")][::turn]
    assert channel({"accept": "reject"}, exceptions=both).accept is Accept.OPTIONAL


def test_a_retry_window_is_held_to_a_bound_on_age() -> None:
    found = settled({"retry_window": "2h", "max_age": "1d"}, baseline={"max_age": "1h"})["retry_window"]
    assert (found.value, found.path, found.why) == (3_600_000, "baseline.max_age", "no longer than max_age")
    assert (
        channel({"retry_window": "2h", "max_age": "1d"}, baseline={"max_age": "1h"}).retry_window_ms
        == 3_600_000
    )


def test_the_lowest_level_is_the_binding_that_holds() -> None:
    found = channel({}, baseline={"binding": "message"})
    assert (found.level, found.lowest_level) == (Level.MESSAGE, Level.MESSAGE)
    assert (
        channel({"lowest_level": "tenant"}, baseline={"lowest_level": "channel"}).lowest_level
        is Level.CHANNEL
    )


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        ({"approved_by": "shop"}, "exceptions[0]", "name somebody else"),
        ({"channels": ["order"]}, "exceptions[0].channels", "no channel is called 'order'"),
        ({"expires": "tomorrow"}, "exceptions[0].expires", "such as 2027-01-31T00:00:00Z"),
        ({"expires": "2030-01-01T00:00:00"}, "exceptions[0].expires", "with its offset"),
        ({"id": "EX 1"}, "exceptions[0].id", "pattern"),
        ({"reason": ""}, "exceptions[0].reason", "at least 1 character"),
        ({"environments": []}, "exceptions[0].environments", "at least one"),
    ],
)
def test_an_exception_that_does_not_hold_is_refused(change: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(PolicyError) as raised:
        channel(exceptions=[excepted({}) | change])
    assert raised.value.path == path
    assert problem in str(raised.value)


def test_a_channel_is_not_named_as_batches_of_spans_are() -> None:
    with pytest.raises(PolicyError, match="is what batches of spans are bound to") as raised:
        channel({"name": BATCH_CHANNEL})
    assert raised.value.path == "channels[0].name"
