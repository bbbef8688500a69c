"""What looks random, and what only stands where a secret would be."""

from __future__ import annotations

import base64
import hashlib
import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.entropy import is_hex, is_mask, is_placeholder, is_random, shannon


@given(st.text(min_size=1, max_size=120))
def test_entropy_lies_between_none_and_that_of_all_characters_different(text: str) -> None:
    assert -1e-9 <= shannon(text) <= math.log2(len(text)) + 1e-9


@given(st.integers(1, 7))
def test_entropy_of_equally_many_of_each_is_their_number_of_bits(bits: int) -> None:
    assert shannon("".join(map(chr, range(1 << bits)))) == pytest.approx(bits)


def test_nothing_has_no_entropy() -> None:
    assert shannon("") == 0


@pytest.mark.parametrize(
    "text",
    [
        *(
            "xxxxxxxx",
            "********",
            "----",
            "sk-xxxxxxxxxxxx",
            "abcd...",
            "ops_ey..",
            "${TOKEN}",
            "$TOKEN",
            "%TOKEN%",
        ),
        *(
            "{{ token }}",
            "<token>",
            "[redacted]",
            "%(token)s",
            "#{token}",
            "prefix-${TOKEN}",
            "$BASE/token",
            "",
        ),
    ],
)
def test_what_hides_a_secret_is_a_mask(text: str) -> None:
    assert is_mask(text)
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "null",
            "True",
            "required",
            "changeme",
            "your_api_key",
            "EXAMPLE_KEY",
            "tok_8f3a",
            "not set",
            "&lt;key&gt;",
        ),
        *("/run/secrets/db", r"C:\keys\db", "https://vault.example.com/v1", "getToken()", "os.environ.get"),
        *("arn:aws:iam::1:role/x", "Password"),
    ],
)
def test_what_nobody_has_for_a_secret_is_a_placeholder(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text", ["hunter2", "open sesame", "#gets0m3", "P@ss/w0rd", "admin", "$uper$ecret!", "a:b//c"]
)
def test_what_people_choose_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        hashlib.sha256(b"1").hexdigest()[:32],
        hashlib.sha256(b"2").hexdigest(),
        str(uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")),
        base64.b64encode(hashlib.sha512(b"3").digest()).decode(),
        "mF_9.B5f-4.1JqM",
        "Sk94HG7f6KB",
    ],
)
def test_what_is_drawn_looks_random(text: str) -> None:
    assert is_random(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "prod-eu-west-1-token-v2",
            "2026-01-02T10:00:00Z",
            "1700000000000",
            "LibraryWebpageUpload",
            "a1b2",
            "user2026",
        ),
        *("rc0.15.0_20231217_1420-SNAPSHOT", "aaaaaaaaaaaa11111111", "this is a normal sentence", ""),
    ],
)
def test_words_dates_versions_and_names_do_not(text: str) -> None:
    assert not is_random(text)


def test_digests_and_uuids_are_hex_and_names_are_not() -> None:
    assert is_hex(hashlib.sha256(b"4").hexdigest())
    assert is_hex(str(uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")))
    assert not is_hex("token")


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    assert is_placeholder(text) >= is_mask(text)
    assert is_random(text) in {True, False}
