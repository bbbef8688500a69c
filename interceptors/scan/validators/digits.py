"""Check digits that many kinds of number share."""

from __future__ import annotations

_DOUBLED = bytes(sum(divmod(2 * (byte - 48), 10)) if 48 <= byte <= 57 else 0 for byte in range(256))
_PLAIN = bytes(byte - 48 if 48 <= byte <= 57 else 0 for byte in range(256))


def luhn(digits: str) -> bool:
    """Check the last digit after Luhn (ISO/IEC 7812-1, annex B).

    Args:
        digits: ASCII digits and nothing else.
    """
    raw = digits.encode("ascii")
    return (sum(raw[-1::-2].translate(_PLAIN)) + sum(raw[-2::-2].translate(_DOUBLED))) % 10 == 0


def mod97(text: str) -> int:
    """Give the remainder by 97, letters counting as 10 to 35 (ISO/IEC 7064, Mod 97-10); 1 where it is right.

    Args:
        text: ASCII digits and letters, one at least, and nothing else.
    """
    return int("".join([str(int(character, 36)) for character in text])) % 97
