"""What an envelope is bound to: levels, and the associated data that binds it."""

from __future__ import annotations

from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

_AAD_LABEL = "interceptors/v1/aad"
_LENGTH_LIMIT = 0xFFFF


class Level(IntEnum):
    """How tightly an envelope is bound; the number is the one on the wire."""

    TENANT = 0
    CHANNEL = 1
    TYPE = 2
    MESSAGE = 3


class Binding(NamedTuple):
    """What a sender and a receiver each know of a message, independently of the envelope."""

    channel: str
    """The channel's logical name, from the policy."""
    type: str = ""
    """The message type; empty on buses without one."""
    message_id: str = ""
    """The message id; empty on buses without one."""
    body_digest: bytes = b""
    """SHA-256 of the body as it travels; empty where there is no body."""

    def __repr__(self) -> str:
        """Show what is not secret: an id may identify, and a short body can be found from its digest."""
        return f"Binding(channel={self.channel!r}, type={self.type!r})"


def lp(value: str | bytes) -> bytes:
    """Prefix a value with its length in two big-endian bytes; text is UTF-8.

    Args:
        value: the text or bytes.

    Returns:
        The length and the value.

    Raises:
        ValueError: it is longer than 65535 bytes, or text that has no UTF-8 form.
    """
    try:
        raw = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        raw = None  # refused out here: this exception holds the value
    if raw is None or len(raw) > _LENGTH_LIMIT:
        msg = "a value that is bound is longer than 65535 bytes, or text that has no UTF-8 form"
        raise ValueError(msg)
    return len(raw).to_bytes(2, "big") + raw


def associated_data(prefix: bytes, tenant: str, sender: str, level: Level, binding: Binding) -> bytes:
    """Give the associated data of an envelope.

    Args:
        prefix: the first 18 bytes of the envelope.
        tenant: the tenant of the key.
        sender: the sender of the key.
        level: how much of the binding counts.
        binding: what the message is.

    Returns:
        50 bytes.

    Raises:
        ValueError: a bound value that has no length-prefixed form.
    """
    parts = [lp(_AAD_LABEL), lp(tenant), lp(sender)]
    if level >= Level.CHANNEL:
        parts.append(lp(binding.channel))
    if level >= Level.TYPE:
        parts.append(lp(binding.type))
    if level >= Level.MESSAGE:
        parts += (lp(binding.message_id), lp(binding.body_digest))
    return prefix + sha256(b"".join(parts)).digest()
