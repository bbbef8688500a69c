from __future__ import annotations

from typing import Any

import pytest

from interceptors.errors import PolicyError
from interceptors.policy import Action, Payload, check_policy, parse_policy
from interceptors.policy.payload import OnUnscanned
from interceptors.scan import Finding, Validation


def payload(
    rules: dict[str, Any] | None = None, default: dict[str, Any] | None = None, **document: Any
) -> Payload | None:
    entry: dict[str, Any] = {"name": "orders", "match": {"kafka": ["orders"]}}
    if rules is not None:
        entry["payload"] = rules
    document |= {"version": 1, "channels": [entry]}
    if default is not None:
        document["default"] = {"payload": default}
    (channel,) = check_policy(document, "policy.yaml").channels("kafka", "orders")
    return channel.payload


def compiled(*rules: dict[str, Any] | None, **document: Any) -> Payload:
    found = payload(*rules, **document)
    assert found is not None
    return found


def finding(detector: str, path: str = "") -> Finding:
    return Finding(detector, "", 0, 1, Validation.PATTERN, "", path)


def test_where_nothing_is_said_nothing_is_scanned() -> None:
    assert payload() is None


def test_what_is_left_out_is_as_built_in() -> None:
    found = compiled({"on_leak": "observe"})

    assert set(found.actions.values()) == {Action.OBSERVE}
    assert (found.declarations, found.bounded, found.only) == ({}, {}, {})
    assert not found.fields.handles
    assert found.on_unscanned is OnUnscanned.PASS
    assert found.time_ns == 20_000_000
    assert found.samples(b"\xff" * 16)


def test_each_key_that_a_channel_leaves_out_is_as_in_the_default() -> None:
    default = {
        "on_leak": "block",
        "allow": ["personal.email"],
        "budget": {"bytes": "2KiB", "time": "500us"},
        "on_unscanned": "block",
    }
    found = compiled({"allow": ["payment"], "budget": {"time": "3ms"}}, default)

    assert found.actions["email"] is Action.BLOCK
    assert found.declared(finding("card_number"))
    assert not found.declared(finding("email"))
    assert found.time_ns == 3_000_000
    assert found.on_unscanned is OnUnscanned.BLOCK
    assert compiled(None, default).time_ns == 500_000


@pytest.mark.parametrize("turn", [1, -1])
def test_of_several_actions_that_are_meant_the_strictest_counts(turn: int) -> None:
    said = [("iban", "tokenize"), ("payment", "redact"), ("payment.card", "observe"), ("card_code", "block")]
    found = compiled({"on_leak": "observe", "actions": dict(said[::turn])})

    assert found.actions["iban"] is Action.REDACT
    assert found.actions["card_number"] is Action.REDACT
    assert found.actions["card_code"] is Action.BLOCK
    assert found.actions["email"] is Action.OBSERVE
    assert found.blocks(finding("card_code"))
    assert not found.blocks(finding("iban"))


def test_an_action_counts_instead_of_what_becomes_of_leaks_even_if_it_is_laxer() -> None:
    found = compiled({"on_leak": "block", "actions": {"personal": "observe"}})

    assert found.decide(finding("email")) == (Action.OBSERVE, "channels[0].payload.actions.personal")
    assert found.decide(finding("iban")) == (Action.BLOCK, "channels[0].payload.on_leak")


@pytest.mark.parametrize("entry", ["personal.email", "personal", "email", {"class": "personal.email"}])
def test_what_is_declared_is_so_by_class_family_or_detector(entry: object) -> None:
    found = compiled({"on_leak": "block", "allow": [entry]})

    assert found.declared(finding("email", "$.anywhere"))
    assert not found.declared(finding("iban", "$.anywhere"))


def test_what_is_declared_at_a_path_is_so_there_alone() -> None:
    found = compiled(
        {"on_leak": "block", "allow": [{"class": "personal.email", "path": "$.customers[*].email"}]}
    )

    assert found.declared(finding("email", "$.customers[2].email"))
    assert not found.declared(finding("email", "$.customers[2].name"))
    assert not found.declared(finding("email"))


def test_what_is_off_where_nothing_is_said_is_looked_for_where_it_is_included() -> None:
    body = b'{"host": "10.0.0.7"}'
    without, with_ = compiled({"on_leak": "observe"}), compiled({"include": ["network.private_ip"]})

    assert without.inspector.inspect(body).findings == ()
    assert [found.class_ for found in with_.inspector.inspect(body).findings] == ["network.private_ip"]


def test_channels_that_look_for_the_same_share_what_is_compiled() -> None:
    policy = check_policy(
        {
            "version": 1,
            "default": {"payload": {"on_leak": "observe"}},
            "channels": [{"name": "a", "match": {"kafka": ["a"]}, "payload": {"on_leak": "block"}}],
        },
        "policy",
    )
    first, second = (policy.channels("kafka", name)[0].payload for name in ("a", "b"))

    assert first is not None
    assert second is not None
    assert first is not second
    assert first.inspector._scanner is second.inspector._scanner


def test_a_part_of_the_messages_is_scanned_by_their_trace() -> None:
    half, none = compiled({"sample": 0.5}), compiled({"sample": 0})

    assert half.samples(bytes(12) + b"\x7f\xff\xff\xff")
    assert not half.samples(bytes(12) + b"\x80\x00\x00\x00")
    assert half.samples(b"")
    assert not none.samples(bytes(16))
    assert not none.samples(b"")


def test_the_bytes_of_the_budget_are_all_that_is_scanned() -> None:
    found = compiled({"budget": {"bytes": "16B"}})

    inspection = found.inspector.inspect(b"x" * 20 + b" a@example.com")

    assert inspection.findings == ()
    assert inspection.unscanned is not None


def test_an_identifier_of_ones_own_is_found() -> None:
    found = compiled(
        {"actions": {"internal.customer": "block"}},
        identifiers=[{"name": "customer", "prefix": "CUST-", "pattern": "[0-9]{6}"}],
    )
    (only,) = found.inspector.inspect(b'{"ref": "CUST-123456"}').findings

    assert (only.detector, only.class_, only.path) == ("customer", "internal.customer", "$.ref")
    assert found.blocks(only)


def test_an_identifier_with_a_path_counts_there_alone() -> None:
    found = compiled(
        {"on_leak": "observe"},
        identifiers=[{"name": "customer", "prefix": "CUST-", "pattern": "[0-9]{6}", "path": "$.customer.id"}],
    )

    assert not found.declared(finding("customer", "$.customer.id"))
    assert found.declared(finding("customer", "$.ref"))


@pytest.mark.parametrize(
    ("rules", "path", "text"),
    [
        ({"actions": {"paymnt": "block"}}, "channels[0].payload.actions.paymnt", "did you mean 'payment'?"),
        ({"allow": ["zzzz"]}, "channels[0].payload.allow[0]", "interceptors scan --list"),
        ({"include": ["network.privat_ip"]}, "channels[0].payload.include[0]", "'network.private_ip'"),
        ({"on_leak": "drop"}, "channels[0].payload.on_leak", "'block'"),
        ({"sample": 1.5}, "channels[0].payload.sample", "less than or equal to 1"),
        ({"budget": {"bytes": 16}}, "channels[0].payload.budget.bytes", "256KiB"),
        ({"budget": {"bytes": "0B"}}, "channels[0].payload.budget.bytes", "64MiB"),
        ({"budget": {"time": "20"}}, "channels[0].payload.budget.time", "500us"),
        ({"budget": {"time": "0us"}}, "channels[0].payload.budget.time", "60s"),
        ({"allow": [{"class": "payment", "path": "card"}]}, "channels[0].payload.allow[0].path", "$"),
        ({"onleak": "block"}, "channels[0].payload.onleak", "did you mean 'on_leak'?"),
        ({"allow": [{"clas": "payment"}]}, "channels[0].payload.allow[0].clas", "did you mean 'class'?"),
    ],
)
def test_what_does_not_hold_is_an_error_that_says_where_and_what_to_do(
    rules: dict[str, Any], path: str, text: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        payload(rules)

    assert raised.value.path == path
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("identifier", "path", "text"),
    [
        ({"name": "iban", "prefix": "IB-"}, "identifiers[0].name", "taken"),
        ({"name": "own_trace_id", "prefix": "IB-"}, "identifiers[0].name", "taken"),
        ({"name": "personal", "prefix": "IB-"}, "identifiers[0].name", "taken"),
        ({"name": "internal", "prefix": "IB-"}, "identifiers[0].name", "taken"),
        ({"name": "Customer", "prefix": "C-"}, "identifiers[0].name", "pattern"),
        ({"name": "customer", "pattern": "[0-9]{6}"}, "identifiers[0]", "prefix"),
        ({"name": "customer", "prefix": "C-", "pattern": "(a+)+"}, "identifiers[0]", "{"),
    ],
)
def test_an_identifier_that_cannot_be_looked_for_is_an_error(
    identifier: dict[str, Any], path: str, text: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        payload({"on_leak": "observe"}, identifiers=[identifier])

    assert raised.value.path == path
    assert text in str(raised.value)


def test_an_error_in_a_document_names_its_line() -> None:
    text = "version: 1\ndefault:\n  payload:\n    on_leak: blok\n"

    with pytest.raises(PolicyError, match=r"policy\.yaml:4: default\.payload\.on_leak"):
        parse_policy(text, "policy.yaml")
