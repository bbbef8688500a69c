from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import verhoeff as stdnum_verhoeff
from stdnum.iso7064 import mod_11_10 as stdnum_mod_11_10

from interceptors.scan.validators.checksums import is_date, is_digits, mod_11_10, verhoeff, weighted

DIGITS = st.text("0123456789", min_size=2, max_size=20)


@given(DIGITS)
def test_just_one_last_digit_is_right_after_verhoeff(body: str) -> None:
    right = [digit for digit in "0123456789" if verhoeff(body + digit)]

    assert right == [stdnum_verhoeff.calc_check_digit(body)]


@given(DIGITS)
def test_just_one_last_digit_is_right_after_iso_7064(body: str) -> None:
    right = [digit for digit in "0123456789" if mod_11_10(body + digit)]

    assert right == [stdnum_mod_11_10.calc_check_digit(body)]


@given(st.integers(1, 9999), st.integers(-1, 14), st.integers(-1, 33))
def test_a_day_exists_where_the_calendar_has_it(year: int, month: int, day: int) -> None:
    try:
        expected = date(year, month, day).day == day
    except ValueError:
        expected = False

    assert is_date(year, month, day) == expected


@pytest.mark.parametrize(
    ("year", "exists"), [(1900, False), (2000, True), (2023, False), (2024, True), (2100, False)]
)
def test_a_leap_day_exists_in_leap_years(year: int, exists: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_date(year, 2, 29) == exists


def test_digits_are_those_of_ascii_in_one_of_the_lengths() -> None:
    assert is_digits("123", 2, 3)
    assert not is_digits("123", 4)
    assert not is_digits("12a", 3)
    assert not is_digits("", 3)


def test_what_has_no_weight_does_not_count() -> None:
    assert weighted("1239", (3, 2, 1)) == 3 + 4 + 3
