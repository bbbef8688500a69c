"""What an identifier looks like: the form in which every detector is written down."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from re import _constants, _parser  # type: ignore[attr-defined]  # the only ones who know what a pattern is
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.scan.finding import Validation

Validator = Callable[[re.Match[bytes]], bool]
"""Whether a match of a rule's pattern is one. Gets the match, so that it can look at what lies beside it; the
group `id` is the identifier. Total: it raises for no bytes."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an identifier shows.

    An engine looks for the triggers of all rules in one pass; where one lies, the pattern has the last word.
    So a trigger is short and rare, and the pattern is exact.
    """

    triggers: tuple[str, ...]
    """Regular expressions of one fixed width each, in what `re` and Hyperscan have in common: literals,
    classes, fixed repeats, `\\b`, `(?i:…)`. No alternatives: write two triggers."""
    pattern: str
    """What has to match, in Python's syntax on bytes, of a bounded width. The group `id` is what is reported;
    without one it is the whole match."""
    before: int = 0
    """How many bytes before the trigger a match may begin; at 0 it begins with the trigger."""
    ahead: str = ""
    """With `before`: what has to follow from the trigger's begin on. It is asked first, so that bytes full of
    triggers don't each cost a search."""
    edge: str = ""
    """With `before`: a character that no match holds before the trigger, so that it is sought only from there
    on."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A kind of identifier: one row of the table."""

    name: str
    """Such as `iban`: the name in findings, policies and labelled data."""
    class_: str
    """Family and kind, such as `payment.bank_account`."""
    rules: tuple[Rule, ...]
    """How it shows."""
    validation: Validation
    """What the validator has checked where it says yes."""
    reason: str
    """Why a match counts, for people: what is checked and after which standard."""
    validator: Validator | None = None
    """What a match has to pass."""
    context: tuple[str, ...] = ()
    """The words beside an identifier that its rules ask for, where they do; for the reference."""
    examples: tuple[bytes, ...] = ()
    """Texts with just one finding of this detector."""
    counter_examples: tuple[bytes, ...] = ()
    """Texts that look like it and hold none of it."""
    default: bool = True
    """Whether it is on where nothing is said."""

    @property
    def family(self) -> str:
        """The first part of the class, such as `payment`."""
        return self.class_.partition(".")[0]


_WIDEST = 1 << 16
_SEPARATOR = "[ _.-]"
_LONG_WORD = 5
_REST_OF_KEY = r"[A-Za-z _.#-]{0,24}"
_DELIMITER = r"""["'\\]{0,3}[ \t]{0,4}(?:(?:[:=>]|%3[Aa]){1,2}[ \t]{0,4})?(?:[\["'(\\]|b['"]){0,4}"""


def after_word(*words: str, value: str, rest: str = _REST_OF_KEY) -> Rule:
    """Give the rule of a value that counts only with a word before it: as a key, or in a sentence.

    `"ssn": "…"`, `ssn=…`, `customerSSN: …`, `<ssn>…`, `SSN is …` are all of the word `ssn`. A word counts in
    any case, but not inside a longer one.

    Args:
        words: the words, in lower case; a space stands for any separator or none, so that `tax id` is also
            `tax_id`, `tax-id` and `taxId`.
        value: the pattern of the value; it is what is reported.
        rest: what may stand between the word and the delimiter.

    Returns:
        The rule.
    """
    triggers: list[str] = []
    patterns: list[str] = []
    for word in words:
        parts = [re.escape(part) for part in word.split(" ")]
        for joints in product(("", _SEPARATOR), repeat=len(parts) - 1):
            joined = parts[0] + "".join(joint + part for joint, part in zip(joints, parts[1:], strict=True))
            # A word of few letters is inside many others ("sin" in "processing"): what follows it tells.
            triggers += (
                [f"(?i:{joined})"]
                if len(joined) >= _LONG_WORD
                else [f"(?i:{joined})[^a-z]", f"(?i:{joined}s)[^a-z]"]
            )
        loose = f"{_SEPARATOR}?".join(f"(?i:{part})" for part in parts)
        first = parts[0]
        camel = f"(?<=[a-z])(?={first[:1].upper()})"
        patterns.append(f"(?:(?<![A-Za-z])|{camel}){loose}")
    pattern = f"(?:{'|'.join(patterns)})(?:(?![a-z])|(?=s[^a-z])){rest}(?<! ){_DELIMITER}"
    pattern += f"(?:(?<![0-9A-Za-z])|(?<=%3[Aa]))(?P<id>{value})"
    return Rule(tuple(dict.fromkeys(triggers)), pattern)


def checked(check: Callable[[str], bool]) -> Validator:
    """Give the validator that asks a check on the identifier's text, of which it knows nothing else.

    Args:
        check: gets the text as it stands, separators included.
    """

    def validator(match: re.Match[bytes]) -> bool:
        text = match["id"] if "id" in match.re.groupindex else match[0]
        return text.isascii() and check(text.decode("ascii"))

    return validator


def width_of(trigger: str) -> int:
    """Give the width of a trigger.

    Args:
        trigger: the regular expression.

    Returns:
        How many bytes it matches.

    Raises:
        ValueError: it is no regular expression, or has more than one width.
    """
    narrow, wide = _widths(trigger)
    if narrow != wide:
        raise ValueError(f"{trigger!r} has no fixed width; write one trigger for each")
    return wide


def literal_in(trigger: str) -> bytes:
    """Give the longest literal text that each match of a trigger holds; empty for none.

    Args:
        trigger: the regular expression; whether case counts is not said.
    """
    runs = [bytearray()]

    def walk(steps: Iterable[tuple[object, Any]]) -> None:
        for kind, what in steps:
            if kind is _constants.LITERAL:
                runs[-1].append(what)
            elif kind is _constants.SUBPATTERN:
                walk(what[-1])
            else:  # more than one text is possible here, or none
                runs.append(bytearray())

    walk(_parser.parse(trigger.encode("ascii")))
    return bytes(max(runs, key=len))


def widest(pattern: str) -> int:
    """Give the most bytes that a pattern matches.

    Args:
        pattern: the regular expression.

    Returns:
        How many bytes.

    Raises:
        ValueError: it is no regular expression, or has no bound.
    """
    _, wide = _widths(pattern)
    if wide > _WIDEST:
        raise ValueError(f"{pattern!r} may match any number of bytes; give its repeats a bound")
    return wide


def _widths(pattern: str) -> tuple[int, int]:
    try:
        narrow, wide = _parser.parse(pattern.encode("ascii")).getwidth()
    except (re.error, UnicodeEncodeError) as error:
        raise ValueError(f"{pattern!r} is no regular expression on ASCII bytes: {error}") from None
    return int(narrow), int(wide)
