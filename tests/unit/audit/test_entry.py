from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from interceptors.audit import Entry, parse_entry
from interceptors.audit.entry import LARGEST, LONGEST, START, chain_hash
from interceptors.errors import AuditError

ENTRY = Entry(7, 1_790_000_000_000, "vault", "token.resolve", {"tenant": "acme"}, START)
SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[3] / "schemas" / "audit-record.schema.json").read_text())
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
INTEGER = st.integers(-LARGEST, LARGEST)
DETAILS = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,15}", fullmatch=True),
    TEXT | INTEGER | st.booleans() | st.lists(TEXT, max_size=4),
    max_size=6,
)
ENTRIES = st.builds(
    Entry,
    sequence=st.integers(0, LARGEST),
    time=st.integers(0, LARGEST),
    actor=TEXT.filter(bool),
    action=st.sampled_from(["envelope.open", "keys.rotate", "policy.exception", "a.b-c.d_9"]),
    details=DETAILS,
    previous=st.binary(min_size=32, max_size=32).map(bytes.hex),
    outcome=st.sampled_from([None, "failed"]),
)


def form_of(entry: Entry) -> dict[str, Any]:
    form = dataclasses.asdict(entry) | {"version": 1}
    if entry.outcome is None:
        del form["outcome"]
    return form


@given(ENTRIES)
def test_a_line_is_canonical_json_and_is_read_back(entry: Entry) -> None:
    line = entry.line()
    assert line == rfc8785.dumps(form_of(entry))
    assert parse_entry(line) == entry
    assert b"\n" not in line
    SCHEMA.validate(json.loads(line))


def test_the_bytes_of_a_line() -> None:
    entry = Entry(0, 1, "Zoë \x7f", "keys.rotate", {"b": [], "a": True, "c": '\u2028\x01\n"\\/'}, START)
    assert entry.line().decode() == (
        '{"action":"keys.rotate","actor":"Zoë \x7f",'
        '"details":{"a":true,"b":[],"c":"\u2028\\u0001\\n\\"\\\\/"},'
        f'"previous":"{START}","sequence":0,"time":1,"version":1}}'
    )


def test_the_chain_is_by_sha_256() -> None:
    assert chain_hash(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", -1),
        ("sequence", True),
        ("time", LARGEST + 1),
        ("time", 1.5),
        ("actor", ""),
        ("actor", "half \ud83d"),
        ("actor", 7),
        ("action", ""),
        ("action", "keys..rotate"),
        ("action", "Keys.rotate"),
        ("action", "keys.rotate\n"),
        ("action", None),
        ("details", []),
        ("details", {"Tenant": "acme"}),
        ("details", {"mandant_ä": "acme"}),
        ("details", {7: "acme"}),
        ("details", {"share": 0.5}),
        ("details", {"count": LARGEST + 1}),
        ("details", {"count": -LARGEST - 1}),
        ("details", {"nothing": None}),
        ("details", {"key": b"bytes"}),
        ("details", {"nested": {"a": "b"}}),
        ("details", {"numbers": [1]}),
        ("details", {"text": "half \udc00"}),
        ("details", {"texts": ["half \udc00"]}),
        ("outcome", "done"),
        ("previous", "0" * 63),
        ("previous", "A" * 64),
        ("previous", b"0" * 64),
    ],
)
def test_what_can_not_stand_in_a_record_is_refused_by_its_field(field: str, value: Any) -> None:
    with pytest.raises(AuditError, match=f"the record can't be written: {field}") as raised:
        dataclasses.replace(ENTRY, **{field: value}).line()
    assert "half" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_record_can_be_so_long_and_no_longer() -> None:
    room = LONGEST - len(dataclasses.replace(ENTRY, details={"text": ""}).line())
    longest = dataclasses.replace(ENTRY, details={"text": "x" * room})
    assert parse_entry(longest.line()) == longest
    with pytest.raises(AuditError, match="details: longer than 65536 bytes"):
        dataclasses.replace(ENTRY, details={"text": "x" * (room + 1)}).line()


def altered(**fields: Any) -> bytes:
    return rfc8785.dumps(form_of(ENTRY) | fields)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"sequence":' + b"9" * 5000 + b"}",
        rfc8785.dumps({key: value for key, value in form_of(ENTRY).items() if key != "previous"}),
        altered(further="field"),
        altered(version=2),
        altered(version=True),
        altered(outcome=None),
        altered(details={"a": 0.5}),
        altered().replace(b'"version":1', b'"version":1.0'),
        altered().replace(b'"sequence":7', b'"sequence":7e0'),
        altered().replace(b":", b": ", 1),
        altered().replace(b"acme", b"\\u0061cme"),
        altered().replace(b'{"tenant":"acme"}', b'{"tenant":"acme","tenant":"acme"}'),
        altered() + b" ",
        json.dumps(form_of(ENTRY), separators=(",", ":")).encode(),
        altered(details={"text": "x" * LONGEST}),
    ],
)
def test_what_is_no_record_is_refused_without_being_shown(line: bytes) -> None:
    with pytest.raises(AuditError, match=r"^not a record: ") as raised:
        parse_entry(line)
    assert raised.value.__context__ is None
    assert "acme" not in str(raised.value)


@given(st.binary(max_size=200))
def test_reading_is_total(line: bytes) -> None:
    with pytest.raises(AuditError):
        parse_entry(line)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 2},
        {"sequence": -1},
        {"time": "1"},
        {"actor": ""},
        {"action": "Keys"},
        {"details": {"Tenant": "acme"}},
        {"details": {"a": 0.5}},
        {"details": {"a": [1]}},
        {"details": {"a": {"b": "c"}}},
        {"outcome": "done"},
        {"previous": "0"},
        {"further": "field"},
    ],
)
def test_the_schema_refuses_what_the_code_refuses(fields: dict[str, Any]) -> None:
    assert SCHEMA.is_valid(form_of(ENTRY))
    assert not SCHEMA.is_valid(form_of(ENTRY) | fields)
    with pytest.raises(AuditError):
        parse_entry(altered(**fields))
