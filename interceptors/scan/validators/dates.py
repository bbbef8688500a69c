"""Dates as people and machines write them."""

from __future__ import annotations

import re

from interceptors.scan.validators.checksums import is_date

_NUMBERS = re.compile("[0-9]+")
_LETTERS = re.compile("[^\\W0-9_]+")
_MONTHS = (
    ("jan", "ene", "gen"),
    ("feb", "fév", "fev"),
    ("mar", "mär", "maa", "mrt", "mrz"),
    ("apr", "abr", "avr"),
    ("may", "mai", "mei", "mag"),
    ("jun", "giu", "juin"),
    ("jul", "lug", "juil"),
    ("aug", "ago", "aoû", "aou"),
    ("sep", "set"),
    ("oct", "okt", "ott", "out"),
    ("nov",),
    ("dec", "dez", "dic", "déc"),
)
"""How the months begin in English, German, French, Spanish, Italian, Portuguese and Dutch."""


def is_written_date(text: str) -> bool:
    """Check that there is such a day: ISO 8601, or day, month and year in the order of some country.

    Args:
        text: the date, with whatever separates its parts; a time of the day may follow a `T` or a space.
    """
    numbers = _NUMBERS.findall(text[:40])
    if not numbers:
        return False
    month = next((month for word in _LETTERS.findall(text) if (month := _month(word.lower()))), 0)
    if month:
        first, second = numbers[0], numbers[-1]
        return _is_day(second, month, first)
    if len(numbers[0]) == 8:
        return _is_day(numbers[0][:4], int(numbers[0][4:6]), numbers[0][6:])
    if len(numbers) < 3:
        return False
    first, second, third = numbers[:3]
    if len(first) == 4:
        return _is_day(first, int(second), third)
    return _is_day(third, int(second), first) or _is_day(third, int(first), second)


def _month(word: str) -> int:
    return next((month for month, names in enumerate(_MONTHS, 1) if word.startswith(names)), 0)


def _is_day(year: str, month: int, day: str) -> bool:
    if len(year) == 2:
        year = "20" + year  # leap years are those of the century before, too
    return (
        len(year) == 4 and 1850 <= int(year) < 2150 and len(day) <= 2 and is_date(int(year), month, int(day))
    )
