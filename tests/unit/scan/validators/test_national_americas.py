from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stdnum.br.cnpj
import stdnum.br.cpf
import stdnum.ca.sin
import stdnum.us.ein
import stdnum.us.itin
import stdnum.us.ssn
from hypothesis import assume, example, given
from hypothesis import strategies as st

from interceptors.scan.validators import national_americas as ours

if TYPE_CHECKING:
    from collections.abc import Callable

VOID = {"078051120", "457555462", "219099999"}
"""Social security numbers that stdnum refuses because they were printed in advertisements."""

CHECKS: dict[str, Callable[[str], bool]] = {
    "us_ssn": ours.us_ssn,
    "us_itin": ours.us_itin,
    "us_ein": ours.us_ein,
    "us_npi": ours.us_npi,
    "us_mbi": ours.us_mbi,
    "ca_sin": ours.ca_sin,
    "br_cpf": ours.br_cpf,
    "br_cnpj": ours.br_cnpj,
}


def numbers(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length, max_size=length)


@given(numbers(9))
@example("666123456")
@example("000123456")
@example("123006789")
@example("123450000")
def test_ssn_agrees_with_stdnum_but_for_samples(text: str) -> None:
    assume(text not in VOID and not text.startswith("98765432"))

    assert ours.us_ssn(text) == stdnum.us.ssn.is_valid(text)


@pytest.mark.parametrize("text", [*sorted(VOID), "987-65-4321"])
def test_numbers_from_advertisements_look_like_an_ssn(text: str) -> None:
    assert ours.us_ssn(text)
    assert not ours.us_itin(text)


@given(numbers(8))
@example("12666789")
@example("12893456")
def test_itin_agrees_with_stdnum(text: str) -> None:
    number = "9" + text
    assume(not number.startswith("98765432"))
    assume(not "50" <= number[3:5] <= "65")  # given out since 2013, which stdnum doesn't know

    assert ours.us_itin(number) == stdnum.us.itin.is_valid(number)


@pytest.mark.parametrize("group", range(50, 66))
def test_itin_has_the_groups_given_out_since_2013(group: int) -> None:
    assert ours.us_itin(f"912-{group}-3456")


@pytest.mark.parametrize("prefix", range(100))
def test_ein_agrees_with_stdnum(prefix: int) -> None:
    number = f"{prefix:02}-1144442"

    assert ours.us_ein(number) == stdnum.us.ein.is_valid(number)


@given(numbers(9))
def test_sin_agrees_with_stdnum_but_for_samples(text: str) -> None:
    assume(text[0] != "0")  # as samples have it; it is not issued, so that stdnum refuses it

    assert ours.ca_sin(text) == stdnum.ca.sin.is_valid(text)


def test_sin_of_samples_begins_with_0() -> None:
    assert ours.ca_sin("046-454-286")
    assert not ours.ca_sin("046-454-287")
    assert not ours.ca_sin("000-000-000")


@given(numbers(8))
def test_one_sin_in_ten_is_right(text: str) -> None:
    assume(text[0] not in "08")

    assert [ours.ca_sin(f"{text}{last}") for last in range(10)].count(True) == 1


@given(numbers(9))
def test_cpf_agrees_with_stdnum(text: str) -> None:
    right = next(
        number for last in range(100) if stdnum.br.cpf.is_valid(number := f"{text}{last:02}") or last == 99
    )
    wrong = f"{text}{(int(right[9:]) + 1) % 100:02}"
    assume(len(set(right)) > 1)  # stdnum takes eleven times the same for one; the tax office doesn't

    assert ours.br_cpf(right) == stdnum.br.cpf.is_valid(right)
    assert not ours.br_cpf(wrong)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=12, max_size=12))
@example("12ABC34501DE")
@example("000000000000")
def test_cnpj_agrees_with_stdnum(text: str) -> None:
    right = text + stdnum.br.cnpj.calc_check_digits(text)
    wrong = f"{text}{(int(right[12:]) + 1) % 100:02}"

    assert ours.br_cnpj(right) == stdnum.br.cnpj.is_valid(right)
    assert not ours.br_cnpj(wrong)


@pytest.mark.parametrize("text", ["123.456.789-09", "16.727.230/0001-97", "123 45 6789", "046-454-286"])
def test_separators_do_not_count(text: str) -> None:
    assert any(check(text) for check in (ours.br_cpf, ours.br_cnpj, ours.us_ssn, ours.ca_sin))


def test_npi_has_luhn_with_the_prefix_of_the_united_states() -> None:
    assert [last for last in range(10) if ours.us_npi(f"123456789{last}")] == [3]


@pytest.mark.parametrize("text", ["1EG4-TE5-MK73", "1eg4te5mk73"])
def test_mbi_has_a_digit_or_a_letter_in_each_place(text: str) -> None:
    assert ours.us_mbi(text)


@pytest.mark.parametrize("text", ["0EG4TE5MK73", "1SG4TE5MK73", "1EGATE5MK73", "1EG4TE5MK7", "1EG4TE5M073"])
def test_mbi_with_another_place_is_none(text: str) -> None:
    assert not ours.us_mbi(text)


@pytest.mark.parametrize("name", CHECKS)
@given(text=st.text(st.characters(codec="ascii"), max_size=20))
def test_each_is_total_and_takes_no_other_text(name: str, text: str) -> None:
    accepted = CHECKS[name](text)

    assert not accepted or 9 <= sum(character.isalnum() for character in text) <= 14
