"""An identifier that is planted somewhere is found there, and can be taken out of there, in every format."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptors.scan.formats.codecs import CODECS
from interceptors.scan.inspection import Format, Inspector, Treatment
from interceptors.scan.token import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scan.finding import Finding

INSPECTOR = Inspector()
PLANTED = st.sampled_from(
    ["jo.doe@example.com", "4111 1111 1111 1111", "GB29 NWBK 6016 1331 9268 19", "AKIAIOSFODNN7EXAMPLE"]
)
WORDS = st.sampled_from(
    ["", "hello", "zz top", "x\ty", "caf\u00e9", "\u65e5\u672c", "\U0001f600", 'q"q', "b\\s", "/p/", "#"]
)


def mask(_finding: Finding) -> Treatment:
    return Treatment.MASK


def tokenize(_finding: Finding) -> Treatment:
    return Treatment.TOKEN


def token(_: Finding, text: bytes) -> Token:
    return Token(text.rjust(16, b"-")[-16:], 1)


def taken_out(
    body: bytes, format_: Format, path: str, read: Callable[[bytes], str], planted: str
) -> list[bytes]:
    """Hold that what was planted is found where it is, and give the record without it in two ways."""
    inspection = INSPECTOR.inspect(body, format=format_)
    (found,) = [finding for finding in inspection.findings if finding.path == path]
    assert planted in read(body[found.start : found.end])
    changed = [inspection.replaced(mask), inspection.replaced(tokenize, token)]
    for each in changed:
        assert each is not None
        assert INSPECTOR.inspect(each, format=format_).findings == ()
    return [each for each in changed if each is not None]


@st.composite
def json_strings(draw: st.DrawFn, text: str) -> str:
    """A string as some writer of JSON may write it."""
    written = []
    for character in text:
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        escaped = json.dumps(character)[1:-1]
        if len(escaped) == 1:
            escaped = f"\\u{ord(character):04x}"
        ways = [plain, plain, escaped, escaped.upper().replace("\\U", "\\u") if "u" in escaped else escaped]
        written.append(draw(st.sampled_from([*ways, "\\/"] if character == "/" else ways)))
    return '"' + "".join(written) + '"'


@given(PLANTED, WORDS, WORDS, st.integers(0, 2), st.data())
@settings(max_examples=150, deadline=None)
def test_in_json(planted: str, before: str, after: str, levels: int, data: st.DataObject) -> None:
    text = f"{before} {planted} {after}"
    string = data.draw(json_strings(text))
    path = "$.at"
    for _ in range(levels):
        string = data.draw(json_strings(f'{{"in":{string}}}').filter(lambda text: text[1] == "{"))
        path += ".in"
    body = f'{{"a": [1, {{"b": null}}], "at": {string}, "z": -1.5e3}}'.encode()

    def read(part: bytes) -> str:
        shown = part.decode()
        for _ in range(levels + 1):
            shown = json.loads(f'"{shown}"')
        return shown

    for changed in taken_out(body, Format.AUTO, path, read, planted):
        document = json.loads(changed)
        value = document.pop("at")
        for _ in range(levels):
            value = json.loads(value)["in"]
        assert document == {"a": [1, {"b": None}], "z": -1500}
        assert value.startswith(f"{before} ")
        assert value.endswith(f" {after}")


@st.composite
def percent(draw: st.DrawFn, text: str) -> str:
    """A text as some writer of forms may write it."""
    written = []
    for byte in text.encode():
        ways = [f"%{byte:02x}", f"%{byte:02X}"]
        if byte == ord(" "):
            ways.append("+")
        elif byte < 0x80 and (chr(byte).isalnum() or chr(byte) in "-._@"):
            ways += [chr(byte)] * 3
        written.append(draw(st.sampled_from(ways)))
    return "".join(written)


@given(PLANTED, WORDS, WORDS, st.data())
@settings(max_examples=150, deadline=None)
def test_in_a_form(planted: str, before: str, after: str, data: st.DataObject) -> None:
    value = data.draw(percent(f"{before} {planted} {after}"))
    body = f"first=1+2&user%5bmail]={value}&last=%41".encode()

    for changed in taken_out(
        body, Format.AUTO, "$.user.mail", lambda part: unquote_plus(part.decode()), planted
    ):
        (first, (name, text), last) = parse_qsl(changed.decode())
        assert (first, name, last) == (("first", "1 2"), "user[mail]", ("last", "A"))
        assert text.startswith(f"{before} ")
        assert text.endswith(f" {after}")


@given(
    planted=PLANTED,
    before=WORDS,
    after=WORDS,
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoted=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_in_csv(*, planted: str, before: str, after: str, separator: str, end: str, quoted: bool) -> None:
    rows = [
        ["id", "note", "x"],
        ["1", before, after],
        ["2", f"{before} {planted} {after}", after],
        ["3", "", ""],
    ]
    file = io.StringIO()
    csv.writer(
        file,
        delimiter=separator,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
    ).writerows(rows)

    for changed in taken_out(file.getvalue().encode(), Format.CSV, "$[1].note", bytes.decode, planted):
        table = list(csv.reader(io.StringIO(changed.decode(), newline=""), delimiter=separator))
        assert table[2][1].startswith(f"{before} ")
        assert table[2][1].endswith(f" {after}")
        table[2][1] = rows[2][1]
        assert table == rows


@given(PLANTED, WORDS, WORDS, st.sampled_from(["str", "bin", "ext", "key"]), st.sampled_from([None, *CODECS]))
@settings(max_examples=150, deadline=None)
def test_in_messagepack(planted: str, before: str, after: str, how: str, codec: str | None) -> None:
    text = f"{before} {planted} {after}"
    values: dict[str, Any] = {
        "str": {"k": text},
        "bin": {"k": text.encode()},
        "ext": {"k": msgpack.ExtType(5, text.encode())},
        "key": {text: None},
    }
    document = {"first": [1, -2.5, None], "at": values[how], "last": "x" * 40}
    body = msgpack.packb(document)
    path = "$.at.*" if how == "key" else "$.at.k"

    for changed in taken_out(body, Format.AUTO, path, bytes.decode, planted):
        again = msgpack.unpackb(changed)
        assert {**again, "at": None} == {**document, "at": None}
    if codec is not None:
        found = INSPECTOR.inspect(CODECS[codec].packed(body * 3)).findings
        assert [finding.path for finding in found] == [path] * 3
