"""Sealing: a context and a binding in, an envelope out."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, NamedTuple

from interceptors.envelope.format import PREFIX_SIZE, SALT_SIZE, as_suite_2
from interceptors.envelope.plaintext import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from interceptors.context import TraceContext
    from interceptors.envelope.binding import Binding, Level
    from interceptors.envelope.sender_key import SenderKey

SESSION_MESSAGES = 1 << 20
SESSION_MS = 15 * 60 * 1000

_NONCE_HALF = 12


class Sealed(NamedTuple):
    """An envelope, and what did not fit into it."""

    envelope: bytes
    labels_left_out: int

    def __repr__(self) -> str:
        """Show no bytes of the envelope."""
        return f"Sealed(labels_left_out={self.labels_left_out})"


class _Session(NamedTuple):
    salt: bytes
    cipher: AESGCM
    envelopes: itertools.count[int]
    began: int
    pid: int


class Sealer:
    """Seals envelopes under one sender key.

    Rules it keeps, whoever calls it and from however many threads:

    * the last 12 nonce bytes are drawn anew for each envelope;
    * a session (one salt, one subkey) ends after 2^20 envelopes, after 15 minutes, when the clock has gone
      back, and in the child after a fork.
    """

    def __init__(self, key: SenderKey, *, rng: Callable[[int], bytes] = os.urandom) -> None:
        """Take a key.

        Args:
            key: the sender's key.
            rng: gives random bytes. For the test vectors alone: envelopes are safe only while this is the
                operating system's generator.
        """
        self.key = key
        self._rng = rng
        self._session: _Session | None = None

    def seal(
        self, context: TraceContext, level: Level, binding: Binding, now: int, *, signed: bool = False
    ) -> Sealed:
        """Seal a context for one message.

        Args:
            context: what the envelope carries.
            level: how tightly it is bound.
            binding: what the message is.
            now: milliseconds since the epoch.
            signed: whether it carries the sender's signature: suite 2.

        Returns:
            The envelope, and how many labels were left out of it.

        Raises:
            ValueError: a context or binding that the format has no place for, or a signature is asked of a
                key that signs nothing.
        """
        plaintext, left_out = encode(context, now)
        bound = self.key.associated_data(level, binding)
        signing = None
        if signed:
            signing = self.key.signing
            if signing is None:
                msg = "the key has no signing key, and suite 2 is signed"
                raise ValueError(msg)
            bound = as_suite_2(bound)
        session = self._session
        if (
            session is None
            or not 0 <= now - session.began < SESSION_MS
            or next(session.envelopes) >= SESSION_MESSAGES
            or session.pid != os.getpid()
        ):
            session = self._begin(now)
        nonce = self._rng(_NONCE_HALF)  # not out of a pool, which the clones of a machine would share
        sealed = session.cipher.encrypt(nonce, plaintext, bound)
        envelope = b"".join((bound[:PREFIX_SIZE], session.salt, nonce, sealed))
        return Sealed(envelope if signing is None else envelope + signing.sign(envelope), left_out)

    def _begin(self, now: int) -> _Session:
        salt = self._rng(SALT_SIZE)
        # The count starts at 1: the envelope that begins a session is one of its 2^20.
        session = _Session(salt, self.key.xaes.subkey(salt), itertools.count(1), now, os.getpid())
        self._session = session
        return session
