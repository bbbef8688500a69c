from __future__ import annotations

from typing import TYPE_CHECKING

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from interceptors.scan.detectors.phones import PHONES

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scan.detector import Detector

    Found = Callable[[bytes], list[tuple[str, bytes]]]

SAMPLES = {
    f"{region} {kind}": number
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
    if (number := phonenumbers.example_number_for_type(region, kind))
    if len(f"{number.country_code}{number.national_number}")
    >= 8  # shorter ones on some islands say too little
}
WITH_NOTATION = [sample for sample in SAMPLES if sample.startswith(("US ", "CA ", "GB ", "FR "))]


def written(sample: str, form: int) -> bytes:
    return phonenumbers.format_number(SAMPLES[sample], form).encode()


@pytest.fixture(scope="module")
def found(finder: Callable[[tuple[Detector, ...]], Found]) -> Found:
    return finder(PHONES)


@pytest.mark.parametrize("form", [PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL])
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_numbers_of_each_region_are_found(found: Found, sample: str, form: int) -> None:
    text = written(sample, form)

    assert found(b'{"to": "' + text + b'"}') == [("phone_international", text)]


@pytest.mark.parametrize("sample", WITH_NOTATION)
def test_national_notations_are_found_without_a_word(found: Found, sample: str) -> None:
    text = written(sample, PhoneNumberFormat.NATIONAL)

    assert [value for _, value in found(b"to " + text + b", please")] == [text]


@pytest.mark.parametrize("sample", SAMPLES)
def test_digits_are_found_under_a_word(found: Found, sample: str) -> None:
    text = written(sample, PhoneNumberFormat.E164).removeprefix(b"+")

    assert found(b'{"mobile_number": "' + text + b'"}') == [("phone_by_key", text)]


@pytest.mark.parametrize(
    "text",
    [
        b"customerPhone=4155550132",
        b"msisdn: 4155550132",
        b"PHONE NUMBER: 4155550132",
        b'{"phone1": "4155550132"}',
        b'{"phones": ["4155550132"]}',
        b'{"phone": {"number": "4155550132"}}',
        b"Tel.: 4155550132",
        b"<tel>4155550132</tel>",
        b"his mobile is 4155550132",
        b"Phone (home): 4155550132",
        "Téléphone : 4155550132".encode(),
    ],
)
def test_a_word_may_stand_beside_in_many_ways(found: Found, text: bytes) -> None:
    assert found(text) == [("phone_by_key", b"4155550132")]


@pytest.mark.parametrize(
    "text",
    [
        b"2026-11-22T21:33:00.123+02:00",
        b"2026-11-22 21:33:00 +0200",
        b'{"epoch": 1700000000000, "price": 1234.5678901, "version": "212.345.678"}',
        b"550e8400-e29b-41d4-a716-446655440000",
        b"SKU-482-913-4471",
        b'{"partNumber": "415-555-0132"}',
        b"<sku>415-555-0132</sku>",
        b"part no. 415-555-0132",
        b'{"pos": "+48.2082-016.3738/"}',
        b'{"pos": "+7.8177-56.8033/"}',
        b"4111-1111-1111-1111",
        b"192.168.100.200",
        b'{"hotel": 4155550132, "phone_model": 4155550132, "mobile_session": 4155550132}',
        b'{"cancelled": 4155550132, "cell_tower": 4155550132}',
        b"rate 1.5e+10 and 3e+212345678",
        b"+1 000 000 0000",
        b"EE 7D 07 05 97 32 66 AC",
        b"7d 07 05 97 32 66 00",
        b"05 99 52 59 43 b7 19 7f",
        b"05 99 52 59 43 AC",
    ],
)
def test_other_numbers_are_none(found: Found, text: bytes) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"+44 20 7946 0958 24/7", b"+44 20 7946 0958"),
        (b"415-555-0132 x89", b"415-555-0132"),
        (b"1-415-555-0132.", b"1-415-555-0132"),
        (b"(415)555-0132/", b"(415)555-0132"),
        (b"06 39 98 12 34 Appelez-moi", b"06 39 98 12 34"),
    ],
)
def test_what_follows_a_number_is_no_part_of_it(found: Found, text: bytes, expected: bytes) -> None:
    assert [value for _, value in found(text)] == [expected]
