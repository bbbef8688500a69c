"""Payment cards: whose a number is, and how long theirs are (ISO/IEC 7812, the networks' own ranges)."""

from __future__ import annotations

from typing import NamedTuple

from interceptors.scan.validators.digits import luhn

_16 = frozenset({16})
_16_19 = frozenset({16, 17, 18, 19})
_SWITCH = frozenset({16, 18, 19})
_NEVER: frozenset[int] = frozenset()


class Range(NamedTuple):
    """Numbers that a network issues."""

    low: int
    """The first six digits of the first."""
    high: int
    """Of the last."""
    lengths: frozenset[int]
    """How many digits they have."""
    alone: frozenset[int]
    """With how many they count without a word beside them: only where a range is narrow, or the length no
    other number's. 13 digits are as often an article number, 19 a trace identifier."""


_RANGES = (
    Range(400000, 499999, frozenset({13, 16, 19}), _16),  # Visa
    Range(510000, 559999, _16, _16),  # Mastercard
    Range(222100, 272099, _16, _16),  # Mastercard, the 2-series
    Range(340000, 349999, frozenset({15}), frozenset({15})),  # American Express
    Range(370000, 379999, frozenset({15}), frozenset({15})),
    Range(601100, 601199, _16_19, _16),  # Discover
    Range(644000, 659999, _16_19, _16),  # Discover, and RuPay, Elo and Troy within
    Range(300000, 305999, frozenset({14, 16, 17, 18, 19}), frozenset({14, 16})),  # Diners Club
    Range(309500, 309599, frozenset({14, 16, 17, 18, 19}), frozenset({14, 16})),
    Range(360000, 369999, frozenset({14, 15, 16, 17, 18, 19}), frozenset({14, 16})),
    Range(380000, 399999, frozenset({14, 16, 17, 18, 19}), frozenset({14, 16})),
    Range(352800, 358999, _16_19, _16),  # JCB
    Range(620000, 629999, _16_19, _16),  # UnionPay
    Range(810000, 829999, _16_19, _16),  # UnionPay, and RuPay within
    Range(220000, 220499, _16_19, _16),  # Mir
    Range(508500, 508999, _16, _16),  # RuPay
    Range(606985, 608500, _16, _16),  # RuPay
    Range(606282, 606282, _16, _16),  # Hipercard
    Range(979200, 979299, _16, _16),  # Troy
    Range(860000, 860099, _16, _16),  # Uzcard
    Range(986000, 986099, _16, _16),  # Humo
    Range(506099, 506198, _SWITCH, _16),  # Verve
    Range(506699, 506778, _16, _16),  # Elo
    Range(509000, 509999, _16, _16),  # Elo
    Range(504175, 504175, _16, _16),  # Elo
    Range(636297, 636297, _16, _16),  # Elo
    Range(636368, 636368, _16, _16),  # Elo
    Range(501900, 501999, _16, _16),  # Dankort
    Range(561000, 561099, _16, _16),  # Bankcard
    Range(560221, 560225, _16, _16),  # Bankcard
    Range(633100, 633499, _SWITCH, _16),  # Switch and Solo
    Range(564182, 564182, _SWITCH, _16),  # Switch
    Range(501800, 501899, frozenset(range(12, 20)), _16),  # Maestro, the ranges that are issued most
    Range(502000, 502099, frozenset(range(12, 20)), _16),
    Range(503800, 503899, frozenset(range(12, 20)), _16),
    Range(589300, 589399, frozenset(range(12, 20)), _16),
    Range(630400, 630499, frozenset(range(12, 20)), _16),
    Range(675900, 676399, frozenset(range(12, 20)), _16),
    Range(676770, 676774, frozenset(range(12, 20)), _16),
    Range(500000, 509999, frozenset(range(12, 20)), _NEVER),  # Maestro
    Range(560000, 589999, frozenset(range(12, 20)), _NEVER),
    Range(600000, 699999, frozenset(range(12, 20)), _NEVER),
)
_BY_BEGIN = {
    f"{begin:02}": tuple(each for each in _RANGES if each.low // 10000 <= begin <= each.high // 10000)
    for begin in range(100)
}


def card_number(digits: str, *, alone: bool = False) -> bool:
    """Check a card number: the issuer's range, its length, and Luhn (ISO/IEC 7812-1).

    Args:
        digits: ASCII digits and nothing else.
        alone: whether nothing beside it says that it is one, so that weak ranges don't count.
    """
    length = len(digits)
    if not 12 <= length <= 19:
        return False
    begin = int(digits[:6])
    for each in _BY_BEGIN[digits[:2]]:
        if each.low <= begin <= each.high and length in (each.alone if alone else each.lengths):
            return luhn(digits)
    return False
