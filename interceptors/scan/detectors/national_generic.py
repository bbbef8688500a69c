"""Numbers of persons of any country, under a name that says no more than that."""

from __future__ import annotations

from interceptors.scan.detector import Detector
from interceptors.scan.detectors.national_rules import named
from interceptors.scan.finding import Validation

NATIONAL_GENERIC = (
    Detector(
        name="national_id",
        class_="personal.national_id",
        rules=named(
            "national id",
            "national identification",
            "national identity",
            "identity card",
            "id card",
            "citizen id",
            # five digits or more, with few letters and separators
            value="(?=(?:[A-Za-z ./-]{0,3}[0-9]){5})[0-9A-Za-z](?:[ ./-]?[0-9A-Za-z]){5,17}",
        ),
        validation=Validation.KEY,
        reason="five digits or more under the name of a national identity number",
        context=("national id", "national identity", "identity card", "id card", "citizen id"),
        examples=(
            b'{"nationalId": "79927398713"}',
            b"national_identification_number=12-3456789-0",
            b"ID card no. L01X00T47",
        ),
        counter_examples=(
            b'{"national_id_verified": true}',
            b'{"nationalId": "unknown"}',
            b'{"nationalId": "6f1c2b34-5d6e-4f70-8a91-b2c3d4e5f607"}',
        ),
    ),
)
"""Of no country in particular."""
