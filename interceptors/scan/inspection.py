"""One record, whatever its format: what was found in it, and how to take that out."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.detectors import DETECTORS
from interceptors.scan.engines import best_engine
from interceptors.scan.finding import Unscanned
from interceptors.scan.formats import json
from interceptors.scan.formats.dispatch import Format, is_bare
from interceptors.scan.formats.encoded import ENCODED
from interceptors.scan.looking import Look, rewritten
from interceptors.scan.scanner import Scanner
from interceptors.scan.treatment import Treatment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from interceptors.scan.detector import Detector
    from interceptors.scan.engine import Engine
    from interceptors.scan.finding import Finding
    from interceptors.scan.looking import Found, Place
    from interceptors.scan.token import Token

__all__ = ["Format", "Inspection", "Inspector", "Limits", "Treatment"]

_ROUNDS = 4
"""How often a record is looked into again after something in it was replaced."""


class Limits(NamedTuple):
    """How much is looked into."""

    bytes: int = 1 << 20
    """Of a record, and of all that is decoded or decompressed from it."""
    depth: int = 4
    """Of encodings within encodings."""


class Inspection:
    """What was found in a record. Holds the record, so it is not kept; its findings are what is."""

    __slots__ = ("_again", "_body", "_found", "findings", "unscanned")

    def __init__(
        self,
        body: bytes,
        found: list[Found],
        unscanned: Unscanned | None,
        again: tuple[Inspector, Format, bytes, Callable[[], bool] | None],
    ) -> None:
        """Keep.

        Args:
            body: the record.
            found: what was found in it.
            unscanned: why not all of it was scanned, if so.
            again: what looks into the record after something was replaced, and how.
        """
        self._body = body
        self._found = found
        self._again = again
        self.findings: tuple[Finding, ...] = tuple([each.finding for each in found]) if found else ()
        self.unscanned = unscanned

    def replaced(
        self,
        choose: Callable[[Finding], Treatment],
        tokenize: Callable[[Finding, bytes], Token | None] | None = None,
    ) -> bytes | None:
        """Give the record with some findings replaced.

        What comes out is looked into again, and what is found then is replaced too: where two identifiers
        overlap, the rest of one may still be one. Where there is no time left for that, `unscanned` says so.

        Args:
            choose: what becomes of a finding.
            tokenize: gives what stands for a text, where `choose` may ask for a token; None for a mask.

        Returns:
            The record, of the same format; None where its form allows no replacement.
        """

        def text(found: Found, place: Place) -> bytes | None:
            treatment = choose(found.finding)
            if treatment is Treatment.KEEP or place.view is None:
                return None
            token = None
            if treatment is Treatment.TOKEN and tokenize is not None:
                token = tokenize(found.finding, place.view.data[place.start : place.end])
            return place.view.replacement(place.start, place.end, token)

        body, found = self._body, self._found
        inspector, kind, own, spent = self._again
        unscanned = self.unscanned
        for _ in range(_ROUNDS):
            changed = rewritten(body, found, text)
            if changed is None or changed is body or unscanned is Unscanned.TIME:
                return changed
            again = inspector.inspect(changed, format=kind, own=own, spent=spent)
            body, found, unscanned = changed, again._found, again.unscanned  # noqa: SLF001 - its own kind
            if unscanned is Unscanned.TIME:
                self.unscanned = self.unscanned or unscanned
        return body

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
        self._scanner = _compiled(tuple(chosen), best_engine())
        self._limits = limits

    def with_limits(self, limits: Limits) -> Inspector:
        """Give one that looks for the same, but not as far, or farther; nothing is compiled again."""
        other = copy(self)
        other._limits = limits  # noqa: SLF001 - its own kind
        return other

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
        limit, depth = self._limits
        again = (self, format, own, spent)
        told = json.begins(body) if format is Format.AUTO else format is Format.JSON
        if told and len(body) <= limit and is_bare(body):
            # The way of most messages: nothing of it costs more than the scan itself.
            scanned = self._scanner.scan(body, own=own, spent=spent)
            if not scanned.findings and not scanned.encoded:
                return Inspection(body, [], scanned.unscanned, again)
            look = Look(self._scanner, limit, own, spent, paths=paths)
            found = look.bare(body, scanned, depth)
        else:
            look = Look(self._scanner, limit, own, spent, paths=paths)
            found = look.record(body, format, depth)
        return Inspection(body, found, look.unscanned, again)


@lru_cache(maxsize=8)
def _compiled(detectors: tuple[Detector, ...], engine: Callable[[Sequence[str]], Engine]) -> Scanner:
    """Compile once in a process what several policies look for: it takes most of a second."""
    return Scanner(detectors, engine, encoded=ENCODED)
