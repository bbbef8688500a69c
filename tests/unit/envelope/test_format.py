from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from interceptors.envelope.binding import Level
from interceptors.envelope.format import (
    as_suite_2,
    from_text,
    header_bytes,
    kid_of,
    parse,
    prefix,
    to_text,
)
from interceptors.errors import Answer, EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = b"\x11\x01" + bytes(range(100, 220))
"""Right in form: nothing in it is authentic."""

SIGNED = b"\x12" + SHORTEST[1:] + bytes(range(64))
"""The same in suite 2."""


def test_each_field_lies_where_the_specification_puts_it() -> None:
    parsed = parse(SHORTEST)

    assert parsed.level is Level.CHANNEL
    assert parsed.kid == SHORTEST[2:18]
    assert parsed.session == SHORTEST[2:30]
    assert parsed.nonce == SHORTEST[30:42]
    assert parsed.sealed == SHORTEST[42:]
    assert parsed.id == SHORTEST[2:42]
    assert parsed.signature == b""
    assert SHORTEST[:18] == prefix(Level.CHANNEL, parsed.kid)


def test_in_suite_2_a_signature_follows_the_same_fields() -> None:
    parsed = parse(SIGNED)

    assert parsed == parse(SHORTEST)._replace(signature=bytes(range(64)))
    assert SIGNED[:18] == as_suite_2(prefix(Level.CHANNEL, parsed.kid))
    assert as_suite_2(SHORTEST[:50]) == SIGNED[:50]


def test_the_repr_shows_the_kid_and_no_other_bytes() -> None:
    assert repr(parse(SHORTEST)) == f"Parsed(level=1, kid={SHORTEST[2:18].hex()})"


@pytest.mark.parametrize("size", [64, 96, 128, 192, 256, 384, 512])
def test_each_size_of_the_table_is_taken(size: int) -> None:
    assert len(parse(b"\x11" + bytes(41 + size + 16)).sealed) == size + 16
    assert len(parse(b"\x12" + bytes(41 + size + 16 + 64)).sealed) == size + 16


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("whole", [SHORTEST, SIGNED], ids=["suite 1", "suite 2"])
def test_each_level_is_taken(whole: bytes, level: Level) -> None:
    assert parse(bytes((whole[0], level)) + whole[2:]).level is level


@pytest.mark.parametrize(
    ("envelope", "answer"),
    [
        (b"", Answer.MALFORMED),
        (b"\x13" + bytes(1024), Answer.MALFORMED),
        (b"\x13" + bytes(1023), Answer.UNSUPPORTED_VERSION),
        (b"\x13", Answer.UNSUPPORTED_VERSION),
        (b"\x13\x04" + SHORTEST[2:], Answer.UNSUPPORTED_VERSION),
        (b"\x11", Answer.MALFORMED),
        (SHORTEST[:-1], Answer.MALFORMED),
        (SHORTEST + b"\0", Answer.MALFORMED),
        (b"\x11" + bytes(41 + 160 + 16), Answer.MALFORMED),
        (b"\x11\x04" + SHORTEST[2:], Answer.MALFORMED),
        (b"\x11\x81" + SHORTEST[2:], Answer.MALFORMED),
        (b"\x12", Answer.MALFORMED),
        (b"\x12" + SHORTEST[1:], Answer.MALFORMED),
        (SIGNED[:-1], Answer.MALFORMED),
        (SIGNED + b"\0", Answer.MALFORMED),
        (b"\x11" + SIGNED[1:-16], Answer.MALFORMED),
        (b"\x12\x04" + SIGNED[2:], Answer.MALFORMED),
    ],
)
def test_what_is_wrong_in_form_gets_the_answer_of_the_first_step_that_it_fails(
    envelope: bytes, answer: Answer
) -> None:
    with pytest.raises(EnvelopeError) as refusal:
        parse(envelope)

    assert refusal.value.answer is answer


def test_the_text_form_is_base64url_without_padding() -> None:
    text = to_text(b"\x11\xfb\xff\xfe")

    assert text == "Efv__g"
    assert from_text(text) == b"\x11\xfb\xff\xfe"


def test_the_text_form_of_both_suites_begins_with_the_same_letter() -> None:
    assert to_text(SHORTEST)[0] == to_text(SIGNED)[0] == "E"


def test_the_text_form_of_the_longest_is_read() -> None:
    longest = b"\x11" + bytes(1023)

    assert from_text(to_text(longest)) == longest
    assert from_text(base64.b64encode(longest)) == longest


@pytest.mark.parametrize("text", ["Efv__g==", "Efv//g", "Efv//g==", b"Efv__g", b"Efv//g==", "Efv_/g"])
def test_other_base64_of_the_same_bytes_is_read_too(text: str | bytes) -> None:
    assert from_text(text) == b"\x11\xfb\xff\xfe"


@pytest.mark.parametrize(
    "text", ["E", "Efv__", "Ef v__g", "Ef\n__g", "Efv__g==E", "Efé", b"Ef\xc3\xa9", "Ef.g", "E" * 1369]
)
def test_other_text_is_malformed_and_not_shown(
    text: str | bytes, assert_silent: Callable[[BaseException, str | bytes], None]
) -> None:
    with pytest.raises(EnvelopeError) as refusal:
        from_text(text)

    assert refusal.value.answer is Answer.MALFORMED
    assert_silent(refusal.value, "Ef")


@pytest.mark.parametrize(
    "value",
    [
        SHORTEST,
        bytearray(SHORTEST),
        memoryview(SHORTEST),
        to_text(SHORTEST),
        to_text(SHORTEST).encode(),
        bytearray(base64.b64encode(SHORTEST)),
    ],
)
def test_a_header_value_of_any_type_that_holds_bytes_gives_them(value: object) -> None:
    assert header_bytes(value) == SHORTEST


@pytest.mark.parametrize("value", [SIGNED, to_text(SIGNED), base64.b64encode(SIGNED)])
def test_so_does_a_header_value_of_suite_2(value: object) -> None:
    assert header_bytes(value) == SIGNED


@pytest.mark.parametrize("value", [b"", b"\x12\xff", b"anything"])
def test_bytes_that_are_no_text_form_are_given_as_they_are(value: bytes) -> None:
    assert header_bytes(value) == value


@pytest.mark.parametrize("value", [None, 17, 1.5, True, [SHORTEST], {"a": SHORTEST}, object()])
def test_a_header_value_of_another_type_is_malformed(value: object) -> None:
    with pytest.raises(EnvelopeError) as refusal:
        header_bytes(value)

    assert refusal.value.answer is Answer.MALFORMED


def test_a_view_that_was_released_is_malformed() -> None:
    view = memoryview(SHORTEST)
    view.release()

    with pytest.raises(EnvelopeError) as refusal:
        header_bytes(view)

    assert refusal.value.answer is Answer.MALFORMED


@pytest.mark.parametrize("value", [SHORTEST, bytearray(SHORTEST), to_text(SHORTEST), SIGNED, to_text(SIGNED)])
def test_the_kid_is_told_without_a_key(value: object) -> None:
    assert kid_of(value) == SHORTEST[2:18]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        SHORTEST[:-1],
        SIGNED[:-1],
        b"\x12" + SHORTEST[1:],
        b"\x11" + SIGNED[1:-16],
        b"\x13" + SHORTEST[1:],
        None,
        7,
        "?",
    ],
)
def test_what_can_be_no_envelope_has_no_kid(value: object) -> None:
    assert kid_of(value) is None
