from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.scan import Finding, Format, Inspector, Unscanned
from interceptors.scan.finding import Scan
from interceptors.scanning import records
from interceptors.scanning.records import HEAD, Cut, Shape, recognise, scan_stream

if TYPE_CHECKING:
    from tests.unit.scanning.conftest import Trickle

LINES = Shape(Cut.LINES, Format.JSON)
DOCUMENT = Shape(Cut.WHOLE, Format.JSON)
TEXT = Shape(Cut.TEXT, Format.TEXT)
ROWS = Shape(Cut.ROWS, Format.CSV)
TOLD_BY_INSPECTOR = Shape(Cut.WHOLE, Format.AUTO)


def told(data: bytes, shape: Shape, inspector: Inspector) -> list[tuple[int, int, int]]:
    """Record, start and end of each tag."""
    found = []
    for record, result in scan_stream(io.BytesIO(data), shape, inspector):
        assert isinstance(result, Finding)
        found.append((record, result.start, result.end))
    return found


@pytest.mark.parametrize(
    ("name", "head", "shape"),
    [
        ("a.jsonl", b"no JSON at all", LINES),
        ("a.NDJSON", b"{", LINES),
        ("a.jsonl.gz", b"{", LINES),
        ("a.csv", b"x", ROWS),
        ("a.tsv.zst", b"x", ROWS),
        ("a.msgpack", b"x", Shape(Cut.WHOLE, Format.MESSAGEPACK)),
        ("a.json", b'{"a": 1}', DOCUMENT),
        ("a.json", b'{"a": 1}\n', DOCUMENT),
        ("a.json", b'{"a": 1}\n{"a": 2}\n', LINES),
        ("a.json", b'{\n"a": 1}\n', DOCUMENT),
        ("a.json", b"[1,\n2]", DOCUMENT),
        ("a.json", b"1\n2\n", LINES),
        ("a.json", b"[" * 10_000 + b"\n1", DOCUMENT),
        ("a.json", b"\xff\n\xff", DOCUMENT),
        ("a.log", b'{"a": 1}\n{"a": 2}\n', LINES),
        ("a.log", b"2026-01-01 started\n2026-01-01 ended\n", TEXT),
        ("a.log", b"[INFO] started\n[INFO] ended\n", TEXT),
        ("a.log", b"[2026-01-01 10:00] started\nended\n", TEXT),
        ("a.log", b"{id} was replaced\nended\n", TEXT),
        ("a.ini", b"[section]\nname = 1\n", TEXT),
        ("a", b'{"a": 1,\n"b": 2}\n', DOCUMENT),
        ("a", b'{"a":\r\n[1,\r\n2]}', DOCUMENT),
        ("a", b"[\n{\n}\n]\n", DOCUMENT),
        ("a", b"[" * 10_000 + b"\n1", DOCUMENT),
        ("a", b"[" + b"9" * 10_000 + b"\n]", DOCUMENT),
        ("a.gz", b"one\ntwo\n", TEXT),
        ("-", b"caf\xe9\nlatin\n", TEXT),
        ("-", b' {"a": 1}', DOCUMENT),
        ("-", b"a=1&b=2", TOLD_BY_INSPECTOR),
        ("-", b"\x82\xa1a\x01", TOLD_BY_INSPECTOR),
        ("-", b"\x81\xa1a\xa1b", TOLD_BY_INSPECTOR),
        ("-", b"", TOLD_BY_INSPECTOR),
        ("-", b"x" * HEAD, TEXT),
        ("-", b"x" * (HEAD - 1) + "é".encode()[:1], TEXT),
    ],
)
def test_a_stream_is_told_by_its_name_then_by_its_content(name: str, head: bytes, shape: Shape) -> None:
    assert recognise(name, head, Format.AUTO) == shape


@pytest.mark.parametrize(
    ("asked", "cut"),
    [
        (Format.TEXT, Cut.TEXT),
        (Format.FORM, Cut.LINES),
        (Format.CSV, Cut.ROWS),
        (Format.MESSAGEPACK, Cut.WHOLE),
        (Format.REGISTRY, Cut.WHOLE),
        (Format.BYTES, Cut.WHOLE),
    ],
)
def test_what_was_asked_for_goes_before_the_name(asked: Format, cut: Cut) -> None:
    assert recognise("a.jsonl", b"{}\n{}", asked) == Shape(cut, asked)


def test_json_that_was_asked_for_is_a_document_or_one_a_line() -> None:
    assert recognise("a.csv", b"{}\n{}", Format.JSON) == LINES
    assert recognise("a.csv", b"{\n}", Format.JSON) == DOCUMENT


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_each_line_of_json_is_a_record(inspector: Inspector, ending: bytes) -> None:
    data = b'{"a": "tag=one;"}\n\n{"a": 1}\n{"a": "tag=two;"}' + ending
    assert told(data, LINES, inspector) == [(0, 11, 15), (3, 11, 15)]


def test_lines_are_counted_over_all_that_is_read(inspector: Inspector) -> None:
    line = b'{"a": "' + b"x" * 1000 + b' tag=abc;"}\n'
    found = told(line * 3000, LINES, inspector)
    assert found == [(number, 1012, 1016) for number in range(3000)]


def test_of_text_a_finding_belongs_to_the_line_where_it_begins(inspector: Inspector) -> None:
    assert told(b"one\ntwo tag=abc\ndef; three\ntag=ghi;", TEXT, inspector) == [(1, 8, 16), (3, 4, 8)]


def test_a_document_is_one_record(inspector: Inspector) -> None:
    assert told(b'{\n"a": "tag=abc;"\n}', DOCUMENT, inspector) == [(0, 12, 16)]


@pytest.mark.parametrize("asked", Format)
@pytest.mark.parametrize("data", [b"a,b\ntag=abc;,2\n", b'["tag=abc;"]', b'{"a":\n"tag=abc;"}'])
def test_what_is_not_in_the_format_that_was_asked_for_is_found_all_the_same(
    inspector: Inspector, asked: Format, data: bytes
) -> None:
    assert len(told(data, recognise("-", data, asked), inspector)) == 1


@pytest.mark.parametrize("asked", [Format.MESSAGEPACK, Format.REGISTRY])
def test_what_is_in_the_format_that_was_asked_for_is_read_as_that(asked: Format) -> None:
    class Noting(Inspector):
        def inspect(self, *_: object, format: Format = Format.AUTO, **__: object) -> Any:  # noqa: A002 - its name
            formats.append(format)
            return Scan()

    formats: list[Format] = []
    data = {Format.MESSAGEPACK: b"\x81\xa1a\xa1b", Format.REGISTRY: b"\0\0\0\0\1\2a"}[asked]
    assert list(scan_stream(io.BytesIO(data), recognise("-", data, asked), Noting([]))) == []
    assert formats == [asked]


@pytest.mark.parametrize("shape", [DOCUMENT, Shape(Cut.WHOLE, Format.BYTES)])
def test_a_record_of_any_length_is_scanned_in_a_bounded_memory(
    inspector: Inspector, trickle: type[Trickle], monkeypatch: pytest.MonkeyPatch, shape: Shape
) -> None:
    monkeypatch.setattr(records, "WHOLE", 1 << 21)
    count = 20
    stream = trickle(b"x" * (1 << 20) + b"tag=abc;" for _ in range(count))
    found = [result.start for _, result in scan_stream(stream, shape, inspector)]  # type: ignore[union-attr]  # findings
    assert found == [number * ((1 << 20) + 8) + (1 << 20) + 4 for number in range(count)]
    assert stream.most <= (1 << 21) + 1


@pytest.mark.parametrize("behind", [b"", b'\n{"a": "tag=two;"}\ntag=six;'], ids=["the last", "others behind"])
def test_a_line_of_any_length_is_one_record(
    inspector: Inspector, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    monkeypatch.setattr(records, "WHOLE", 1 << 21)
    long = b"x" * (3 << 20) + b"tag=one;"
    found = told(b"{}\n" + long + behind, LINES, inspector)
    assert found == [(1, len(long) - 4, len(long)), (2, 11, 15), (3, 4, 8)][: 3 if behind else 1]


@pytest.mark.parametrize("shape", [DOCUMENT, LINES])
def test_more_findings_than_are_kept_at_a_time_are_all_told(inspector: Inspector, shape: Shape) -> None:
    data = b"[" + b",".join([b'"tag=abc;"'] * 5000) + b"]"
    assert told(data, shape, inspector) == [(0, 6 + 11 * number, 10 + 11 * number) for number in range(5000)]


@pytest.mark.parametrize("shape", [DOCUMENT, LINES, ROWS])
def test_what_was_not_scanned_is_told(shape: Shape) -> None:
    class Blind(Inspector):
        def inspect(self, body: bytes, **_: object) -> Any:
            return Scan((), Unscanned.DEPTH if body.strip() else None)

    assert list(scan_stream(io.BytesIO(b"{}"), shape, Blind([]))) == [(0, Unscanned.DEPTH)]
