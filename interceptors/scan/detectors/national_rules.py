"""How national numbers show: alone, in a form that little else has, or under a word that names them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from interceptors.scan.detector import Rule, after_word
from interceptors.scan.detectors.things import of_no_thing

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from interceptors.scan.detector import Validator

_REST = (
    r"[A-Za-z _.#()\x80-\xff-]{0,32}"  # `BSN nummer (NL) is`, also with letters beyond ASCII
    r"""(?:",[ ]?"(?i:value|number|no|id|text)(?="))?"""  # `"type": "BSN", "value": …`
)
SIX_DIGITS = r"\b[0-9]{6}[-+/ A-FU-Y][0-9]{3}"
"""The trigger of numbers that begin with a date; one for all, as each costs with every byte."""
LETTER_SEVEN_DIGITS_LETTER = r"\b[STFGMXYZ][0-9]{7}[A-Z]"
"""The trigger of identity cards that begin and end with a letter."""
_BEGIN = "(?<![0-9A-Za-z])"
_END = "(?![0-9A-Za-z_@]|[.+-][0-9A-Za-z])"
_FRAGMENTS = frozenset(("ird", "pan", "pps"))
"""Words that too many others end with (`span`, `apps`, `third`) to look for them alone."""


def alone(*triggers: str, value: str, before: int = 0, apart: str = "") -> Rule:
    """Give the rule of a number that counts without a word.

    Args:
        triggers: parts of it. One that several numbers share is looked for only once; a short one, that
            begins with no boundary, is what the engine is fast with.
        value: its pattern.
        before: how much of it lies before the trigger.
        apart: the separators that no further digit may follow, as it would in a longer number.
    """
    longer = f"(?<![0-9)][{apart}])", f"(?![{apart}][0-9])"
    begin, end = longer if apart else ("", "")
    return Rule(triggers, f"(?<![0-9A-Za-z_.+-]){begin}(?P<id>{value}){_END}{end}", before)


def named(*words: str, value: str) -> tuple[Rule, ...]:
    """Give the rules of a number that counts under a word.

    Args:
        words: in lower case; a space stands for any separator or none. One in another script stands as it is.
        value: its pattern.
    """
    value = f"{_BEGIN}(?:{value}){_END}"
    plain = [word for word in words if word.isascii() and word not in _FRAGMENTS]
    rules = (after_word(*plain, value=value, rest=_REST),) if plain else ()
    fragments = (_in_full(word, value) for word in words if word in _FRAGMENTS)
    return (*rules, *fragments, *(_in_script(word, value) for word in words if not word.isascii()))


def digits(count: int, *, fewest: int | None = None) -> str:
    """Give the pattern of digits that may have a separator between any two.

    Args:
        count: how many.
        fewest: how many at least, where fewer will do.
    """
    least = count if fewest is None else fewest
    return f"[0-9](?:[ ./-]?[0-9]){{{least - 1},{count - 1}}}"


def verified(
    check: Callable[[str], bool],
    *,
    under_word: Callable[[str], bool] | None = None,
    separators: str = " -./()",
) -> Validator:
    """Give the validator that asks a check about the number without its separators, in upper case.

    One digit over and over is what people fill in, so it is none whatever the check says; nor is one without
    a word of its own that another says is of a thing.

    Args:
        check: the check.
        under_word: the check where a word says what it is, if it is another one.
        separators: what is left out.
    """
    without = str.maketrans("", "", separators)

    def validator(match: re.Match[bytes]) -> bool:
        text = match["id"].decode("ascii").translate(without).upper()
        if len(set(text)) == 1:
            return False
        if under_word is not None and match.start() < match.start("id"):
            return under_word(text)
        return check(text)

    return of_no_thing(validator)


def _in_full(word: str, value: str) -> Rule:
    rule = after_word(word, value=value, rest=_REST)
    triggers = (
        rf"\b(?i:{word})[^a-z]",
        f"_(?i:{word})[^a-z]",
        f"[a-z]{word[:1].upper()}(?i:{word[1:]})[^a-z]",
    )
    # Two of the triggers begin one byte before the word.
    return replace(rule, triggers=triggers, pattern=f"[a-z_]?{rule.pattern}")


def _in_script(word: str, value: str) -> Rule:
    trigger = "".join(f"\\x{byte:02x}" for byte in word.encode())
    return Rule((trigger,), f"{trigger}[^0-9A-Za-z]{{0,16}}(?P<id>{value})")
