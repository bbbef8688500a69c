"""DataFog, with its engine of regular expressions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from interceptors.evaluation.peers.peer import PRIVATE, Entity, Kind, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "DataFog"

KINDS = {
    "CREDIT_CARD": Kind("payment.card", "card_number"),
    "DE_IBAN": Kind("payment.bank_account", "iban"),
    "DE_TAX_ID": Kind("personal.tax_id", "de_tax_id"),
    "EMAIL": Kind("personal.email", "email"),
    "IP_ADDRESS": Kind("network.ip"),
    PRIVATE + "IP_ADDRESS": Kind("network.private_ip"),
    "PHONE": Kind("personal.phone", "phone"),
    "SSN": Kind("personal.national_id", "us_ssn"),
}


def load() -> Peer:
    """Load it.

    Raises:
        ImportError: it is not installed.
    """
    scan = import_module("datafog").scan

    def find(text: str) -> Iterator[Entity]:
        for entity in scan(text, engine="regex", locales=["de"]).entities:
            yield Entity(entity.type, entity.start, entity.end)

    return Peer(NAME, KINDS, find)
