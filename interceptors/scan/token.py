"""Tokens as they are written in the place of identifiers, and told from whatever else a record holds."""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from typing import NamedTuple

VALUE_SIZE = 16
"""Bytes of a token's value."""

_WHOLE = re.compile(r"tok([1-9][0-9]{0,3}|v)_([a-z2-7]{26})")
_ANY = re.compile(rb"tok(?:[1-9][0-9]{0,3}|v)_[a-z2-7]{1,26}+\*{0,99}|90[0-7][0-9]{16}")
_NUMBER = 9 * 10**18
"""What the tokens that are numbers begin at. Nothing that is looked for has 19 digits and begins with a 9."""


class Token(NamedTuple):
    """What stands for an identifier, and says nothing of it."""

    value: bytes
    """16 bytes: a digest under a key, or random."""
    version: int = 0
    """Of the key that the value was made with, from 1; 0 where it is random, out of a vault."""

    def __str__(self) -> str:
        """Write `tok`, the version (`v` for a vault's), `_` and the value in base32."""
        return f"tok{self.version or 'v'}_{b32encode(self.value).decode().rstrip('=').lower()}"

    @property
    def text(self) -> bytes:
        """The same, as bytes."""
        return str(self).encode()

    @property
    def number(self) -> bytes:
        """The first 56 bits of the value as a number of 19 digits, for where only a number may stand."""
        return b"%d" % (_NUMBER + int.from_bytes(self.value[:7]))


def parse_token(text: str) -> Token:
    """Read a token that was written as text and in full.

    Args:
        text: such as `str(token)` gives.

    Raises:
        ValueError: it is no token, or as much of one as there was room for.
    """
    match = _WHOLE.fullmatch(text)
    if match is not None:
        version, value = match.groups()
        token = Token(b32decode(f"{value.upper()}======"), 0 if version == "v" else int(version))
        if str(token) == text:  # the last character has bits to spare, and one way to write a token is enough
            return token
    msg = "no token: one begins with `tok` and has 26 characters behind its `_`"
    raise ValueError(msg)


def is_token(text: bytes) -> bool:
    """Say whether a text is a token, a number that is one, or as much of one as there was room for."""
    return _ANY.fullmatch(text) is not None
