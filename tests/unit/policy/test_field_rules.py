from __future__ import annotations

import gzip
import json
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.message import Message
from interceptors.policy import Payload, Screened, check_policy, screen
from interceptors.scan import Token, Unscanned

TOKENS = {
    (domain, text): Token(bytes([number] * 16), 1)
    for number, (domain, text) in enumerate(
        [("personal.name", b"J\xc3\xb6rg"), ("personal.email", b"a@example.com"), ("order.number", b"17")]
    )
}


def payload(*fields: dict[str, Any], **rules: Any) -> Payload:
    default: dict[str, Any] = {"fields": [*fields]} | ({"payload": rules} if rules else {})
    found = check_policy({"version": 1, "default": default}, "policy").channels("kafka", "orders")[0].payload
    assert found is not None
    return found


def sent(
    rules: Payload,
    body: object = None,
    headers: Any = (),
    *,
    fixed: frozenset[str] = frozenset(),
    sending: bool = True,
    scanning: bool = True,
) -> Screened:
    return screen(
        Message("kafka", "orders", body, headers=headers, fixed=fixed),
        rules,
        sending=sending,
        scanning=scanning,
        spent=lambda: False,
        tokenize=lambda domain, _class, text: TOKENS.get((domain, text)),
    )


def field(handling: str, *, path: str = "$.name", class_: str = "personal.name") -> dict[str, Any]:
    return {"path": path, "class": class_, "handling": handling}


def header(handling: str, name: str = "x-user", class_: str = "personal.name") -> dict[str, Any]:
    return {"header": name, "class": class_, "handling": handling}


ANY = payload(field("tokenize", path="$..name"), field("redact", path="$[*]"), header("tokenize"))


@pytest.mark.parametrize(
    ("handling", "name"),
    [
        ("drop", ""),
        ("redact", "*" * len("Jörg".encode())),
        ("tokenize", str(TOKENS["personal.name", "Jörg".encode()])),
    ],
)
def test_a_field_is_handled_whatever_it_holds(handling: str, name: str) -> None:
    body = json.dumps({"name": "Jörg", "id": 7}).encode()
    found = sent(payload(field(handling)), body, scanning=False)

    assert json.loads(found.body) == {"name": name, "id": 7}  # type: ignore[arg-type] # bytes, as was given
    assert (found.findings, found.unscanned, found.blocked, found.masked) == ((), None, (), 0)


def test_a_text_stays_a_text() -> None:
    assert sent(payload(field("redact")), '{"name": "Jörg"}').body == '{"name": "*****"}'


def test_a_field_without_a_token_key_is_masked_and_counted() -> None:
    found = sent(payload(field("tokenize")), b'{"name": "Xyz"}')
    assert (found.body, found.masked) == (b'{"name": "***"}', 1)


def test_a_field_and_a_finding_of_one_class_have_one_token() -> None:
    rules = payload(
        field("tokenize", path="$.to", class_="personal.email"),
        on_leak="observe",
        actions={"personal": "tokenize"},
    )
    found = sent(rules, b'{"to": "a@example.com", "cc": "a@example.com"}')
    token = str(TOKENS["personal.email", b"a@example.com"])
    assert json.loads(found.body) == {"to": token, "cc": token}  # type: ignore[arg-type] # bytes, as was given


def test_of_several_fields_that_mean_a_value_the_strictest_counts() -> None:
    rules = payload(field("keep"), field("redact", path="$.*"), field("drop", path="$..name"))
    assert sent(rules, b'{"name": "Xyz", "x": "ab"}').body == b'{"name": "", "x": "**"}'


def test_what_a_field_held_is_no_finding_any_more() -> None:
    rules = payload(field("redact", path="$.note", class_="free.text"), on_leak="block")
    found = sent(rules, b'{"note": "write to a@example.com"}')
    assert (found.findings, found.blocked) == ((), ())
    assert sent(rules, b'{"other": "write to a@example.com"}').blocked == ("personal.email at $.other",)


def test_a_field_that_is_kept_still_counts_for_other_classes() -> None:
    rules = payload(field("keep", class_="personal.email"), on_leak="block")
    assert sent(rules, b'{"name": "a@example.com"}').blocked == ()
    assert sent(rules, b'{"name": "4111111111111111"}').blocked == ("payment.card at $.name",)


def test_what_is_received_is_never_changed() -> None:
    body, headers = b'{"name": "a@example.com"}', [("x-user", b"Xyz")]
    found = sent(payload(field("drop"), header("drop"), on_leak="block"), body, headers, sending=False)
    assert (found.body, found.headers, found.blocked) == (body, headers, ())
    assert [each.class_ for each in found.findings] == ["personal.email"]


@pytest.mark.parametrize(
    "body",
    [b"name: Xyz", msgpack.packb({"name": "Xyz"}), b"name=Xyz&id=1", {"name": "Xyz"}, b'{"name": "Xyz"'],
)
@pytest.mark.parametrize("scanning", [True, False])
def test_a_body_whose_places_are_not_known_counts_as_not_scanned(body: object, *, scanning: bool) -> None:
    passed = sent(payload(field("drop"), on_unscanned="pass"), body, scanning=scanning)
    blocked = sent(payload(field("drop"), on_unscanned="block"), body, scanning=scanning)

    assert passed.body == body
    assert passed.unscanned in {Unscanned.PLACES, Unscanned.NOT_BYTES}
    assert passed.blocked == ()
    assert [why.split(" (")[0] for why in blocked.blocked] == ["not scanned to the end"]


def test_a_tombstone_has_no_fields() -> None:
    found = sent(payload(field("drop"), on_unscanned="block"), None)
    assert (found.body, found.unscanned, found.blocked) == (None, None, ())


def test_what_can_be_packed_again_is() -> None:
    found = sent(payload(field("drop")), gzip.compress(b'{"name": "Xyz"}'))
    assert gzip.decompress(found.body) == b'{"name": ""}'  # type: ignore[arg-type] # bytes, as was given


@pytest.mark.parametrize(
    ("handling", "value", "expected"),
    [
        ("redact", b"Xyz", b"***"),
        ("redact", "Xyz", "***"),
        ("redact", 17, 0),
        ("redact", 1.5, 0.0),
        ("redact", Decimal("2.5"), Decimal(0)),
        ("tokenize", 17, int(TOKENS["order.number", b"17"].number)),
        ("tokenize", b"17", TOKENS["order.number", b"17"].text),
        ("tokenize", "17", str(TOKENS["order.number", b"17"])),
        ("tokenize", b"18", b"**"),
        ("tokenize", b"", b""),
        ("tokenize", str(TOKENS["order.number", b"17"]), str(TOKENS["order.number", b"17"])),
        ("keep", b"Xyz", b"Xyz"),
    ],
)
def test_a_header_is_handled_and_keeps_its_type(handling: str, value: object, expected: object) -> None:
    rules = payload(header(handling, class_="order.number"), header("drop", "other"))
    found = sent(rules, headers=[("X-User", value), ("y", b"1")], scanning=False)
    assert found.headers == [("X-User", expected), ("y", b"1")]
    assert type(found.headers[0][1]) is type(expected)


@pytest.mark.parametrize(
    ("handling", "value"),
    [
        ("drop", b"Xyz"),
        ("redact", {"a": "Xyz"}),
        ("tokenize", ["Xyz"]),
        ("redact", True),
        ("redact", 1 << 600),
    ],
)
def test_a_header_that_can_say_nothing_else_is_left_out(handling: str, value: object) -> None:
    assert sent(payload(header(handling)), headers=[("x-user", value), ("y", 1)]).headers == [("y", 1)]


def test_a_header_that_the_bus_goes_by_stays_and_is_counted() -> None:
    found = sent(payload(header("drop", "id")), headers=[("id", "Xyz")], fixed=frozenset({"id"}))
    assert (found.headers, found.kept) == ([("id", "Xyz")], 1)


def test_headers_of_fields_are_handled_before_all_are_scanned() -> None:
    found = sent(
        payload(header("redact"), on_leak="block"), headers=[("x-user", b"a@example.com"), ("y", b"1")]
    )
    assert (found.blocked, found.headers) == ((), [("x-user", b"*" * 13), ("y", b"1")])


def test_nothing_of_a_message_is_shown() -> None:
    handled = payload(field("redact")).fields.body(
        b'{"name": "Jo", "x": "Xyz"}', lambda: False, lambda *_: None
    )
    assert handled.value == b'{"name": "**", "x": "Xyz"}'
    assert "Xyz" not in repr(handled)


def test_a_body_that_can_not_be_packed_again_counts_as_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interceptors.scan.formats.compressed.Opened.packed", lambda _opened, _data: None)
    body = gzip.compress(b'{"name": "Xyz"}')
    found = sent(payload(field("drop"), on_unscanned="block"), body)
    assert (found.body, found.unscanned) == (body, Unscanned.FORM)
    assert found.blocked == (f"not scanned to the end ({Unscanned.FORM})",)


@given(
    st.binary(max_size=40) | st.text(max_size=20).map(lambda text: '{"name": ' + text),
    st.lists(
        st.tuples(
            st.sampled_from(["x-user", "y"]), st.none() | st.binary(max_size=9) | st.floats() | st.integers()
        )
    ),
)
def test_whatever_a_message_holds_nothing_is_raised(body: object, headers: list[tuple[str, object]]) -> None:
    found = sent(ANY, body, headers, scanning=False)
    assert [name for name, _ in found.headers if name == "y"] == [name for name, _ in headers if name == "y"]
