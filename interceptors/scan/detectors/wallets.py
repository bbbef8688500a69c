"""Wallets: the addresses of cryptocurrencies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.finding import Validation
from interceptors.scan.validators import addresses

if TYPE_CHECKING:
    from interceptors.scan.detector import Validator

_BASE58 = "[1-9A-HJ-NP-Za-km-z]"
_BASE58_BEGIN = rf"\b[13DLMTr]{_BASE58}{{30}}"
"""One trigger for all, since each costs time for every message."""
_BECH32 = "[02-9ac-hj-np-zAC-HJ-NP-Z]"
_END = "(?![0-9A-Za-z_])"
_BEFORE = 40
_WALLET_WORD = re.compile(
    rb"(?i)(?:address|addr|wallet|ether|(?<![a-z])(?:eth|erc20|from|to|owner|payee|recipient|sender|contract))"
    rb"[^0-9,;{}&\n]{0,16}\Z"
)


def _base58(firsts: str, more: tuple[int, int]) -> Rule:
    """Give the rule of an address in Base58, by its first character and how many may follow."""
    least, most = more
    return Rule(
        (rf"\b{firsts}{_BASE58}{{{least}}}",), f"(?<![0-9A-Za-z_]){firsts}{_BASE58}{{{least},{most}}}{_END}"
    )


def _base58check(versions: bytes, alphabet: str = addresses.BITCOIN) -> Validator:
    return checked(lambda text: addresses.base58check(text, versions, alphabet))


def _segwit(prefix: str) -> Rule:
    return Rule(
        (rf"\b(?i:{prefix})1[qpQP]",), f"(?<![0-9A-Za-z_])(?i:{prefix})1[qpQP]{_BECH32}{{7,87}}{_END}"
    )


def _ethereum(match: re.Match[bytes]) -> bool:
    digits = match[0][2:].decode("ascii")
    letters = digits.strip("0123456789")
    if letters and not digits.islower() and not digits.isupper():
        return addresses.eip55(match[0].decode("ascii"))
    # Without a checksum it may as well be a digest.
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    return _WALLET_WORD.search(before) is not None


WALLETS = (
    Detector(
        name="bitcoin_address",
        class_="payment.crypto_address",
        rules=(_base58("[13]", (30, 34)),),
        validator=_base58check(b"\x00\x05"),
        validation=Validation.CHECKSUM,
        reason="a P2PKH or P2SH address of Bitcoin (on other chains P2SH looks the same), Base58Check",
        examples=(
            b'{"to": "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"}',
            b"btc:3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        ),
        counter_examples=(
            b'{"to": "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3"}',
            b"x1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2a",
        ),
    ),
    Detector(
        name="bitcoin_segwit_address",
        class_="payment.crypto_address",
        rules=(_segwit("bc"),),
        validator=checked(addresses.segwit),
        validation=Validation.CHECKSUM,
        reason="a segregated witness address of Bitcoin, Bech32 or Bech32m (BIP 173, BIP 350)",
        examples=(
            b'{"to": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}',
            b"BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            b"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ),
        counter_examples=(
            b'{"to": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"}',
            b"bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            b"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
        ),
    ),
    Detector(
        name="litecoin_address",
        class_="payment.crypto_address",
        rules=(_base58("[LM]", (32, 33)), _segwit("ltc")),
        validator=checked(
            lambda text: (
                addresses.segwit(text) if text[3:4] == "1" else addresses.base58check(text, b"\x30\x32")
            )
        ),
        validation=Validation.CHECKSUM,
        reason="an address of Litecoin, Base58Check or Bech32",
        examples=(
            b"LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1",
            b'{"to": "ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfea"}',
        ),
        counter_examples=(
            b"LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc2",
            b"ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfeb",
        ),
    ),
    Detector(
        name="dogecoin_address",
        class_="payment.crypto_address",
        rules=(_base58("D", (33, 33)),),
        validator=_base58check(b"\x1e"),
        validation=Validation.CHECKSUM,
        reason="an address of Dogecoin, Base58Check",
        examples=(b'{"to": "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L"}',),
        counter_examples=(b"DH5yaieqoZN36fDVciNyRueRGvGLR3mr7M", b"DH5yaieqoZN36fDVciNyRueRGvGLR3mr7"),
    ),
    Detector(
        name="tron_address",
        class_="payment.crypto_address",
        rules=(_base58("T", (33, 33)),),
        validator=_base58check(b"\x41"),
        validation=Validation.CHECKSUM,
        reason="an address of Tron, Base58Check",
        examples=(b'{"to": "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"}',),
        counter_examples=(b"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwc", b"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWw"),
    ),
    Detector(
        name="xrp_address",
        class_="payment.crypto_address",
        rules=(_base58("r", (30, 34)),),
        validator=_base58check(b"\x00", addresses.RIPPLE),
        validation=Validation.CHECKSUM,
        reason="a classic address of the XRP Ledger, Base58Check in its own alphabet",
        examples=(b'{"to": "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"}',),
        counter_examples=(b"rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTi", b"rHb9CJAWyB4rj91VRWn96DkukG4bwdty"),
    ),
    Detector(
        name="ethereum_address",
        class_="payment.crypto_address",
        rules=(Rule(("0x[0-9A-Fa-f]{38}",), f"(?<![0-9A-Za-z_])0x[0-9A-Fa-f]{{40}}{_END}"),),
        validator=_ethereum,
        validation=Validation.CHECKSUM,
        reason="40 hexadecimal digits whose case is right (EIP-55); of one case only beside a word for it",
        context=("address", "wallet", "ethereum", "from", "to", "owner"),
        examples=(
            b"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            b'{"wallet": "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}',
            b"to=0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
        ),
        counter_examples=(
            b"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            b'{"sha1": "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}',
            b'{"to": "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed00"}',
        ),
    ),
    Detector(
        name="solana_address",
        class_="payment.crypto_address",
        rules=(
            after_word(
                *("solana", "sol address", "sol wallet", "wallet address", "wallet"),
                value=f"{_BASE58}{{32,44}}+{_END}",
                rest=r"[ _.-]?(?:(?i:address|wallet|id|key|is)[ _.:-]{0,2}){0,2}",
            ),
        ),
        validator=checked(addresses.solana),
        validation=Validation.STRUCTURE,
        reason="32 bytes in Base58 under the name of a wallet of Solana's",
        context=("solana", "wallet"),
        examples=(
            b'{"solana_address": "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"}',
            b"wallet: So11111111111111111111111111111111111111112",
        ),
        counter_examples=(
            b'{"id": "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"}',
            b'{"wallet": "7EcDhSYGxXyscszYEp35KHN8vvw3svAuL"}',
        ),
    ),
    Detector(
        name="cardano_address",
        class_="payment.crypto_address",
        rules=(
            Rule((rf"\baddr1{_BECH32}{{4}}",), f"(?<![0-9A-Za-z_])addr1{_BECH32}{{50,110}}{_END}"),
            Rule((rf"\bstake1{_BECH32}{{4}}",), f"(?<![0-9A-Za-z_])stake1{_BECH32}{{50,60}}{_END}"),
        ),
        validator=checked(addresses.bech32),
        validation=Validation.CHECKSUM,
        reason="a Shelley address of Cardano, Bech32 (CIP 19)",
        examples=(
            b"addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl2wywfgse35a3x",
        ),
        counter_examples=(
            b"addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl2wywfgse35a3y",
            b"addr1qx2fxv2umyhttkxyxp8x0",
        ),
    ),
)
"""All of this file."""
