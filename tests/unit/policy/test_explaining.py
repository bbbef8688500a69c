from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from interceptors.message import Message
from interceptors.policy.compiling import Compiler
from interceptors.policy.document import PolicyDocument
from interceptors.policy.explaining import explain, explain_message
from interceptors.policy.yaml_document import lines_of, parse_document

if TYPE_CHECKING:
    from interceptors.policy.explaining import Met, Row

NOW = 1_800_000_000_000
POLICY = """\
version: 1
baseline:
  accept: required
  payload:
    actions: {payment: redact}
environments:
  eu.production:
    payload: {on_leak: block}
channels:
  - name: orders
    match: {kafka: [orders], celery: [orders]}
    owner: shop
    accept: optional
    max_age: 36h
    labels: {region: {values: [eu]}}
    payload:
      on_leak: observe
      actions: {payment.card: tokenize}
      allow: [{class: personal.email, path: $.email}]
      budget: {bytes: 64KiB}
      include: [network]
    fields:
      - {path: $.name, class: personal.name, handling: drop}
      - {header: x-user, class: personal.user, handling: tokenize}
  - name: clicks
    match: {kafka: [clicks]}
default:
  retention: 30d
"""
CARD = "4111111111111111"


def explained(
    name: str = "orders", bus: str = "kafka", environment: str = "", policy: str = POLICY
) -> list[Row]:
    compiler, place = _compiled(policy, name)
    return explain(compiler, compiler.layers(place, environment, NOW), bus)


def met(
    body: bytes | None = None,
    *,
    environment: str = "",
    key: bytes | None = None,
    policy: str = POLICY,
    **headers: str,
) -> list[Met]:
    compiler, place = _compiled(policy, "orders")
    layers = compiler.layers(place, environment, NOW)
    payload = compiler.payload(layers)
    assert payload is not None
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return explain_message(payload, Message("kafka", "orders", body, headers=named, key=key), layers)


def _compiled(policy: str, name: str) -> tuple[Compiler, int | None]:
    document = parse_document(PolicyDocument, policy, "policy.yaml")
    places = {entry.name: place for place, entry in enumerate(document.channels)}
    return Compiler(document, "policy.yaml"), places.get(name)


def row(rows: list[Row], key: str) -> tuple[str, int | None, str]:
    found = next(each for each in rows if each.key == key)
    return found.shown, lines_of(POLICY)(found.line) if found.line else None, found.why


def test_each_key_has_its_value_its_line_and_the_reason() -> None:
    rows = explained()
    assert row(rows, "accept") == ("required", 3, "stricter, and nobody may go below it")
    assert row(rows, "max_age") == ("36h", 14, "said by the channel")
    assert row(rows, "retention") == ("30d", 28, "the default")
    assert row(rows, "binding") == ("channel", None, "built in")
    assert row(rows, "senders") == ("all whose keys are held", None, "built in")
    assert row(rows, "owner") == ("shop", 12, "said by the channel")
    assert row(rows, "labels") == ("keep: region", 15, "said by the channel")
    assert row(rows, "payload.on_leak") == ("observe", 17, "said by the channel")
    assert row(rows, "payload.budget.bytes") == ("64KiB", 20, "said by the channel")
    assert row(rows, "payload.budget.time") == ("20ms", None, "built in")
    assert row(rows, "payload.include") == ("network", 21, "said by the channel")
    assert row(rows, "payload.allow") == ("email $.email", 19, "said by the channel")
    assert row(rows, "payload.bounds")[:2] == ("redact: payment, declared or not", 5)


def test_each_label_has_the_line_that_decided_what_becomes_of_it() -> None:
    policy = POLICY.replace(
        "labels: {region: {values: [eu]}}",
        "labels: {user: {class: email, handling: tokenize}, card: {class: payment.card, values: [none]}, "
        "agent: {values: [jo], handling: drop}}",
    )
    rows = {
        each.shown: lines_of(policy)(each.line) for each in explained(policy=policy) if each.key == "labels"
    }
    assert rows == {"tokenize: user (email)": 15, "redact: card (payment.card)": 5, "drop: agent": 15}
    (nothing,) = (each for each in explained("clicks") if each.key == "labels")
    assert (nothing.shown, nothing.line) == ("-", "")


def test_what_does_not_count_is_named() -> None:
    (accept,) = (each for each in explained() if each.key == "accept")
    assert accept.overruled == ("channels[0].accept",)


def test_the_actions_of_one_line_stand_together() -> None:
    here = {each.shown: each.line for each in explained() if each.key == "payload.actions"}
    there = {
        each.shown: each.line
        for each in explained(environment="eu.production")
        if each.key == "payload.actions"
    }
    assert here == {
        "observe: all else": "channels[0].payload.on_leak",
        "redact: payment": "baseline.payload.actions.payment",
    }
    assert there == {"block: all else": "environments.eu.production.payload.on_leak"}
    assert lines_of(POLICY)("environments.eu.production.payload.on_leak") == 8


def test_a_channel_is_bound_to_the_type_on_celery() -> None:
    assert row(explained(bus="celery"), "binding") == ("type", None, "built in")
    assert row(explained(bus="celery"), "lowest_level")[2] == "as the binding"


def test_that_nothing_is_scanned_is_said() -> None:
    policy = POLICY.replace("baseline:", "x:").replace(
        "x:\n  accept: required\n  payload:\n    actions: {payment: redact}\n", ""
    )
    rows = explained("clicks", policy=policy)
    assert [each.shown for each in rows if each.key.startswith("payload")] == ["not scanned"]


def test_a_name_that_no_channel_lists_has_the_defaults_rules() -> None:
    rows = explained("anything")
    assert row(rows, "accept") == ("required", 3, "stricter, and nobody may go below it")
    assert row(rows, "retention") == ("30d", 28, "the default")


def test_each_field_and_finding_of_a_message_is_told_without_its_text() -> None:
    body = (
        b'{"name": "Customer", "email": "customer@example.com", "card": %b, "x": "someone@example.com"}'
        % CARD.encode()
    )
    found = met(body, key=CARD.encode(), x_user="Customer", y=CARD)

    assert [(each.class_, each.place, each.handling, each.line) for each in found] == [
        ("personal.name", "$.name", "drop", "channels[0].fields[0]"),
        ("personal.user", "headers.x-user", "tokenize", "channels[0].fields[1]"),
        ("personal.email", "$.email", "keep", "channels[0].payload.allow[0]"),
        ("payment.card", "$.card", "redact", "baseline.payload.actions.payment"),
        ("personal.email", "$.x", "observe", "channels[0].payload.on_leak"),
        ("payment.card", "headers.y", "redact", "baseline.payload.actions.payment"),
        ("payment.card", "key", "keep", "baseline.payload.actions.payment"),
    ]
    assert found[-1].why == "redact is asked for; a key, a name or what the bus goes by stays"
    assert all(secret not in repr(found) for secret in ("Customer", "customer@", CARD))


def test_in_another_environment_another_line_decides() -> None:
    (only,) = met(b'{"x": "someone@example.com"}', environment="eu.production")
    assert (only.handling, only.why) == ("block", "stricter, and nobody may go below it")


def test_a_body_whose_fields_cannot_be_told_is_said_to_be_one() -> None:
    (only,) = met(b"plain")
    assert only.class_ == "not scanned to the end: places can't be told in this format"
    assert only.handling == "pass"


FIELDS = """\
version: 1
channels:
  - name: orders
    match: {kafka: [orders]}
    fields:
      - {path: $.customer, class: personal.customer, handling: tokenize}
      - {path: $.customer.name, class: personal.name, handling: keep}
      - {path: $.email, class: personal.email, handling: redact}
"""


def test_what_is_scanned_for_nothing_has_no_findings() -> None:
    body = b'{"x": "someone@example.com", "email": "someone@example.com"}'
    assert [(each.place, each.handling) for each in met(body, policy=FIELDS)] == [("$.email", "redact")]
    unsampled = POLICY.replace("      on_leak: observe", "      on_leak: observe\n      sample: 0")
    assert met(body.replace(b"email", b"e"), policy=unsampled, y=CARD) == []


def test_a_value_that_has_no_token_is_said_to_be_dropped_with_all_that_is_in_it() -> None:
    (only,) = met(b'{"customer": {"name": "Customer"}}', policy=FIELDS)
    assert (only.place, only.handling, only.why) == ("$.customer", "drop", "neither a text nor a number")


def test_what_is_not_scanned_to_its_end_is_told_as_such() -> None:
    (only,) = met(b'{"a": "' + b"x" * (65 << 10) + b'"}', policy=POLICY)
    assert only.class_ == "not scanned to the end: more bytes than the budget allows"
    assert only.handling == "pass"


def test_what_can_not_be_replaced_is_said_to_stay() -> None:
    cut = gzip.compress(b'{"card": "%b", "x": %b}' % (CARD.encode(), str([*range(9000)]).encode()))[:-60]
    policy = POLICY.replace("    fields:\n", "    x:\n").split("    x:")[0] + "default: {retention: 30d}\n"
    unscanned, card = met(cut, policy=policy)
    assert unscanned.handling == "pass"
    assert (card.class_, card.handling) == ("payment.card", "keep")
    assert card.why == "redact is asked for; nothing can be in this form"


def test_a_message_without_a_body_has_headers() -> None:
    assert [each.place for each in met(None, x_user="Customer")] == ["headers.x-user"]
    assert met(None) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("channels[0].payload.actions.payment.card", 18),
        ("channels[1].match.kafka[0]", 26),
        ("channels[0].senders", 10),
        ("", 1),
        ("nothing", 1),
    ],
)
def test_the_line_of_a_place_is_that_of_what_is_written_nearest(path: str, line: int) -> None:
    assert lines_of(POLICY)(path) == line


def test_a_text_that_is_no_document_has_no_lines() -> None:
    assert lines_of("a: [")("a") is None
