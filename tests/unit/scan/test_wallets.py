from __future__ import annotations

import pytest

from interceptors.scan.detectors.wallets import WALLETS
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.scanner import Scanner

CHECKED = {
    "bitcoin_address": b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "bitcoin_segwit_address": b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "litecoin_address": b"LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1",
    "dogecoin_address": b"DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L",
    "tron_address": b"T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb",
    "xrp_address": b"rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
    "ethereum_address": b"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(WALLETS, StdlibEngine)


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("text", [b"%s", b'{"n": "%s"}', b"pay %s.", b"n=%s&", b"uri:%s?amount=1", b"/%s/"])
def test_an_address_with_a_checksum_counts_alone(scanner: Scanner, name: str, text: bytes) -> None:
    found = scanner.scan(text % CHECKED[name]).findings

    start = text.index(b"%")
    assert [(each.detector, each.start, each.end) for each in found] == [
        (name, start, start + len(CHECKED[name]))
    ]


@pytest.mark.parametrize("name", CHECKED)
def test_no_address_with_one_character_changed_counts(scanner: Scanner, name: str) -> None:
    address = CHECKED[name]
    for at in range(4, len(address)):
        other = b"2" if address[at : at + 1] != b"2" else b"3"
        assert scanner.scan(address[:at] + other + address[at + 1 :]).findings == []


@pytest.mark.parametrize("name", CHECKED)
def test_no_address_within_something_longer_counts(scanner: Scanner, name: str) -> None:
    for text in (b"x%s", b"%sx", b"_%s", b"%s_", b"9%s"):
        assert scanner.scan(text % CHECKED[name]).findings == []


@pytest.mark.parametrize(
    "digits", [b"5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", b"5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED"]
)
def test_an_ethereum_address_of_one_case_needs_a_word(scanner: Scanner, digits: bytes) -> None:
    for text in (b'{"walletAddress": "0x%s"}', b"to=0x%s", b'"contract":"0x%s"', b"ETH address is 0x%s"):
        assert [each.detector for each in scanner.scan(text % digits).findings] == ["ethereum_address"]
    for text in (b'{"hash": "0x%s"}', b"0x%s", b'{"to": 1, "commit": "0x%s"}', b"photo 0x%s"):
        assert scanner.scan(text % digits).findings == []


def test_a_solana_address_needs_a_word(scanner: Scanner) -> None:
    address = b"7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"

    assert [each.detector for each in scanner.scan(b'{"wallet": "%s"}' % address).findings] == [
        "solana_address"
    ]
    assert scanner.scan(b'{"key": "%s"}' % address).findings == []
