"""Identifiers of the operator's own, which they describe in the policy."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]  # the only one who knows what a pattern is made of
from typing import TYPE_CHECKING, Any

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.finding import Validation
from interceptors.scan.validators.checksums import verhoeff
from interceptors.scan.validators.digits import luhn, mod97

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WIDEST = 256
"""Bytes of the longest identifier."""
_WAYS = 1000
"""In how many ways a pattern may match one text. Each is tried where a text almost matches."""
_SHORTEST_PREFIX = 2
_SHORTEST_WORD = 2
_MOST_PARTS = 4
"""Of a word: each may be joined to the next in two ways, and each way is a trigger."""
_AHEAD = 4
"""How many characters of the pattern make a trigger rarer."""
_TEN = 10
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PART = re.compile(r"[a-z][a-z0-9]{0,31}")
_PREFIX = re.compile(r"[!-~]{0,40}")
_BEFORE = "(?<![A-Za-z0-9])"
_AFTER = r"(?![A-Za-z0-9]|\.[0-9])"

_INSTEAD = {
    "ANY": "`.` also matches quotes and delimiters; write a class, such as [A-Z0-9]",
    "AT": "anchors and \\b are not needed; an identifier begins and ends where letters and digits do",
    "NEGATE": "a class of what may not stand there also matches quotes and delimiters; write what may",
    "NOT_LITERAL": "a class of what may not stand there also matches quotes and delimiters; write what may",
    "MIN_REPEAT": "a lazy repeat finds the same as {m,n}; write that",
    "POSSESSIVE_REPEAT": "write {m,n} without the + behind it",
    # The parser puts what is in (?:…) where that stands, so that any other group is left.
    "SUBPATTERN": "a group that is kept, or has flags, can't be used; write (?:…)",
    "CATEGORY": "of the classes with a letter only \\d and \\w can be used; write a class, such as [A-Z0-9]",
}
_OTHERWISE = "only literals, classes, {m}, {m,n}, ?, | and (?:…) can be used"


def _mod11(text: str) -> bool:
    """Check the last character, where X is ten, weights counting up from the right (as ISBN-10 has it)."""
    last = text[-1:]
    values = [int(digit) for digit in text[:-1] if digit.isdecimal()]
    if not values or not (last.isdecimal() or last in {"X", "x"}):
        return False
    values.append(int(last) if last.isdecimal() else _TEN)
    return sum(weight * value for weight, value in enumerate(reversed(values), 1)) % 11 == 0


def _of_digits(check: Callable[[str], bool]) -> Callable[[str], bool]:
    def on_digits(text: str) -> bool:
        digits = "".join(filter(str.isdecimal, text))
        return len(digits) > 1 and check(digits)

    return on_digits


CHECKS: dict[str, Callable[[str], bool]] = {
    "luhn": _of_digits(luhn),
    "mod97": lambda text: len(text) > len("00") and mod97(text) == 1,
    "verhoeff": _of_digits(verhoeff),
    "mod11": _mod11,
}
"""The check digits that may be declared. Each gets the letters and digits behind the prefix."""


def declared(
    name: str, *, prefix: str = "", pattern: str = "", check: str | None = None, words: Sequence[str] = ()
) -> Detector:
    """Give the detector of an identifier that the operator describes; its class is `internal.` and the name.

    Args:
        name: its name, in lower case.
        prefix: what each begins with, such as `CUST-`.
        pattern: what follows: literals, classes, `{m}`, `{m,n}`, `?`, `|` and `(?:…)`.
        check: which of `CHECKS` its letters and digits behind the prefix pass.
        words: names beside which it counts, such as `customer number`; nowhere else, where there are any.

    Returns:
        The detector.

    Raises:
        ValueError: it can't be looked for; the text says why, and what to write instead.
    """
    return _declared(name, prefix, pattern, check, tuple(words))


@lru_cache(maxsize=256)
def _declared(name: str, prefix: str, pattern: str, check: str | None, words: tuple[str, ...]) -> Detector:
    """Give one and the same detector for the same description, so that a scanner of it is compiled once."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name; use up to 40 lower-case letters, digits and underscores")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "the prefix has to be up to 40 visible ASCII characters; leave it out, or shorten it"
        )
    if not words and len(prefix) < _SHORTEST_PREFIX:
        raise ValueError(
            "it would have to be looked for everywhere; give a prefix of two characters, or words"
        )
    if not pattern:
        raise ValueError("it has no pattern; say what follows, such as [0-9]{8}")
    if check is not None and check not in CHECKS:
        raise ValueError(f"there is no check {check!r}; there are {', '.join(CHECKS)}")
    tree = _parsed(pattern)
    if not tree.getwidth()[0] or len(prefix) + tree.getwidth()[1] > _WIDEST:
        raise ValueError(
            f"the pattern has to match 1 to {_WIDEST - len(prefix)} characters; bound its repeats"
        )
    value = f"{_BEFORE}{re.escape(prefix)}(?:{pattern}){_AFTER}"
    if words:
        rule = after_word(*map(_word, words), value=value)
    else:
        rule = Rule((re.escape(prefix) + _lead(tree),), value)
    validation = Validation.KEY if words else Validation.PATTERN
    return Detector(
        name=name,
        class_=f"internal.{name}",
        rules=(rule,),
        validation=validation if check is None else Validation.CHECKSUM,
        reason="declared by the operator" if check is None else f"declared by the operator, {check}",
        validator=None if check is None else checked(_behind(prefix, CHECKS[check])),
        context=words,
    )


def _behind(prefix: str, check: Callable[[str], bool]) -> Callable[[str], bool]:
    def behind(text: str) -> bool:
        return check("".join(filter(str.isalnum, text[len(prefix) :])))

    return behind


def _word(word: str) -> str:
    """Write a word as `after_word` wants it."""
    parts = [part for part in re.split(r"[ _.-]+", word.lower()) if part]
    if (
        not 0 < len(parts) <= _MOST_PARTS
        or len("".join(parts)) < _SHORTEST_WORD
        or not all(map(_PART.fullmatch, parts))
    ):
        raise ValueError(
            f"{word!r} can't be looked for; a word is two letters or more, and up to four of those joined"
        )
    return " ".join(parts)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern of an operator's that could take long, whatever it is tried on.

    Args:
        pattern: a regular expression of printable ASCII, whose repeats have bounds.

    Raises:
        ValueError: it could, or is none; the text says what to write.
    """
    _parsed(pattern)


def _parsed(pattern: str) -> Any:  # noqa: ANN401 - the parser has no types
    """Read a pattern, and refuse what could take long or reach beyond the identifier."""
    if len(pattern) > _WIDEST:
        raise ValueError(f"the pattern has more than {_WIDEST} characters; write it shorter, with classes")
    try:
        with warnings.catch_warnings(action="error"):
            tree = _parser.parse(pattern.encode("ascii"))
    except UnicodeEncodeError:
        raise ValueError("the pattern is not ASCII; write a class of ASCII characters") from None
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"the pattern is no regular expression: {error}; correct it") from None
    if tree.state.flags:
        raise ValueError(f"the pattern has flags; {_OTHERWISE}")
    if _ways(tree, within=False) > _WAYS:
        raise ValueError("the pattern matches one text in too many ways; give its repeats fixed lengths")
    return tree


def _ways(tree: Any, *, within: bool) -> int:  # noqa: ANN401 - as above
    """Count in how many ways a pattern can match, or refuse it.

    Args:
        tree: a part of the pattern.
        within: whether it is repeated.
    """
    ways = 1
    for operation, argument in tree:
        kind = str(operation)
        if kind == "LITERAL":
            _plain(argument)
        elif kind == "IN":
            for item, what in argument:
                _allowed_in_class(str(item), what)
        elif kind == "BRANCH":
            ways *= sum(_ways(branch, within=within) for branch in argument[1])
        elif kind == "MAX_REPEAT":
            ways *= _ways_of_repeat(*argument, within=within)
        else:
            raise ValueError(_INSTEAD.get(kind, _OTHERWISE))
        if ways > _WAYS:
            return ways
    return ways


def _ways_of_repeat(least: int, most: int, part: Any, *, within: bool) -> int:  # noqa: ANN401 - as above
    if most > _WIDEST:
        raise ValueError("a repeat without a bound, or with too high a one; write {1,20} for +, {0,20} for *")
    repeated = most > 1
    if repeated and within:
        raise ValueError("a repeat within a repeat can't be used; write the inner one out")
    each = _ways(part, within=within or repeated)
    ways = 0
    for times in range(least, most + 1):
        ways += each**times
        if ways > _WAYS:
            break
    return ways


def _allowed_in_class(kind: str, what: Any) -> None:  # noqa: ANN401 - as above
    if kind == "LITERAL":
        _plain(what)
    elif kind == "RANGE":
        _plain(what[1])
    elif kind != "CATEGORY" or str(what) not in {"CATEGORY_DIGIT", "CATEGORY_WORD"}:
        raise ValueError(_INSTEAD.get(kind, _OTHERWISE))


def _plain(code: int) -> None:
    if not 0x20 <= code < 0x7F:  # noqa: PLR2004 - the printable characters of ASCII
        raise ValueError("a pattern can match printable ASCII only; leave the other characters out")


def _lead(tree: Any) -> str:  # noqa: ANN401 - as above
    """Give the pattern's first characters as classes, as far as their number is fixed."""
    lead: list[str] = []
    for operation, argument in tree:
        least = most = 1
        unit = [(operation, argument)]
        if str(operation) == "MAX_REPEAT":
            least, most, unit = argument
        if len(unit) != 1 or str(unit[0][0]) not in {"LITERAL", "IN"}:
            break
        lead += [_class_of(*unit[0])] * min(least, _AHEAD)
        if least != most:
            break
    return "".join(lead[:_AHEAD])


def _class_of(operation: Any, argument: Any) -> str:  # noqa: ANN401 - as above
    if str(operation) == "LITERAL":
        return f"[\\x{argument:02x}]"
    items = []
    for kind, what in argument:
        if str(kind) == "LITERAL":
            items.append(f"\\x{what:02x}")
        elif str(kind) == "RANGE":
            items.append(f"\\x{what[0]:02x}-\\x{what[1]:02x}")
        else:
            items.append("0-9" if str(what) == "CATEGORY_DIGIT" else "A-Za-z0-9_")
    return f"[{''.join(items)}]"
