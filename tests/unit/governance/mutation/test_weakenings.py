from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from interceptors.errors import PolicyError
from interceptors.governance.mutation import weakenings
from interceptors.policy import parse_policy

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = "version: 1\nchannels:\n  - name: orders\n    match: {kafka: [orders]}\n"


def changes(text: str) -> list[tuple[int, str]]:
    return [(weakening.line, weakening.what) for weakening in weakenings(text, "policy.yaml")]


def at(key: str, *whats: str) -> Iterable[tuple[int, str]]:
    return [(5, f"channels.orders.{key}: {what}") for what in whats]


@pytest.mark.parametrize(
    ("line", "key", "whats"),
    [
        ("accept: reject", "accept", ["reject → required"]),
        ("accept: required  # a comment", "accept", ["required → optional"]),
        ("accept: optional", "accept", ["optional → none"]),
        ("accept: none", "accept", []),
        ("emit: sealed", "emit", ["sealed → none"]),
        ("binding: message", "binding", ["message → channel", "message → type"]),
        ("binding: channel", "binding", ["channel → tenant"]),
        ("signed: true", "signed", ["true → false"]),
        ("signed: false", "signed", []),
        ("max_age: 7d", "max_age", ["7d → 70d"]),
        ("max_age: 3650d", "max_age", []),
        ("retry_window: 0s", "retry_window", ["0s → 1s"]),
        ("retention: 90d", "retention", ["90d → 900d"]),
        ("sampling_ratio: 0.1", "sampling_ratio", ["0.1 → 1.0"]),
        ("sampling_ratio: 1.0", "sampling_ratio", []),
        ("task_metadata: removed", "task_metadata", ["removed → kept"]),
        ("senders: [shop]", "senders", ["somebody-else too", "taken out"]),
        ("payload: {on_leak: block}", "payload.on_leak", ["block → observe", "block → redact"]),
        ("payload: {on_unscanned: block}", "payload.on_unscanned", ["block → pass"]),
        ("payload: {sample: 0.5}", "payload.sample", ["0.5 → 0"]),
        ("payload: {allow: [payment]}", "payload.allow", ["personal too"]),
        ("payload: {include: [private_ip, local_ip_address]}", "payload.include", []),
        ("labels: {tier: {pattern: '[a-z]{1,3}'}}", "labels.tier.pattern", ["any text"]),
        ("labels: {tier: {values: [gold]}}", "labels.tier.values", ["somebody-else too"]),
        ("labels: {tier: {values: [gold], handling: keep}}", "labels.tier.values", ["somebody-else too"]),
        ("labels: {a: {values: [b], handling: drop}}", "labels.a.handling", ["drop → keep", "drop → redact"]),
        ("labels: {a: {handling: redact}}", "labels.a.handling", ["redact → keep, any text"]),
        (
            "labels: {a: {class: x, handling: redact}}",
            "labels.a.handling",
            ["redact → keep, any text", "redact → tokenize"],
        ),
        ("labels: {a: {class: x, handling: tokenize}}", "labels.a.handling", ["tokenize → keep, any text"]),
    ],
)
def test_each_thing_that_can_be_weaker_is(line: str, key: str, whats: list[str]) -> None:
    if "include" in line:
        line = "payload: {include: [network.private_ip]}"
    assert changes(f"{HEAD}    {line}\n") == at(key, *whats)


@pytest.mark.parametrize(
    ("line", "whats"),
    [
        (
            "fields: [{path: $.a, class: note, handling: drop}]",
            ["fields.0.handling: drop → keep", "fields.0.handling: drop → redact", "fields: taken out"],
        ),
        (
            "payload: {allow: [{class: payment, path: $.a}]}",
            ["payload.allow.0.path: taken out", "payload.allow: personal too"],
        ),
        (
            "payload: {budget: {bytes: 1MiB, time: 1us}}",
            ["payload.budget.bytes: 1MiB → 1B"],
        ),
        (
            "payload: {include: [network.private_ip], sample: 0}",
            ["payload.include: taken out"],
        ),
    ],
)
def test_what_has_one_item_goes_whole(line: str, whats: list[str]) -> None:
    found = changes(f"{HEAD}    {line}\n")
    assert sorted(what.removeprefix("channels.orders.") for _, what in found) == whats


def test_a_name_or_a_channel_falls_to_the_default() -> None:
    text = (
        f"{HEAD.replace('[orders]', '[orders, eu.orders]')}  - name: refunds\n"
        "    match:\n      kafka: [refunds]\n      celery:\n        - refunds\n"
    )
    assert changes(text) == [
        (2, "channels: orders taken out"),
        (2, "channels: refunds taken out"),
        (4, "channels.orders.match.kafka: eu.orders taken out"),
        (4, "channels.orders.match.kafka: orders taken out"),
        (7, "channels.refunds.match.kafka: taken out"),
        (8, "channels.refunds.match.celery: taken out"),
    ]


def test_more_leaves_on_spans_and_a_policy_never_expires() -> None:
    text = (
        "version: 1\nexpires: 2027-01-31T00:00:00Z\n"
        "spans:\n  attributes: [shop.kind]\n  drop: [messaging.destination.name, code.line.number]\n"
    )
    assert {what for _, what in changes(text)} == {
        "expires: taken out",
        "spans.attributes: customer.email too",
        "spans.drop: code.line.number taken out",
        "spans.drop: messaging.destination.name taken out",
    }


BLOCK = """\
version: 1
default:
  payload:
    # what is here is blocked
    on_unscanned: pass
    actions:
      payment: block  # cards
      personal.email: redact
identifiers:
  - name: customer
    prefix: CUST-
    pattern: "[0-9]{8}"
    check: luhn
  - {name: contract, prefix: CON-, pattern: "[0-9]{6}"}
baseline:
  accept: required
  binding: message
environments:
  production: {accept: reject, max_age: 1d}
exceptions: []
"""


def test_entries_are_taken_out_of_blocks_and_of_flows_and_put_in() -> None:
    assert changes(BLOCK) == [
        (7, "default.payload.actions.payment: allowed"),
        (7, "default.payload.actions.payment: block → observe"),
        (7, "default.payload.actions.payment: block → redact"),
        (7, "default.payload.actions.payment: taken out"),
        (8, "default.payload.actions.personal.email: allowed"),
        (8, "default.payload.actions.personal.email: redact → observe"),
        (8, "default.payload.actions.personal.email: taken out"),
        (9, "identifiers: contract taken out"),
        (9, "identifiers: customer taken out"),
        (13, "identifiers.customer.check: taken out"),
        (16, "baseline.accept: required → optional"),
        (16, "baseline.accept: taken out"),
        (17, "baseline.binding: message → channel"),
        (17, "baseline.binding: message → type"),
        (17, "baseline.binding: taken out"),
        (19, "environments.production.accept: reject → required"),
        (19, "environments.production.accept: taken out"),
        (19, "environments.production.max_age: 1d → 10d"),
        (19, "environments.production.max_age: taken out"),
    ]


def test_each_is_a_policy_that_differs_in_one_place_and_keeps_its_lines() -> None:
    before = yaml.safe_load(BLOCK)
    lines = BLOCK.splitlines()
    for weakening in weakenings(BLOCK, "policy.yaml"):
        parse_policy(weakening.text, "policy.yaml")
        assert yaml.safe_load(weakening.text) != before
        after = weakening.text.splitlines()
        if not weakening.what.endswith(": allowed"):
            assert len(after) == len(lines)
            assert after[: weakening.line - 1] == lines[: weakening.line - 1]


def test_what_was_put_in_is_what_was_meant() -> None:
    (text,) = (one.text for one in weakenings(BLOCK, "p") if one.what.endswith("payment: allowed"))
    assert yaml.safe_load(text)["default"]["payload"]["allow"] == ["payment"]
    (text,) = (one.text for one in weakenings(BLOCK, "p") if one.what == "identifiers: customer taken out")
    assert [entry["name"] for entry in yaml.safe_load(text)["identifiers"]] == ["contract"]
    (text,) = (one.text for one in weakenings(BLOCK, "p") if one.what == "identifiers: contract taken out")
    assert [entry["name"] for entry in yaml.safe_load(text)["identifiers"]] == ["customer"]


def test_lists_in_blocks_get_their_items_in_the_block() -> None:
    senders = "    senders:\n      - storefront\n      - kiosk\n"
    text = f"{HEAD}{senders}    payload:\n      allow:\n        - payment\n"
    found = {one.what.partition(": ")[2]: one.text for one in weakenings(text, "policy.yaml")}
    channel = yaml.safe_load(found["somebody-else too"])["channels"][0]
    assert channel["senders"] == ["somebody-else", "storefront", "kiosk"]
    channel = yaml.safe_load(found["personal too"])["channels"][0]
    assert channel["payload"]["allow"] == ["personal", "payment"]


def test_the_last_entry_of_a_flow_goes_with_the_comma_before_it() -> None:
    text = f"{HEAD}    payload: {{actions: {{payment: block, personal: block}}, on_leak: observe}}\n"
    (changed,) = (one.text for one in weakenings(text, "p") if one.what.endswith("personal: taken out"))
    assert "actions: {payment: block}, on_leak" in changed


def test_an_exception_holds_a_year_longer_and_everywhere() -> None:
    text = (
        f"{HEAD}exceptions:\n  - id: EX-1\n    reason: a\n    requested_by: b\n    approved_by: c\n"
        "    channels: [orders]\n    environments: [staging]\n    expires: 2027-01-31T00:00:00Z\n"
        "    rules: {accept: optional}\n"
    )
    found = changes(text)
    assert (12, "exceptions.EX-1.expires: a year later") in found
    assert (11, "exceptions.EX-1.environments: taken out") in found


def test_two_channels_are_told_apart_by_their_names() -> None:
    text = f"{HEAD}    emit: sealed\n  - name: refunds\n    match: {{kafka: [refunds]}}\n    emit: sealed\n"
    assert changes(text)[2:] == [
        (5, "channels.orders.emit: sealed → none"),
        (8, "channels.refunds.emit: sealed → none"),
    ]


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"^policy\.yaml:1: "):
        weakenings("nothing: 1\n", "policy.yaml")


def test_a_policy_that_says_nothing_has_none() -> None:
    assert changes("version: 1\n") == []


def test_a_label_that_is_replaced_may_be_kept_also_where_it_stands_in_lines_of_its_own() -> None:
    text = f"{HEAD}    labels:\n      a:\n        handling: redact\n        values: [b]\n"
    assert (7, "channels.orders.labels.a.handling: redact → keep") in changes(text)
    found = weakenings(text.replace("values: [b]", "purpose: support"), "policy.yaml")
    (label,) = [
        parse_policy(each.text, "p").channels("kafka", "orders")[0].labels
        for each in found
        if "any text" in each.what
    ]
    assert label.admitted({"a": "somebody@example.com"}) == ({"a": "somebody@example.com"}, 0)
