"""Signatures: Ed25519 keys (RFC 8032), and documents signed by some of them (DSSE).

What belongs here: making and checking signatures over bytes, given the keys. What does not: whose key counts
for what (`policy`), files (`keys`), and the clock.

Rules it keeps:

* a check that fails raises; nothing returns a bool that could be passed over;
* a private key shows in no `repr`, and is not pickled;
* nothing foreign is raised, whatever the bytes.
"""

from __future__ import annotations

import base64
import contextlib
import json
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interceptors.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from securesystemslib.dsse import Envelope

PUBLIC_SIZE = 32
SIGNATURE_SIZE = 64


class VerificationKey:
    """A public Ed25519 key. Equal to another one of the same bytes.

    Attributes:
        raw: the 32 bytes of the key.
        id: the SHA-256 of those, in hex: what signatures are looked up by.
    """

    __slots__ = ("_public", "id", "raw")

    def __init__(self, raw: bytes) -> None:
        """Take a key.

        Args:
            raw: 32 bytes.

        Raises:
            ValueError: another number of bytes.
        """
        if len(raw) != PUBLIC_SIZE:
            msg = "an Ed25519 public key has 32 bytes"
            raise ValueError(msg)
        self.raw = raw
        self.id = sha256(raw).hexdigest()
        self._public = Ed25519PublicKey.from_public_bytes(raw)

    def verify(self, signature: bytes, signed: bytes) -> None:
        """Check a signature.

        Args:
            signature: any bytes.
            signed: what it is to be a signature of.

        Raises:
            SignatureError: it is none by this key.
        """
        with contextlib.suppress(InvalidSignature):
            self._public.verify(signature, signed)
            return
        msg = f"not a signature by the key {self.id[:16]}"
        raise SignatureError(msg)

    def __eq__(self, other: object) -> bool:
        """Compare the bytes."""
        return self.raw == other.raw if isinstance(other, VerificationKey) else NotImplemented

    def __hash__(self) -> int:
        """Hash the bytes."""
        return hash(self.raw)

    def __repr__(self) -> str:
        """Show the id."""
        return f"VerificationKey(id={self.id})"


class SigningKey:
    """A private Ed25519 key. Neither `repr` nor pickling gives it away.

    Attributes:
        public: the public key that goes with it.
    """

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        """Take a key.

        Args:
            seed: 32 random bytes: the private key of RFC 8032.

        Raises:
            ValueError: another number of bytes.
        """
        try:
            self._private = Ed25519PrivateKey.from_private_bytes(seed)
        except ValueError:
            msg = "an Ed25519 private key has 32 bytes"
            raise ValueError(msg) from None
        self.public = VerificationKey(self._private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """Give the 64 bytes of the signature over some bytes."""
        return self._private.sign(data)

    def seed(self) -> bytes:
        """Give the private key itself, for whoever writes key files."""
        return self._private.private_bytes_raw()

    def __repr__(self) -> str:
        """Show the public key's id."""
        return f"SigningKey(id={self.public.id})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a key must not end up in a queue or a cache by accident."""
        msg = "a SigningKey is not pickled"
        raise TypeError(msg)


class Signed(NamedTuple):
    """A DSSE envelope, of which nothing is believed yet."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]
    """Key ids, each with what claims to be its signature."""

    def signers(self, keys: Iterable[VerificationKey]) -> frozenset[VerificationKey]:
        """Give those of the keys by which there is a valid signature. One key counts once, however it signs.

        Args:
            keys: the keys that may count.

        Returns:
            The ones that have signed payload and payload type.
        """
        signed = _envelope(self.payload, self.payload_type).pae()
        by_id = {key.id: key for key in keys}
        found: set[VerificationKey] = set()
        for key_id, signature in self.signatures:
            key = by_id.get(key_id)
            if key is not None:
                with contextlib.suppress(SignatureError):
                    key.verify(signature, signed)
                    found.add(key)
        return frozenset(found)

    def by(self, key: SigningKey) -> Signed:
        """Give the same with one signature more; one that the key has made before is replaced."""
        signature = key.sign(_envelope(self.payload, self.payload_type).pae())
        others = tuple(pair for pair in self.signatures if pair[0] != key.public.id)
        return self._replace(signatures=(*others, (key.public.id, signature)))

    def to_json(self) -> str:
        """Give the text of its file."""
        form = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": key, "sig": base64.b64encode(signature).decode()}
                for key, signature in self.signatures
            ],
        }
        return json.dumps(form, indent=2) + "\n"


def parse_signed(text: str | bytes) -> Signed:
    """Read a DSSE envelope. What it says has still to be checked, by `Signed.signers`.

    Args:
        text: JSON, as `Signed.to_json` writes it.

    Returns:
        The envelope.

    Raises:
        SignatureError: it is none: no JSON, a part is missing, or one key id stands twice.
    """
    # A parser of foreign text may raise anything; the text is not to come along as an error's context.
    with contextlib.suppress(Exception):
        found = _dsse().from_dict(json.loads(text))
        signatures = tuple(
            (str(key), bytes.fromhex(signature.signature)) for key, signature in found.signatures.items()
        )
        return Signed(found.payload, str(found.payload_type), signatures)
    msg = "not a DSSE envelope: not its JSON, or a key has signed twice"
    raise SignatureError(msg)


def _envelope(payload: bytes, payload_type: str) -> Envelope:
    return _dsse()(payload, payload_type, {})


def _dsse() -> type[Envelope]:
    # Late: it imports the client of each key service that is installed, and a service that only seals and
    # opens envelopes needs none of them.
    from securesystemslib.dsse import Envelope  # noqa: PLC0415 - see above

    return Envelope
