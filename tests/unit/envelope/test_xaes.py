from __future__ import annotations

import pickle

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from interceptors.envelope.xaes import XAES

NONCE = bytes(range(24))


def cmac(key: bytes, block: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(block)
    return mac.finalize()


# L, the encrypted block of zeros, begins with a 0 bit under the first of these keys, with a 1 under the next.
@pytest.mark.parametrize("key", [b"\x01" * 32, b"\x03" * 32])
def test_a_subkey_is_two_cmacs_of_counter_letter_and_salt(key: bytes) -> None:
    salt = NONCE[:12]
    derived = AESGCM(cmac(key, b"\0\x01X\0" + salt) + cmac(key, b"\0\x02X\0" + salt))

    sealed = XAES(key).seal(NONCE, b"text", b"data")

    assert derived.decrypt(NONCE[12:], sealed, b"data") == b"text"


def test_what_is_sealed_opens() -> None:
    xaes = XAES(bytes(32))

    assert xaes.open(NONCE, xaes.seal(NONCE, b"text", b"data"), b"data") == b"text"


@pytest.mark.parametrize("place", [0, 11, 12, 23])
def test_each_byte_of_the_nonce_counts(place: int) -> None:
    xaes = XAES(bytes(32))
    other = bytearray(NONCE)
    other[place] ^= 1

    with pytest.raises(InvalidTag):
        xaes.open(bytes(other), xaes.seal(NONCE, b"text", b"data"), b"data")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_another_length_of_key_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="key has 32 bytes"):
        XAES(bytes(size))


@pytest.mark.parametrize("size", [0, 11, 13])
def test_another_length_of_salt_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="salt has 12 bytes"):
        XAES(bytes(32)).subkey(bytes(size))


@pytest.mark.parametrize("size", [0, 12, 23, 25])
def test_another_length_of_nonce_is_refused(size: int) -> None:
    xaes = XAES(bytes(32))

    with pytest.raises(ValueError, match="nonce has 24 bytes"):
        xaes.seal(bytes(size), b"text", b"data")
    with pytest.raises(ValueError, match="nonce has 24 bytes"):
        xaes.open(bytes(size), bytes(20), b"data")


def test_neither_repr_nor_pickling_gives_the_key_away() -> None:
    xaes = XAES(b"0123456789abcdef" * 2)

    assert "0123456789abcdef" not in repr(xaes)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(xaes)
