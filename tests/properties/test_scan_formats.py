"""What holds for every record: a verdict, and replacements that leave the rest as it is."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from interceptors.scan.formats.codecs import CODECS
from interceptors.scan.formats.escapes import Origins, undone
from interceptors.scan.inspection import Format, Inspector, Limits, Treatment
from interceptors.scan.token import Token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.scan.finding import Finding

INSPECTOR = Inspector()
LIMITED = [INSPECTOR.with_limits(limits) for limits in (Limits(), Limits(64, 1), Limits(0, 0))]
PLANTED = (
    "jo.doe@example.com",
    "4111 1111 1111 1111",
    "GB29 NWBK 6016 1331 9268 19",
    "AKIAIOSFODNN7EXAMPLE",
    "https://user:hunter2secret@example.com/",
)
CARD = 4111111111111111

texts = st.text(max_size=12)
planted = st.builds(lambda *parts: " ".join(parts), texts, st.sampled_from(PLANTED), texts)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    planted,
    st.just(CARD),
)
flat = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(texts, planted), inner, max_size=4)
    ),
    max_leaves=12,
).map(lambda value: {"all": value})
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(texts, planted), inner, max_size=4),
        st.builds(json.dumps, inner),
        inner.map(lambda value: base64.b64encode(json.dumps(value).encode()).decode()),
    ),
    max_leaves=12,
).map(lambda value: {"all": value})


def mask(_finding: Finding) -> Treatment:
    return Treatment.MASK


def tokenize(_finding: Finding) -> Treatment:
    return Treatment.TOKEN


def token(_: Finding, text: bytes) -> Token:
    return Token(text.rjust(16, b"-")[-16:], 1)


def shape(value: Any) -> Any:
    """What of a document must not change: how its containers nest, and what its leaves are."""
    match value:
        case dict():
            return [shape(inner) for inner in value.values()]
        case list():
            return [shape(inner) for inner in value]
        case bool() | None:
            return value
        case int() | float():
            return "number"
        case _:
            return "string"


@given(
    document=documents,
    ascii_only=st.booleans(),
    treatment=st.sampled_from([(mask, None), (tokenize, token)]),
)
@settings(max_examples=150, deadline=None)
def test_a_document_without_its_identifiers_is_the_same_document(
    *, document: Any, ascii_only: bool, treatment: Any
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    inspection = INSPECTOR.inspect(body)

    changed = inspection.replaced(*treatment)

    assert changed is not None
    assert INSPECTOR.inspect(changed).findings == ()
    assert shape(json.loads(changed.decode("utf-8", "surrogatepass"))) == shape(document)
    if not inspection.findings:
        assert changed == body


def pairs(before: Any, after: Any) -> Iterator[tuple[Any, Any]]:
    """The keys and leaves of two documents of one shape."""
    match before:
        case dict():
            yield from zip(before, after, strict=True)
            for one, other in zip(before.values(), after.values(), strict=True):
                yield from pairs(one, other)
        case list():
            for one, other in zip(before, after, strict=True):
                yield from pairs(one, other)
        case _:
            yield before, after


@given(document=flat, ascii_only=st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_but_what_was_found_is_masked(*, document: Any, ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    changed = INSPECTOR.inspect(body).replaced(mask)

    assert changed is not None
    for before, after in pairs(document, json.loads(changed.decode("utf-8", "surrogatepass"))):
        if isinstance(before, str):
            one, other = (text.encode("utf-8", "surrogatepass") for text in (before, after))
            assert len(one) == len(other)
            assert all(a == b or b in b"*0123456789" for a, b in zip(one, other, strict=True))
            assert before == after or "*" in after
        else:
            assert after in (before, 0)


@given(
    st.sampled_from(PLANTED), st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=4), st.data()
)
@settings(max_examples=100, deadline=None)
def test_what_is_planted_is_found_at_its_path(text: str, names: list[str], data: st.DataObject) -> None:
    value: Any = text
    path = ""
    for name in names:
        how = data.draw(st.sampled_from(["object", "array", "string", "base64"]))
        match how:
            case "object":
                value, path = {"a b": 1, name: value}, f".{name}{path}"
            case "array":
                value, path = [None, [], value], f"[2]{path}"
            case "string":
                value, path = {name: json.dumps({"in": value})}, f".{name}.in{path}"
            case _:
                inner = base64.b64encode(json.dumps({"in": value}).encode()).decode()
                value, path = {name: inner}, f".{name}.in{path}"
    body = json.dumps({"at": value}).encode()

    assert f"$.at{path}" in [finding.path for finding in INSPECTOR.inspect(body).findings]


@given(st.binary(max_size=400), st.sampled_from(Format), st.sampled_from(LIMITED))
@settings(max_examples=300, deadline=None)
def test_there_is_a_verdict_on_any_bytes(body: bytes, format_: Format, inspector: Inspector) -> None:
    for record in (body, b'{"a": "' + body, b"a=" + body, b"\0\0\0\0\1" + body, b"a,b\n" + body):
        inspection = inspector.inspect(record, format=format_)
        assert all(0 <= each.start <= each.end <= len(record) for each in inspection.findings)
        assert inspection.replaced(mask) is not None or inspection.findings


@given(st.sampled_from(sorted(CODECS)), st.binary(max_size=300), st.data())
@settings(max_examples=150, deadline=None)
def test_there_is_a_verdict_on_a_body_that_was_compressed_and_altered(
    codec: str, content: bytes, data: st.DataObject
) -> None:
    body = bytearray(CODECS[codec].packed(content + b" user@example.com"))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[at] = data.draw(st.integers(0, 255))
    inspection = INSPECTOR.inspect(bytes(body))

    assert all(0 <= each.start <= each.end <= len(body) for each in inspection.findings)


@given(st.text(st.sampled_from('\\"/bfnrtu0dD8cC4a'), max_size=60).map(str.encode))
@settings(max_examples=300)
def test_undone_escapes_know_where_they_lie(body: bytes) -> None:
    text, origins = undone(body), Origins(body)
    at = 0
    for start in range(len(text)):
        begin, end = origins.origin(start, start + 1)
        assert begin <= at <= end <= len(body)
        assert text[start : start + 1] in undone(body[begin:end])
        at = end
    assert at == len(body)
