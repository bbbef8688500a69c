"""Precision, recall and F1: what was found against what is labelled."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from interceptors.evaluation.labelled import Label, LabelledData, Record


class Prediction(NamedTuple):
    """Something that was found."""

    detector: str
    """Which detector found it; for a peer, the detector of ours that looks for the same, if there is one."""
    class_: str
    start: int
    end: int

    def names(self) -> tuple[str, str, str]:
        """Give the words by which a label may mean it, the narrowest first."""
        return self.detector, self.class_, self.class_.partition(".")[0]


class Reading(NamedTuple):
    """What was found in a record."""

    predictions: Sequence[Prediction]
    whole: bool = True
    """Whether all of the record was looked at."""


class Subject(Protocol):
    """What is evaluated."""

    @property
    def name(self) -> str:
        """What it is called in a report."""
        ...

    def claims(self, class_: str) -> bool:
        """Say whether it looks for a class, a family or a detector's kind at all."""
        ...

    def read(self, record: Record) -> Reading:
        """Look into a record."""
        ...


@dataclass(slots=True)
class Counts:
    """How often a class was found, missed, and found where it is not."""

    found: int = 0
    missed: int = 0
    false: int = 0

    @property
    def precision(self) -> float | None:
        """The share of what was found that is right; None where nothing was found."""
        return _share(self.found, self.found + self.false)

    @property
    def recall(self) -> float | None:
        """The share of the labels that were found; None where there are none."""
        return _share(self.found, self.found + self.missed)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; None where there was nothing to find, and nothing found."""
        return _share(2 * self.found, 2 * self.found + self.missed + self.false)

    def add(self, other: Counts) -> None:
        """Add the counts of another."""
        self.found += other.found
        self.missed += other.missed
        self.false += other.false


_FIGURES = (attrgetter("precision"), attrgetter("recall"), attrgetter("f1"))


class Means(NamedTuple):
    """Means over classes; None where no class has the figure."""

    precision: float | None
    recall: float | None
    f1: float | None


class Mistake(NamedTuple):
    """Something missed, or found where it is not. Holds nothing of the text."""

    record: str
    class_: str
    """The label's class, or the finding's."""
    start: int | None
    end: int | None
    detector: str = ""
    """Which detector found what is not there."""


@dataclass(slots=True)
class Evaluation:
    """How right one subject is on some data."""

    subject: str
    counts: dict[str, Counts]
    """By class, in alphabetical order; only what the subject claims to look for."""
    records: int = 0
    clean: int = 0
    """Records without a label."""
    clean_hit: int = 0
    """Those of them in which something was found all the same."""
    partial: int = 0
    """Records of which not all was looked at."""
    missed: list[Mistake] = field(default_factory=list)
    false: list[Mistake] = field(default_factory=list)
    unlabelled: dict[str, int] = field(default_factory=dict)
    """Findings of classes that the data says nothing of, by class: neither right nor wrong."""

    def micro(self, classes: Collection[str] | None = None) -> Counts:
        """Give the counts of all classes, or of some, together: each identifier weighs the same."""
        total = Counts()
        for class_, counts in self.counts.items():
            if classes is None or class_ in classes:
                total.add(counts)
        return total

    def macro(self) -> Means:
        """Give the means over the classes that have the figure: each class weighs the same."""
        return Means(
            *(
                _mean([value for counts in self.counts.values() if (value := figure(counts)) is not None])
                for figure in _FIGURES
            )
        )


def evaluate(data: LabelledData, subject: Subject, records: Iterable[Record] | None = None) -> Evaluation:
    """Let a subject read all records, and compare.

    Args:
        data: the records and what they are labelled with.
        subject: who reads them.
        records: the data's records once more, where somebody counts how far it is.

    Returns:
        How right it is.
    """
    claimed = {class_ for class_ in data.classes if subject.claims(class_)}
    counts = {class_: Counts() for class_ in sorted(claimed)}
    evaluation = Evaluation(subject.name, counts)
    unlabelled: dict[str, int] = {}
    for record in data.records if records is None else records:
        reading = subject.read(record)
        evaluation.records += 1
        evaluation.partial += not reading.whole
        labels = [label for label in _distinct(record.labels) if label.class_ in claimed]
        found, strays = _matched(labels, reading.predictions)
        for label, is_found in zip(labels, found, strict=True):
            if is_found:
                counts[label.class_].found += 1
            else:
                counts[label.class_].missed += 1
                evaluation.missed.append(Mistake(record.id, label.class_, label.start, label.end))
        false = 0
        for stray in strays:
            row = next((name for name in stray.names() if name in claimed), None)
            if row is None and data.classes:
                unlabelled[stray.class_] = unlabelled.get(stray.class_, 0) + 1
                continue
            counts.setdefault(row or stray.class_, Counts()).false += 1
            evaluation.false.append(Mistake(record.id, stray.class_, stray.start, stray.end, stray.detector))
            false += 1
        evaluation.clean += not record.labels
        evaluation.clean_hit += bool(false and not record.labels)
    evaluation.counts = dict(sorted(counts.items()))
    evaluation.unlabelled = dict(sorted(unlabelled.items()))
    return evaluation


def _distinct(labels: Iterable[Label]) -> Iterator[Label]:
    """Give each label once: where one is only said to be there, a second one says no more."""
    return iter(dict.fromkeys(labels))


def _matched(
    labels: Sequence[Label], predictions: Sequence[Prediction]
) -> tuple[list[bool], list[Prediction]]:
    """Say which labels are found, and give the predictions that are of no label.

    A prediction stands for one label at most; the pairs that overlap the most are made first. A second one on
    a label counts for nothing, and neither does one of a class that the record is only said to hold.
    """
    pairs: list[tuple[int, int, int]] = []
    of_a_label: set[int] = set()
    found = [False] * len(labels)
    for place, label in enumerate(labels):
        for number, prediction in enumerate(predictions):
            if label.class_ not in prediction.names():
                continue
            if label.start is None or label.end is None:
                found[place] = True
                of_a_label.add(number)
                continue
            common = min(label.end, prediction.end) - max(label.start, prediction.start)
            if common > 0 and 2 * common >= min(label.end - label.start, prediction.end - prediction.start):
                pairs.append((-common, place, number))
                of_a_label.add(number)
    used: set[int] = set()
    for _, place, number in sorted(pairs):
        if not found[place] and number not in used:
            found[place] = True
            used.add(number)
    return found, [each for number, each in enumerate(predictions) if number not in of_a_label]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
