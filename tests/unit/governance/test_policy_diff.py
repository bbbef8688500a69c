"""What changes between two policies, and whether it is stricter or laxer."""

from __future__ import annotations

from typing import Any

import pytest

from interceptors.governance.policy_diff import Change, Effect, policy_diff
from interceptors.policy.document import check_policy_document

NOW = 1_790_000_000_000
STRICTER, LAXER, NEITHER = Effect


def diff(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    before, after = (check_policy_document({"version": 1} | each, "policy") for each in (old, new))
    return policy_diff(before, after, NOW, sources=("old.yaml", "new.yaml"))


def channel(name: str = "orders", *topics: str, **rules: Any) -> dict[str, Any]:
    return {"name": name, "match": {"kafka": list(topics or (name,))}, **rules}


def one(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str, str, Effect]:
    """Give the only thing that changes where one channel has other rules."""
    (change,) = diff({"channels": [channel(**old)]}, {"channels": [channel(**new)]})
    assert (change.channel, change.environments) == ("orders", ())
    return change[1:5]


def test_a_policy_does_not_differ_from_itself() -> None:
    document = {
        "serial": 2,
        "channels": [channel(payload={"on_leak": "block"}, labels={"plan": {"values": ["a"]}})],
    }
    assert diff(document, document) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"accept": "reject"}, ("accept", "optional", "reject", STRICTER)),
        ({"accept": "reject"}, {}, ("accept", "reject", "optional", LAXER)),
        ({}, {"max_age": "36h"}, ("max_age", "7d", "36h", STRICTER)),
        ({}, {"retention": "30d"}, ("retention", "nothing", "30d", STRICTER)),
        ({"signed": True}, {}, ("signed", "true", "false", LAXER)),
        ({}, {"senders": ["a"]}, ("senders", "all", "a", STRICTER)),
        ({"senders": ["a", "b"]}, {"senders": ["b"]}, ("senders", "a, b", "b", STRICTER)),
        ({"senders": ["a"]}, {"senders": ["b"]}, ("senders", "a", "b", LAXER)),
        ({"senders": ["a", "b"]}, {"senders": ["b", "a"]}, ("senders", "a, b", "b, a", NEITHER)),
        ({"senders": ["a"]}, {}, ("senders", "a", "all", LAXER)),
        ({}, {"owner": "payments"}, ("owner", "nothing", "payments", NEITHER)),
        ({"visible_to": ["a"]}, {"visible_to": ["a", "b"]}, ("visible_to", "a", "a, b", LAXER)),
        ({}, {"labels": {"plan": {"values": ["a"]}}}, ("labels.plan", "left out", "a", LAXER)),
        (
            {"labels": {"plan": {"values": ["b", "a"]}}},
            {"labels": {"plan": {"values": ["a"]}}},
            ("labels.plan", "a, b", "a", STRICTER),
        ),
        (
            {"labels": {"plan": {"values": ["a"]}}},
            {"labels": {"plan": {"pattern": "[a-z]{1,3}"}}},
            ("labels.plan", "a", "pattern [a-z]{1,3}", LAXER),
        ),
        (  # the same characters, and another meaning
            {"labels": {"plan": {"values": ["[a-z]{1,3}"]}}},
            {"labels": {"plan": {"pattern": "[a-z]{1,3}"}}},
            ("labels.plan", "[a-z]{1,3}", "pattern [a-z]{1,3}", LAXER),
        ),
        (
            {"labels": {"plan": {"pattern": "[a-z]{1,3}"}}},
            {"labels": {"plan": {"values": ["a", "b"]}}},
            ("labels.plan", "pattern [a-z]{1,3}", "a, b", STRICTER),
        ),
        (
            {"labels": {"plan": {"pattern": "[a-z]{1,3}"}}},
            {"labels": {"plan": {"values": ["a", "four"]}}},
            ("labels.plan", "pattern [a-z]{1,3}", "a, four", LAXER),
        ),
        (
            {"labels": {"plan": {"class": "x", "handling": "tokenize"}}},
            {"labels": {"plan": {"class": "x", "handling": "tokenize", "pattern": "c-[0-9]{1,9}"}}},
            ("labels.plan", "tokenize (x): anything", "tokenize (x): pattern c-[0-9]{1,9}", STRICTER),
        ),
        (
            {"labels": {"plan": {"values": ["a"], "handling": "redact"}}},
            {"labels": {"plan": {"handling": "redact"}}},
            ("labels.plan", "redact (no class): a", "redact (no class): anything", NEITHER),
        ),
        (
            {"labels": {"plan": {"values": ["a"]}}},
            {"labels": {"plan": {"values": ["a"], "class": "x", "handling": "tokenize"}}},
            ("labels.plan", "a", "tokenize (x): a", STRICTER),
        ),
        (
            {"labels": {"plan": {"values": ["a"]}}},
            {"labels": {"plan": {"class": "x", "handling": "tokenize"}}},
            ("labels.plan", "a", "tokenize (x): anything", LAXER),
        ),
        (
            {"labels": {"plan": {"class": "x", "handling": "tokenize"}}},
            {"labels": {"plan": {"class": "x", "handling": "redact"}}},
            ("labels.plan", "tokenize (x): anything", "redact (x): anything", STRICTER),
        ),
        (
            {"labels": {"plan": {"class": "x", "handling": "redact"}}},
            {"labels": {"plan": {"class": "x", "handling": "tokenize"}}},
            ("labels.plan", "redact (x): anything", "tokenize (x): anything", LAXER),
        ),
        (
            {"labels": {"plan": {"class": "x", "handling": "tokenize"}}},
            {"labels": {"plan": {"class": "y", "handling": "tokenize"}}},
            ("labels.plan", "tokenize (x): anything", "tokenize (y): anything", NEITHER),
        ),
        (
            {"labels": {"plan": {"values": ["a"]}}},
            {"labels": {"plan": {"values": ["a"], "handling": "drop"}}},
            ("labels.plan", "a", "left out", STRICTER),
        ),
        ({}, {"payload": {}}, ("payload", "not looked at", "looked at", STRICTER)),
        ({"payload": {}}, {}, ("payload", "looked at", "not looked at", LAXER)),
        (
            {"payload": {}},
            {"payload": {"on_unscanned": "block"}},
            ("payload.on_unscanned", "pass", "block", STRICTER),
        ),
        ({"payload": {}}, {"payload": {"sample": 0.25}}, ("payload.sample", "1", "0.25", LAXER)),
        (
            {"payload": {}},
            {"payload": {"on_leak": "redact"}},
            ("payload.actions.*", "observe", "redact", STRICTER),
        ),
        (
            {"payload": {"actions": {"email": "block"}}},
            {"payload": {"actions": {"email": "tokenize"}}},
            ("payload.actions.email", "block", "tokenize", LAXER),
        ),
        (
            {"payload": {}},
            {"payload": {"allow": [{"class": "email", "path": "$.to"}]}},
            ("payload.allow.email", "nothing", "$.to", LAXER),
        ),
        (
            {"payload": {"allow": ["email"]}},
            {"payload": {}},
            ("payload.allow.email", "anywhere", "nothing", STRICTER),
        ),
    ],
)
def test_what_a_channel_says_otherwise(
    old: dict[str, Any], new: dict[str, Any], expected: tuple[str, str, str, Effect]
) -> None:
    assert one(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("keep", "drop", STRICTER),
        ("redact", "tokenize", LAXER),
        (None, "keep", LAXER),
        (None, "redact", STRICTER),
        ("redact", None, LAXER),
    ],
)
def test_what_becomes_of_a_field(old: str | None, new: str | None, effect: Effect) -> None:
    def document(handling: str | None) -> dict[str, Any]:
        field = {"path": "$.to", "class": "order.number", "handling": handling}
        return {"channels": [channel(payload={}, fields=[field] if handling else [])]}

    found = [change for change in diff(document(old), document(new)) if change.key.startswith("fields.")]
    assert [change[1:5] for change in found] == [("fields.$.to", old or "nothing", new or "nothing", effect)]


def fields_of(found: list[Change]) -> list[tuple[str, str, str, Effect]]:
    return [change[1:5] for change in found if change.key.startswith("fields.")]


def test_the_defaults_fields_that_a_channels_own_put_out_of_force_are_shown() -> None:
    default = {"fields": [{"path": "$.to", "class": "personal.email", "handling": "redact"}]}
    own = {"header": "X-Trace", "class": "note", "handling": "drop"}
    found = diff(
        {"default": default, "channels": [channel()]},
        {"default": default, "channels": [channel(fields=[own])]},
    )
    assert fields_of(found) == [
        ("fields.$.to", "redact", "nothing", LAXER),
        ("fields.headers.x-trace", "nothing", "drop", STRICTER),
    ]


def test_a_bound_of_its_class_reaches_a_field() -> None:
    kept = {"path": "$.to", "class": "personal.email", "handling": "keep"}
    channels = [channel(payload={}, fields=[kept])]
    bounded = {"baseline": {"payload": {"actions": {"email": "tokenize"}}}, "channels": channels}
    assert fields_of(diff({"channels": channels}, bounded)) == [("fields.$.to", "keep", "tokenize", STRICTER)]
    tokenized = [channel(payload={}, fields=[kept | {"handling": "tokenize"}])]
    assert fields_of(diff(bounded, bounded | {"channels": tokenized})) == []


def test_of_two_rules_of_one_place_an_exceptions_is_shown() -> None:
    field = {"path": "$.to", "class": "note"}
    plain = {"channels": [channel(fields=[field | {"handling": "redact"}])]}
    rules = {"fields": [field | {"handling": "keep"}]}
    excepted = plain | {"exceptions": [exception() | {"rules": rules}]}
    assert fields_of(diff(plain, excepted)) == [("fields.$.to", "redact", "keep", LAXER)]


def test_many_detectors_with_one_change_are_one_row() -> None:
    (change,) = diff(
        {"channels": [channel(payload={})]},
        {"channels": [channel(payload={"actions": {"payment": "block"}})]},
    )
    assert change.key.startswith("payload.actions.")
    assert " more" in change.key
    assert change[2:5] == ("observe", "block", STRICTER)


def test_a_new_channel_is_compared_with_what_held_for_its_names_before() -> None:
    found = diff(
        {"default": {"accept": "reject"}},
        {"default": {"accept": "reject"}, "channels": [channel(accept="none")]},
    )
    assert found == [Change("orders", "accept", "reject", "none", LAXER)]


def test_a_channel_that_is_gone_is_compared_with_the_default() -> None:
    found = diff({"channels": [channel(accept="reject")]}, {})
    assert found == [Change("orders", "accept", "reject", "optional", LAXER)]


def test_a_topic_that_moves_to_a_laxer_channel_is_seen() -> None:
    strict, lax = channel("strict", "a", "b", accept="reject"), channel("lax", "c")
    moved = [channel("strict", "a", accept="reject"), channel("lax", "c", "b")]
    assert diff({"channels": [strict, lax]}, {"channels": moved}) == [
        Change("lax", "accept", "reject", "optional", LAXER)
    ]


def test_what_changes_in_one_environment_only_says_so() -> None:
    old = {"environments": {"production": {"accept": "reject"}, "staging": {}}}
    new = {"environments": {"production": {"accept": "required"}}}
    assert diff(old, new) == [
        Change("default", "accept", "reject", "required", LAXER, ("production",)),
    ]


def test_the_default_of_celery_is_compared_too() -> None:
    found = diff({}, {"default": {"binding": "channel"}})
    assert [change[:5] for change in found] == [
        ("default", "binding", "type", "channel", LAXER),
        ("default", "lowest_level", "type", "channel", LAXER),
    ]


def exception(expires: str = "2099-01-01T00:00:00Z") -> dict[str, Any]:
    return {
        "id": "EX-1",
        "reason": "a migration",
        "requested_by": "payments",
        "approved_by": "security",
        "channels": ["orders"],
        "expires": expires,
        "rules": {"max_age": "30d"},
    }


def test_an_exception_is_laxer_and_its_end_is_not() -> None:
    plain = {"channels": [channel()]}
    excepted = plain | {"exceptions": [exception()]}
    assert diff(plain, excepted) == [
        Change("", "exceptions.EX-1", "nothing", "until 2099-01-01T00:00:00Z", LAXER),
        Change("orders", "max_age", "7d", "30d", LAXER),
    ]
    assert {change.effect for change in diff(excepted, plain)} == {STRICTER}
    assert diff(plain, plain | {"exceptions": [exception("2020-01-01T00:00:00Z")]}) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"serial": 1}, {"serial": 2}, ("serial", "1", "2", NEITHER)),
        ({"serial": 2}, {"serial": 1}, ("serial", "2", "1", LAXER)),
        ({"serial": 2}, {}, ("serial", "2", "nothing", LAXER)),
        (
            {},
            {"expires": "2099-01-01T00:00:00Z"},
            ("expires", "never", "2099-01-01T00:00:00Z", STRICTER),
        ),
        (
            {"expires": "2098-01-01T00:00:00Z"},
            {"expires": "2099-01-01T00:00:00Z"},
            ("expires", "2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z", LAXER),
        ),
        (
            {},
            {"enhancements": {"verbose_spans": {"environments": ["staging"]}}},
            ("enhancements", "as before", "changed", LAXER),
        ),
    ],
)
def test_what_the_document_itself_says(
    old: dict[str, Any], new: dict[str, Any], expected: tuple[str, str, str, Effect]
) -> None:
    (change,) = diff(old, new)
    assert (change.channel, change[1:5]) == ("", expected)
