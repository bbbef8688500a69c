"""Numbers of persons in central, eastern and south-eastern Europe.

Each function takes a number without separators.
"""

from __future__ import annotations

from interceptors.scan.validators.checksums import is_date, is_digits, mod_11_10, weighted
from interceptors.scan.validators.digits import luhn

_RO_COUNTIES = {*range(1, 49), 51, 52, 70, *range(80, 84)}


def pl_pesel(text: str) -> bool:
    """Check a PESEL (Population Registration Act 2010, art. 15: date, its century in the month, modulus 10).

    Args:
        text: the number.
    """
    if not is_digits(text, 11):
        return False
    century, month = divmod(int(text[2:4]), 20)
    if not is_date((1900, 2000, 2100, 2200, 1800)[century] + int(text[:2]), month, int(text[4:6])):
        return False
    return weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def cz_sk_rodne_cislo(text: str) -> bool:
    """Check a rodné číslo (Act 133/2000 Coll.: date, modulus 11; nine digits and no check before 1954).

    Args:
        text: the number; a woman's month has 50 more, and since 2004 there may be 20 more.
    """
    if not is_digits(text, 9, 10):
        return False
    year, month = int(text[:2]), int(text[2:4]) % 50
    if len(text) == 9:
        year += 1800 if year >= 80 else 1900
        return year < 1954 and is_date(year, month, int(text[4:6]))
    year += 1900 if year >= 54 else 2000
    if not is_date(year, month - 20 if month > 20 and year >= 2004 else month, int(text[4:6])):
        return False
    return int(text[:9]) % 11 % 10 == int(text[9])


def ro_cnp(text: str) -> bool:
    """Check a CNP (Law 105/1996: sex and century, date, county, modulus 11).

    Args:
        text: the number.
    """
    if not is_digits(text, 13) or text[0] == "0" or int(text[7:9]) not in _RO_COUNTIES:
        return False
    century = {"3": 1800, "4": 1800, "5": 2000, "6": 2000}.get(text[0], 1900)
    if not is_date(century + int(text[1:3]), int(text[3:5]), int(text[5:7])):
        return False
    check = weighted(text, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if check == 10 else check) == int(text[12])


def bg_egn(text: str) -> bool:
    """Check an EGN (Civil Registration Act art. 11: date with its century in the month, modulus 11).

    Args:
        text: the number.
    """
    if not is_digits(text, 10):
        return False
    year, month = int(text[:2]), int(text[2:4])
    century = 2000 if month > 40 else 1800 if month > 20 else 1900
    if not is_date(century + year, month - (40 if month > 40 else 20 if month > 20 else 0), int(text[4:6])):
        return False
    return weighted(text, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(text[9])


def gr_amka(text: str) -> bool:
    """Check an AMKA (Law 3655/2008: date and Luhn).

    Args:
        text: the number.
    """
    if not is_digits(text, 11):
        return False
    return is_date(2000 + int(text[4:6]), int(text[2:4]), int(text[:2])) and luhn(text)


def hr_oib(text: str) -> bool:
    """Check an OIB (Act on the personal identification number: ISO/IEC 7064, MOD 11,10).

    Args:
        text: the number.
    """
    return is_digits(text, 11) and mod_11_10(text)


def tr_tckn(text: str) -> bool:
    """Check a Turkish identity number (Law 5490: eleven digits, the last two are check digits).

    Args:
        text: the number.
    """
    if not is_digits(text, 11) or text[0] == "0":
        return False
    first = -weighted(text, (3, 1, 3, 1, 3, 1, 3, 1, 3)) % 10
    return first == int(text[9]) and weighted(text, (1,) * 10) % 10 == int(text[10])
