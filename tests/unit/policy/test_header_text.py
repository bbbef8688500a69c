from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from interceptors.policy.header_text import HeaderText
from interceptors.scan import Edit, Finding, Validation

EMAIL = b"a@example.com"


def plain(_: bytes) -> None:
    """No value is a document."""


def found(text: HeaderText, what: bytes = EMAIL) -> Finding:
    start = text.text.index(what)
    return Finding("email", "personal.email", start, start + len(what), Validation.PATTERN, "")


@pytest.mark.parametrize("value", [EMAIL, EMAIL.decode(), bytearray(EMAIL), memoryview(EMAIL)])
def test_a_finding_is_placed_in_its_header(value: object) -> None:
    text = HeaderText([("first", b"x"), ("contact", value)], None)

    placed = text.placed(found(text))

    assert (placed.part, placed.start, placed.end, placed.path) == ("headers.contact", 0, len(EMAIL), "")
    assert text.replaceable(found(text))


def test_a_name_that_is_not_plain_is_not_shown() -> None:
    text = HeaderText([("a@example.com", b"x")], None)

    assert text.placed(found(text)).part == "headers.*"
    assert not text.replaceable(found(text))


@pytest.mark.parametrize("key", [EMAIL, EMAIL.decode()])
def test_a_finding_in_the_key_is_placed_there_and_stays(key: object) -> None:
    text = HeaderText([("first", b"x")], key)

    assert text.placed(found(text)).part == "key"
    assert text.placed(found(text)).start == 0
    assert not text.replaceable(found(text))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"to a@example.com!", b"to *************!"),
        ("to a@example.com!", "to *************!"),
        ("größer a@example.com", "größer *************"),
        ({"x": ["a@example.com", 1], "y": None}, {"x": ["*************", 1], "y": None}),
        ((1, {"x": b"a@example.com"}, True), (1, {"x": b"*************"}, True)),
        ("\ud83d \ude00 a@example.com", "\ud83d \ude00 *************"),
    ],
)
def test_a_replacement_keeps_the_type_of_a_value(value: object, expected: object) -> None:
    headers = [("first", b"x"), ("contact", value), ("last", 1)]
    text = HeaderText(headers, "key")
    finding = found(text)

    replaced = text.replaced([Edit(finding.start, finding.end, b"*" * len(EMAIL))], plain)

    assert replaced == [("first", b"x"), ("contact", expected), ("last", 1)]
    assert headers[1] == ("contact", value)


@pytest.mark.parametrize(("number", "zero"), [(4111111111111111, 0), (Decimal(4111111111111111), Decimal(0))])
def test_a_number_is_replaced_by_zero(number: object, zero: object) -> None:
    text = HeaderText([("card", number)], None)
    finding = found(text, b"4111111111111111")

    assert text.replaced([Edit(finding.start, finding.end, b"*" * 16)], plain) == [("card", zero)]


def test_several_replacements_meet_their_headers() -> None:
    text = HeaderText([("a", "a@example.com b@example.com"), ("c", b"c@example.com")], None)
    edits = [
        Edit(finding.start, finding.end, b"-")
        for finding in (found(text, who + b"@example.com") for who in (b"a", b"b", b"c"))
    ]

    assert text.replaced(edits, plain) == [("a", "- -"), ("c", b"-")]


def test_a_document_is_replaced_as_one() -> None:
    value = b'{"to": "a@example.com"}'
    text = HeaderText([("first", value), ("last", EMAIL)], None)
    finding = found(text)

    replaced = text.replaced([Edit(finding.start, finding.end, b"-")], lambda given: given[::-1])

    assert replaced == [("first", value[::-1]), ("last", EMAIL)]


def test_a_replacement_that_cuts_a_character_in_two_leaves_a_text() -> None:
    text = HeaderText([("contact", "größer")], None)
    start = text.text.index("ö".encode())

    assert text.replaced([Edit(start, start + 1, b"*")], plain) == [("contact", "gr*\ufffdßer")]


def test_a_fixed_header_stays() -> None:
    text = HeaderText([("id", EMAIL)], None, {"id"})

    assert not text.replaceable(found(text))


def released() -> memoryview:
    view = memoryview(EMAIL)
    view.release()
    return view


def deep(depth: int) -> Any:
    return EMAIL if depth == 0 else {"x": deep(depth - 1)}


@pytest.mark.parametrize("value", [None, True, object(), released(), deep(5), [[[[[EMAIL]]]]], float])
def test_what_is_no_text_is_left_out(value: object) -> None:
    text = HeaderText([("contact", value)], value)

    assert EMAIL not in text.text


def test_a_number_that_is_too_long_to_be_written_is_left_out() -> None:
    assert HeaderText([("number", 10**5000)], None).text == b""


@pytest.mark.parametrize("name", [b"bytes", None, 7, "\ud800"])
def test_no_name_of_a_header_raises(name: Any) -> None:
    text = HeaderText([(name, EMAIL)], None)

    assert text.placed(found(text)).start == 0
