"""Opening: any bytes in, a context or one of five answers out."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag

from interceptors.bounded import BoundedMap
from interceptors.envelope.binding import Level
from interceptors.envelope.format import SALT_SIZE, SIGNATURE_SIZE, as_suite_2, parse
from interceptors.envelope.plaintext import decode
from interceptors.errors import Answer, EnvelopeError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from interceptors.context import TraceContext
    from interceptors.envelope.binding import Binding
    from interceptors.envelope.keyset import KeySet
    from interceptors.envelope.sender_key import SenderKey

_CACHED_SUBKEYS = 2048
CANDIDATES = 3
"""The most that a receiver tries for one message (specification, "Associated data")."""


class Candidate(NamedTuple):
    """One thing that a message may be, by the receiver's own lights."""

    binding: Binding
    lowest_level: Level = Level.TENANT
    """An envelope that is bound less tightly is not authentic."""
    senders: frozenset[str] | None = None
    """The senders whose keys count here; None for every key held."""
    signed: bool = False
    """Whether an envelope without the sender's own signature (suite 1) is not authentic."""


class Opened(NamedTuple):
    """An authentic envelope."""

    tenant: str
    sender: str
    context: TraceContext
    issued_at: int
    """Milliseconds since the epoch, by the sender's clock."""
    id: bytes
    """`kid ‖ nonce`: 40 bytes that no two envelopes share."""
    candidate: int
    """Which of the candidates it was."""

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"Opened(tenant={self.tenant!r}, sender={self.sender!r}, candidate={self.candidate})"


class Opener:
    """Opens envelopes. Holds no keys: it is given them with each envelope, and keeps only derived subkeys.

    Rules it keeps:

    * one key is looked up, by `kid`; there is no trial decryption over keys;
    * the order of the answers is the specification's, whatever the bytes;
    * a subkey is kept only once a tag under it has verified, and the signature where there is one, and used
      only while its `kid` is held;
    * a signature is looked at only where the tag is right, since who has no key is to cost little.
    """

    def __init__(self) -> None:
        """Start with empty caches, bounded."""
        self._subkeys: BoundedMap[bytes, tuple[SenderKey, AESGCM]] = BoundedMap(_CACHED_SUBKEYS)

    def open(self, envelope: bytes, keys: KeySet, candidates: Iterable[Candidate]) -> Opened:
        """Open an envelope.

        Args:
            envelope: any bytes.
            keys: what the receiver holds.
            candidates: what the message may be, in the order to try; three at most are tried.

        Returns:
            What it says, and whose it is.

        Raises:
            EnvelopeError: exactly one of the five answers.
        """
        level, kid, session, nonce, sealed, envelope_id, signature = parse(envelope)
        key = keys.key(kid)
        verification = None
        if signature:
            verification = key.verification
            if verification is None:
                raise EnvelopeError(Answer.UNKNOWN_KEY)
        known = self._subkeys.get(session)
        # A kid commits to its key, so another key under it can only be a forged commitment: derive anew.
        cipher = known[1] if known is not None and known[0] is key else None
        subkey = cipher or key.xaes.subkey(session[-SALT_SIZE:])
        listed = False
        for place, candidate in enumerate(islice(candidates, CANDIDATES)):
            if candidate.senders is not None and key.sender not in candidate.senders:
                continue
            listed = True
            if level < candidate.lowest_level or (candidate.signed and not signature):
                continue
            try:
                bound = key.associated_data(level, candidate.binding)
                if verification is None:
                    plaintext = subkey.decrypt(nonce, sealed, bound)
                else:
                    plaintext = subkey.decrypt(nonce, sealed, as_suite_2(bound))
                    verification.verify(signature, envelope[:-SIGNATURE_SIZE])
            # ValueError: a value too long to be bound; nobody sealed it.
            except (InvalidTag, SignatureError, ValueError):
                continue
            if cipher is None:
                self._subkeys.set(session, (key, subkey))
            context, issued_at = decode(plaintext)
            return Opened(key.tenant, key.sender, context, issued_at, envelope_id, place)
        raise EnvelopeError(Answer.NOT_AUTHENTIC if listed else Answer.UNKNOWN_KEY)
