"""Secrets that only the key before them tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from interceptors.scan.detectors.secrets_forms import FILLER, FILLER_HEX
from interceptors.scan.detectors.secrets_generic import GENERIC

if TYPE_CHECKING:
    from interceptors.scan.detector import Detector

Find = Callable[[bytes], list[tuple[str, bytes]]]

DRAWN = FILLER[:32]
UUID = b"0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture(scope="module")
def find(finder: Callable[[tuple[Detector, ...]], Find]) -> Find:
    return finder(GENERIC)


WRITTEN = {
    "JSON": b'{"%s": "%s", "next": "value"}',
    "JSON without spaces": b'{"%s":"%s","next":"value"}',
    "JSON in a string": rb'{"body": "{\"%s\": \"%s\", \"next\": 1}"}',
    "form": b"a=1&%s=%s&b=2",
    "header": b"%s: %s\r\nHost: example.com",
    "environment": b"export %s=%s\n",
    "YAML": b"%s: '%s'\n",
    "XML": b"<%s>%s</x>",
    "XML attribute": b'<add key="%s" value="%s" />',
    "pairs": b'[{"name": "%s", "value": "%s"}]',
    "connection string": b"Server=db;%s=%s;Encrypt=True",
    "code": b"%s := '%s'",
    "hash": b":%s => '%s',",
}


@pytest.mark.parametrize("form", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize(
    "key",
    [b"password", b"dbPassword", b"DB_PASSWORD", b"user-passwd", b"pwd", b"new_password_2", b"passphrase"],
)
def test_a_password_is_found_in_whatever_is_written(find: Find, form: bytes, key: bytes) -> None:
    assert find(form % (key, b"hunter2!")) == [("password", b"hunter2!")]


@pytest.mark.parametrize("form", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize(
    "key",
    [
        *(
            b"client_secret",
            b"clientSecret",
            b"API_KEY",
            b"x-api-key",
            b"accessToken",
            b"signing_key",
            b"token",
        ),
        *(b"refresh_token", b"authToken", b"secretKey", b"SECRET_KEY_BASE", b"credentials", b"userAuth"),
    ],
)
def test_a_random_value_is_found_under_a_key_that_says_secret(find: Find, form: bytes, key: bytes) -> None:
    assert find(form % (key, DRAWN)) == [("secret_by_key", DRAWN)]


def test_a_password_in_quotes_is_found_whole(find: Find) -> None:
    password = b'a;b,c&d e "f'

    assert find(json.dumps({"password": password.decode(), "x": "y"}).encode()) == [
        ("password", b'a;b,c&d e \\"f'),
    ]


@pytest.mark.parametrize(
    "value",
    [
        *(
            b'""',
            b'"", "note": "a longer text"',
            b"null",
            b"true",
            b'"********"',
            b'"[redacted]"',
            b'"${PASSWORD}"',
        ),
        *(b'"changeme"', b'"/run/secrets/db"', b'"tok_8f3a9c"', b'"abc"', b"{}", b'["a", "b"]'),
    ],
)
def test_what_is_no_password_is_not_found_under_its_key(find: Find, value: bytes) -> None:
    assert find(b'{"password": ' + value + b"}") == []


@pytest.mark.parametrize(
    "key",
    [
        *(
            b"next_page_token",
            b"pageToken",
            b"continuationToken",
            b"idempotency_token",
            b"csrf_token",
            b"xsrf-token",
        ),
        *(
            b"token_type",
            b"token_id",
            b"secret_name",
            b"secretArn",
            b"password_reset_at",
            b"public_key",
            b"key_id",
        ),
        *(
            b"cache_key",
            b"partition_key",
            b"sort_key",
            b"publicApiKey",
            b"api_key_id",
            b"authority",
            b"author",
        ),
        *(b"sha256", b"etag", b"checksum", b"commit", b"secretary", b"tokenizer", b"authentication_id"),
        *(b"card_token", b"keyboard", b"compass"),
    ],
)
def test_a_random_value_under_another_key_is_not_found(find: Find, key: bytes) -> None:
    for value in (DRAWN, FILLER_HEX[:40], UUID):
        assert find(b'{"%s": "%s"}' % (key, value)) == []


@pytest.mark.parametrize(
    "value",
    [
        b"prod-eu-west-1",
        b"4096",
        b"12345678",
        b"read:orders write:orders",
        b"2026-01-02T10:00:00Z",
        b"bearer",
    ],
)
def test_a_value_that_is_not_random_is_not_found_under_a_key_of_a_token(find: Find, value: bytes) -> None:
    assert find(b'{"access_token": "%s"}' % value) == []


def test_a_uuid_is_found_under_a_key_that_says_what_it_opens(find: Find) -> None:
    assert find(b'{"api_key": "%s"}' % UUID) == [("secret_by_key", UUID)]
    assert find(b'{"refresh_token": "%s"}' % UUID) == [("secret_by_key", UUID)]
    assert find(b'{"token": "%s"}' % UUID) == []


@pytest.mark.parametrize(
    ("sentence", "password"),
    [
        (b"The password is Secret123.", b"Secret123."),
        (b'ensure the password is "centipede" first', b"centipede"),
        (b"his Password was: tr0ub4dor&3 until May", b"tr0ub4dor&3"),
    ],
)
def test_a_sentence_may_tell_a_password(find: Find, sentence: bytes, password: bytes) -> None:
    assert find(sentence) == [("password_in_text", password)]


@pytest.mark.parametrize(
    "sentence",
    [
        b"the password is required",
        b"the password is invalid.",
        b"password is not set",
        b"a password was changed",
    ],
)
def test_a_sentence_about_a_password_tells_none(find: Find, sentence: bytes) -> None:
    assert find(sentence) == []
