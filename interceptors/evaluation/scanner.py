"""The scanner itself, as what is evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.evaluation.scoring import Prediction, Reading
from interceptors.scan.detectors import DETECTORS
from interceptors.scan.inspection import Inspector, Limits

if TYPE_CHECKING:
    from collections.abc import Collection

    from interceptors.evaluation.labelled import Record

_LIMITS = Limits(bytes=1 << 30)
"""How right it is, is asked here, and not how it keeps to a budget."""


class ScannerSubject:
    """All detectors that are on where nothing is said, and those that the data names."""

    name = "interceptors"

    def __init__(self, classes: Collection[str]) -> None:
        """Compile.

        Args:
            classes: what the data is labelled with.
        """
        chosen = [
            detector
            for detector in DETECTORS
            if detector.default or detector.name in classes or detector.class_ in classes
        ]
        self._names = {
            name for detector in chosen for name in (detector.name, detector.class_, detector.family)
        }
        self._inspector = Inspector(chosen, limits=_LIMITS)

    def claims(self, class_: str) -> bool:
        """Say yes to everything: what no detector looks for is missed."""
        _ = class_
        return True

    def knows(self, class_: str) -> bool:
        """Say whether a detector looks for it."""
        return class_ in self._names

    def read(self, record: Record) -> Reading:
        """Look into a record."""
        inspection = self._inspector.inspect(record.body, format=record.format, paths=False)
        return Reading(
            [Prediction(*finding[:4]) for finding in inspection.findings], inspection.unscanned is None
        )
