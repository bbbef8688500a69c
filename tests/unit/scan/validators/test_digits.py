from __future__ import annotations

import stdnum.luhn
from hypothesis import given
from hypothesis import strategies as st
from stdnum.iso7064 import mod_97_10

from interceptors.scan.validators.digits import luhn, mod97

DIGITS = st.text("0123456789", min_size=1, max_size=24)


@given(DIGITS)
def test_luhn_agrees_with_stdnum(digits: str) -> None:
    assert luhn(digits) == stdnum.luhn.is_valid(digits)


@given(DIGITS)
def test_luhn_knows_just_one_last_digit(digits: str) -> None:
    assert [last for last in "0123456789" if luhn(digits + last)] == [stdnum.luhn.calc_check_digit(digits)]


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=34))
def test_mod_97_agrees_with_stdnum(text: str) -> None:
    assert mod97(text) == mod_97_10.checksum(text)


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=34))
def test_mod_97_takes_small_letters_for_capitals(text: str) -> None:
    assert mod97(text) == mod97(text.upper())
