"""A batch of spans, sealed to the collector's public key with HPKE (`docs/reference/span-batch-v1.md`).

HPKE's base mode says nothing of the sender. Who sent a batch is known by the envelope beside it, which is
bound to `batch_binding` at level message.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from interceptors.envelope.binding import Binding, lp
from interceptors.errors import Answer, EnvelopeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

CHANNEL = "interceptors.spans"
"""The channel that the envelope of a batch is sealed for."""

_VERSION = 0xB1
_INFO = lp("interceptors/v1/spans")
_ID_SIZE = 8
_HEAD_SIZE = 1 + _ID_SIZE
_SMALLEST = _HEAD_SIZE + 32 + 16
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class CollectorKey:
    """The public key of a collector. Nothing in it is secret.

    Attributes:
        id: 8 bytes that a batch says whom it is for by.
    """

    __slots__ = ("_head", "_public", "id")

    def __init__(self, public: X25519PublicKey) -> None:
        """Take the key.

        Args:
            public: the key.

        Raises:
            ValueError: a point of small order, with which everyone shares the same secret (RFC 7748, 6.1).
        """
        self._public = public
        self.id = sha256(public.public_bytes_raw()).digest()[:_ID_SIZE]
        self._head = bytes((_VERSION,)) + self.id
        with contextlib.suppress(ValueError):
            self.seal(b"")
            return
        # Out here, so that the library's error is not the context of ours.
        msg = "not a usable X25519 key: a point of small order"
        raise ValueError(msg)

    def seal(self, spans: bytes) -> bytes:
        """Seal a batch.

        Args:
            spans: an OTLP `ExportTraceServiceRequest` as protobuf.

        Returns:
            The body of a message.
        """
        return self._head + _SUITE.encrypt(spans, self._public, info=_INFO + self._head)

    def __repr__(self) -> str:
        """Show the id."""
        return f"CollectorKey(id={self.id.hex()})"


def open_batch(private_key: X25519PrivateKey, body: bytes) -> bytes:
    """Open a batch. Says nothing of who sealed it: anyone can who has the public key.

    Args:
        private_key: the collector's.
        body: any bytes.

    Returns:
        What was sealed.

    Raises:
        EnvelopeError: malformed, unsupported version, unknown key (it is for another one) or not authentic.
    """
    if not body:
        raise EnvelopeError(Answer.MALFORMED)
    if body[0] != _VERSION:
        raise EnvelopeError(Answer.UNSUPPORTED_VERSION)
    if len(body) < _SMALLEST:
        raise EnvelopeError(Answer.MALFORMED)
    head = body[:_HEAD_SIZE]
    if head[1:] != CollectorKey(private_key.public_key()).id:
        raise EnvelopeError(Answer.UNKNOWN_KEY)
    with contextlib.suppress(InvalidTag):
        return _SUITE.decrypt(body[_HEAD_SIZE:], private_key, info=_INFO + head)
    raise EnvelopeError(Answer.NOT_AUTHENTIC)


def batch_binding(body: bytes) -> Binding:
    """Give what the envelope of a batch is bound to, at level message.

    Args:
        body: the sealed batch, as it travels.

    Returns:
        The binding.
    """
    return Binding(CHANNEL, body_digest=sha256(body).digest())
