"""Payment: card numbers, what stands on a card beside its number, and accounts."""

from __future__ import annotations

import re
from dataclasses import replace

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.detectors.things import of_goods
from interceptors.scan.finding import Validation
from interceptors.scan.validators import banks
from interceptors.scan.validators.cards import card_number

_BEFORE = 64
"""How far before a number the word is looked for that says what it is."""
_CARD_WORDS = (
    *(
        "card",
        "card number",
        "card no",
        "card num",
        "karte",
        "carte",
        "tarjeta",
        "cartao",
        "ccn",
        "cc number",
    ),
    *("cc num", "visa", "mastercard", "maestro", "amex", "american express", "discover", "diners", "jcb"),
    *("unionpay", "rupay"),
)
_CARD_WORD = re.compile(
    rb"(?i)(?:card(?:.?n(?:umber|um|o))?|karte|carte|tarjeta|cartao|(?<![a-z])pan|ccn|cc.?num(?:ber)?|visa|mastercard"
    rb"|maestro|amex|american.?express|discover|diners|jcb|unionpay|rupay)(?-i:s?(?![a-z]))[^0-9,;{}&\n]{0,40}\Z"
)
_PAN = re.compile(rb"[0-9]{12,19}")
_NO_DIGIT = re.compile(rb"[^0-9]+")


def _card(match: re.Match[bytes]) -> bool:
    text, start = match["id"], match.start("id")
    digits = _NO_DIGIT.sub(b"", text).decode("ascii")
    grouped = len(digits) < len(text)
    # Part of a longer name, such as order-4111…, or a number of goods, unless that says card.
    joined = match.string[max(0, start - 1) : start] in {b"-", b"_"}
    other = joined or (not grouped and of_goods(match.string, start))
    if card_number(digits, alone=not grouped) and not other:
        return True
    window = match.string[max(0, start - _BEFORE) : start]
    return card_number(digits) and _CARD_WORD.search(window) is not None


def _track(match: re.Match[bytes]) -> bool:
    number = _PAN.search(match["id"])
    return number is not None and card_number(number[0].decode("ascii"))


# Digits: not among more of them, nor a fraction (`.0` is what becomes of a number among floats), an exponent,
# part of a longer name. Without a word only as many as cards mostly have: others are in every other message.
_WHOLE = r"(?![0-9A-Za-z_]|[+-][0-9A-Za-z]|[.](?!0(?![0-9]))[0-9])"
_BARE = f"(?P<id>[2-6][0-9]{{13,15}}+{_WHOLE})"
_WORDED = f"[2-689][0-9]{{11,18}}+{_WHOLE}"
_SEPARATORS = (" ", "-", "[.]", "/", "_", "  ", " - ", r"\xc2\xa0", r"\xe2\x80[\x89\x93\xaf]")
"""The last are spaces that break no line, in UTF-8, and a dash."""
_GROUPS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (6, 10), (8, 8), *((1,) * count for count in (16, 15, 14)))
_SPREAD = "|".join(
    separator.join(f"[0-9]{{{size}}}" for size in groups) for groups in _GROUPS for separator in _SEPARATORS
)
_SPREAD = f"(?=[2-689])(?:{_SPREAD})(?![0-9A-Za-z])"
_BARE_BEGIN = "[2-6][0-9]{13}"
_OPEN = "[^0-9A-Za-z.+_-]"
_FOURS = ("[2-689][0-9]{3}", "[0-9]{4}", "[0-9]{4}")
_NEITHER = r"(?![0-9A-Za-z_]|-[0-9A-Za-z]|[.][0-9])"


def _grouped(*groups: str) -> str:
    """Give the pattern of groups as on cards: one separator joins them, and no more groups of four follow."""
    forms = "|".join(separator.join(groups) for separator in (" ", "-", "[.]"))
    alone = "(?<![0-9A-Za-z.+])(?<![^0-9/][0-9]{4}[ -])(?<!^[0-9]{4}[ -])"
    return rf"{alone}(?P<id>{forms}){_NEITHER}(?![ -][0-9]{{4}}[ -][0-9]{{4}})"


def _account(match: re.Match[bytes]) -> bool:
    text = match["id"] if "id" in match.re.groupindex else match[0]
    return banks.iban(text.replace(b"\xc2\xa0", b" ").decode("ascii"))


def _iban() -> str:
    """Give the pattern of an IBAN: as many letters and digits as its country's have, however grouped."""
    by_length: dict[int, list[str]] = {}
    for country, length in banks.IBAN_LENGTHS.items():
        by_length.setdefault(length, []).append(country)
    forms = "|".join(
        f"(?:{'|'.join(countries)})[0-9]{{2}}(?:(?:[ -]|\\xc2\\xa0)?[0-9A-Z]){{{length - 4}}}"
        for length, countries in by_length.items()
    )
    return f"(?i:{forms}){_NEITHER}"


_IS = r"[ _.-]?(?:(?i:code|number|num|no|nr|value|val|is|was|and)[ _.:-]{0,2}){0,2}"

_TRACK_2 = r"[2-689][0-9]{11,18}[=Dd][0-9]{2}(?:0[1-9]|1[0-2])[0-9]{3}[0-9]{0,13}[Ff]?\??"

CARDS = (
    Detector(
        name="card_number",
        class_="payment.card",
        rules=(
            Rule((_OPEN + _BARE_BEGIN,), _OPEN + _BARE),
            Rule((f"^{_BARE_BEGIN}",), _BARE),
            after_word(*_CARD_WORDS, value=f"(?:{_WORDED}|{_SPREAD})"),
            # So that no `span_id` is looked at.
            replace(after_word("pan", value=_WORDED), triggers=(r"\b(?i:pan)[^a-z]",)),
            Rule(("[0-9]{4}[ .-][0-9]{4}[ .-][0-9]{4}",), _grouped(*_FOURS, "[0-9]{1,4}")),
            Rule(("[0-9]{4}[ .-][0-9]{4}[ .-][0-9]{4}",), _grouped(*_FOURS, "[0-9]{4}", "[0-9]{1,3}")),
            Rule(("3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4}",), _grouped("3[0-9]{3}", "[0-9]{6}", "[0-9]{4,5}")),
        ),
        validator=_card,
        validation=Validation.CHECKSUM,
        reason="an issuer's range and length, Luhn (ISO/IEC 7812-1)",
        context=("pan", *_CARD_WORDS),
        examples=(
            b'{"card": "4111 1111 1111 1111"}',
            b'{"card": 4111111111111111}',
            b"5500-0000-0000-0004 was declined",
            b"3782 822463 10005",
            b"371449635398431",
            b"2223003122003222",
            b'{"pan": "6759649826438453"}',
            b'{"cardNumber": "4222222222222"}',
            b"card_4111111111111111",
            b"4111.1111.1111.1111",
            b"order 12345 4111 1111 1111 1111",
            "card: 4111\u00a01111\u00a01111\u00a01111".encode(),
            b"Visa 411111 1111111111 12/30",
        ),
        counter_examples=(
            b'{"card": "4111111111111112"}',
            b'{"x": 0.4111111111111111}',
            b'{"x": 4.111111111111111e15, "y": 4111111111111111.5}',
            b'{"order": "order-4111111111111111"}',
            b'{"id": "4111111111111111a"}',
            b'{"gtin": "30569309025904"}',
            b'{"ean": 4006381333931, "trace": 4532015112830366000}',
            b'{"id": "41111111-1111-1111-1111-411111111111"}',
            b'{"ts": 1732296000000, "us": 1732296000000000}',
        ),
    ),
    Detector(
        name="card_track",
        class_="payment.track_data",
        rules=(
            Rule(
                (r"[0-9]\^[A-Za-z ]",),
                r"(?<![0-9A-Za-z])(?P<id>B[2-689][0-9]{11,18}\^[ -\]_-~]{2,26}\^"
                r"[0-9]{2}(?:0[1-9]|1[0-2])[0-9]{3}[0-9A-Za-z ]{0,40}\??)",
                before=19,
            ),
            Rule(("[0-9]{4}=[0-9]{7}",), rf"(?<![0-9A-Za-z])(?P<id>{_TRACK_2})(?![0-9A-Za-z])", before=15),
            after_word(
                *("track", "track data", "track equivalent"),
                value=f"{_TRACK_2}(?![0-9A-Za-z])",
                rest=r"[ _.-]?(?:[12]|(?i:two|data|tag|57)|[ _.-]){0,6}",
            ),
        ),
        validator=_track,
        validation=Validation.CHECKSUM,
        reason="track 1 or 2 of a card (ISO/IEC 7813): card number with Luhn, expiry, service code",
        examples=(
            b"%B4111111111111111^CARDHOLDER/TEST^30121011000000000?",
            b";4111111111111111=30121011000000000?",
            b'{"track2": "4111111111111111D30121011000000000F"}',
        ),
        counter_examples=(
            b";4111111111111112=30121011000000000?",
            b";4111111111111111=30131011000000000?",
            b"B4111111111111111^CARDHOLDER",
        ),
    ),
    Detector(
        name="card_code",
        class_="payment.card_code",
        rules=(
            after_word(
                *("cvv", "cvc", "cvn", "csc", "card code", "security code"),
                *("card verification", "verification value"),
                value=r"[0-9]{3,4}(?![0-9A-Za-z_]|[.:/-][0-9A-Za-z])",
                rest=f"2?{_IS}",
            ),
        ),
        validation=Validation.KEY,
        reason="three or four digits under the name of a card's verification code",
        context=("cvv", "cvc", "cvn", "csc", "security code", "card verification value"),
        examples=(
            b'{"cvv": "123"}',
            b'{"cardVerificationValue":123}',
            b"cvc=1234&x=1",
            b"CVV2 is 123",
            b"<securityCode>1234</securityCode>",
        ),
        counter_examples=(
            b'{"cvv_ok": true}',
            b'{"cvv": 12345}',
            b'{"cvv_attempts_at": "2026"}',
            b'{"sku": "CVV-3652-JGCZ"}',
        ),
    ),
)

_NUMBER = r"(?![0-9A-Za-z_]|[.-][0-9])"
_ABA = f"(?:[0-9]{{9}}|[0-9]{{4}}-[0-9]{{4}}-[0-9]){_NUMBER}"

ACCOUNTS = (
    Detector(
        name="iban",
        class_="payment.bank_account",
        rules=(
            Rule(
                (
                    r"\b[A-Z]{2}[0-9]{2}[0-9A-Z]{11}",
                    r"\b[A-Z]{2}[0-9]{2}[ -][0-9A-Z]{4}[0-9A-Z -][0-9A-Z]{3}",
                ),
                f"(?<![0-9A-Za-z_]){_iban()}",
            ),
            # What is asked first keeps the long pattern from being tried for nothing.
            after_word("iban", value=f"(?=[A-Za-z]{{2}}[0-9]{{2}}){_iban()}", rest=_IS),
        ),
        validator=_account,
        validation=Validation.CHECKSUM,
        reason="a country's length and form (ISO 13616-1), mod 97 (ISO/IEC 7064)",
        examples=(
            b'{"iban": "DE89370400440532013000"}',
            b"IBAN GB29 NWBK 6016 1331 9268 19 is yours",
            b"iban=de89370400440532013000",
            b"NO93-8601-1117-947",
            b"BE68 5390 0754 7034 KBC",
            b"DE89 37040044 0532013000",
            "IBAN: DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000".encode(),
        ),
        counter_examples=(
            b'{"iban": "DE89370400440532013001"}',
            b'{"iban": "DE8937040044053201300"}',
            b"XDE89370400440532013000",
            b"De89370400440532013000",
            b'{"sku": "GB29-NWBK-6016"}',
        ),
    ),
    Detector(
        name="bank_account_number",
        class_="payment.bank_account",
        rules=(
            after_word(
                *("account number", "account no", "account num", "account nr", "acct number", "acct no"),
                *("acct num", "acct", "bank account", "checking account", "savings account", "kontonummer"),
                value=rf"[0-9](?:-?[0-9]){{5,16}}{_NUMBER}",
                rest=r"[ _.#-]{0,2}(?:(?i:number|num|no|nr|is|was|and)[ _.:#-]{0,2}){0,2}",
            ),
        ),
        validation=Validation.KEY,
        reason="6 to 17 digits under the name of an account's number",
        context=("account number", "acct no", "bank account", "kontonummer"),
        examples=(
            b'{"account_number": "000123456789"}',
            b"Account No. 12-345678",
            b"<bankAccountNumber>12345678</bankAccountNumber>",
            b"acct=12345678",
        ),
        counter_examples=(
            b'{"account_number": "A1B2C3"}',
            b'{"account_id": 123456789}',
            b'{"accountNumber": 12345}',
            b'{"discount_number": 12345678}',
        ),
    ),
    Detector(
        name="mx_clabe",
        class_="payment.bank_account",
        rules=(after_word("clabe", value=f"[0-9]{{18}}{_NUMBER}"),),
        validator=checked(banks.mx_clabe),
        validation=Validation.CHECKSUM,
        reason="18 digits under the name CLABE, check digit",
        context=("clabe",),
        examples=(b'{"clabe": "032180000118359719"}', b"CLABE interbancaria: 002010077777777771"),
        counter_examples=(b'{"clabe": "032180000118359718"}', b'{"id": "032180000118359719"}'),
    ),
    Detector(
        name="us_routing_number",
        class_="payment.bank_routing",
        rules=(
            after_word(
                *("routing number", "routing no", "routing num", "routing code", "routing transit"),
                *("rtn", "aba number", "aba routing", "bank routing", "transit number"),
                value=_ABA,
            ),
            # So that neither a `routing_key` nor a digest with these letters is looked at.
            replace(after_word("routing", value=_ABA, rest=""), triggers=("(?i:routing)[^A-Za-z_-]",)),
            replace(after_word("aba", value=_ABA), triggers=(r"\b(?i:aba)\b",)),
        ),
        validator=checked(banks.us_routing_number),
        validation=Validation.CHECKSUM,
        reason="nine digits under the name of a routing number, a prefix of the Fed's, check digit (ABA)",
        context=("routing number", "aba", "rtn"),
        examples=(
            b'{"routing_number": "021000021"}',
            b"ABA 0110-0001-5",
            b'{"routing":"121000248"}',
            b"routing number is 121000248",
        ),
        counter_examples=(
            b'{"routing_number": "021000022"}',
            b'{"routing_number": "500000005"}',
            b'{"id": "021000021"}',
            b'{"routing_number": "000000000"}',
        ),
    ),
    Detector(
        name="bic",
        class_="payment.bank_routing",
        rules=(
            after_word(
                *("bic", "swift", "bank identifier"),
                value=r"[A-Z]{6}[0-9A-Z]{2}(?:[0-9A-Z]{3})?(?![0-9A-Za-z_-])",
                rest=r"[ _./-]?(?:(?i:code|number|no|bic|swift|id|address|is)[ _.)/-]{0,2}){0,2}",
            ),
        ),
        validator=checked(banks.bic),
        validation=Validation.STRUCTURE,
        reason="a BIC's form with a country in it, under its name (ISO 9362)",
        context=("bic", "swift"),
        examples=(
            b'{"bic": "DEUTDEFF500"}',
            b"SWIFT/BIC: CHASUS33",
            b"swift_code=NEDSZAJJ",
            b'{"bankBic": "DEUTDEFF"}',
        ),
        counter_examples=(
            b'{"bic": "DEUTQQFF"}',
            b"DEUTDEFF500",
            b"SWIFT delivery",
            b'{"bic": "DEUTDEFF50"}',
        ),
    ),
    Detector(
        name="uk_sort_code",
        class_="payment.bank_routing",
        rules=(
            after_word("sort code", value=f"(?:[0-9]{{6}}|[0-9]{{2}}[ -][0-9]{{2}}[ -][0-9]{{2}}){_NUMBER}"),
        ),
        validation=Validation.KEY,
        reason="six digits under the name of a British sort code",
        context=("sort code",),
        examples=(b'{"sort_code": "20-00-00"}', b"sortCode=200000"),
        counter_examples=(b'{"sort_code": 1}', b"20-00-00"),
    ),
    Detector(
        name="in_ifsc",
        class_="payment.bank_routing",
        rules=(after_word("ifsc", value=r"[A-Z]{4}0[0-9A-Z]{6}(?![0-9A-Za-z_-])"),),
        validation=Validation.KEY,
        reason="the form of an Indian branch's code under its name (IFSC)",
        context=("ifsc",),
        examples=(b'{"ifsc": "SBIN0000001"}', b"IFSC code HDFC0000123"),
        counter_examples=(b'{"ifsc": "SBIN1000001"}', b"SBIN0000001"),
    ),
)

PAYMENT = (*CARDS, *ACCOUNTS)
"""All of this file."""
