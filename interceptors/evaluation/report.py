"""Evaluations, as people and programs read them: by record, class and place, never the text."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from interceptors.evaluation.comparison import Comparison
    from interceptors.evaluation.scoring import Counts, Evaluation, Mistake

_HEAD = ("class", "labels", "found", "missed", "false", "precision", "recall", "F1")
_TINY = 1e-9
"""So that 0.57, which is a little less in binary, is not shown as 0.569."""
_BESIDE = ("class", "labels", "precision", "recall", "F1")


def tables(comparison: Comparison) -> Iterator[Table | str]:
    """Give all that a terminal shows: a table for the scanner, one beside each peer, and lines of notes."""
    ours = comparison.ours
    yield _drawn(ours.subject, _HEAD, _rows(ours))
    yield from _notes(ours, comparison.unknown)
    for peer in comparison.peers:
        if peer.counts:
            yield _drawn(_versus(ours, peer), _BESIDE, _rows_beside(ours, peer))
        yield from _notes(peer)
    yield from _left_out(comparison)


def as_markdown(comparison: Comparison) -> str:
    """Give the whole report, with each miss and each false finding of the scanner."""
    ours = comparison.ours
    sections = [
        "# Evaluation of the scanner\n",
        _markdown(_HEAD, _rows(ours)),
        _list(_notes(ours, comparison.unknown)),
    ]
    for peer in comparison.peers:
        sections += [
            f"## {_versus(ours, peer)}\n",
            _markdown(_BESIDE, _rows_beside(ours, peer)) if peer.counts else "",
            _list(_notes(peer)),
        ]
    sections += [f"{line}\n" for line in _left_out(comparison)]
    for title, mistakes in (("Missed", ours.missed), ("Found where it is not", ours.false)):
        sections += [f"## {title}\n", _mistakes(mistakes)]
    return "\n".join(sections)


def as_document(comparison: Comparison) -> dict[str, Any]:
    """Give all of it as what JSON has a form for."""
    return {
        "subjects": [_document(evaluation) for evaluation in (comparison.ours, *comparison.peers)],
        "unknown": comparison.unknown,
        "missing": comparison.missing,
    }


def _document(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "subject": evaluation.subject,
        "records": evaluation.records,
        "clean": evaluation.clean,
        "clean_hit": evaluation.clean_hit,
        "partial": evaluation.partial,
        "classes": {class_: _scores(counts) for class_, counts in evaluation.counts.items()},
        "micro": _scores(evaluation.micro()),
        "macro": evaluation.macro()._asdict(),
        "unlabelled": evaluation.unlabelled,
        "missed": [_place(mistake) for mistake in evaluation.missed],
        "false": [_place(mistake) for mistake in evaluation.false],
    }


def _notes(evaluation: Evaluation, unknown: Sequence[str] = ()) -> Iterator[str]:
    yield (
        f"{evaluation.subject}: {evaluation.records} records, {evaluation.clean} of them without a label; "
        f"something was found in {evaluation.clean_hit} of those"
    )
    if evaluation.partial:
        yield f"{evaluation.partial} records were not looked at as a whole"
    if unknown:
        yield f"no detector looks for {', '.join(unknown)}"
    if evaluation.unlabelled:
        each = ", ".join(f"{class_} {count}" for class_, count in evaluation.unlabelled.items())
        yield f"unlabelled, of classes that the data says nothing of: {each}"


def _left_out(comparison: Comparison) -> Iterator[str]:
    return (f"{name} is not installed, and was left out" for name in comparison.missing)


def _scores(counts: Counts) -> dict[str, float | None]:
    return {
        "found": counts.found,
        "missed": counts.missed,
        "false": counts.false,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }


def _place(mistake: Mistake) -> dict[str, str | int | None]:
    place: dict[str, str | int | None] = {
        "record": mistake.record,
        "class": mistake.class_,
        "start": mistake.start,
        "end": mistake.end,
    }
    return place | ({"detector": mistake.detector} if mistake.detector else {})


def _rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    for class_, counts in evaluation.counts.items():
        yield _row(class_, counts)
    yield _row("all (micro)", evaluation.micro())
    yield ("mean (macro)", "", "", "", "", *map(_cut, evaluation.macro()))


def _row(name: str, counts: Counts) -> tuple[str, ...]:
    numbers = (counts.found + counts.missed, counts.found, counts.missed, counts.false)
    return (name, *map(str, numbers), *map(_cut, (counts.precision, counts.recall, counts.f1)))


def _rows_beside(ours: Evaluation, theirs: Evaluation) -> Iterator[tuple[str, ...]]:
    both = [class_ for class_ in ours.counts if class_ in theirs.counts]
    for class_ in both:
        yield _row_beside(class_, ours.counts[class_], theirs.counts[class_])
    yield _row_beside("all (micro)", ours.micro(both), theirs.micro(both))


def _row_beside(name: str, ours: Counts, theirs: Counts) -> tuple[str, ...]:
    pairs = (
        (_cut(ours.precision), _cut(theirs.precision)),
        (_cut(ours.recall), _cut(theirs.recall)),
        (_cut(ours.f1), _cut(theirs.f1)),
    )
    return (name, str(ours.found + ours.missed), *(" / ".join(pair) for pair in pairs))


def _versus(ours: Evaluation, theirs: Evaluation) -> str:
    return f"{ours.subject} / {theirs.subject}"


def _cut(share: float | None) -> str:
    """Write a share with three places, cut and not rounded: 1.000 is said only of what is without a fault."""
    return "-" if share is None else f"{floor(share * 1000 + _TINY) / 1000:.3f}"


def _drawn(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    if not mistakes:
        return "Nothing.\n"
    head = ("record", "class", "bytes", "detector")
    return _markdown(
        head,
        (
            (
                _escaped(mistake.record),
                mistake.class_,
                "" if mistake.start is None else f"{mistake.start} to {mistake.end}",
                mistake.detector,
            )
            for mistake in mistakes
        ),
    )


def _escaped(name: str) -> str:
    """Write a record's name so that Markdown takes it for a text in a cell, whatever is in it."""
    return "".join(
        character if character.isalnum() or character in " -./:_" else f"&#{ord(character)};"
        for character in name
    )
