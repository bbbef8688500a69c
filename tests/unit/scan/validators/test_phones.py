from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumberType, ValidationResult

from interceptors.scan.validators.phones import NATIONAL_DIGITS, is_international

CODES = {code: digits for digits, codes in NATIONAL_DIGITS.items() for code in codes.split()}


def lengths(code: int) -> set[int]:
    """Give how many digits may follow a calling code, by the metadata of phonenumbers."""
    found: set[int] = set()
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(code)
            if region == "001"
            else PhoneMetadata.metadata_for_region(region)
        )
        assert metadata is not None
        assert metadata.general_desc is not None
        found.update(metadata.general_desc.possible_length)
    return found


def test_the_calling_codes_are_those_in_use() -> None:
    assert {int(code) for code in CODES} == set(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@pytest.mark.parametrize("code", CODES)
def test_the_digits_after_a_code_are_those_of_its_plan(code: str) -> None:
    least, most = CODES[code]
    within = [count for count in lengths(int(code)) if 8 <= len(code) + count <= 15]

    if code == "1":  # seven digits are dialled there without the code
        within.remove(7)
    assert (least, most) == (min(within), max(within))


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_sample_numbers_of_each_region_are_ones(region: str) -> None:
    samples = (
        phonenumbers.example_number_for_type(region, kind)
        for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
    )
    digits = [
        phonenumbers.format_number(sample, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
        for sample in samples
        if sample is not None
    ]

    assert digits
    assert [is_international(text) for text in digits] == [len(text) >= 8 for text in digits]


@given(st.from_regex("[1-9][0-9]{6,16}", fullmatch=True))
def test_what_phonenumbers_finds_possible_is_one(digits: str) -> None:
    try:
        number = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        assert not is_international(digits)
        return
    leading_zero = str(number.country_code) + phonenumbers.national_significant_number(number)
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    if possible and leading_zero == digits and 8 <= len(digits) <= 15:
        assert is_international(digits)


@pytest.mark.parametrize(
    "text", ["", "1", "4930", "9991234567", "141555501325", "0" * 10, "1234567890123456", "12a45678"]
)
def test_others_are_none(text: str) -> None:
    assert not is_international(text)
