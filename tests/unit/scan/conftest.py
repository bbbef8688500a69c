from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from interceptors.scan.hyperscan_engine import HyperscanEngine
from interceptors.scan.scanner import Scanner

if TYPE_CHECKING:
    from interceptors.scan.detector import Detector

Found = Callable[[bytes], list[tuple[str, bytes]]]


@pytest.fixture(scope="session")
def finder() -> Callable[[tuple[Detector, ...]], Found]:
    """Give, for some detectors, what they find in a text: their names, each with what it found."""

    def make(detectors: tuple[Detector, ...]) -> Found:
        scanner = Scanner(detectors, HyperscanEngine)

        def found(text: bytes) -> list[tuple[str, bytes]]:
            return [
                (finding.detector, text[finding.start : finding.end])
                for finding in scanner.scan(text).findings
            ]

        return found

    return make
