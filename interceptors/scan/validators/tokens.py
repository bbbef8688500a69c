"""Tokens that can be checked without asking who issued them: checksums, and what is encoded in them."""

from __future__ import annotations

import binascii
import json
import zlib
from base64 import urlsafe_b64decode

_BASE62 = {
    char: value for value, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
}
_CHECKSUM = 6
"""How many base62 digits hold a CRC32."""
_JWE_PARTS = 5


def base62_crc32(token: str) -> bool:
    """Check the last six characters: the CRC32, in base62, of all between them and the prefix's `_`.

    GitHub: "Behind GitHub's new authentication token formats", 2021; npm's tokens are made the same way.

    Args:
        token: prefix, `_`, body, checksum.
    """
    body, digits = token.rpartition("_")[2][:-_CHECKSUM], token[-_CHECKSUM:]
    value = 0
    for digit in digits:
        if digit not in _BASE62:
            return False
        value = value * 62 + _BASE62[digit]
    return body.isascii() and zlib.crc32(body.encode("ascii")) == value


def hex_crc32(token: str) -> bool:
    """Check the last eight characters: the CRC32, in hex, of all before them (Atlassian's API tokens).

    Args:
        token: the whole token.
    """
    return token.isascii() and f"{zlib.crc32(token[:-8].encode('ascii')):08X}" == token[-8:].upper()


def from_base64(text: str) -> bytes | None:
    """Decode base64 or base64url (RFC 4648, sections 4 and 5), padded or not.

    Args:
        text: what may be base64.

    Returns:
        The bytes; None where it is none.
    """
    bare = text.rstrip("=").replace("+", "-").replace("/", "_")
    if not bare.isascii() or not bare.replace("-", "").replace("_", "").isalnum():
        return None
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return None


def jose_header(part: str) -> dict[str, object] | None:
    """Decode a part of a token as a JSON object (RFC 7515, section 3).

    Args:
        part: base64url of a JSON object, or anything else.

    Returns:
        The object; None where it is none.
    """
    raw = from_base64(part)
    if raw is None:
        return None
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):  # a text that isn't UTF-8 is a ValueError too
        return None
    return header if isinstance(header, dict) else None


def jwt(token: str) -> bool:
    """Check that a token is signed, unsecured or encrypted (RFC 7519; RFC 7516 for the five parts).

    Args:
        token: two parts (a token without its signature), three or five.
    """
    parts = token.split(".")
    if len(parts) not in {2, 3, _JWE_PARTS}:
        return False
    header = jose_header(parts[0])
    if header is None and len(parts) == 3:
        # Some bytes of the header are wrong; the claims can be read all the same.
        raw = from_base64(parts[0]) or b""
        return (
            raw.startswith(b"{") and b'"alg"' in raw and bool(parts[2]) and jose_header(parts[1]) is not None
        )
    if header is None or not isinstance(header.get("alg"), str):
        return False
    if len(parts) == _JWE_PARTS:
        return "enc" in header
    # Without a signature only the claims tell it from two words that are joined by a dot.
    return bool(parts[-1]) or bool(parts[1]) if len(parts) > 2 else jose_header(parts[1]) is not None


def basic_credentials(text: str) -> bool:
    """Check that it is base64 of a user and a password (RFC 7617, section 2).

    Args:
        text: what stands behind `Basic`.
    """
    raw = from_base64(text)
    if raw is None or b":" not in raw:
        return False
    user = raw.partition(b":")[0]  # of the password not even the character set is known
    try:
        return user.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False
