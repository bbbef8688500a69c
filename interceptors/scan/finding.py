"""What a scan found, and whether it saw all there is."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Validation(StrEnum):
    """What speaks for a finding besides its looks, the strongest first."""

    CHECKSUM = "checksum"
    """A check digit or checksum is right."""
    STRUCTURE = "structure"
    """It was parsed or decoded, or lies within the ranges that are issued."""
    PATTERN = "pattern"
    """A prefix or form that nothing else has."""
    KEY = "key"
    """The name beside it says what it is."""


class Finding(NamedTuple):
    """An identifier that was found: what it is and where it lies, never its text nor a digest of it."""

    detector: str
    """The detector's name, such as `iban`."""
    class_: str
    """Its class, such as `payment.bank_account`."""
    start: int
    """Where it begins: bytes from the start of the record as it lies (compressed, escaped, encoded)."""
    end: int
    """Where it ends: the first byte after it."""
    validation: Validation
    """What was checked."""
    reason: str
    """Why it counts: a text of the detector's, the same for all that it finds."""
    path: str = ""
    """Where in the document, such as `$.customer.email`; empty where the format has no paths. A name that may
    itself be an identifier is shown as `*`: one that holds a finding or many digits, or is no plain word. A
    person's name that is written as a word, such as `jo_doe`, is shown."""
    part: str = "body"
    """Which part of a message it is in: `body`, `key`, or `headers` and the header's name as in a path."""


class Unscanned(StrEnum):
    """Why a scan did not see all there is."""

    BYTES = "more bytes than the budget allows"
    TIME = "the time budget is spent"
    FINDINGS = "more findings than are kept"
    NOT_BYTES = "the body is not bytes yet"
    DEPTH = "nested deeper than is looked into"
    CODEC = "compressed in a way that can't be read here"
    FORM = "something can't be replaced in this format"
    PLACES = "places can't be told in this format"


class Scan(NamedTuple):
    """The outcome of a scan."""

    findings: tuple[Finding, ...] = ()
    """What was found, in the order of the record."""
    unscanned: Unscanned | None = None
    """Why not all was seen; None where it was."""
