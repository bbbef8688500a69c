"""Identifiers and secrets in texts, by the project's own detectors."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from interceptors.scan import DETECTORS, Format, Inspector

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def _all() -> Inspector:
    return Inspector()


@cache
def _secrets() -> Inspector:
    return Inspector([detector for detector in DETECTORS if detector.default and detector.family == "secret"])


def identifiers_in(text: str) -> list[str]:
    """Give the classes of the identifiers in a text."""
    inspection = _all().inspect(text.encode(errors="replace"), format=Format.TEXT)
    return list(dict.fromkeys(finding.class_ for finding in inspection.findings))


def secrets_in(text: str) -> Iterator[tuple[int, int, str]]:
    """Find secrets in a text.

    Args:
        text: such as a whole source.

    Yields:
        Begin and end, in bytes of its UTF-8, and the class of each.
    """
    for finding in _secrets().inspect(text.encode(errors="replace"), format=Format.TEXT).findings:
        yield finding.start, finding.end, finding.class_
