"""Personal."""

from __future__ import annotations

from interceptors.scan.detector import Detector, Rule
from interceptors.scan.finding import Validation

PERSONAL = (
    Detector(
        name="email",
        class_="personal.email",
        rules=(
            Rule(
                (r"[A-Za-z0-9_%+/=!#$&'*?^`{|}~-]@[A-Za-z0-9\[]",),
                r"(?<![A-Za-z0-9_.%+-])[A-Za-z0-9_%+-][A-Za-z0-9_.%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])",
                before=63,
            ),
        ),
        validation=Validation.PATTERN,
        reason="local part, @ and a domain name (RFC 5321)",
        examples=(b'{"to": "jane.doe@example.com"}',),
        counter_examples=(b"@example.com", b"a@b"),
    ),
)
