"""Payment: card numbers, accounts, and what stands on a card beside its number."""

from __future__ import annotations

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.finding import Validation
from interceptors.scan.validators.digits import luhn


def _card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    return luhn(digits)


PAYMENT = (
    Detector(
        name="card_number",
        class_="payment.card",
        rules=(
            Rule(
                (r"\b[2-6][0-9]{11}", r"\b[2-6][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}"),
                r"(?<![0-9.+_-])(?P<id>[2-6][0-9]{3}(?:[0-9]{8,15}|[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{1,4}))"
                r"(?![0-9A-Za-z_-]|[.][0-9])",
            ),
        ),
        validator=checked(_card),
        validation=Validation.CHECKSUM,
        reason="issuer prefix and length, Luhn (ISO/IEC 7812-1)",
        examples=(b'{"card": "4111 1111 1111 1111"}', b'{"card": 4111111111111111}'),
        counter_examples=(b'{"card": "4111111111111112"}', b'{"x": 0.4111111111111111}'),
    ),
    Detector(
        name="card_code",
        class_="payment.card_code",
        rules=(after_word("cvv", "cvv2", "cvc", "card verification value", value="[0-9]{3,4}(?![0-9])"),),
        validation=Validation.KEY,
        reason="three or four digits under the name of a card verification code",
        examples=(b'{"cvv": "123"}', b'{"cardVerificationValue":123}', b"cvc=1234&x=1"),
        counter_examples=(b'{"cvv_ok": true}',),
    ),
)
