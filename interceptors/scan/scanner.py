"""From bytes to findings: triggers first, then the pattern and the validator where one lies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.detector import widest, width_of
from interceptors.scan.finding import Finding, Unscanned, Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from interceptors.scan.detector import Detector, Rule, Validator
    from interceptors.scan.engine import Engine, Hit

_BLOCK = 1 << 16
"""How much goes through the engine at once, so that what it gives stays small however large the body is."""
_KEPT = 1000
"""How many findings of one body are kept. A body with more is no slip."""
_ASKED_EVERY = 8
"""After how many hits the time is asked for again."""
OWN_TRACE_ID = Finding(
    "own_trace_id", "trace.context", 0, 0, Validation.STRUCTURE, "the id of the message's own trace"
)
"""The one finding that no detector can describe: what it looks for is another for each message."""
_STRENGTH = {validation: rank for rank, validation in enumerate(reversed(Validation))}


class _Probe(NamedTuple):
    """What is tried where a trigger lies."""

    detector: Detector | None
    """None for what is not reported but looked into: an encoded text."""
    pattern: re.Pattern[bytes]
    group: str | int
    width: int
    """Of the trigger."""
    before: int
    ahead: re.Pattern[bytes] | None
    """Has to match at the trigger's begin, before the search around it is worth its time."""
    edge: bytes
    """No match holds it before the trigger; empty for nothing."""
    reach: int
    """How far from the trigger's begin a match may end, and one byte to look ahead."""
    validator: Validator | None


class Scanned(NamedTuple):
    """What lies in some bytes."""

    findings: list[Finding]
    """In order; of those that overlap, the one that was checked best."""
    encoded: list[tuple[int, int]]
    """Where texts lie that may have to be decoded."""
    unscanned: Unscanned | None
    """Why not all was scanned, if so."""


class Scanner:
    """Detectors, compiled once and asked for every message. Safe between threads and after a fork."""

    def __init__(
        self,
        detectors: Iterable[Detector],
        engine: Callable[[Sequence[str]], Engine],
        *,
        encoded: Rule | None = None,
    ) -> None:
        """Compile.

        Args:
            detectors: what to look for.
            engine: makes the engine of some triggers.
            encoded: how texts show that may have to be decoded.

        Raises:
            ValueError: a trigger or a pattern that can't be used.
        """
        self.detectors = tuple(detectors)
        rules: list[tuple[Detector | None, Rule]] = [
            (detector, rule) for detector in self.detectors for rule in detector.rules
        ]
        if encoded is not None:
            rules.append((None, encoded))
        probes: dict[str, list[_Probe]] = {}
        for detector, rule in rules:
            pattern = re.compile(rule.pattern.encode("ascii"))
            group = "id" if "id" in pattern.groupindex else 0
            validator = None if detector is None else detector.validator
            ahead = re.compile(rule.ahead.encode("ascii")) if rule.ahead else None
            reach = widest(rule.pattern) + 1
            for trigger in rule.triggers:
                width = width_of(trigger)
                edge = rule.edge.encode("ascii")
                probe = _Probe(detector, pattern, group, width, rule.before, ahead, edge, reach, validator)
                probes.setdefault(trigger, []).append(probe)
        self._probes = list(probes.values())
        self._overlap = max((probe.width for each in self._probes for probe in each), default=0)
        self._engine = engine(list(probes))

    def triggered(self, data: bytes) -> bool:
        """Say whether a trigger lies in some bytes, so that they might be part of something."""
        return bool(self._engine.hits(data))

    def scan(self, data: bytes, *, own: bytes = b"", spent: Callable[[], bool] | None = None) -> Scanned:
        """Look for identifiers.

        Args:
            data: what to scan.
            own: the message's own trace id, in hex; empty for none.
            spent: says whether the time is over; asked for every block, and every few hits.

        Returns:
            What lies there.
        """
        found: list[Finding] = []
        encoded: list[tuple[int, int]] = []
        if own and own in data:
            found += _own(data, own)
        if len(data) <= _BLOCK:
            hits = self._engine.hits(data)
            unscanned = self._confirm(data, hits, found, encoded, spent) if hits else None
            return Scanned(settled(found) if found else found, encoded, unscanned)
        unscanned = None
        for begin in range(0, len(data), _BLOCK):
            if spent is not None and spent():
                unscanned = Unscanned.TIME
                break
            # From the end of the block before on, so that no trigger is cut in two; a `\b` at its begin
            # looks at one byte more.
            shift = max(0, begin - self._overlap)
            hits = [
                (number, end + shift)
                for number, end in self._engine.hits(data[shift : begin + _BLOCK])
                if end + shift > begin
            ]
            unscanned = self._confirm(data, hits, found, encoded, spent)
            if unscanned is not None:
                break
        return Scanned(settled(found), encoded, unscanned)

    def _confirm(
        self,
        data: bytes,
        hits: list[Hit],
        found: list[Finding],
        encoded: list[tuple[int, int]],
        spent: Callable[[], bool] | None,
    ) -> Unscanned | None:
        """Add what the hits lead to."""
        probes = self._probes
        for count, (number, end) in enumerate(hits, 1):
            if spent is not None and not count % _ASKED_EVERY and spent():
                return Unscanned.TIME
            for probe in probes[number]:
                detector, pattern, group, width, before, _, _, _, validator = probe
                match = _around(probe, data, end - width) if before else pattern.match(data, end - width)
                if match is None:
                    continue
                if detector is None:
                    encoded.append(match.span(group))
                elif validator is None or validator(match):
                    start, stop = match.span(group)
                    found.append(
                        Finding(
                            detector.name, detector.class_, start, stop, detector.validation, detector.reason
                        )
                    )
            if len(found) > _KEPT:
                found[:] = settled(found)
                if len(found) > _KEPT:
                    del found[_KEPT:]
                    return Unscanned.FINDINGS
        return None


def _own(data: bytes, own: bytes) -> Iterator[Finding]:
    at = data.find(own)
    for _ in range(_KEPT):
        if at < 0:
            return
        yield OWN_TRACE_ID._replace(start=at, end=at + len(own))
        at = data.find(own, at + len(own))


def _around(probe: _Probe, data: bytes, at: int) -> re.Match[bytes] | None:
    """Find the match that what lies at `at` is part of."""
    _, pattern, _, _, before, ahead, edge, reach, _ = probe
    if ahead is not None and ahead.match(data, at) is None:
        return None
    begin = max(0, at - before)
    if edge:
        begin = max(begin, data.rfind(edge, begin, at) + 1)
    match = pattern.search(data, begin, at + reach)
    while match is not None and match.end() <= at:
        match = pattern.search(data, match.end(), at + reach)
    return match if match is not None and match.start() <= at else None


def settled(found: list[Finding]) -> list[Finding]:
    """Keep of findings that overlap the one that was checked best, of those the longest.

    Args:
        found: in any order.

    Returns:
        What is kept, the same objects, in the order of their begin.
    """
    if len(found) <= 1:
        return found
    found.sort(key=_begin)
    kept: list[Finding] = []
    group: list[Finding] = []
    end = 0
    for finding in found:
        if finding.start >= end:
            kept += _best(group)
            group = []
        group.append(finding)
        end = max(end, finding.end)
    return kept + _best(group)


def _best(group: list[Finding]) -> list[Finding]:
    """Pick from findings of which each overlaps another."""
    if len(group) <= 1:
        return group
    chosen: list[Finding] = []
    for finding in sorted(group, key=_preference):
        if all(finding.end <= other.start or other.end <= finding.start for other in chosen):
            chosen.append(finding)
    return sorted(chosen, key=_begin)


def _begin(finding: Finding) -> int:
    return finding.start


def _preference(finding: Finding) -> tuple[int, int]:
    return -_STRENGTH[finding.validation], finding.start - finding.end
