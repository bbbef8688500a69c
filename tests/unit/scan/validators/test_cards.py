from __future__ import annotations

import pytest
import stdnum.luhn
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.cards import card_number

# The networks' and the payment processors' published test numbers.
PUBLISHED = (
    *("4111111111111111", "4012888888881881", "5555555555554444", "5105105105105100", "2223003122003222"),
    *("378282246310005", "371449635398431", "6011111111111117", "6011000990139424", "30569309025904"),
    *("38520000023237", "36227206271667", "3530111333300000", "3566002020360505", "6200000000000005"),
    *("2200000000000053", "6759649826438453", "5019717010103742", "5610591081018250", "6331101999990016"),
)


@pytest.mark.parametrize("digits", PUBLISHED)
def test_published_numbers_count_alone(digits: str) -> None:
    assert card_number(digits, alone=True)


@pytest.mark.parametrize("digits", PUBLISHED)
def test_any_other_last_digit_is_wrong(digits: str) -> None:
    wrong = [digits[:-1] + last for last in "0123456789" if last != digits[-1]]

    assert not any(card_number(each) for each in wrong)


@pytest.mark.parametrize(
    ("begin", "length"),
    [("4", 13), ("4", 19), ("62", 19), ("6304", 12), ("6304", 19), ("36", 15), ("603", 16)],
)
def test_what_other_numbers_look_like_counts_only_beside_a_word(begin: str, length: int) -> None:
    digits = begin.ljust(length - 1, "1")
    digits += stdnum.luhn.calc_check_digit(digits)

    assert card_number(digits)
    assert not card_number(digits, alone=True)


@pytest.mark.parametrize(
    ("begin", "length"),
    [
        ("1", 16),
        ("7", 16),
        ("4", 14),
        ("4", 15),
        ("51", 15),
        ("37", 16),
        ("2220", 16),
        ("2721", 16),
        ("3000", 13),
    ],
)
def test_a_length_or_range_that_is_not_issued_never_counts(begin: str, length: int) -> None:
    digits = begin.ljust(length - 1, "9" if begin == "2220" else "0")
    digits += stdnum.luhn.calc_check_digit(digits)

    assert not card_number(digits)


@given(st.text("0123456789", max_size=24))
def test_what_counts_has_the_check_digit_and_more(digits: str) -> None:
    alone, worded = card_number(digits, alone=True), card_number(digits)

    assert alone <= worded <= stdnum.luhn.is_valid(digits)
