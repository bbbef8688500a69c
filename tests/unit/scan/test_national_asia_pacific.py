"""Numbers of persons in Asia, the Pacific and Africa: their forms, and what only looks like them."""

from __future__ import annotations

import pytest

from interceptors.scan.detectors.national_asia_pacific import NATIONAL_ASIA_PACIFIC
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.scanner import Scanner

SCANNER = Scanner(NATIONAL_ASIA_PACIFIC, StdlibEngine)


def found(text: str) -> list[tuple[str, bytes]]:
    data = text.encode()
    return [(finding.detector, data[finding.start : finding.end]) for finding in SCANNER.scan(data).findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2341 2341 2346", [("in_aadhaar", b"2341 2341 2346")]),
        ("2341-2341-2346", []),  # as order numbers do
        ("Aadhaar 2341-2341-2346", [("in_aadhaar", b"2341-2341-2346")]),
        ("2341-2341 2346", []),
        ("234123412346", []),
        ("aadhaar_number: 234123412346", [("in_aadhaar", b"234123412346")]),
        ("2341 2341 2346 0003", []),  # a longer number, such as a card's
        ("0003 2341 2341 2346", []),
        ("PAN: ABCDE1234F", [("in_pan", b"ABCDE1234F")]),
        ('{"customerPan": "abcde1234f"}', [("in_pan", b"abcde1234f")]),
        ('{"spanId": "ABCDE1234F"}', []),
        ("ABCDE1234F", []),
        ("ABCPE1234F", [("in_pan", b"ABCPE1234F")]),
        ("ABCPE1234F1", []),
        ("TFN 123 456 782", [("au_tfn", b"123 456 782")]),
        ("123 456 782", []),
        ("83 914 571 673", [("au_abn", b"83 914 571 673")]),
        ("83914571673", []),
        ("Medicare card 2123 45670 1", [("au_medicare", b"2123 45670 1")]),
        ("IRD number 49-091-850", [("nz_ird", b"49-091-850")]),
        ("a third 49091850", []),
        ("S1234567D", [("sg_nric", b"S1234567D")]),
        ("s1234567d", []),
        ("NRIC: s1234567d", [("sg_nric", b"s1234567d")]),
        ("NRIC: 770305-02-1234", [("my_nric", b"770305-02-1234")]),
        ("971013-9019902", [("kr_rrn", b"971013-9019902")]),
        ("210304-3000005", []),  # has no check digit
        ("RRN 210304-3000005", [("kr_rrn", b"210304-3000005")]),
        ("マイナンバー: 123456789018", [("jp_my_number", b"123456789018")]),
        ('{"תעודת זהות": "039337423"}', [("il_identity_number", b"039337423")]),
        ("身分證號 A123456789", [("tw_national_id", b"A123456789")]),
        ("My Number is 1234 5678 9018", [("jp_my_number", b"1234 5678 9018")]),
        ("11010519491231002X", [("cn_resident_id", b"11010519491231002X")]),
        ("1790000000000", []),
        ("AB987654(3)", [("hk_hkid", b"AB987654(3)")]),
        ("HKID AB9876543", [("hk_hkid", b"AB9876543")]),
        ("A123456789", []),
        ('{"national_id": "A123456789"}', [("tw_national_id", b"A123456789")]),
        ('{"nationalId": "3100600445635"}', [("th_national_id", b"3100600445635")]),
        ('{"nationalId": "7503305044089"}', [("za_id_number", b"7503305044089")]),
        ("Teudat Zehut: 039337423", [("il_identity_number", b"039337423")]),
    ],
)
def test_forms_and_what_only_looks_like_them(text: str, expected: list[tuple[str, bytes]]) -> None:
    assert found(text) == expected


def test_one_digit_over_and_over_is_no_number() -> None:
    assert found('{"tfn": "000000000", "idNumber": "0000000000000"}') == []
