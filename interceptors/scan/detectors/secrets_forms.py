"""How rows of secrets are written down: tokens by their prefix, values by the key before them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.scan.detector import Detector, Rule, checked
from interceptors.scan.finding import Validation
from interceptors.scan.validators.entropy import is_mask, shannon

if TYPE_CHECKING:
    from collections.abc import Callable

BASE62 = "[A-Za-z0-9]"
BASE64URL = "[A-Za-z0-9_-]"
HEX = "[0-9a-f]"
_VARIED = 2.5
"""Bits a character. No token that was drawn at random has fewer, but `AAAA…` and `0101…` have."""

FILLER = (
    b"Zqumpm08hsE8JNpjJOQGa2rb19FlY0mG1ylvuhfJXqIEnomef2mSJ5CMTIeg1ZTVnVv2fgKD0f6YYIgrCOX6Jh"
    b"w7Hd11XzWL8MHpoKEzViXZya8cdFOcVwWBhqG5KSFdPE0SPgjtHfb1F6w70WAKadYEjW1W5bSapfQ7Dh3yEg42"
    b"ipqnX1fkkjbd93oQGXy9KTUMAFGrM14gENAsIrsD3mbLFecbVjafQ4gGnRfXBkg8QysD4FIS0Xzm41PB2qs3"
)
FILLER_HEX = b"2aa68bfcc8c928344b16103485a1c292be01e4fc2d031c41885221c25f6aaf76"
"""Drawn at random, for the long examples."""

_SHORT = 4
"""Prefixes of fewer characters lie within words."""

_CLOSED = r"""\\{0,2}["'`\])]{0,2}"""
_NAMED_VALUE = r"""(?:,?\s{0,8}\\{0,2}["']?(?i:value)\\{0,2}["']?)?"""
_SIGN = r"[ \t]{0,16}(?:[:?]{0,3}={1,3}>?|:{1,2}|%3[AaDd]|>|\|\|=?)[ \t]{0,16}"
_OPENED = r"""(?:[A-Za-z@]{0,2}\\{0,2}["'`])?"""
SIGN = _CLOSED + _NAMED_VALUE + _SIGN + _OPENED
"""What stands between a key and its value: JSON, YAML, forms, headers, XML, code, `"name": …, "value": …`."""


def varied(text: str) -> bool:
    """Tell a token from its form alone, such as `sk_live_xxxxxxxx`.

    Args:
        text: the token, prefix and all.
    """
    return not is_mask(text) and shannon(text) >= _VARIED


def text_of(match: re.Match[bytes]) -> str:
    """Give what a match of a rule would report, each byte a character.

    Args:
        match: of a pattern with a group `id`.
    """
    return match["id"].decode("latin-1")


def either(check: Callable[[str], bool]) -> Callable[[str], bool]:
    """Give the check of the tokens that vary and do not pass another.

    Args:
        check: the other.
    """
    return lambda text: varied(text) and not check(text)


def token(
    name: str,
    prefixes: tuple[str, ...],
    body: str,
    sample: str,
    of: str,
    *,
    lead: str = f"{BASE64URL}{{4}}",
    check: Callable[[str], bool] = varied,
    validation: Validation = Validation.PATTERN,
    class_: str = "secret.token",
) -> Detector:
    """Give the row of a token that its prefix tells.

    The example is put together from prefix and sample, so that it stands nowhere as a whole: other scanners
    read this file too.

    Args:
        name: the detector's.
        prefixes: what it begins with.
        body: the pattern of the rest, of a bounded width.
        sample: a rest.
        of: whose token it is, for the reason.
        lead: how the rest begins, of one width: what makes a trigger rare where the prefix is short.
        check: what the whole has to pass.
        validation: what the check shows.
        class_: the detector's.
    """
    first = prefixes[0]
    stands = "|".join(re.escape(prefix) for prefix in prefixes)
    how = "prefix, length and CRC32" if validation is Validation.CHECKSUM else "prefix and length"
    return Detector(
        name=name,
        class_=class_,
        rules=(
            Rule(
                tuple(_edge(prefix) + re.escape(prefix) + lead for prefix in prefixes),
                rf"(?<![A-Za-z0-9])(?:{stands})(?:{body})(?![A-Za-z0-9])",
            ),
        ),
        validator=checked(check),
        validation=validation,
        reason=f"{how} of {of}",
        examples=(f'{{"note": "{first}{sample}"}}'.encode(), f"using {first}{sample} now".encode()),
        counter_examples=(
            f'{{"note": "{first}{"x" * len(sample)}"}}'.encode(),
            f'{{"note": "{first}{sample[:3]}"}}'.encode(),
        ),
    )


def _edge(prefix: str) -> str:
    """Begin the trigger of a short prefix at a word, so that `sk-` is not in each `task-`."""
    return r"\b" if len(prefix) < _SHORT else ""


def before_key(match: re.Match[bytes], longest: int = 32) -> str:
    """Give what stands right before a match and is part of the same key, in lower case, its words apart.

    Args:
        match: begins within or at the begin of a key.
        longest: how many bytes are looked at.

    Returns:
        Such as `next page ` of `nextPageToken`, where `Token` begins the match.
    """
    begin = match.start()
    text = match.string[max(0, begin - longest) : begin].decode("latin-1")
    return _SEAM.sub(" ", _NO_KEY.split(text)[-1]).lower()


_NO_KEY = re.compile(r"[^A-Za-z0-9_.-]")
_SEAM = re.compile(r"[_.-]+|(?<=[a-z0-9])(?=[A-Z])")
