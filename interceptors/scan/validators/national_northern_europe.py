"""Numbers of persons in northern Europe.

Each function takes a number without blanks and in upper case; a separator that is part of the number stays.
"""

from __future__ import annotations

import re

from interceptors.scan.validators.checksums import is_date, is_digits, weighted
from interceptors.scan.validators.digits import luhn

_HETU = re.compile("([0-9]{2})([0-9]{2})([0-9]{2})([-+A-FU-Y])([0-9]{3})([0-9A-FHJ-NPR-Y])")
_HETU_CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_PERSONNUMMER = re.compile("((?:1[89]|20)?)([0-9]{2})([0-9]{2})([0-9]{2})[-+]?([0-9]{4})")


def se_personnummer(text: str) -> bool:
    """Check a personnummer or samordningsnummer (Folkbokföringslagen § 18: date and Luhn).

    Args:
        text: the number, with or without separator and century; a samordningsnummer adds 60 to the day.
    """
    match = _PERSONNUMMER.fullmatch(text)
    if match is None:
        return False
    century, year, month, day, rest = match.groups()
    born = int((century or "20") + year), int(month), int(day) % 60
    return is_date(*born) and luhn(year + month + day + rest)


def no_fodselsnummer(text: str) -> bool:
    """Check a fødselsnummer or D-nummer (Folkeregisterforskriften § 2-2: date, modulus 11 twice).

    Args:
        text: the number; 40 more in the day is a D-nummer, 40, 65 or 80 more in the month an assigned or
            synthetic one.
    """
    if not is_digits(text, 11):
        return False
    day, month, year = _day(text), int(text[2:4]), int(text[4:6])
    if not any(is_date(2000 + year, month - more, day) for more in (0, 40, 65, 80)):
        return False
    first = weighted(text, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1))
    return first % 11 == 0 == weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11


def dk_cpr(text: str) -> bool:
    """Check the date of a CPR number (CPR-loven § 3).

    Args:
        text: the number.
    """
    if not is_digits(text, 10):
        return False
    year, serial = int(text[4:6]), int(text[6])
    if 5 <= serial <= 8 and year >= 58:
        year += 1800
    elif serial <= 3 or (serial in {4, 9} and year >= 37):
        year += 1900
    else:
        year += 2000
    return is_date(year, int(text[2:4]), int(text[:2]))


def fi_hetu(text: str) -> bool:
    """Check a henkilötunnus (Digital and Population Data Services Agency: date, check character modulo 31).

    Args:
        text: the number with its sign of the century; serials from 900 on are temporary ones.
    """
    match = _HETU.fullmatch(text)
    if match is None:
        return False
    day, month, year, century, serial, check = match.groups()
    hundreds = 1800 if century == "+" else 2000 if century in "ABCDEF" else 1900
    if not is_date(hundreds + int(year), int(month), int(day)) or serial in {"000", "001"}:
        return False
    return _HETU_CHECKS[int(day + month + year + serial) % 31] == check


def is_kennitala(text: str) -> bool:
    """Check a kennitala (Registers Iceland: date, modulus 11, century last).

    Args:
        text: the number; 40 more in the day is an organisation.
    """
    if not is_digits(text, 10) or text[9] not in "890":
        return False
    year = {"8": 1800, "9": 1900, "0": 2000}[text[9]] + int(text[4:6])
    return is_date(year, int(text[2:4]), _day(text)) and weighted(text, (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def baltic_personal_code(text: str) -> bool:
    """Check an isikukood or asmens kodas (EVS 585:2007: sex and century, date, modulus 11 with two weights).

    Args:
        text: the number.
    """
    if not is_digits(text, 11) or text[0] not in "12345678":
        return False
    if not is_date(1800 + (int(text[0]) - 1) // 2 * 100 + int(text[1:3]), int(text[3:5]), int(text[5:7])):
        return False
    check = weighted(text[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(text[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(text[10])


def _day(text: str) -> int:
    day = int(text[:2])
    return day - 40 if day > 40 else day
