from __future__ import annotations

import io
import json

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from rich.table import Table

from interceptors.evaluation.comparison import Comparison
from interceptors.evaluation.report import as_document, as_markdown, tables
from interceptors.evaluation.scoring import Counts, Evaluation, Mistake

HOSTILE = "a|b <i> `c` [d](e)\n| x"


@pytest.fixture
def ours() -> Evaluation:
    return Evaluation(
        "interceptors",
        {"payment.card": Counts(1999, 1, 0), "personal.email": Counts(1, 0, 1), "secret": Counts()},
        records=2003,
        clean=2,
        clean_hit=1,
        missed=[Mistake("r7", "payment.card", 3, 19), Mistake(HOSTILE, "payment.card", None, None)],
        false=[Mistake("r8", "personal.email", 0, 5, "email")],
        unlabelled={"network.ip": 4},
    )


@pytest.fixture
def theirs() -> Evaluation:
    return Evaluation("Peer", {"payment.card": Counts(1000, 1000, 1000)}, records=2003, clean=2, partial=3)


def drawn(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=100)
    for part in tables(comparison):
        console.print(part, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(text: str) -> list[list[str]]:
    """Give the rows of all tables of a Markdown text, as a reader of Markdown sees them."""
    rows: list[list[str]] = []
    inside = False
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "tr_open":
            rows.append([])
        inside = token.type in {"td_open", "th_open"} or (inside and token.type == "inline")
        if inside and token.type == "inline":
            rows[-1].append("".join(child.content for child in token.children or ()))
    return rows


def test_the_table_has_a_row_for_each_class_and_for_all(ours: Evaluation) -> None:
    lines = [line.split() for line in drawn(Comparison(ours, ())).splitlines()]
    assert ["payment.card", "2000", "1999", "1", "0", "1.000", "0.999", "0.999"] in lines
    assert ["personal.email", "1", "1", "0", "1", "0.500", "1.000", "0.666"] in lines
    assert ["secret", "0", "0", "0", "0", "-", "-", "-"] in lines
    assert ["all", "(micro)", "2001", "2000", "1", "1", "0.999", "0.999", "0.999"] in lines
    assert ["mean", "(macro)", "0.750", "0.999", "0.833"] in lines


def test_notes_say_what_the_table_does_not(ours: Evaluation, theirs: Evaluation) -> None:
    shown = drawn(Comparison(ours, ("personal.shoe_size",), (theirs,), ("Another",)))
    assert "interceptors: 2003 records, 2 of them without a label; something was found in 1 of those" in shown
    assert "no detector looks for personal.shoe_size" in shown
    assert "unlabelled, of classes that the data says nothing of: network.ip 4" in shown
    assert "3 records were not looked at as a whole" in shown
    assert "Another is not installed, and was left out" in shown


def test_a_peer_stands_beside_for_what_both_look_for(ours: Evaluation, theirs: Evaluation) -> None:
    rows = cells(as_markdown(Comparison(ours, (), (theirs,))))
    assert ["payment.card", "2000", "1.000 / 0.500", "0.999 / 0.500", "0.999 / 0.500"] in rows
    assert ["all (micro)", "2000", "1.000 / 0.500", "0.999 / 0.500", "0.999 / 0.500"] in rows
    assert not any(row[0] == "personal.email" and len(row) == 5 for row in rows)


def test_a_peer_with_nothing_in_common_has_no_table(ours: Evaluation) -> None:
    shown = list(tables(Comparison(ours, (), (Evaluation("Peer", {}, records=1),))))
    assert sum(isinstance(part, Table) for part in shown) == 1
    assert "## interceptors / Peer" in as_markdown(Comparison(ours, (), (Evaluation("Peer", {}),)))


def test_the_report_lists_each_mistake_whatever_its_record_is_called(ours: Evaluation) -> None:
    rows = cells(as_markdown(Comparison(ours, ())))
    assert ["r7", "payment.card", "3 to 19", ""] in rows
    assert [HOSTILE, "payment.card", "", ""] in rows
    assert ["r8", "personal.email", "0 to 5", "email"] in rows


def test_a_report_without_a_mistake_says_so(theirs: Evaluation) -> None:
    assert as_markdown(Comparison(theirs, ())).count("Nothing.") == 2


def test_the_document_says_the_same(ours: Evaluation, theirs: Evaluation) -> None:
    document = as_document(Comparison(ours, ("x",), (theirs,), ("y",)))
    assert json.loads(json.dumps(document))["missing"] == ["y"]
    mine, other = document["subjects"]
    assert mine["classes"]["personal.email"] == {
        "found": 1,
        "missed": 0,
        "false": 1,
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
    }
    assert mine["micro"]["found"] == 2000
    assert mine["macro"]["precision"] == 0.75
    assert mine["missed"][0] == {"record": "r7", "class": "payment.card", "start": 3, "end": 19}
    assert mine["false"] == [
        {"record": "r8", "class": "personal.email", "start": 0, "end": 5, "detector": "email"}
    ]
    assert (other["subject"], other["partial"], document["unknown"]) == ("Peer", 3, ("x",))
