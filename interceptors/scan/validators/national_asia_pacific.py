"""Numbers of persons in Asia, the Pacific and Africa.

Each function takes a number without separators and in upper case.
"""

from __future__ import annotations

import re

from interceptors.scan.validators.checksums import is_date, is_digits, verhoeff, weighted
from interceptors.scan.validators.digits import luhn

_NRIC_CHECKS = {
    "S": "JZIHGFEDCBA",
    "T": "GFEDCBAJZIH",
    "F": "XWUTRQPNMLK",
    "G": "RQPNMLKXWUT",
    "M": "XWUTRQPNJLK",
}
_HKID = re.compile("([A-Z]{1,2})([0-9]{6})([0-9A])")
_TW = re.compile("[A-Z][1289][0-9]{8}")
_TW_RANKS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
"""The letters in the order of their numbers, which begin at 10."""
_CN_PROVINCES = {
    11,
    12,
    13,
    14,
    15,
    21,
    22,
    23,
    *range(31, 38),
    *range(41, 47),
    *range(50, 55),
    *range(61, 66),
    71,
}
_CN_PROVINCES |= {81, 82, 83}
_MY_PLACES = {*range(1, 17), *range(21, 69), 71, 72, 74, *range(75, 80), *range(82, 94), 98, 99}


def in_aadhaar(text: str) -> bool:
    """Check an Aadhaar number (UIDAI: 12 digits, Verhoeff, first digit 2 to 9, no palindrome).

    Args:
        text: the number.
    """
    return is_digits(text, 12) and text[0] not in "01" and text != text[::-1] and verhoeff(text)


def au_tfn(text: str) -> bool:
    """Check a tax file number (Australian Taxation Office: weights, modulus 11).

    Args:
        text: the number; old ones have eight digits.
    """
    return is_digits(text, 8, 9) and weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def au_abn(text: str) -> bool:
    """Check an Australian business number (Australian Business Register: weights, modulus 89).

    Args:
        text: the number.
    """
    if not is_digits(text, 11) or text[0] == "0":
        return False
    return (weighted(text, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10) % 89 == 0


def au_medicare(text: str) -> bool:
    """Check a Medicare card number (Services Australia: first digit 2 to 6, weights, modulus 10).

    Args:
        text: the number; the eleventh digit is the person's on the card.
    """
    if not is_digits(text, 10, 11) or text[0] not in "23456":
        return False
    return weighted(text, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(text[8])


def nz_ird(text: str) -> bool:
    """Check an IRD number (Inland Revenue: range, modulus 11 with two weights).

    Args:
        text: the number; a leading zero may be left out.
    """
    if not is_digits(text, 8, 9) or not 10_000_000 < int(text) < 150_000_000:
        return False
    body, check = text.zfill(9)[:8], int(text[-1])
    first = -weighted(body, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return check == (first if first < 10 else -weighted(body, (7, 4, 3, 2, 5, 2, 7, 6)) % 11)


def sg_nric(text: str) -> bool:
    """Check an NRIC or FIN (Immigration & Checkpoints Authority: letter, 7 digits, check letter modulo 11).

    Args:
        text: the number.
    """
    if text[:1] not in _NRIC_CHECKS or not is_digits(text[1:-1], 7):
        return False
    # T and G add four, which their tables have worked in; M adds three.
    rest = weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2)) + (3 if text[0] == "M" else 0)
    return _NRIC_CHECKS[text[0]][rest % 11] == text[8]


def kr_rrn_date(text: str) -> bool:
    """Check the date of a resident registration number, whose check digit is gone since October 2020.

    Args:
        text: the number.
    """
    if not is_digits(text, 13):
        return False
    century = {"9": 1800, "0": 1800, "3": 2000, "4": 2000, "7": 2000, "8": 2000}.get(text[6], 1900)
    return is_date(century + int(text[:2]), int(text[2:4]), int(text[4:6]))


def kr_rrn(text: str) -> bool:
    """Check a resident registration number (Resident Registration Act: date, place, modulus 11).

    Args:
        text: the number.
    """
    if not kr_rrn_date(text) or int(text[7:9]) > 96:
        return False
    return (11 - weighted(text, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(text[12])


def jp_my_number(text: str) -> bool:
    """Check an individual number (Ordinance 85 of 2014, Ministry of Internal Affairs: 12 digits, modulus 11).

    Args:
        text: the number.
    """
    if not is_digits(text, 12):
        return False
    rest = weighted(text, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (11 - rest if rest > 1 else 0) == int(text[11])


def cn_resident_id(text: str) -> bool:
    """Check a resident identity number (GB 11643-1999: province, date, ISO/IEC 7064 MOD 11-2).

    Args:
        text: the number.
    """
    if not is_digits(text[:17], 17) or len(text) != 18 or int(text[:2]) not in _CN_PROVINCES:
        return False
    if not 1850 <= int(text[6:10]) <= 2100 or not is_date(
        int(text[6:10]), int(text[10:12]), int(text[12:14])
    ):
        return False
    rest = weighted(text[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return "10X98765432"[rest] == text[17]


def hk_hkid(text: str) -> bool:
    """Check a Hong Kong identity card number (Immigration Department: letters from 10 on, modulus 11).

    Args:
        text: the number.
    """
    match = _HKID.fullmatch(text)
    if match is None:
        return False
    letters, digits, check = match.groups()
    ranks = [36, *(ord(letter) - 55 for letter in letters)][-2:]  # a blank before a single letter counts 36
    total = 9 * ranks[0] + 8 * ranks[1] + weighted(digits, range(7, 1, -1))
    return (total + int(check, 16)) % 11 == 0


def tw_national_id(text: str) -> bool:
    """Check a national identification number (Household Registration Act: letter, sex, modulus 10).

    Args:
        text: the number.
    """
    if not _TW.fullmatch(text):
        return False
    rank = str(10 + _TW_RANKS.index(text[0]))
    return weighted(rank + text[1:], (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def th_national_id(text: str) -> bool:
    """Check an identification number (Population Registration Act: 13 digits, modulus 11).

    Args:
        text: the number.
    """
    if not is_digits(text, 13) or text[0] in "09":
        return False
    return (11 - weighted(text, range(13, 1, -1)) % 11) % 10 == int(text[12])


def my_nric(text: str) -> bool:
    """Check the date and the place of birth of a MyKad number (National Registration Regulations 1990).

    Args:
        text: the number.
    """
    if not is_digits(text, 12) or int(text[6:8]) not in _MY_PLACES:
        return False
    return is_date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def il_identity_number(text: str) -> bool:
    """Check an identity number (Population Registry Law: 9 digits, Luhn).

    Args:
        text: the number; leading zeros may be left out.
    """
    return is_digits(text, 8, 9) and luhn(text) and int(text) > 0


def za_id_number(text: str) -> bool:
    """Check an identity number (Identification Act 68 of 1997: date, citizenship, Luhn).

    Args:
        text: the number; the eleventh digit is 2 for refugees.
    """
    if not is_digits(text, 13) or text[10] not in "012":
        return False
    return is_date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6])) and luhn(text)
