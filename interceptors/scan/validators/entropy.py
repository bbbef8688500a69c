"""Whether a text was drawn at random, or only stands where a secret would be."""

from __future__ import annotations

import math
import re
from collections import Counter

_LOOKED_AT = 128
"""How much of a text is looked at: the begin says enough, and a hostile text costs no more."""
_MASKED = ("xxxx", "****", "••••", "...", "***", "${", "$(", "{{", "<%")
_STANDS_FOR = (
    *(
        "example",
        "changeme",
        "change_me",
        "change-me",
        "changeit",
        "placeholder",
        "replace",
        "insert",
        "dummy",
    ),
    *("goeshere", "goes_here", "goes-here", "todo", "your_", "your-", "redacted", "&lt;"),
)
_STOP_WORDS = frozenset(
    (
        *(
            "null",
            "none",
            "nil",
            "true",
            "false",
            "undefined",
            "unknown",
            "empty",
            "default",
            "n/a",
            "yes",
            "no",
        ),
        *(
            "required",
            "optional",
            "missing",
            "invalid",
            "incorrect",
            "wrong",
            "expired",
            "rejected",
            "revoked",
        ),
        *("argon2", "argon2id", "bcrypt", "scrypt", "pbkdf2", "sha1", "sha256", "sha512", "md5"),
        *("reset", "changed", "updated", "valid", "enabled", "disabled", "forgotten", "needed"),
        *(
            "string",
            "text",
            "str",
            "bytes",
            "object",
            "bearer",
            "basic",
            "oauth",
            "oauth2",
            "password",
            "passwd",
        ),
    )
)
_MASK = re.compile(
    r"""
      (.)\1*                                    # xxxx, ****
    | [\W_]*                                    # ---
    | .*\.\.                                    # cut short
    | [$%\#@]?[<{(\[].*[>})\]]s?                # <name>, [redacted], %(name)s, #{name}
    | \$\w+ | %[A-Za-z_]\w*%?                   # $NAME, %NAME%, %s
    | '?\$[A-Z][A-Z_]{2}.*                      # $NAME/rest
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_SECRET = re.compile(
    r"""
      (?:not|too)\b.*
    | tok_\w+                                   # a token of ours, or of a payment provider
    | [~.]{0,2}(?:/[\w.@+\ -]+){2,}/?           # a path
    | [A-Za-z]:\\.*
    | [a-z][a-z0-9+]*://[^\s@]*                 # an address without a password
    | arn:aws.*
    | [\w.]+\(.*                               # a call
    | (?:process|os|env|config|self|this|request|settings)\.[\w.]+.*
    """,
    re.VERBOSE | re.DOTALL,
)
_DIGIT = re.compile("[0-9]")
_PARTS = re.compile(r"[^A-Za-z0-9]+")
_WORD = re.compile(r"[A-Za-z]+[0-9]{0,3}|[0-9]+[A-Za-z]?[0-9]{0,4}")
_HEX = re.compile(r"[0-9a-fA-F-]+")
_SHORTEST = 10
_ENOUGH = 3.0
_ENOUGH_SHORT = 0.7
"""Bits a character; in a short text that part of what its length allows."""


def shannon(text: str) -> float:
    """Give the entropy of a text's characters, in bits a character (Shannon 1948, section 6).

    Args:
        text: any text; its begin is looked at.
    """
    head = text[:_LOOKED_AT]
    size = len(head)
    return -sum(count / size * math.log2(count / size) for count in Counter(head).values())


def is_mask(text: str) -> bool:
    """Tell whether a text hides or stands for a secret: stars, `xxxx`, `${NAME}`, `[redacted]`.

    Args:
        text: what stands where a secret would be.
    """
    head = text[:_LOOKED_AT]
    low = head.lower()
    return any(mark in low for mark in _MASKED) or _MASK.fullmatch(head) is not None


def is_placeholder(text: str) -> bool:
    """Tell whether a text is none that anybody would have for a secret: a mask, a stop word, a path, a call.

    Args:
        text: what stands where a secret would be.
    """
    head = text[:_LOOKED_AT]
    low = head.lower()
    if low in _STOP_WORDS or any(word in low for word in _STANDS_FOR):
        return True
    return is_mask(head) or _NO_SECRET.fullmatch(head) is not None


def is_random(text: str) -> bool:
    """Tell whether a text looks drawn at random: letters and digits mixed, of some length and entropy.

    Words, names of things, dates and versions are not, however long.

    Args:
        text: what stands where a secret would be.
    """
    head = text[:_LOOKED_AT]
    if len(head) < _SHORTEST or not _DIGIT.search(head):
        return False
    if all(_WORD.fullmatch(part) for part in _PARTS.split(head) if part):
        return False
    return shannon(head) >= min(_ENOUGH, _ENOUGH_SHORT * math.log2(len(head)))


def is_hex(text: str) -> bool:
    """Tell whether a text is hex, with or without dashes: a digest or a UUID as well as a key.

    Args:
        text: any text.
    """
    return _HEX.fullmatch(text) is not None
