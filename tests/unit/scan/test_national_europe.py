"""Numbers of persons in Europe: the forms they come in, and what only looks like them."""

from __future__ import annotations

import random

import pytest

from interceptors.scan.detectors.national_eastern_europe import NATIONAL_EASTERN_EUROPE
from interceptors.scan.detectors.national_europe import NATIONAL_EUROPE
from interceptors.scan.detectors.national_nordic import NATIONAL_NORDIC
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.scanner import Scanner

SCANNER = Scanner((*NATIONAL_EUROPE, *NATIONAL_NORDIC, *NATIONAL_EASTERN_EUROPE), StdlibEngine)


def found(text: str | bytes) -> list[tuple[str, bytes]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(finding.detector, data[finding.start : finding.end]) for finding in SCANNER.scan(data).findings]


@pytest.mark.parametrize(
    "text",
    [
        '{"bsn":"111222333"}',
        '{"bsn": 111222333}',
        '{"customerBsn": "111222333"}',
        '{"customer_bsn": "111222333"}',
        "bsn=111222333&x=1",
        "<bsn>111222333</bsn>",
        "bsn: '111222333'",
        "Het BSN is 111222333.",
        "burgerservicenummer (BSN): 111222333",
        '{"type": "BSN", "value": "111222333"}',
    ],
)
def test_a_word_may_be_a_key_or_stand_in_a_sentence(text: str) -> None:
    assert found(text) == [("nl_bsn", b"111222333")]


@pytest.mark.parametrize(
    "text",
    ['{"absnt": "111222333"}', '{"id": "111222333"}', '{"bsn_count": 3}', '{"bsn": "111222334"}'],
)
def test_a_bare_number_counts_under_its_word_only(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NINO QQ123456C", []),  # a prefix that is not issued
        ("AB 12 34 56 C", [("uk_nino", b"AB 12 34 56 C")]),
        ('{"lot": "AB123456C"}', []),
        ("batch no. AB123456C", []),
        ("ticket: NINO AB123456C", [("uk_nino", b"AB123456C")]),
        ("National Insurance: ab123456", [("uk_nino", b"ab123456")]),
        ("NHS no: 943-476-5919", [("uk_nhs_number", b"943-476-5919")]),
        ("943-476-5919", []),
        ("mobile 943 476 5919", []),
        ("+1 943 476 5919", []),
        ("943 476 5919 12", []),
        ("PPSN 6433435F", [("ie_pps", b"6433435F")]),
        ('"apps": "6433435F"', []),
        ("185057800608491", []),
        ("1 85 05 78 006 084 91", [("fr_nir", b"1 85 05 78 006 084 91")]),
        ("Número de sécurité sociale 185057800608491", [("fr_nir", b"185057800608491")]),
        ("DNI 12.345.678-Z", [("es_dni", b"12.345.678-Z")]),
        ("X-2482300-W", []),
        ("NIE: X-2482300-W", [("es_nie", b"X-2482300-W")]),
        ("/users/12345678Z/orders", [("es_dni", b"12345678Z")]),
        ("12345678Z@example.com", []),
        ("codice fiscale rcc mnl 83s18 d969h", [("it_codice_fiscale", b"rcc mnl 83s18 d969h")]),
        ("2026-11-22T10:11:12.123456789Z", []),
        ("steuerliche Identifikationsnummer 36 574 261 809", [("de_steuer_id", b"36 574 261 809")]),
        ("version 756.9217.0769.85.1", []),
        ("19811228-9874", [("se_personnummer", b"19811228-9874")]),
        ("20241122-1530", []),
        ("personnummer 20151122-2380", [("se_personnummer", b"20151122-2380")]),
        ("15 10 86 95088", []),
        ("151086 95088", [("no_fodselsnummer", b"151086 95088")]),
        ("CPR 2110625630", [("dk_cpr", b"2110625630")]),
        ("henkilötunnus: 131052-308T", [("fi_hetu", b"131052-308T")]),
        ("id=131052-308t", []),
        ("r.č. 710319/2745", [("cz_sk_rodne_cislo", b"710319/2745")]),
        ("/a/710319/2745", []),
        ("710319/2745/b", []),
        ("\u0415\u0413\u041d: 8032056031", [("bg_egn", b"8032056031")]),
        ("\u0391\u039c\u039a\u0391 01013099997", [("gr_amka", b"01013099997")]),
        ("OIB HR33392005961", [("hr_oib", b"HR33392005961")]),
    ],
)
def test_forms_and_what_only_looks_like_them(text: str, expected: list[tuple[str, bytes]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("word", "detector"),
    [("pesel", "pl_pesel"), ("isikukood", None), ("steuerId", None), ("rijksregisternummer", None)],
)
def test_numbers_of_one_shape_are_told_apart_by_their_word(word: str, detector: str | None) -> None:
    assert found(f'{{"{word}": "44051401359"}}') == ([(detector, b"44051401359")] if detector else [])


def test_one_digit_over_and_over_is_no_number() -> None:
    assert found('{"bsn": "000000000", "nhs": "1111111111", "oib": "00000000000"}') == []


def test_identifiers_of_machines_hold_none() -> None:
    chance = random.Random(7)
    texts = [
        f'{{"trace": "{chance.getrandbits(128):032x}", "span": "{chance.getrandbits(64):016X}", '
        f'"at": {1_790_000_000_000 + chance.getrandbits(32)}, "id": {chance.getrandbits(48)}, '
        f'"ratio": {chance.random()}, "when": "2026-11-22T10:11:12.{chance.randrange(10**6):06}Z"}}'
        for _ in range(2000)
    ]

    assert [text for text in texts if found(text)] == []
