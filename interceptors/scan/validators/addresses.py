"""Addresses of cryptocurrencies: the checksums of Base58Check, Bech32 and EIP-55."""

from __future__ import annotations

from functools import reduce
from hashlib import sha256

from interceptors.scan.validators.keccak import keccak_256

BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""The alphabet of Base58."""
RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
"""The same in the order of the XRP Ledger."""

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CHECK = 1
_BECH32M_CHECK = 0x2BC830A3


def base58(text: str, alphabet: str = BITCOIN) -> bytes | None:
    """Decode Base58 (draft-msporny-base58).

    Args:
        text: what to decode.
        alphabet: its characters, in their order.

    Returns:
        What it holds; None where it is none.
    """
    try:
        number = reduce(lambda value, character: 58 * value + alphabet.index(character), text, 0)
    except ValueError:
        return None
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def base58check(text: str, versions: bytes, alphabet: str = BITCOIN) -> bool:
    """Check an address: a version, 20 bytes, and four of a double SHA-256 (Bitcoin's Base58Check).

    Args:
        text: it.
        versions: the versions that count, a byte each.
        alphabet: see `base58`.
    """
    raw = base58(text, alphabet)
    if raw is None or len(raw) != 25 or raw[0] not in versions:
        return False
    return sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def segwit(text: str) -> bool:
    """Check a segregated witness address: Bech32 for version 0, Bech32m from 1 on (BIP 173, BIP 350).

    Args:
        text: it, with its human-readable part, in small letters or in capitals.
    """
    prefix, values, check = _bech32(text)
    version, data = values[:1], values[1:-6]
    if not prefix or not version or version[0] > 16:
        return False
    length, spare = divmod(5 * len(data), 8)
    if spare > 4 or not 2 <= length <= 40 or (data and data[-1] & ((1 << spare) - 1)):
        return False
    if version[0] == 0:
        return check == _BECH32_CHECK and length in {20, 32}
    return check == _BECH32M_CHECK


def bech32(text: str) -> bool:
    """Check a Bech32 text of any length (BIP 173, CIP 19).

    Args:
        text: it, with its human-readable part, in small letters or in capitals.
    """
    prefix, values, check = _bech32(text)
    return bool(prefix) and len(values) > 6 and check == _BECH32_CHECK


def eip55(text: str) -> bool:
    """Check an Ethereum address whose letters are of both cases: the case of each is its checksum (EIP-55).

    Args:
        text: `0x` and 40 hexadecimal digits.
    """
    digits = text[2:]
    lowered = digits.lower()
    marks = keccak_256(lowered.encode("ascii")).hex()
    return all(
        digit == (low.upper() if mark >= "8" else low)
        for digit, low, mark in zip(digits, lowered, marks, strict=False)
    )


def solana(text: str) -> bool:
    """Check a Solana address: 32 bytes in Base58, which have no checksum.

    Args:
        text: it.
    """
    raw = base58(text)
    return raw is not None and len(raw) == 32


def _bech32(text: str) -> tuple[str, list[int], int]:
    """Split a text into its human-readable part and its values, and give what the checksum comes to."""
    lowered = text.lower()
    prefix, _, rest = lowered.rpartition("1")
    values = [_BECH32.find(character) for character in rest]
    if -1 in values or text not in (lowered, text.upper()):
        return "", [], 0
    check = 1
    expanded = (*(ord(each) >> 5 for each in prefix), 0, *(ord(each) & 31 for each in prefix))
    for value in (*expanded, *values):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return prefix, values, check
