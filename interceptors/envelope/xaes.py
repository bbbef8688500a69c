"""XAES-256-GCM, after the C2SP specification (c2sp.org/XAES-256-GCM).

A 256-bit key and a 192-bit nonce: the first half of the nonce and the key derive a subkey with CMAC-AES256
(NIST SP 800-108r1), under which the second half is an AES-GCM nonce. Random nonces are safe for as many
messages as anyone will send under one key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["XAES", "InvalidTag"]

_BLOCK = 16
_SALT = 12
_REDUCTION = 0x87


class XAES:
    """The key schedule of one key. Holds key material: it has no `repr` of its own that could show it."""

    __slots__ = ("_aes", "_k1")

    def __init__(self, key: bytes) -> None:
        """Prepare what all nonces share.

        Args:
            key: 32 bytes.

        Raises:
            ValueError: a key of another length.
        """
        if len(key) != 2 * _BLOCK:
            msg = "an XAES-256-GCM key has 32 bytes"
            raise ValueError(msg)
        # One block at a time: ECB here is the bare block cipher that CMAC is defined over.
        self._aes = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - see above
        last = int.from_bytes(self._block(bytes(_BLOCK)), "big") << 1
        if last >> 128:
            last = (last ^ _REDUCTION) & ((1 << 128) - 1)
        self._k1 = last

    def subkey(self, salt: bytes) -> AESGCM:
        """Derive the AES-GCM key for a salt.

        Args:
            salt: the first 12 bytes of the nonce.

        Returns:
            The cipher; its nonce is the other 12 bytes. NEVER reuse those under one salt.

        Raises:
            ValueError: a salt of another length.
        """
        if len(salt) != _SALT:
            msg = "an XAES-256-GCM salt has 12 bytes"
            raise ValueError(msg)
        return AESGCM(self._prf(b"\x00\x01X\x00" + salt) + self._prf(b"\x00\x02X\x00" + salt))

    def seal(self, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
        """Encrypt under a whole 24-byte nonce; gives ciphertext and tag.

        Raises:
            ValueError: a nonce of another length.
        """
        subkey, rest = self._halves(nonce)
        return subkey.encrypt(rest, plaintext, associated_data)

    def open(self, nonce: bytes, sealed: bytes, associated_data: bytes) -> bytes:
        """Decrypt under a whole 24-byte nonce.

        Raises:
            cryptography.exceptions.InvalidTag: not authentic.
            ValueError: a nonce of another length.
        """
        subkey, rest = self._halves(nonce)
        return subkey.decrypt(rest, sealed, associated_data)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it holds a key."""
        msg = "an XAES is not pickled"
        raise TypeError(msg)

    def _halves(self, nonce: bytes) -> tuple[AESGCM, bytes]:
        if len(nonce) != 2 * _SALT:
            msg = "an XAES-256-GCM nonce has 24 bytes"
            raise ValueError(msg)
        return self.subkey(nonce[:_SALT]), nonce[_SALT:]

    def _prf(self, block: bytes) -> bytes:
        return self._block((int.from_bytes(block, "big") ^ self._k1).to_bytes(_BLOCK, "big"))

    def _block(self, block: bytes) -> bytes:
        return self._aes.encryptor().update(block)
