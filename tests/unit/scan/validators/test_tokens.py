"""Tokens against their issuers' rules, and against any text."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.tokens import (
    base62_crc32,
    basic_credentials,
    from_base64,
    hex_crc32,
    jose_header,
    jwt,
)

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def in_base62(number: int) -> str:
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return digits


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.text(DIGITS, min_size=30, max_size=70), st.sampled_from(["ghp_", "ghs_", "npm_"]))
def test_a_token_with_its_crc32_in_base62_passes_and_with_another_does_not(body: str, prefix: str) -> None:
    crc = zlib.crc32(body.encode())

    assert base62_crc32(prefix + body + in_base62(crc))
    assert not base62_crc32(prefix + body + in_base62(crc ^ 1))


@given(st.text(DIGITS + "_-", min_size=1, max_size=200))
def test_a_token_with_its_crc32_in_hex_passes_and_with_another_does_not(body: str) -> None:
    token = f"ATATT3{body}="
    crc = zlib.crc32(token.encode())

    assert hex_crc32(f"{token}{crc:08X}")
    assert not hex_crc32(f"{token}{crc ^ 0x10:08X}")


@given(st.text(max_size=80))
def test_any_text_has_an_answer(text: str) -> None:
    answers = [check(text) for check in (base62_crc32, hex_crc32, jwt, basic_credentials)]

    assert all(answer in {True, False} for answer in answers)


@given(st.binary(max_size=80), st.booleans())
def test_base64_of_either_alphabet_is_decoded_with_and_without_padding(
    raw: bytes,
    padded: bool,  # noqa: FBT001 - drawn
) -> None:
    for text in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        given_text = text if padded else text.rstrip("=")
        assert from_base64(given_text) == (raw or None)


@pytest.mark.parametrize("text", ["a b", "e€", "a", "ab.c"])
def test_what_is_no_base64_is_not_decoded(text: str) -> None:
    assert from_base64(text) is None


@pytest.mark.parametrize(
    "part",
    [encoded([1]), encoded("alg"), "bm90IGpzb24", base64.urlsafe_b64encode(b"[" * 30_000).decode(), "_w"],
)
def test_what_is_no_json_object_is_no_header(part: str) -> None:
    assert jose_header(part) is None


HEADER = encoded({"alg": "RS256"})
SEALED = encoded({"alg": "dir", "enc": "A256GCM"})
CLAIMS = encoded({"sub": "1"})


@pytest.mark.parametrize(
    "token",
    [
        f"{HEADER}.{CLAIMS}.c2ln",
        f"{HEADER}.{CLAIMS}.",
        f"{HEADER}.{CLAIMS}",
        f"{HEADER}.c29tZXRoaW5nIGVsc2U.c2ln",
        f"{SEALED}..aXY.dGV4dA.dGFn",
    ],
)
def test_signed_unsecured_and_encrypted_tokens_are_jwts(token: str) -> None:
    assert jwt(token)


@pytest.mark.parametrize(
    "token",
    [
        HEADER,
        f"{HEADER}.c29tZXRoaW5n",
        f"{HEADER}..",
        f"{HEADER}.{CLAIMS}.c2ln.c2ln",
        f"{CLAIMS}.{CLAIMS}.c2ln",
        f"{HEADER}..aXY.dGV4dA.dGFn",
        f"{encoded({'alg': 5})}.{CLAIMS}.c2ln",
    ],
)
def test_what_has_other_parts_or_no_algorithm_is_no_jwt(token: str) -> None:
    assert not jwt(token)


def test_a_jwt_whose_header_is_damaged_is_one_if_its_claims_can_be_read() -> None:
    damaged = base64.urlsafe_b64encode(b'{"alg":"HS256","\x12yp":"JWT"}').decode().rstrip("=")

    assert jwt(f"{damaged}.{CLAIMS}.c2ln")
    assert not jwt(f"{damaged}.c29tZXRoaW5n.c2ln")
    assert not jwt(f"{damaged}.{CLAIMS}.")


@pytest.mark.parametrize("raw", [b"user:s3cret", b"api:", b":only", "usér:ü".encode(), b"user:\xff\xfe"])
def test_user_and_password_are_credentials(raw: bytes) -> None:
    assert basic_credentials(base64.b64encode(raw).decode())


@pytest.mark.parametrize("raw", [b"no colon", b"\x00\x01:x", b"\xff\xfe:x"])
def test_what_has_no_colon_or_a_user_that_is_no_text_is_not(raw: bytes) -> None:
    assert not basic_credentials(base64.b64encode(raw).decode())
