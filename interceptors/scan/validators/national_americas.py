"""Numbers of persons and firms in the Americas.

Each function takes a number with or without the separators of its notation.
"""

from __future__ import annotations

import re
from operator import mul

from interceptors.scan.validators.checksums import is_digits, weighted
from interceptors.scan.validators.digits import luhn

_WITHOUT_SEPARATORS = str.maketrans("", "", " .-/")
_MBI = re.compile(
    "[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]"
    "[AC-HJKMNP-RT-Y]{2}[0-9]{2}"
)
_SAMPLE_SSN = "98765432"
_NO_EIN = frozenset({0, 7, 8, 9, 17, 18, 19, 28, 29, 49, 69, 70, 78, 79, 89, 96, 97})
_CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


def us_ssn(text: str) -> bool:
    """Check the ranges of a social security number (SSA: no area 000, 666, 9xx, group 00 or serial 0000).

    The numbers that are void because they were printed in advertisements, and those set aside for it, count:
    they are what samples are made of.

    Args:
        text: the number.
    """
    digits = text.translate(_WITHOUT_SEPARATORS)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        is_digits(digits, 9)
        and area not in {"000", "666"}
        and (area[0] != "9" or digits.startswith(_SAMPLE_SSN))
        and group != "00"
        and serial != "0000"
    )


def us_itin(text: str) -> bool:
    """Check the ranges of an individual taxpayer number (IRS: 9xx, then 50-65, 70-88, 90-92 or 94-99).

    What is set aside for samples of social security numbers is none.

    Args:
        text: the number.
    """
    digits = text.translate(_WITHOUT_SEPARATORS)
    if not is_digits(digits, 9) or digits[0] != "9" or digits.startswith(_SAMPLE_SSN):
        return False
    group = int(digits[3:5])
    return group >= 50 and group not in {66, 67, 68, 69, 89, 93}


def us_ein(text: str) -> bool:
    """Check the prefix of an employer identification number (IRS: those that no campus has are not issued).

    Args:
        text: the number.
    """
    digits = text.translate(_WITHOUT_SEPARATORS)
    return is_digits(digits, 9) and int(digits[:2]) not in _NO_EIN


def us_npi(text: str) -> bool:
    """Check a national provider identifier (CMS: ten digits, Luhn with the prefix 80840).

    Args:
        text: the number.
    """
    return is_digits(text, 10) and luhn("80840" + text)


def us_mbi(text: str) -> bool:
    """Check the places of a Medicare beneficiary identifier (CMS: digits, and letters without BILOSZ).

    Args:
        text: the number.
    """
    return _MBI.fullmatch(text.translate(_WITHOUT_SEPARATORS).upper()) is not None


def ca_sin(text: str) -> bool:
    """Check a social insurance number (Service Canada: nine digits, Luhn, none begins with 8).

    None that is issued begins with 0 either, but those of samples do.

    Args:
        text: the number.
    """
    digits = text.translate(_WITHOUT_SEPARATORS)
    return is_digits(digits, 9) and digits[0] != "8" and digits != "000000000" and luhn(digits)


def br_cpf(text: str) -> bool:
    """Check a CPF (Receita Federal: 11 digits, two check digits modulo 11; eleven times the same is none).

    Args:
        text: the number.
    """
    digits = text.translate(_WITHOUT_SEPARATORS)
    return (
        is_digits(digits, 11)
        and len(set(digits)) > 1
        and all(
            int(digits[place]) == -weighted(digits[:place], range(place + 1, 1, -1)) % 11 % 10
            for place in (9, 10)
        )
    )


def br_cnpj(text: str) -> bool:
    """Check a CNPJ (Receita Federal: 14 places, since 2026 also letters, two check digits modulo 11).

    Args:
        text: the number.
    """
    number = text.translate(_WITHOUT_SEPARATORS).upper()
    if not (len(number) == 14 and number.isalnum() and number.isascii() and number[12:].isdecimal()):
        return False
    values = [ord(place) - 48 for place in number]
    return number[:12] != "0" * 12 and all(
        values[place] == -sum(map(mul, _CNPJ_WEIGHTS[-place:], values)) % 11 % 10 for place in (12, 13)
    )
