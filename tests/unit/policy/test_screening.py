from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

import pytest

from interceptors.message import Message
from interceptors.policy import Payload, Screened, check_policy, place, screen
from interceptors.scan import Finding, Inspector, Token, Unscanned, Validation

EMAIL = "jo.doe@example.com"
CARD = "4111111111111111"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TOKEN = Token(bytes(16), 1)
BODY = json.dumps({"email": EMAIL, "card": int(CARD), "note": "x"}).encode()


def payload(**rules: Any) -> Payload:
    policy = check_policy({"version": 1, "default": {"payload": rules}}, "policy")
    found = policy.channels("kafka", "orders")[0].payload
    assert found is not None
    return found


def screened(
    body: object = None, headers: Any = (), key: object = None, *, sending: bool = True, **rules: Any
) -> Screened:
    return screen(
        Message("kafka", "orders", body, headers=headers, key=key),
        payload(**rules),
        sending=sending,
        spent=lambda: False,
        own=TRACE.encode(),
        tokenize=lambda *_: TOKEN,
    )


def classes(found: Screened) -> list[str]:
    return [finding.class_ for finding in found.findings]


def test_a_clean_message_is_itself() -> None:
    headers = [("name", b"value")]
    found = screened(b'{"a": 1}', headers, b"key", on_leak="block")

    assert found == Screened(b'{"a": 1}', headers)
    assert found.headers is headers


def test_what_is_observed_stays() -> None:
    found = screened(BODY, on_leak="observe")

    assert found.body is BODY
    assert classes(found) == ["personal.email", "payment.card"]
    assert found.blocked == ()


def test_what_is_redacted_keeps_type_and_shape() -> None:
    found = screened(BODY, on_leak="redact")

    assert isinstance(found.body, bytes)
    assert json.loads(found.body) == {"email": "*" * len(EMAIL), "card": 0, "note": "x"}


def test_a_text_stays_a_text() -> None:
    found = screened(f"größer {EMAIL}", on_leak="redact")

    assert found.body == "größer " + "*" * len(EMAIL)


def test_each_class_meets_its_own_action() -> None:
    found = screened(BODY, on_leak="observe", actions={"payment": "tokenize", "personal": "redact"})

    assert isinstance(found.body, bytes)
    parsed = json.loads(found.body)
    assert parsed["email"] == "*" * len(EMAIL)
    assert isinstance(parsed["card"], int)
    assert str(parsed["card"]) != CARD


def test_what_is_declared_stays_and_the_rest_goes() -> None:
    body = json.dumps({"to": EMAIL, "cc": EMAIL}).encode()
    found = screened(body, on_leak="redact", allow=[{"class": "personal.email", "path": "$.to"}])

    assert isinstance(found.body, bytes)
    assert json.loads(found.body) == {"to": EMAIL, "cc": "*" * len(EMAIL)}
    assert [finding.path for finding in found.findings] == ["$.cc"]


def test_what_is_blocked_is_named_by_class_and_place() -> None:
    found = screened(BODY, [("contact", EMAIL)], EMAIL, on_leak="block")

    assert found.blocked == (
        "personal.email at $.email",
        "payment.card at $.card",
        "personal.email at headers.contact",
        "personal.email at key",
    )


def test_a_refusal_names_so_many_places_and_no_more() -> None:
    body = json.dumps({f"n{number}": EMAIL for number in range(100)}).encode()

    assert len(screened(body, on_leak="block").blocked) == 16


def test_a_header_is_redacted_and_tokenized_by_its_type() -> None:
    headers = [("contact", EMAIL), ("card", CARD.encode()), ("number", int(CARD)), ("kept", None)]
    redacted, tokenized = (screened(None, headers, on_leak=action) for action in ("redact", "tokenize"))

    assert redacted.headers == [
        ("contact", "*" * len(EMAIL)),
        ("card", b"*" * 16),
        ("number", 0),
        ("kept", None),
    ]
    assert dict(tokenized.headers)["contact"] == str(TOKEN)
    assert dict(tokenized.headers)["number"] == 0
    assert headers[0] == ("contact", EMAIL)


def test_without_a_key_a_mask_takes_a_tokens_place() -> None:
    message = Message("kafka", "orders", BODY, headers=[("contact", EMAIL)])
    found = screen(message, payload(on_leak="tokenize"), sending=True, spent=lambda: False)

    assert isinstance(found.body, bytes)
    assert json.loads(found.body)["email"] == "*" * len(EMAIL)
    assert found.headers == [("contact", "*" * len(EMAIL))]
    assert found.masked == 3


def test_the_policy_says_of_which_domain_a_token_is() -> None:
    asked: list[tuple[str, str, bytes]] = []

    def tokenize(*asks: Any) -> Token | None:
        asked.append(asks)
        return TOKEN if asks[0] == "customer" else None

    tokens = {"domains": {"customer": {"classes": ["personal.email"]}}}
    policy = check_policy(
        {"version": 1, "tokens": tokens, "default": {"payload": {"on_leak": "tokenize"}}}, "policy"
    )
    rules = policy.channels("kafka", "orders")[0].payload
    assert rules is not None
    message = Message("kafka", "orders", BODY)
    found = screen(message, rules, sending=True, spent=lambda: False, tokenize=tokenize)

    assert asked == [
        ("customer", "personal.email", EMAIL.encode()),
        ("payment.card", "payment.card", CARD.encode()),
    ]
    assert isinstance(found.body, bytes)
    assert json.loads(found.body) == {"email": str(TOKEN), "card": 0, "note": "x"}
    assert found.masked == 1


def test_a_key_and_a_headers_name_stay_and_are_counted() -> None:
    found = screened(None, [(EMAIL, "x")], EMAIL, on_leak="redact")

    assert found.headers == [(EMAIL, "x")]
    assert found.kept == 2


def test_a_header_that_the_bus_goes_by_stays_and_is_counted() -> None:
    headers = [("id", EMAIL), ("contact", EMAIL)]
    message = Message("celery", "orders", headers=headers, fixed=frozenset({"id"}))
    found = screen(message, payload(on_leak="redact"), sending=True, spent=lambda: False)

    assert found.headers == [("id", EMAIL), ("contact", "*" * len(EMAIL))]
    assert (found.kept, len(found.findings)) == (1, 2)


def test_a_header_that_is_json_stays_json() -> None:
    value = json.dumps({"card": int(CARD), "email": EMAIL, "cvv": 123, "x": "é"})
    found = screened(None, [("order", value), ("cvv", "[123]")], on_leak="redact")

    headers: Any = dict(found.headers)
    assert json.loads(headers["order"]) == {"card": 0, "email": "*" * len(EMAIL), "cvv": 0, "x": "é"}
    assert screened(None, found.headers, on_leak="redact").findings == ()


def test_in_headers_and_key_what_is_declared_stays() -> None:
    headers = [("contact", EMAIL), ("card", CARD)]
    found = screened(None, headers, EMAIL, on_leak="redact", allow=["personal.email"])

    assert found.headers == [("contact", EMAIL), ("card", "*" * len(CARD))]
    assert (classes(found), found.kept) == (["payment.card"], 0)


def test_where_no_time_is_left_to_look_into_new_headers_again_it_is_said() -> None:
    message = Message("kafka", "orders", headers=[("contact", f"{EMAIL} {'x' * 100_000}")])
    asked = [0, 0]

    def told(turn: int, allowed: float) -> bool:
        asked[turn] += 1
        return asked[turn] > allowed

    screen(message, payload(on_leak="observe"), sending=True, spent=lambda: told(0, math.inf))
    found = screen(message, payload(on_leak="redact"), sending=True, spent=lambda: told(1, asked[0]))

    assert EMAIL not in repr(found.headers)
    assert found.unscanned is Unscanned.TIME


def test_in_a_header_that_is_json_the_paths_of_a_body_do_not_count() -> None:
    allow = [{"class": "personal.email", "path": "$.email"}]
    found = screened(None, [("order", BODY.decode())], on_leak="redact", allow=allow)

    headers: Any = dict(found.headers)
    assert json.loads(headers["order"]) == {"email": "*" * len(EMAIL), "card": 0, "note": "x"}


def test_of_a_text_nothing_else_is_replaced() -> None:
    found = screened(f"\ud83d \ude00 é {EMAIL}", on_leak="redact")

    assert found.body == "\ud83d \ude00 é " + "*" * len(EMAIL)


def test_what_was_received_stays_as_it_is() -> None:
    found = screened(BODY, [("contact", EMAIL)], sending=False, on_leak="block")

    assert (found.body, found.headers) == (BODY, [("contact", EMAIL)])
    assert classes(found) == ["personal.email", "payment.card", "personal.email"]
    assert found.blocked == ()


@pytest.mark.parametrize(
    ("body", "headers"), [(f'{{"trace": "{TRACE}"}}'.encode(), ()), (None, [("correlation", TRACE)])]
)
def test_the_messages_own_trace_id_may_not_stand_in_it(body: object, headers: Any) -> None:
    found = screened(body, headers, on_leak="redact", actions={"trace": "block"})

    assert classes(found) == ["trace.context"]
    assert found.findings[0].detector == "own_trace_id"
    assert len(found.blocked) == 1


CLEAN = [("kind", "order"), ("version", 3)]


def found_in(rules: Payload, headers: Any, key: object = None, own: str = TRACE) -> list[tuple[str, str]]:
    message = Message("kafka", "orders", headers=headers, key=key)
    looked = screen(message, rules, sending=True, spent=lambda: False, own=own.encode())
    assert looked.headers == headers
    return [(finding.detector, finding.part) for finding in looked.findings]


def test_headers_that_are_clean_are_looked_into_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rules, looked = payload(on_leak="observe"), []
    inspect = Inspector.inspect

    def counted(self: Inspector, body: bytes, **how: Any) -> Any:
        looked.append(body)
        return inspect(self, body, **how)

    monkeypatch.setattr(Inspector, "inspect", counted)
    for key in (None, b"a", b"b"):
        assert found_in(rules, CLEAN, key) == []
    assert looked == [b"kind: order\nversion: 3\n", b"a", b"b"]


def test_what_is_remembered_of_headers_is_bounded_and_says_nothing_of_them() -> None:
    rules = payload(on_leak="observe")
    for number in range(3000):
        found_in(rules, [("secret-kind", f"order {number}")])

    assert 0 < len(rules.clean) <= 1024
    held = [text for slot in rules.clean.__slots__ if isinstance(text := getattr(rules.clean, slot), dict)]
    assert not any(b"order" in text or b"kind" in text for generation in held for text in generation)


@pytest.mark.parametrize(
    "header",
    [
        TRACE,
        f"see {TRACE}.",
        base64.b64encode(f"the trace is {TRACE}".encode()),
        "".join(f"\\u{ord(each):04x}" for each in TRACE),
        "".join(f"%{ord(each):02x}" for each in TRACE),
    ],
)
def test_headers_that_were_clean_in_another_trace_are_not_in_that_which_they_name(header: Any) -> None:
    rules = payload(on_leak="observe")
    headers = [("correlation", header)]

    for _ in range(2):
        assert ("own_trace_id", "headers.correlation") not in found_in(rules, headers, own="f" * 32)
    for _ in range(2):
        assert ("own_trace_id", "headers.correlation") in found_in(rules, headers)


def test_what_was_not_looked_into_to_the_end_is_not_remembered_as_clean() -> None:
    rules = payload(on_leak="observe", budget={"bytes": "64B"})
    message = Message("kafka", "orders", headers=[("note", "x" * 100)])

    for _ in range(2):
        found = screen(message, rules, sending=True, spent=lambda: False)
        assert found.unscanned is Unscanned.BYTES


def test_what_is_declared_on_one_channel_is_not_remembered_on_another() -> None:
    lax, strict = payload(on_leak="block", allow=["personal.email"]), payload(on_leak="block")
    headers = [("contact", EMAIL)]

    assert found_in(lax, headers) == []
    assert found_in(strict, headers) == [("email", "headers.contact")]
    assert found_in(lax, headers) == []


@pytest.mark.parametrize("key", ["943 476 5919", EMAIL, TRACE])
def test_a_key_is_taken_for_the_same_whatever_the_headers_are(key: str) -> None:
    rules = payload(on_leak="observe")
    alone = found_in(rules, [], key)

    assert alone != []
    for _ in range(2):
        assert found_in(rules, [("kind", "tel")], key) == alone


@pytest.mark.parametrize("body", [object(), {"a": EMAIL}, 7])
def test_a_body_that_is_not_bytes_is_said_so(body: object) -> None:
    passed, blocked = (screened(body, on_leak="redact", on_unscanned=how) for how in ("pass", "block"))

    assert passed.unscanned is Unscanned.NOT_BYTES
    assert passed.blocked == ()
    assert blocked.blocked == ("not scanned to the end (the body is not bytes yet)",)


def test_a_tombstone_is_clean() -> None:
    assert screened(None, on_leak="block", on_unscanned="block") == Screened(None, ())


def test_a_message_larger_than_its_budget_is_sent_or_not_as_the_policy_says() -> None:
    body = b"x" * 100 + BODY
    rules: dict[str, Any] = {"on_leak": "observe", "budget": {"bytes": "64B"}}

    assert screened(body, **rules).unscanned is Unscanned.BYTES
    assert screened(body, **rules, on_unscanned="block").blocked != ()


def test_time_that_is_spent_is_said_so() -> None:
    message = Message("kafka", "orders", json.dumps([EMAIL] * 5000).encode())
    found = screen(message, payload(on_leak="observe"), sending=True, spent=lambda: True)

    assert found.unscanned is Unscanned.TIME


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(BODY, mtime=0),
        json.dumps({"inner": json.dumps({"email": EMAIL})}).encode(),
        json.dumps({"inner": base64.b64encode(BODY).decode()}).encode(),
    ],
)
def test_what_is_packed_is_redacted_inside(body: bytes) -> None:
    found = screened(body, on_leak="redact")

    assert isinstance(found.body, bytes)
    assert found.body != body
    assert "personal.email" in classes(found)
    again = screened(found.body, on_leak="observe")
    assert again.findings == ()


def test_no_text_is_in_what_is_shown() -> None:
    found = screened(BODY, [("contact", EMAIL)], EMAIL, on_leak="observe")

    assert EMAIL not in repr(found)
    assert EMAIL not in repr(found.findings)


def test_a_place_without_a_path_is_a_byte() -> None:
    finding = Finding("email", "personal.email", 7, 9, Validation.PATTERN, "")

    assert place(finding) == "personal.email at byte 7"
