"""Numbers of persons in western and southern Europe.

Each function takes a number without separators and in upper case.
"""

from __future__ import annotations

import re

from interceptors.scan.validators.checksums import is_date, is_digits, mod_11_10, weighted

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_PPS_LETTERS = "WABCDEFGHIJKLMNOPQRSTUV"
_PPS = re.compile("([0-9]{7})([A-W])([ABHTWX]?)")
_NIR = re.compile("[12378][0-9]{2}(?:0[1-9]|1[0-2]|[23][0-9]|4[0-2]|[5-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{8}")
_CODICE_FISCALE = re.compile("[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]")
_OMOCODIA = str.maketrans("LMNPQRSTUV", "0123456789")
_CODICE_FISCALE_MONTHS = " ABCDEHLMPRST"
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""What a letter (or the digit of the same rank) counts in an odd place of a codice fiscale."""


def uk_nhs_number(text: str) -> bool:
    """Check an NHS number (NHS Data Dictionary: 10 digits, modulus 11).

    Args:
        text: the number.
    """
    return is_digits(text, 10) and weighted(text, range(10, 0, -1)) % 11 == 0


def uk_utr(text: str) -> bool:
    """Check a unique taxpayer reference (HMRC: 10 digits, the first is the check digit, modulus 11).

    Args:
        text: the number.
    """
    if not is_digits(text, 10):
        return False
    return "21987654321"[weighted(text[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11] == text[0]


def ie_pps(text: str) -> bool:
    """Check a PPS number (Department of Social Protection: 7 digits, check letter, perhaps another letter).

    Args:
        text: the number.
    """
    match = _PPS.fullmatch(text)
    if match is None:
        return False
    digits, check, last = match.groups()
    total = weighted(digits, range(8, 1, -1))
    if last and last in "ABH":  # before 2013 the second letter did not count
        total += 9 * _PPS_LETTERS.index(last)
    return _PPS_LETTERS[total % 23] == check


def fr_nir(text: str) -> bool:
    """Check a NIR (INSEE: sex, year, month, place, serial and a key of 97 less the rest modulo 97).

    Args:
        text: the number; departments 2A and 2B are Corsica.
    """
    if not _NIR.fullmatch(text):
        return False
    body = text[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(body) % 97 == int(text[13:])


def es_dni(text: str) -> bool:
    """Check a DNI (Real Decreto 1553/2005: 8 digits and a letter by modulus 23).

    Args:
        text: the number.
    """
    return is_digits(text[:-1], 8) and _DNI_LETTERS[int(text[:-1]) % 23] == text[-1]


def es_nie(text: str) -> bool:
    """Check an NIE (Orden INT/2058/2008: X, Y or Z in the place of a DNI's first digit).

    Args:
        text: the number.
    """
    return text[:1] in {"X", "Y", "Z"} and es_dni(str("XYZ".index(text[0])) + text[1:])


def pt_nif(text: str) -> bool:
    """Check an NIF (Decreto-Lei 14/2013: 9 digits, modulus 11).

    Args:
        text: the number.
    """
    return (
        is_digits(text, 9)
        and text[0] != "0"
        and -weighted(text[:8], range(9, 1, -1)) % 11 % 10 == int(text[8])
    )


def it_codice_fiscale(text: str) -> bool:
    """Check a codice fiscale (DM 23 December 1976: birth date, modulus 26; omocodia has letters for digits).

    Args:
        text: the code.
    """
    if not _CODICE_FISCALE.fullmatch(text):
        return False
    year, day = int(text[6:8].translate(_OMOCODIA)), int(text[9:11].translate(_OMOCODIA))
    if not is_date(2000 + year, _CODICE_FISCALE_MONTHS.index(text[8]), day - 40 if day > 40 else day):
        return False
    ranks = [int(sign) if sign.isdecimal() else ord(sign) - 65 for sign in text]
    return (sum(_ODD[rank] for rank in ranks[:15:2]) + sum(ranks[1:15:2])) % 26 == ranks[15]


def be_national_number(text: str) -> bool:
    """Check a rijksregisternummer or BIS number (Royal Decree of 3 April 1984: 97 less the rest modulo 97).

    Args:
        text: the number; its month and day may be unknown, and a BIS number adds 20 or 40 to the month.
    """
    if not is_digits(text, 11) or int(text[2:4]) % 20 > 12 or int(text[2:4]) > 52 or int(text[4:6]) > 31:
        return False
    return any(97 - int(century + text[:9]) % 97 == int(text[9:]) for century in ("", "2"))


def nl_bsn(text: str) -> bool:
    """Check a BSN (Besluit burgerservicenummer: the test of eleven, the last digit counting -1).

    Args:
        text: the number; a leading zero may be left out.
    """
    return is_digits(text, 8, 9) and weighted(text.zfill(9), (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 < int(
        text
    )


def de_steuer_id(text: str) -> bool:
    """Check a Steuer-ID (StIdV: ISO/IEC 7064; of the first ten digits one comes twice or three times).

    Args:
        text: the number.
    """
    if not is_digits(text, 11) or text[0] == "0":
        return False
    repeated = [count for digit in "0123456789" if (count := text.count(digit, 0, 10)) > 1]
    return len(repeated) == 1 and repeated[0] <= 3 and mod_11_10(text)


def at_svnr(text: str) -> bool:
    """Check a Sozialversicherungsnummer (ASVG § 31: modulus 11 in the fourth place, then the birth date).

    Args:
        text: the number; months 13 to 15 are issued where a day has no serials left.
    """
    if not is_digits(text, 10) or text[0] == "0":
        return False
    day, month = int(text[4:6]), int(text[6:8])
    if not 1 <= day <= 31 or not 1 <= month <= 15:
        return False
    return weighted(text, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == int(text[3])


def ch_ahv(text: str) -> bool:
    """Check an AHV number (AHVV art. 133: 756, nine digits and the check digit of EAN-13).

    Args:
        text: the number.
    """
    return is_digits(text, 13) and text.startswith("756") and weighted(text, (1, 3) * 6 + (1,)) % 10 == 0
