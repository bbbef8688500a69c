"""Which labels the policy lets travel."""

from __future__ import annotations

from enum import Enum, StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interceptors.context import RETRY_LABEL
from interceptors.envelope.plaintext import is_label
from interceptors.policy import check_policy
from interceptors.policy.labels import NO_LABELS, REDACTED, LabelEntry, check_names
from interceptors.scan import Token, parse_token

if TYPE_CHECKING:
    from interceptors.policy.labels import Labels

ENTRIES: dict[str, Any] = {
    "region": {"values": ["eu", "us"]},
    "shop.plan": {"pattern": "plan-[a-z]{1,8}|larger"},
    "wide": {"pattern": "[a-z ]{1,64}"},
}


def labels_of(entries: dict[str, Any], **document: Any) -> Labels:
    policy = check_policy({"version": 1, "default": {"labels": entries}, **document}, "policy")
    return policy.channels("kafka", "orders")[0].labels


LABELS = labels_of(ENTRIES)
REPLACED: dict[str, Any] = {
    "user": {"class": "personal.email", "handling": "tokenize"},
    "order": {"class": "order.number", "handling": "tokenize", "pattern": "[0-9]{6}"},
    "tier": {"class": "commercial", "handling": "tokenize", "values": ["gold", "silver"]},
    "agent": {"handling": "redact"},
}


def tokenized(domain: str, class_: str, text: bytes) -> Token:
    """Give another token for each domain, class and text."""
    return Token(sha256(repr((domain, class_, text)).encode()).digest()[:16], 3)


def without_key(_domain: str, _class: str, _text: bytes) -> None:
    """Give no token."""


def test_a_label_that_is_dropped_is_in_the_catalog_and_does_not_travel() -> None:
    entry = {
        "values": ["gold"],
        "class": "commercial",
        "purpose": "support",
        "lawful_basis": "contract",
        "visible_to": ["support"],
        "retention": "30d",
        "handling": "drop",
    }
    model = LabelEntry.model_validate(entry)
    assert (model.what, model.retention) == ("commercial", 30 * 86_400_000)
    assert labels_of({"plan": entry}).admitted({"plan": "gold"}) == ({}, 0)


def test_a_token_stands_for_a_value_that_is_tokenized() -> None:
    values = {"user": "jo@EXAMPLE.com", "order": "123456", "tier": "gold"}
    kept, refused = labels_of(REPLACED).admitted(values, tokenized)
    assert (kept, refused) == (
        {
            "user": str(tokenized("personal.email", "personal.email", b"jo@EXAMPLE.com")),
            "order": str(tokenized("order.number", "order.number", b"123456")),
            "tier": str(tokenized("commercial", "commercial", b"gold")),
        },
        0,
    )
    assert all(is_label(name, value) for name, value in kept.items())


@pytest.mark.parametrize("what", ["personal.email", "email"])
def test_its_domain_is_the_one_that_names_its_class(what: str) -> None:
    entries = REPLACED | {"user": {"class": what, "handling": "tokenize"}}
    labels = labels_of(entries, tokens={"domains": {"customer": {"classes": ["email", "order.number"]}}})
    kept, _ = labels.admitted({"user": "jo@example.com", "order": "123456"}, tokenized)
    assert kept == {
        "user": str(tokenized("customer", "personal.email", b"jo@example.com")),
        "order": str(tokenized("customer", "order.number", b"123456")),
    }


def test_a_value_that_is_redacted_says_only_that_there_was_one() -> None:
    assert labels_of(REPLACED).admitted({"agent": "Jo, +49 155 50100123"}, tokenized) == (
        {"agent": REDACTED},
        0,
    )


def test_without_the_key_of_its_domain_a_value_is_redacted() -> None:
    assert labels_of(REPLACED).admitted({"user": "jo@example.com"}, without_key) == ({"user": REDACTED}, 0)


@pytest.mark.parametrize("tokenize", [tokenized, without_key, None], ids=["sent", "no key", "received"])
def test_what_stands_for_a_value_goes_on_as_it_is(tokenize: Any) -> None:
    token = str(tokenized("customer", "personal.email", b"jo@example.com"))
    offered: list[dict[str, str]] = [
        {"user": token, "order": REDACTED},
        {"user": REDACTED, "agent": REDACTED},
    ]
    for each in offered:
        assert labels_of(REPLACED).admitted(each, tokenize) == (each, 0)
    kept, _ = labels_of(REPLACED).admitted({"agent": token}, tokenize)
    assert kept == ({} if tokenize is None else {"agent": REDACTED})


@pytest.mark.parametrize("name", sorted(REPLACED))
def test_what_a_sender_did_not_replace_is_not_taken_up(name: str) -> None:
    assert labels_of(REPLACED).admitted({name: "123456"}) == ({}, 1)


@pytest.mark.parametrize(
    ("name", "value", "admitted"),
    [
        ("user", "x" * 255, True),
        ("user", "é" * 127, True),
        ("user", "x" * 256, False),
        ("user", "é" * 128, False),
        ("user", "", False),
        ("user", "\ud800", False),
        ("user", 7, False),
        ("order", "12345", False),
        ("tier", "bronze", False),
        ("agent", "", False),
        ("agent", "x" * 256, False),
    ],
    ids=lambda value: ascii(value)[:8],
)
def test_what_is_replaced_is_held_to_what_the_policy_says_first(
    name: str, value: object, *, admitted: bool
) -> None:
    kept, refused = labels_of(REPLACED).admitted({name: value}, tokenized)
    assert (list(kept) == [name], refused) == (admitted, int(not admitted))


@pytest.mark.parametrize(
    ("bound", "sent"),
    [
        ({"personal": "tokenize"}, str(tokenized("personal.email", "personal.email", b"jo@example.com"))),
        ({"personal": "redact"}, REDACTED),
        ({"email": "block"}, REDACTED),
        ({"personal": "observe"}, "jo@example.com"),
        ({"payment": "redact"}, "jo@example.com"),
    ],
    ids=["tokenize", "redact", "block", "observe", "another class"],
)
def test_a_bound_of_its_class_reaches_a_label(bound: dict[str, str], sent: str) -> None:
    entry = {"user": {"class": "personal.email", "values": ["jo@example.com"]}}
    labels = labels_of(entry, baseline={"payload": {"actions": bound}})
    assert labels.admitted({"user": "jo@example.com"}, tokenized) == ({"user": sent}, 0)


def test_an_exceptions_labels_are_held_to_no_bound() -> None:
    entry = {"user": {"class": "personal.email", "values": ["jo@example.com"]}}
    document = {
        "version": 1,
        "baseline": {"payload": {"actions": {"personal": "redact"}}},
        "channels": [{"name": "orders", "match": {"kafka": ["orders"]}, "labels": {}}],
        "exceptions": [
            {
                "id": "EX-1",
                "reason": "a search for a fault",
                "requested_by": "shop",
                "approved_by": "security",
                "channels": ["orders"],
                "expires": "2027-01-31T00:00:00Z",
                "rules": {"labels": entry},
            }
        ],
    }
    for now, kept in ((0, {"user": "jo@example.com"}), (None, {})):
        policy = check_policy(document, "policy", now=now)
        assert policy.channels("kafka", "orders")[0].labels.admitted(
            {"user": "jo@example.com"}, tokenized
        ) == (kept, 0)


@pytest.mark.parametrize("value", ["eu", "us"])
def test_a_value_that_is_listed_travels(value: str) -> None:
    assert LABELS.admitted({"region": value}) == ({"region": value}, 0)


class Region(StrEnum):
    EU = "eu"


class Zone(str, Enum):  # noqa: UP042 - its `str()` is `Zone.EU`, other than that of the one above
    EU = "eu"


@pytest.mark.parametrize("value", [Region.EU, Zone.EU])
def test_a_kind_of_text_travels_as_the_text_that_it_is(value: str) -> None:
    kept, refused = LABELS.admitted({"region": value})
    assert (kept, refused, type(kept["region"])) == ({"region": "eu"}, 0, str)
    assert is_label("region", kept["region"])


@pytest.mark.parametrize(
    "value", ["", "EU", "eu ", " eu", "e", "eu\n", "eu\0", "eus", 1, True, b"eu", None, ["eu"]]
)
def test_another_value_is_left_out_and_counted(value: object) -> None:
    assert LABELS.admitted({"region": value}) == ({}, 1)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("plan-a", True),
        ("larger", True),
        ("plan-", False),
        ("plan-abcdefghi", False),
        ("a plan-a", False),
        ("plan-a\n", False),
        ("plan-a plan-b", False),
    ],
)
def test_a_pattern_fits_the_whole_value(value: str, *, allowed: bool) -> None:
    kept, refused = LABELS.admitted({"shop.plan": value})
    assert (kept == {"shop.plan": value}, refused == 1) == (allowed, not allowed)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("x" * 64, True), ("x" * 65, False), ("é", False), ("\ud800", False)],
    ids=["64", "65", "no ASCII", "no UTF-8"],
)
def test_whatever_a_pattern_says_an_envelope_has_place_for_64_bytes(value: str, *, allowed: bool) -> None:
    assert LABELS.admitted({"wide": value}) == (({"wide": value}, 0) if allowed else ({}, 1))


def test_what_the_policy_does_not_name_is_not_even_counted() -> None:
    baggage = {"user.email": "buyer@example.com", "Region": "eu", "region": "eu", 7: "eu"}
    assert LABELS.admitted(baggage) == ({"region": "eu"}, 0)  # type: ignore[arg-type]  # baggage may hold anything


def test_where_nothing_is_named_nothing_travels() -> None:
    assert NO_LABELS.admitted({"region": "eu"}) == ({}, 0)


ANYTHING = st.one_of(st.text(), st.integers(), st.binary(), st.none(), st.lists(st.text()))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.one_of(st.sampled_from(sorted(ENTRIES)), st.text()), ANYTHING))
@example({"wide": "\ud800", "region": "eu"})
def test_whatever_the_baggage_is_only_named_and_allowed_values_come_through(baggage: dict[str, Any]) -> None:
    kept, refused = LABELS.admitted(baggage)

    assert kept.items() <= {name: value for name, value in baggage.items() if name in ENTRIES}.items()
    assert len(kept) + refused == len(ENTRIES.keys() & baggage.keys())
    assert kept.get("region", "eu") in {"eu", "us"}
    # None is lost on the way into the envelope.
    assert all(is_label(name, value) for name, value in kept.items())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(sorted(REPLACED)), ANYTHING),
    st.sampled_from([tokenized, without_key, None]),
)
@example({"user": "tok1_abc"}, tokenized)
@example({"agent": "****"}, tokenized)
def test_whatever_the_baggage_is_nothing_of_what_is_replaced_comes_through(
    baggage: dict[str, Any], tokenize: Any
) -> None:
    kept, refused = labels_of(REPLACED).admitted(baggage, tokenize)

    assert len(kept) + refused == len(baggage)
    for value in kept.values():
        assert value == REDACTED or parse_token(value)
    assert all(is_label(name, value) for name, value in kept.items())


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, "either `values` or a `pattern`"),
        ({"values": ["eu"], "pattern": "eu"}, "either `values` or a `pattern`"),
        ({"values": []}, "either `values` or a `pattern`"),
        ({"pattern": "(eu"}, "no regular expression"),
        ({"pattern": "[a-z]+"}, "a repeat without a bound"),
        ({"pattern": "(?:a{1,9}){1,9}b"}, "a repeat within a repeat"),
        ({"pattern": ".{1,9}"}, "pattern"),
        ({"pattern": ""}, "at least 1 character"),
        ({"values": [""]}, "at least 1 character"),
        ({"values": ["x" * 65]}, "at most 64 characters"),
        ({"values": ["eu", "é" * 33]}, "64 bytes of UTF-8 at most"),
        ({"vales": ["eu"]}, "did you mean 'values'?"),
        ({"handling": "drop"}, "either `values` or a `pattern`"),
        ({"handling": "redact", "values": ["eu"], "pattern": "eu"}, "either `values` or a `pattern`"),
        ({"handling": "tokenize", "values": ["eu"]}, "a label that is tokenized has a `class`"),
    ],
)
def test_a_label_that_does_not_hold_is_refused_with_its_place(entry: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match="region") as raised:
        labels_of({"region": entry})
    assert problem in str(raised.value)


@pytest.mark.parametrize("name", ["", "Region", "1st", "größe", "with space", "x" * 33, "region\n"])
def test_a_name_is_lower_case_and_short(name: str) -> None:
    with pytest.raises(ValueError, match="default"):
        labels_of({name: {"values": ["eu"]}})


@pytest.mark.parametrize(
    "name", [RETRY_LABEL, "messaging.system", "service.name", "interceptors.tenant", "error.type"]
)
def test_a_name_that_means_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="means something else"):
        check_names({"region": None, name: None})
    with pytest.raises(ValueError, match="means something else"):
        labels_of({name: {"values": ["eu"]}})
    check_names({"region": None, f"x{name}": None})


def test_a_channel_has_16_labels_at_most() -> None:
    entries = {f"label{number}": {"values": ["eu"]} for number in range(17)}
    with pytest.raises(ValueError, match="16"):
        labels_of(entries)
    entries.popitem()
    assert len(labels_of(entries).rules) == 16
