from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.detectors.national_americas import NATIONAL_AMERICAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scan.detector import Detector

    Found = Callable[[bytes], list[tuple[str, bytes]]]


@pytest.fixture(scope="module")
def found(finder: Callable[[tuple[Detector, ...]], Found]) -> Found:
    return finder(NATIONAL_AMERICAS)


@pytest.mark.parametrize(
    "text",
    [
        b"123-45-6789",
        b'{"x":"123-45-6789","y":1}',
        b"x=123-45-6789&y=1",
        b"(123-45-6789)",
        b"It is 123-45-6789.",
        b"<x>123-45-6789</x>",
        b"/users/123-45-6789/orders",
        b"SSN-123-45-6789",
    ],
)
def test_an_ssn_in_its_notation_needs_no_word(found: Found, text: bytes) -> None:
    assert found(text) == [("us_ssn", b"123-45-6789")]


@pytest.mark.parametrize(
    "text",
    [
        b'{"ssn":123456789}',
        b'{"customerSSN":"123456789"}',
        b'{"customer_ssn": "123456789"}',
        b'{"socialSecurityNumber": "123456789"}',
        b"social security number is 123456789",
        b"SSN#: 123456789",
        b"SSN/TIN: 123456789",
        b"S.S.N. 123456789",
        b"soc sec 123456789",
        b"SS# 123456789",
        b"ssn=123456789",
        b"<SSN>123456789</SSN>",
        b"X-Customer-SSN: 123456789\r\n",
        b'{"type": "SSN", "value": "123456789"}',
    ],
)
def test_nine_digits_are_an_ssn_under_its_word(found: Found, text: bytes) -> None:
    assert found(text) == [("us_ssn", b"123456789")]


@pytest.mark.parametrize(
    "text",
    [
        b'{"classname": 123456789}',
        b'{"seq": 123456789}',
        b"1123-45-6789",
        b"123-45-67890",
        b"123-45-6789-0",
        b"978-123-45-6789",
        b"550e8400-123-45-6789",
        b"123-45-6789abc",
        b"1.123-45-6789",
        b"2026-11-22",
    ],
)
def test_parts_of_longer_numbers_are_no_ssn(found: Found, text: bytes) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"processing": "046454286", "using": "046454286"}', []),
        (b'{"customerSin": "046454286"}', [("ca_sin", b"046454286")]),
        (b'{"sin_number": "046 454 286"}', [("ca_sin", b"046 454 286")]),
        (b'{"protein": "12-3456789", "waiting": "912903456"}', []),
        (b'{"EIN": "12-3456789"}', [("us_ein", b"12-3456789")]),
        (b'{"providerNpi": 1234567893}', [("us_npi", b"1234567893")]),
        (b"MBI 1EG4-TE5-MK73 (Medicare)", [("us_mbi", b"1EG4-TE5-MK73")]),
        (b'{"cpf_cnpj": "16727230000197"}', [("br_cnpj", b"16727230000197")]),
        (
            b"CPF 12345678909, CNPJ 16.727.230/0001-97",
            [("br_cpf", b"12345678909"), ("br_cnpj", b"16.727.230/0001-97")],
        ),
    ],
)
def test_a_word_counts_only_as_a_word(found: Found, text: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert found(text) == expected


@given(text=st.text("0123456789- .:ABC", max_size=60))
def test_what_is_found_of_an_ssn_has_its_digits(found: Found, text: str) -> None:
    for name, value in found(text.encode()):
        assert name != "us_ssn" or sum(chr(byte).isdecimal() for byte in value) == 9
