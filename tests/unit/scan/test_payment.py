from __future__ import annotations

import json
import random

import pytest

from interceptors.scan.detectors.payment import PAYMENT
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.scanner import Scanner

CARD = b"4111111111111111"


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(PAYMENT, StdlibEngine)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"%s",
            b'"%s"',
            b"%s.",
            b"(%s)",
            b"[%s,1]",
            b"card:%s",
            b"pan=%s&x=1",
            b"<pan>%s</pan>",
            b"/cards/%s/charges",
        ),
        *(
            b'{"amount": 12.5, "n": %s}',
            b"no\t%s\n",
            b"%s.0",
            b"PAN:%s;",
            b"card_%s",
            b"card-%s",
            b"\xc3\xbc%s",
        ),
        *(b"2026-11-22 10:11:12 %s declined", b"%s - Visa", b"%s,%%"),
    ],
)
def test_a_card_number_counts_wherever_a_value_may_stand(scanner: Scanner, text: bytes) -> None:
    found = scanner.scan(text.replace(b"%%", b"x").replace(b"%s", CARD)).findings

    assert [each.class_ for each in found] == ["payment.card"]
    start = text.index(b"%s")
    assert (found[0].start, found[0].end) == (start, start + len(CARD))


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"order-%s",
            b"id_%s",
            b"x%s",
            b"%sx",
            b"%s_1",
            b"%s-a",
            b"0%s",
            b"%s0",
            b"0.%s",
            b"-1.%s",
            b"%s.5",
            b"%se3",
        ),
        *(b"+%s", b"tx/ab%s", b"550e8400-%s", b"%s-446655440000"),
    ],
)
def test_a_card_number_within_something_longer_does_not(scanner: Scanner, text: bytes) -> None:
    assert scanner.scan(text % CARD).findings == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"4111 1111 1111 1111", b"4111-1111-1111-1111", b"3782 822463 10005", b"3714 4963 5398 431"),
        *(b"3056 930902 5904", b"6205 5000 0000 0000 004"),
    ],
)
def test_groups_as_on_cards_are_found_whole(scanner: Scanner, text: bytes) -> None:
    for around in (b"%s", b'{"note": "paid with %s today"}', b"%s 123", b"%s 12/30"):
        found = scanner.scan(around % text).findings
        assert [(each.class_, each.end - each.start) for each in found] == [("payment.card", len(text))]


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"4111 1111-1111 1111",
            b"4111  1111 1111 1111",
            b"41111111 1111 1111",
            b"1234 4111 1111 1111 1111",
        ),
        *(b"4111 1111 1111 1111 1111 1111", b"order-4111-1111-1111-1111", b"4111-1111-1111-1111-1"),
    ],
)
def test_other_groups_are_no_card(scanner: Scanner, text: bytes) -> None:
    assert scanner.scan(text).findings == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"4111.1111.1111.1111", b"411111 1111111111", b"41111111 11111111", b"4111  1111  1111  1111"),
        *(b"4111/1111/1111/1111", b"4111_1111_1111_1111", b"4111 - 1111 - 1111 - 1111", b"3782.822463.10005"),
        *(b"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", b"3-7-8-2-8-2-2-4-6-3-1-0-0-0-5"),
        *("4111\u00a01111\u00a01111\u00a01111".encode(), "4111\u20131111\u20131111\u20131111".encode()),
    ],
)
def test_beside_a_word_a_card_number_may_be_written_in_many_ways(scanner: Scanner, text: bytes) -> None:
    for around in (b"Card %s was charged", b'{"card": "%s"}', b"visa: %s 12/30"):
        found = scanner.scan(around % text).findings
        assert [(each.class_, each.end - each.start) for each in found] == [("payment.card", len(text))]


@pytest.mark.parametrize("before", [b"order 12345 ", b"2026-11-22 ", b"exp 12/2027 ", b"qty 1 "])
def test_another_number_may_stand_before_groups_as_on_cards(scanner: Scanner, before: bytes) -> None:
    text = before + b"4111 1111 1111 1111"

    assert [text[each.start : each.end] for each in scanner.scan(text).findings] == [b"4111 1111 1111 1111"]


@pytest.mark.parametrize("key", [b"gtin", b"trackingNumber", b"serial_no", b"offset"])
def test_a_number_of_goods_is_a_card_only_where_it_says_so(scanner: Scanner, key: bytes) -> None:
    assert scanner.scan(b'{"%s": "%s"}' % (key, CARD)).findings == []
    assert len(scanner.scan(b'{"%s": "card %s"}' % (key, CARD)).findings) == 1


@pytest.mark.parametrize("separator", [b" ", b"-", "\u00a0".encode()])
def test_under_its_name_an_iban_may_have_any_space(scanner: Scanner, separator: bytes) -> None:
    text = separator.join([b"DE89", b"3704", b"0044", b"0532", b"0130", b"00"])

    found = scanner.scan(b"IBAN: %s, BIC follows" % text).findings

    assert [(each.detector, each.end - each.start) for each in found] == [("iban", len(text))]


@pytest.mark.parametrize("digits", [b"4222222222222", b"4000000000000000006", b"676700000000"])
def test_numbers_of_other_lengths_count_beside_a_word_alone(scanner: Scanner, digits: bytes) -> None:
    for text in (b'{"cardNumber": "%s"}', b"debit card %s", b"pan=%s", b"Visa: %s", b'"cards": ["%s"]'):
        assert [each.class_ for each in scanner.scan(text % digits).findings] == ["payment.card"]
    for text in (b'{"ean": "%s"}', b'{"trace_id": %s}', b'{"card": "gold", "id": %s}', b"discard %s"):
        assert scanner.scan(text % digits).findings == []


def test_what_is_read_from_a_card_is_one_finding(scanner: Scanner) -> None:
    for text in (
        b"%%B%s^CARDHOLDER/TEST ^30121011000000000?",
        b";%s=30121011000000000?",
        b"track2: %sD30121011F",
    ):
        found = scanner.scan(text % CARD).findings
        assert [each.class_ for each in found] == ["payment.track_data"]
        assert found[0].end == len(text % CARD)


@pytest.mark.parametrize("separator", [b"", b" ", b"-"])
def test_an_iban_ends_where_its_country_says(scanner: Scanner, separator: bytes) -> None:
    number = separator.join([b"BE68", b"5390", b"0754", b"7034"])

    found = scanner.scan(b"IBAN " + number + b" BANK AG").findings

    assert [(each.detector, each.start, each.end) for each in found] == [("iban", 5, 5 + len(number))]


def test_a_bank_account_by_its_parts(scanner: Scanner) -> None:
    text = b'{"routingNumber": "021000021", "accountNumber": "000123456789", "bic": "CHASUS33", "cvv": "123"}'

    assert [each.detector for each in scanner.scan(text).findings] == [
        "us_routing_number",
        "bank_account_number",
        "bic",
        "card_code",
    ]


def test_machine_made_numbers_hold_nothing(scanner: Scanner) -> None:
    draw = random.Random(20261122)
    for _ in range(500):
        message = {
            "trace": f"{draw.getrandbits(128):032x}",
            "dd": draw.getrandbits(63) | 1 << 60,
            "sha": f"{draw.getrandbits(256):064X}",
            "ms": 1_700_000_000_000 + draw.randrange(10**11),
            "ns": 1_700_000_000_000_000_000 + draw.randrange(10**17),
            "ean": f"{draw.randrange(10**13):013}",
            "at": [draw.uniform(-180, 180), draw.random()],
            "sku": f"AB-{draw.randrange(10**4):04}-{draw.randrange(10**4):04}",
        }
        assert scanner.scan(json.dumps(message).encode()).findings == []
