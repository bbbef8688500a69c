from __future__ import annotations

from hashlib import sha256

import pytest
import stdnum.bitcoin
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.addresses import (
    BITCOIN,
    RIPPLE,
    base58,
    base58check,
    bech32,
    eip55,
    segwit,
    solana,
)

# The vectors of BIP 173 and BIP 350.
SEGWIT = (
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
    "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
    "BC1SW50QGDZ25J",
    "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
)
NO_SEGWIT = (
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # Bech32 instead of Bech32m
    "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",  # the other way round
    "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",  # a character that is none
    "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",  # version 17
    "bc1pw5dgrnzv",  # one byte
    "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",  # 16 bytes for version 0
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",  # both cases
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",  # more than four spare bits
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",  # spare bits that are set
    "bc1gmk9yu",  # no data
)
# The vectors of EIP-55.
EIP55 = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


def encoded(raw: bytes, alphabet: str = BITCOIN) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return alphabet[0] * (len(raw) - len(raw.lstrip(b"\0"))) + text


@given(st.binary(max_size=40), st.sampled_from([BITCOIN, RIPPLE]))
def test_base58_gives_back_what_was_encoded(raw: bytes, alphabet: str) -> None:
    assert base58(encoded(raw, alphabet), alphabet) == raw


@pytest.mark.parametrize("text", ["0", "O", "I", "l", "1 1", "é"])
def test_what_has_other_characters_is_no_base58(text: str) -> None:
    assert base58(text) is None
    assert not base58check(text, b"\0")
    assert not solana(text)


@given(st.sampled_from([0x00, 0x05]), st.binary(min_size=20, max_size=20), st.integers(0, 33))
def test_base58check_agrees_with_stdnum(version: int, payload: bytes, place: int) -> None:
    body = bytes([version]) + payload
    right = encoded(body + sha256(sha256(body).digest()).digest()[:4])
    place %= len(right)
    wrong = right[:place] + ("2" if right[place] != "2" else "3") + right[place + 1 :]

    assert base58check(right, b"\x00\x05")
    assert stdnum.bitcoin.is_valid(right)
    assert not base58check(wrong, b"\x00\x05")
    assert not base58check(right, b"\x30")


@pytest.mark.parametrize("text", SEGWIT)
def test_addresses_of_the_bips_count(text: str) -> None:
    assert segwit(text)


@pytest.mark.parametrize("text", NO_SEGWIT)
def test_wrong_addresses_of_the_bips_do_not(text: str) -> None:
    assert not segwit(text)


@given(st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", max_size=60))
def test_a_text_drawn_at_random_has_no_checksum(text: str) -> None:
    assert not segwit(f"bc1{text}")
    assert not bech32(f"addr1{text}")
    assert not bech32(text)  # no human-readable part


def test_bech32_is_of_any_length() -> None:
    address = (
        "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wk"
        "tcd8cc3sq835lu7drv2xwl2wywfgse35a3x"
    )

    assert bech32(address)
    assert not bech32(address.replace("2", "3", 1))
    assert not bech32("addr1qqqq")


@pytest.mark.parametrize("address", EIP55)
def test_the_case_of_each_letter_counts(address: str) -> None:
    changed = [
        address[:at] + letter.swapcase() + address[at + 1 :]
        for at, letter in enumerate(address)
        if letter.isalpha() and at > 1
    ]

    assert eip55(address)
    assert [each for each in changed if eip55(each)] == []


def test_a_solana_address_has_32_bytes() -> None:
    assert solana("1" * 32)
    assert solana(encoded(bytes(range(32))))
    assert not solana(encoded(bytes(range(31))))
