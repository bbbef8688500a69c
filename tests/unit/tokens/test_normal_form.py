from __future__ import annotations

import pytest

from interceptors.tokens.normal_form import normal_form


@pytest.mark.parametrize(
    ("class_", "spellings"),
    [
        ("personal.email", [b"A.Customer@example.com", b"A.Customer@EXAMPLE.com", b"A.Customer@Example.COM"]),
        ("payment.card", [b"4111111111111111", b"4111 1111 1111 1111", b"4111-1111-1111-1111"]),
        (
            "payment.bank_account",
            [b"DE89370400440532013000", b"DE89 3704 0044 0532 0130 00", b"de89 3704 0044 0532 0130 00"],
        ),
        ("personal.phone", [b"+12015550123", b"+1 201-555-0123", b"+1 (201) 555.0123"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_spellings_of_one_identifier_are_one(class_: str, spellings: list[bytes]) -> None:
    assert {normal_form(class_, spelling) for spelling in spellings} == {spellings[0]}


@pytest.mark.parametrize(
    ("class_", "identifiers"),
    [
        ("personal.email", [b"customer@example.com", b"Customer@example.com", b"customer@example.org"]),
        ("personal.email", [b"CUST-1", b"cust-1"]),
        ("payment.card", [b"4111111111111111", b"41 11", b"4111/1111/1111/1111"]),
        ("payment.bank_account", [b"12 34", b"1234", b"de"]),
        ("personal.phone", [b"+12015550123", b"12015550123", b"(201) 555-0123"]),
        ("personal.name", [b"Customer", b"customer", b"CUSTOMER"]),
        ("", [b"CUST-1", b"cust-1", b"CUST 1"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_be_another_identifier_stays_one(class_: str, identifiers: list[bytes]) -> None:
    assert len({normal_form(class_, identifier) for identifier in identifiers}) == len(identifiers)


@pytest.mark.parametrize(
    "class_", ["personal.email", "payment.card", "payment.bank_account", "personal.phone"]
)
def test_any_bytes_have_a_form_and_it_is_its_own(class_: str) -> None:
    for identifier in (b"", b"@", b"\xff\xfe", b"  ", b"a@b@C", b"+", b"-" * 5000):
        once = normal_form(class_, identifier)
        assert normal_form(class_, once) == once
