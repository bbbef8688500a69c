from __future__ import annotations

import json

import pytest

from interceptors.files import shown
from interceptors.scan import Finding, Unscanned, Validation
from interceptors.scanning.report import Found, Problems, Tally

FINDING = Finding("iban", "payment.bank_account", 3, 25, Validation.CHECKSUM, "mod 97", "$.account")


def test_a_finding_of_a_file_as_json() -> None:
    assert json.loads(Found("a.json", 4, FINDING).as_json()) == {
        "file": "a.json",
        "record": 4,
        "path": "$.account",
        "start": 3,
        "end": 25,
        "detector": "iban",
        "class": "payment.bank_account",
        "validation": "checksum",
        "reason": "mod 97",
    }


@pytest.mark.parametrize(
    ("finding", "part", "path"),
    [
        (FINDING, "body", "$.account"),
        (FINDING._replace(part="key", path=""), "key", "key"),
        (FINDING._replace(part="headers.x-user", path=""), "headers", "headers.x-user"),
        (FINDING._replace(part="key"), "key", "key.account"),
    ],
)
def test_a_finding_of_a_topic_says_which_part_of_the_message_it_is_in(
    finding: Finding, part: str, path: str
) -> None:
    fields = json.loads(Found("kafka://broker:9092/orders", 17, finding, partition=2).as_json())
    assert [fields[name] for name in ("part", "path", "partition", "offset", "record")] == [
        part,
        path,
        2,
        17,
        17,
    ]


def test_a_finding_as_a_line() -> None:
    rest = "payment.bank_account  iban  mod 97"
    assert Found("a.json", 4, FINDING).as_line() == f"a.json:4  $.account  {rest}"
    assert Found("a.log", 0, FINDING._replace(path="")).as_line() == f"a.log:0  byte 3  {rest}"
    topic = Found("kafka://broker:9092/orders", 17, FINDING, partition=2)
    assert topic.as_line() == f"kafka://broker:9092/orders[2]:17  $.account  {rest}"


@pytest.mark.parametrize(
    ("name", "text"),
    [("orders/é 1.json", "orders/é 1.json"), ("a\x1b[2J\n", r"a\x1b[2J\n"), ("a\udcff", r"a\udcff")],
)
def test_a_name_does_nothing_to_a_terminal(name: str, text: str) -> None:
    assert shown(name) == text
    assert Found(name, 0, FINDING).as_line().startswith(f"{text}:0 ")


def test_findings_are_counted_by_class_and_detector() -> None:
    tally = Tally()
    for detector, class_ in (("iban", "b"), ("email", "a"), ("iban", "b"), ("card", "b")):
        tally.add(Found("a", 0, FINDING._replace(detector=detector, class_=class_)))
    assert tally.rows() == [("a", "email", 1), ("b", "card", 1), ("b", "iban", 2)]
    assert tally.total == 4


def test_what_was_not_scanned_is_one_line_for_a_file_and_a_reason() -> None:
    problems = Problems()
    for record in (5, 6, 9):
        problems.unscanned("a.log", record, Unscanned.CODEC)
    problems.unscanned("a.log", 7, Unscanned.DEPTH)
    problems.add("b.log: it is gone")
    texts = list(problems.texts())
    assert texts[0] == "b.log: it is gone"
    assert texts[1].startswith(f"a.log:5: not scanned to the end: {Unscanned.CODEC} (records: 3); ")
    assert "interceptors[scan]" in texts[1]
    assert texts[2].startswith(f"a.log:7: not scanned to the end: {Unscanned.DEPTH} (records: 1); ")
