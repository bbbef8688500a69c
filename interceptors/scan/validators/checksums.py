"""Checksums and dates that the numbers of several countries are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ROTATE = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTE = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def is_digits(text: str, *lengths: int) -> bool:
    """Tell whether a text is digits and nothing else, of one of the lengths.

    Args:
        text: ASCII.
        lengths: how many digits it may have.
    """
    return len(text) in lengths and text.isdecimal()


def weighted(digits: str, weights: Iterable[int]) -> int:
    """Sum the digits, each times its weight; what has no weight doesn't count.

    Args:
        digits: ASCII digits.
        weights: one for each digit, from the left.
    """
    return sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=False))


def verhoeff(digits: str) -> bool:
    """Check the last digit after Verhoeff (the dihedral group D5).

    Args:
        digits: ASCII digits.
    """
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_ROTATE[check][int(_PERMUTE[place % 8][int(digit)])])
    return check == 0


def mod_11_10(digits: str) -> bool:
    """Check the last digit after ISO/IEC 7064, MOD 11,10.

    Args:
        digits: ASCII digits.
    """
    check = 5
    for digit in digits:
        check = ((check or 10) * 2 % 11 + int(digit)) % 10
    return check == 1


def is_date(year: int, month: int, day: int) -> bool:
    """Tell whether there is such a day in the Gregorian calendar.

    Args:
        year: with its century; where the century is not known, any century that had a leap day will do.
        month: from 1 on.
        day: from 1 on.
    """
    if not 1 <= month <= 12:
        return False
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= _DAYS[month] + leap
