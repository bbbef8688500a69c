"""The bytes of an envelope: where each field lies, and what a receiver refuses before any key is touched."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from interceptors.envelope.binding import Level
from interceptors.errors import Answer, EnvelopeError

HEADER_NAME = "sealed-trace"
"""The one header that an envelope travels in."""

SUITE_1 = 0x11
"""Version 1, suite 1 (XAES-256-GCM)."""

SUITE_2 = 0x12
"""Version 1, suite 2 (the same, and an Ed25519 signature)."""

PREFIX_SIZE = 18
SALT_SIZE = 12
NONCE_SIZE = 24
HEAD_SIZE = PREFIX_SIZE + NONCE_SIZE
TAG_SIZE = 16
SIGNATURE_SIZE = 64
PLAINTEXT_SIZES = (64, 96, 128, 192, 256, 384, 512)
MAXIMUM_SIZE = 1024

_SIZES = frozenset(HEAD_SIZE + n + TAG_SIZE for n in PLAINTEXT_SIZES)
_SUITE_2_BYTE = bytes((SUITE_2,))
_LEVELS = tuple(Level)
_MAXIMUM_TEXT_SIZE = 4 * (MAXIMUM_SIZE + 2) // 3
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")


class Parsed(NamedTuple):
    """The fields of an envelope whose form is right. Nothing in it is authenticated yet."""

    level: Level
    kid: bytes
    session: bytes
    """`kid ‖ salt`: names the subkey."""
    nonce: bytes
    """The AES-GCM nonce: the last 12 bytes of the 24."""
    sealed: bytes
    """Ciphertext and tag."""
    id: bytes
    """`kid ‖ nonce` (40 bytes): what the replay windows know an envelope by."""
    signature: bytes
    """Of all that precedes it; empty in suite 1."""

    def __repr__(self) -> str:
        """Show no bytes of the envelope but the public `kid`."""
        return f"Parsed(level={self.level}, kid={self.kid.hex()})"


def prefix(level: Level, kid: bytes) -> bytes:
    """Give the first 18 bytes of a suite 1 envelope: the associated data's part that lies on the wire."""
    return bytes((SUITE_1, level)) + kid


def as_suite_2(associated_data: bytes) -> bytes:
    """Give the associated data of a suite 2 envelope, out of that of suite 1: one byte is another."""
    return _SUITE_2_BYTE + associated_data[1:]


def parse(envelope: bytes) -> Parsed:
    """Take an envelope apart.

    Args:
        envelope: any bytes.

    Returns:
        The fields.

    Raises:
        EnvelopeError: malformed or unsupported version, in the order that the specification fixes.
    """
    size = len(envelope)
    if not size or size > MAXIMUM_SIZE:
        raise EnvelopeError(Answer.MALFORMED)
    end, signature = size, b""
    if envelope[0] != SUITE_1:
        if envelope[0] != SUITE_2:
            raise EnvelopeError(Answer.UNSUPPORTED_VERSION)
        end = size - SIGNATURE_SIZE
        signature = envelope[end:]
    if end not in _SIZES or envelope[1] > Level.MESSAGE:
        raise EnvelopeError(Answer.MALFORMED)
    # By position, which is twice as fast: the fields stand in the order of the class.
    return Parsed(
        _LEVELS[envelope[1]],
        envelope[2:18],
        envelope[2:30],
        envelope[30:42],
        envelope[42:end],
        envelope[2:42],
        signature,
    )


def kid_of(value: object) -> bytes | None:
    """Give the `kid` of an envelope without taking it apart, for whoever fetches keys ahead of opening.

    Args:
        value: a header value of any type.

    Returns:
        The kid that the envelope claims, or None where it can't be an envelope, whatever keys there are.
    """
    try:
        envelope = header_bytes(value)
    except EnvelopeError:
        return None
    signature_size = SIGNATURE_SIZE if envelope[:1] == _SUITE_2_BYTE else 0
    if len(envelope) - signature_size not in _SIZES or envelope[0] not in (SUITE_1, SUITE_2):
        return None
    return envelope[2:18]


def to_text(envelope: bytes) -> str:
    """Give the form for buses that carry text only: base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(envelope).rstrip(b"=").decode("ascii")


def from_text(text: str | bytes) -> bytes:
    """Read the text form.

    A mirror may have put a header value into ordinary base64, so that alphabet and padding are read too.

    Args:
        text: base64url or base64, padded or not.

    Returns:
        The envelope's bytes, not parsed yet.

    Raises:
        EnvelopeError: malformed: it is neither.
    """
    if len(text) > _MAXIMUM_TEXT_SIZE:
        raise EnvelopeError(Answer.MALFORMED)
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        raw = raw.rstrip(b"=").translate(_TO_URLSAFE)
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        pass  # refused out here: an exception in hand would be its context, and may hold the header
    raise EnvelopeError(Answer.MALFORMED)


def header_bytes(value: object) -> bytes:
    """Give an envelope's bytes out of a header value of any type.

    Args:
        value: what the bus handed out: bytes of any kind, text, or anything else.

    Returns:
        The bytes, not parsed yet.

    Raises:
        EnvelopeError: malformed: the value holds no bytes.
    """
    if isinstance(value, bytes):
        # The text form of an envelope begins with "E": the first six bits of 0x11, and of 0x12.
        return from_text(value) if value[:1] == b"E" else value
    if isinstance(value, (bytearray, memoryview)):
        try:
            return header_bytes(bytes(value))
        except ValueError:  # a view that was released
            raise EnvelopeError(Answer.MALFORMED) from None
    if isinstance(value, str):
        return from_text(value)
    raise EnvelopeError(Answer.MALFORMED)
