from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError
from interceptors.evaluation.labelled import Label, LabelledData, Record, read_labelled
from interceptors.scan.inspection import Format

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "hunter2-4111111111111111"


def test_a_record_is_read_as_it_stands(labelled: Callable[..., LabelledData]) -> None:
    label = {"class": "payment.card", "start": 0, "end": 3}
    data = labelled({"text": "€", "labels": [label, {"class": "iban"}], "format": "text", "id": 7})
    assert data.records == (
        Record("7", "€".encode(), Format.TEXT, (Label("payment.card", 0, 3), Label("iban"))),
    )
    assert data.classes == {"payment.card", "iban"}


def test_a_record_needs_no_more_than_its_text(labelled: Callable[..., LabelledData]) -> None:
    data = labelled({"text": "a"}, {"text": ""})
    assert data.records == (Record("line 1", b"a", Format.AUTO, ()), Record("line 2", b"", Format.AUTO, ()))
    assert data.classes == frozenset()


def test_bytes_come_in_base64(labelled: Callable[..., LabelledData]) -> None:
    data = labelled({"base64": base64.b64encode(b"\x00\xff").decode()})
    assert data.records[0].body == b"\x00\xff"


def test_a_lone_surrogate_is_a_text(labelled: Callable[..., LabelledData]) -> None:
    assert labelled({"text": "\ud800"}).records[0].body == b"\xed\xa0\x80"


def test_the_first_line_may_declare_more_classes(labelled: Callable[..., LabelledData]) -> None:
    data = labelled({"classes": ["personal"]}, {"text": "a", "labels": [{"class": "payment.card"}]})
    assert data.classes == {"personal", "payment.card"}
    assert len(data.records) == 1


def test_empty_lines_and_keys_of_the_datas_own_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('\n{"text": "a", "source": "x", "note": 1}\n\n  \n{"text": "b"}', encoding="utf-8")
    assert [record.id for record in read_labelled(path).records] == ["line 2", "line 5"]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "give either `text` or `base64`"),
        ({"text": SECRET, "base64": ""}, "give either `text` or `base64`"),
        ({"text": 1}, "give either `text` or `base64`"),
        ({"base64": "a"}, "`base64` is no base64"),
        ({"base64": "€"}, "`base64` is no base64"),
        ({"text": SECRET, "labels": {}}, "`labels` is no list"),
        ({"text": SECRET, "label": []}, "did you mean `labels`?"),
        ({"text": SECRET, "format": "xml"}, "`format` is none of auto, json"),
        ({"text": SECRET, "format": []}, "`format` is none of auto, json"),
        ({"text": SECRET, "id": {}}, "`id` is neither"),
        ({"text": SECRET, "labels": [SECRET]}, "a label has no class"),
        ({"text": SECRET, "labels": [{"start": 0, "end": 1}]}, "a label has no class"),
        ({"text": SECRET, "labels": [{"class": "Card"}]}, "is no name of a class"),
        ({"text": SECRET, "labels": [{"class": None}]}, "is no name of a class"),
        ({"text": SECRET, "labels": [{"class": "iban", "ends": 1}]}, "did you mean `end`?"),
        ({"text": SECRET, "labels": [{"class": "iban", "start": 0}]}, "not within the record's 24 bytes"),
        ({"text": SECRET, "labels": [{"class": "iban", "start": 0, "end": 25}]}, "not within"),
        ({"text": SECRET, "labels": [{"class": "iban", "start": 2, "end": 2}]}, "not within"),
        ({"text": SECRET, "labels": [{"class": "iban", "start": -1, "end": 2}]}, "not within"),
        ({"text": SECRET, "labels": [{"class": "iban", "start": True, "end": 2}]}, "not within"),
        ({"classes": "iban"}, "give either"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_without_the_text(
    labelled: Callable[..., LabelledData], document: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        labelled({"text": "first"}, document)
    assert "data.jsonl:2: " in str(caught.value)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("classes", ["iban", [1], ["payment."]])
def test_a_wrong_declaration_is_told(labelled: Callable[..., LabelledData], classes: object) -> None:
    with pytest.raises(ConfigurationError, match=r"data\.jsonl:1: `classes` is no"):
        labelled({"classes": classes}, {"text": "a"})


@pytest.mark.parametrize("rest", [{"text": SECRET}, {"base64": ""}, {"labels": []}])
def test_a_declaration_is_no_record(labelled: Callable[..., LabelledData], rest: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"data\.jsonl:1: `classes` is beside a record") as caught:
        labelled({"classes": ["iban"], **rest}, {"text": "a"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("line", [b"{", b"[1]", b'"a"', b"\xff", b"[" * 100_000, b'{"text": \xff}'])
def test_a_line_that_is_no_object_is_told(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + line)
    with pytest.raises(ConfigurationError, match=r"data\.jsonl:2: this is no JSON"):
        read_labelled(path)


def test_a_file_without_a_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"classes": ["iban"]}), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="there is no record in it"):
        read_labelled(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory; name a file"):
        read_labelled(tmp_path / "missing.jsonl")
