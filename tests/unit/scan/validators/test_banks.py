from __future__ import annotations

import pytest
import stdnum.bic
import stdnum.iban
import stdnum.us.rtn
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.banks import IBAN_LENGTHS, bic, iban, mx_clabe, us_routing_number

CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
# One of each form of the registry, so that letters and digits fall where they are asked for.
PUBLISHED = (
    *("AD1200012030200359100100", "AE070331234567890123456", "AT611904300234573201", "BE68539007547034"),
    *("BR1800360305000010009795493C1", "CH9300762011623852957", "DE89370400440532013000"),
    *("ES9121000418450200051332", "FR1420041010050500013M02606", "GB29NWBK60161331926819"),
    *("GR1601101250000000012300695", "IT60X0542811101000000123456", "MT84MALT011000012345MTLCAST001S"),
    *("MU17BOMM0101101030300200000MUR", "NL91ABNA0417164300", "NO9386011117947", "SA0380000000608010167519"),
    *("SC18SSCB11010000000000001497USD", "TR330006100519786457841326", "LC55HEMM000100010012001200023015"),
)


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_ibans_count_however_they_are_grouped(number: str) -> None:
    fours = [number[at : at + 4] for at in range(0, len(number), 4)]

    assert iban(number)
    assert iban(number.lower())
    assert iban(" ".join(fours))
    assert iban("-".join(fours))


@pytest.mark.parametrize("number", PUBLISHED)
def test_two_kinds_of_separator_or_of_case_are_no_iban(number: str) -> None:
    assert not iban(f"{number[:4]} {number[4:8]}-{number[8:]}")
    assert not iban(number[:2].lower() + number[2:4] + number[4:].upper() + "a")


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_ibans_agree_with_stdnum(country: str, data: st.DataObject) -> None:
    # Digits alone fit most countries' forms, so that both answers occur.
    account = data.draw(st.text(st.sampled_from(DIGITS + "A"), min_size=8, max_size=28))
    size = IBAN_LENGTHS[country] - 4
    bban = account.ljust(size, "0")[:size]
    checked = country + stdnum.iban.calc_check_digits(f"{country}00{bban}") + bban

    # stdnum's own rules of six countries (national check digits) are left out: the registry has none.
    assert iban(checked) == stdnum.iban.is_valid(checked, check_country=False)
    assert not iban(checked[:-1] + ("1" if checked[-1] != "1" else "2"))


@given(
    st.one_of(st.text(CAPITALS + DIGITS, max_size=12), st.from_regex("[A-Z]{6}[A-Z0-9]{2,5}", fullmatch=True))
)
def test_bics_agree_with_stdnum(text: str) -> None:
    assert bic(text) == stdnum.bic.is_valid(text)


@given(st.text(DIGITS, min_size=8, max_size=8))
def test_routing_numbers_agree_with_stdnum_within_the_prefixes_of_the_fed(digits: str) -> None:
    number = digits + stdnum.us.rtn.calc_check_digit(digits)
    prefix = int(number[:2])
    # stdnum takes any prefix, and nine zeros.
    issued = prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80

    assert us_routing_number(number) == (issued and number != "000000000")
    assert not us_routing_number(digits + str((int(number[-1]) + 1) % 10))


def test_routing_numbers_have_nine_digits() -> None:
    assert us_routing_number("0210-0002-1")
    assert not us_routing_number("02100002")


@pytest.mark.parametrize("digits", ["032180000118359719", "002010077777777771"])
def test_clabes_have_one_check_digit(digits: str) -> None:
    assert [last for last in DIGITS if mx_clabe(digits[:-1] + last)] == [digits[-1]]
    assert not mx_clabe(digits[1:])
