"""One record, whatever its format: its views, what was found in them, and how to take that out."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.detectors import DETECTORS
from interceptors.scan.engines import best_engine
from interceptors.scan.formats.plain import PlainView
from interceptors.scan.formats.view import Edit, spliced
from interceptors.scan.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.scan.detector import Detector
    from interceptors.scan.finding import Finding, Unscanned


class Format(StrEnum):
    """What a record is."""

    AUTO = "auto"
    """Told by its first bytes; what is not known is scanned as bytes."""
    JSON = "json"
    TEXT = "text"
    FORM = "form"
    """application/x-www-form-urlencoded"""
    CSV = "csv"
    """With names in the first row."""
    MESSAGEPACK = "messagepack"
    REGISTRY = "registry"
    """Avro or Protobuf behind the five bytes of a schema registry."""
    BYTES = "bytes"


class Treatment(StrEnum):
    """What becomes of a finding's text."""

    KEEP = "keep"
    MASK = "mask"
    TOKEN = "token"  # noqa: S105 - the name of a treatment


class Limits(NamedTuple):
    """How much is looked into."""

    bytes: int = 1 << 20
    """Of a record, and of all that is decoded or decompressed from it."""
    depth: int = 4
    """Of encodings within encodings."""


class Inspection:
    """What was found in a record. Holds the record, so it is not kept; its findings are what is."""

    def __init__(self, body: bytes, findings: tuple[Finding, ...], unscanned: Unscanned | None) -> None:
        """Keep."""
        self._body = body
        self.findings = findings
        self.unscanned = unscanned

    def replaced(
        self, choose: Callable[[Finding], Treatment], digest: Callable[[bytes], bytes] | None = None
    ) -> bytes | None:
        """Give the record with some findings replaced.

        Args:
            choose: what becomes of a finding.
            digest: makes the digest (10 bytes or more) of a text, where `choose` may ask for a token.

        Returns:
            The record, of the same format; None where its form allows no replacement.
        """
        view = PlainView(self._body)
        edits = []
        for finding in self.findings:
            treatment = choose(finding)
            if treatment is Treatment.KEEP:
                continue
            text = self._body[finding.start : finding.end]
            digested = digest(text) if treatment is Treatment.TOKEN and digest is not None else None
            replacement = view.replacement(finding.start, finding.end, digested)
            edits.append(Edit(finding.start, finding.end, replacement))
        return spliced(self._body, edits)

    def __repr__(self) -> str:
        """Show nothing of the record."""
        return f"Inspection(findings={len(self.findings)}, unscanned={self.unscanned!r})"


class Inspector:
    """Looks into records. Safe between threads and after a fork."""

    def __init__(
        self,
        detectors: Iterable[Detector] | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 - immutable
    ) -> None:
        """Compile.

        Args:
            detectors: what to look for; by default all that are on where nothing is said.
            limits: how much is looked into.
        """
        chosen = [detector for detector in DETECTORS if detector.default] if detectors is None else detectors
        self._scanner = Scanner(chosen, best_engine)
        self._limits = limits

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """What is looked for."""
        return self._scanner.detectors

    def inspect(
        self,
        body: bytes,
        *,
        format: Format = Format.AUTO,  # noqa: A002 - the word for it
        paths: bool = True,
        own: bytes = b"",
        spent: Callable[[], bool] | None = None,
    ) -> Inspection:
        """Look into a record.

        Args:
            body: the record as it lies.
            format: what it is.
            paths: whether findings are to have their path.
            own: the message's own trace id in hex, which is looked for as well; empty for none.
            spent: says whether the time is over.

        Returns:
            What was found. Nothing is raised, whatever the record holds.
        """
        _ = format, paths
        scanned = self._scanner.scan(body, own=own, spent=spent)
        return Inspection(body, tuple(scanned.findings), scanned.unscanned)
