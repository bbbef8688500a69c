"""The scanner and its peers on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.evaluation.peers import load_peers
from interceptors.evaluation.scanner import ScannerSubject
from interceptors.evaluation.scoring import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.evaluation.labelled import LabelledData, Record
    from interceptors.evaluation.scoring import Evaluation, Subject


class Comparison(NamedTuple):
    """How right the scanner is, and how right its peers are."""

    ours: Evaluation
    unknown: tuple[str, ...]
    """Classes of the data that no detector of ours looks for."""
    peers: tuple[Evaluation, ...] = ()
    missing: tuple[str, ...] = ()
    """Peers that were asked for and are not installed."""


def compare(
    data: LabelledData, *, peers: bool, track: Callable[[Iterable[Record], str], Iterable[Record]]
) -> Comparison:
    """Evaluate the scanner, and its peers where they are asked for.

    Args:
        data: the labelled data.
        peers: whether the peers are to read it too.
        track: shows how far somebody is: gets the records and a name, and gives the records.

    Returns:
        The evaluations.
    """

    def evaluated(subject: Subject) -> Evaluation:
        return evaluate(data, subject, track(data.records, subject.name))

    scanner = ScannerSubject(data.classes)
    unknown = tuple(sorted(class_ for class_ in data.classes if not scanner.knows(class_)))
    loaded, missing = load_peers() if peers else ([], [])
    return Comparison(evaluated(scanner), unknown, tuple(map(evaluated, loaded)), tuple(missing))
