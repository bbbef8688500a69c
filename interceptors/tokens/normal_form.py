"""The normal form of identifiers: what is the same identifier however it is written.

Only where the class's own standard says that two spellings are one. Whatever else people do to identifiers
(leave out a country's code, write a mail address in capitals) makes another token, and never joins two
identifiers that are not the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SEPARATORS = re.compile(rb"[ -]+")
_CARD = re.compile(rb"[0-9]{12,19}")
_IBAN = re.compile(rb"[A-Za-z]{2}[0-9]{2}[0-9A-Za-z]{10,30}")
_PHONE_SEPARATORS = re.compile(rb"[ ().-]+")
_PHONE = re.compile(rb"\+[0-9]{7,15}")


def normal_form(class_: str, identifier: bytes) -> bytes:
    """Give an identifier as it is written where there is one way to write it.

    Args:
        class_: what it is, such as `personal.email`.
        identifier: its text.

    Returns:
        For `personal.email`, the domain in lower case (RFC 5321, section 2.4: the local part may tell cases
        apart); for `payment.card`, the digits alone (ISO/IEC 7812); for `payment.bank_account`, an IBAN in
        its electronic form (ISO 13616: capitals, no spaces); for `personal.phone`, a number with its `+`
        without visual separators (RFC 3966, section 5.1.1). All else as it is.
    """
    form = _FORMS.get(class_)
    return identifier if form is None else form(identifier)


def form_of(class_: str) -> str:
    """Give the class whose normal form the identifiers of a class have; empty where they count as they are.

    Args:
        class_: as for `normal_form`.
    """
    return class_ if class_ in _FORMS else ""


def _email(identifier: bytes) -> bytes:
    local, at, domain = identifier.rpartition(b"@")
    return local + at + domain.lower() if at else identifier


def _card(identifier: bytes) -> bytes:
    return _fitting(_CARD, _SEPARATORS.sub(b"", identifier), identifier)


def _bank_account(identifier: bytes) -> bytes:
    return _fitting(_IBAN, _SEPARATORS.sub(b"", identifier), identifier).upper()


def _phone(identifier: bytes) -> bytes:
    return _fitting(_PHONE, _PHONE_SEPARATORS.sub(b"", identifier), identifier)


def _fitting(pattern: re.Pattern[bytes], bare: bytes, otherwise: bytes) -> bytes:
    return bare if pattern.fullmatch(bare) else otherwise


_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "payment.bank_account": _bank_account,
    "payment.card": _card,
    "personal.email": _email,
    "personal.phone": _phone,
}
