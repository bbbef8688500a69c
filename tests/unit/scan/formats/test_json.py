from __future__ import annotations

import json
from itertools import accumulate

import pytest

from interceptors.scan.formats.escapes import Origins, telling, undone
from interceptors.scan.formats.json import JsonView, begins, json_views, sniff
from interceptors.scan.formats.view import Edit, View, spliced
from interceptors.scan.token import Token

NEEDLE = b"user@example.com"
TOKEN = Token(b"0123456789abcdef", 3)


def found(view: View, needle: bytes = NEEDLE) -> list[tuple[int, int]]:
    """Where something lies in what a view shows."""
    parts = view.data.split(needle)
    ends = accumulate(len(part) + len(needle) for part in parts[:-1])
    return [(end - len(needle), end) for end in ends]


def paths(document: bytes, needle: bytes = NEEDLE) -> list[str]:
    """The paths of something, in the last view that shows it."""
    views, _ = json_views(document, 4)
    return next(view.paths(found(view, needle)) for view in reversed(views) if found(view, needle))


def replaced(document: bytes, needle: bytes = NEEDLE, token: Token | None = None) -> bytes:
    """The document with something replaced."""
    views, _ = json_views(document, 4)
    view = next(view for view in reversed(views) if found(view, needle))
    edits = [Edit(*span, view.replacement(*span, token)) for span in found(view, needle)]
    return spliced(document, view.edits(edits))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"a": 1}',
        b'\xef\xbb\xbf {\n "a": 1}',
        b"[]",
        b"[1, 2]",
        b"[-1.5e3]",
        b"[true,false]",
        b'[{"a": 1}]',
        b'"text"',
        rb'"a \" b"',
        b'{"a": "cut off',
    ],
)
def test_json_is_told(body: bytes) -> None:
    assert sniff(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[INFO] started",
        b"[2026-11-22 10:00:00] x",
        b"[1234] started",
        b"{name}",
        b'"a","b"',
        b"a=1",
        b'"a',
    ],
)
def test_what_only_begins_alike_is_not(body: bytes) -> None:
    assert not sniff(body)


def test_telling_json_reads_the_beginning_only() -> None:
    assert begins(b'{"a": 1' + b"\xff")
    assert not begins(b'"text"')


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (b'{"customer": {"email": "user@example.com"}}', "$.customer.email"),
        (b'{"a":1,"b":[{},[],{"c":"x"}],"email":"user@example.com"}', "$.email"),
        (b'{"items": [1, "x", [], {"email": "to user@example.com"}]}', "$.items[3].email"),
        (b'["x", 2.5, null, "user@example.com"]', "$[3]"),
        (b'[1,2,3,[4,5,"user@example.com"]]', "$[3][2]"),
        (b'"user@example.com"', "$"),
        (b'{"user 1": {"e": "user@example.com"}}', "$.*.e"),
        (b'{"4111111111111111": "user@example.com"}', "$.*"),
        (b'{"": "user@example.com"}', "$.*"),
        (b'{"a": {"user@example.com": 1}}', "$.a.*"),
        (b'{"x": "\xc3\xa9 {[,:", "y": ["}", "user@example.com"]}', "$.y[1]"),
        (rb'{"x": "\\\" {[,:\\", "y": ["}\"", "user@example.com"]}', "$.y[1]"),
        (rb'{"k\u0065y": "user@example.com"}', "$.*"),
        (rb'{"email": "user\u0040example.com"}', "$.email"),
        (b'{"a": 1}\n{"b": "user@example.com"}\n', "$.b"),
        (b'{"a": "user@example.com', "$.a"),
        (b'}]], "user@example.com"', "$"),
        (b'{"a": [1, 2}, "user@example.com"', "$.*"),
        (b'{"a": "x" "user@example.com"', "$.a"),
    ],
)
def test_a_place_has_its_path(document: bytes, path: str) -> None:
    assert paths(document) == [path]


def test_a_key_that_holds_a_finding_is_shown_in_no_path() -> None:
    document = b'{"AKIAIOSFODNN7EXAMPLE": {"plain": "AKIAIOSFODNN7EXAMPLE"}}'

    assert paths(document, b"AKIAIOSFODNN7EXAMPLE") == ["$.*", "$.*.plain"]


def test_all_places_are_found_in_one_pass() -> None:
    document = json.dumps({f"k{i}": [i, {"x": NEEDLE.decode()}] for i in range(100)}).encode()

    assert paths(document) == [f"$.k{i}[1].x" for i in range(100)]


@pytest.mark.parametrize("size", [65_500, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("filling", ["x", '"', "\\"])
def test_a_long_string_before_it_does_not_matter(size: int, filling: str) -> None:
    document = json.dumps({"long": filling * size, "a": [0, NEEDLE.decode()]}).encode()

    assert paths(document) == ["$.a[1]"]


def test_a_place_deeper_than_paths_go_has_none() -> None:
    assert paths(b"[" * 101 + b'"user@example.com"') == [""]
    assert paths(b"[" * 50 + b'"user@example.com"') == ["$" + "[0]" * 50]


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_a_document_within_a_string_continues_the_path(levels: int) -> None:
    document = json.dumps({"a": [NEEDLE.decode()], "n": 4111111111111111})
    for _ in range(levels):
        document = json.dumps({"p": document})
    body = document.encode()

    assert paths(body) == ["$" + ".p" * levels + ".a[0]"]
    assert paths(body, b"4111111111111111") == ["$" + ".p" * levels + ".n"]

    inner = replaced(body, b"4111111111111111")
    for _ in range(levels):
        inner = json.loads(inner)["p"]
    assert json.loads(inner) == {"a": [NEEDLE.decode()], "n": 0}


def test_levels_of_escapes_end_somewhere() -> None:
    document = json.dumps('"')
    for _ in range(6):
        document = json.dumps(document)

    views, more = json_views(document.encode(), 4)

    assert len(views) == 4
    assert more


@pytest.mark.parametrize(
    "text", ['a"b', "a\\b/\b\f\n\r\t", "\u0040", "\U0001f600 x \u20ac", "\ud800", "\udc00\ud800x"]
)
def test_escapes_are_undone(text: str) -> None:
    body = json.dumps(text).encode()
    view = json_views(body, 1)[0][-1]

    assert view.data == b'"' + text.encode("utf-8", "surrogatepass") + b'"'


def test_other_backslashes_stay() -> None:
    assert undone(rb"\x \u12g4 \/ \u0040") == rb"\x \u12g4 / @"
    assert undone(rb"C:\q") == rb"C:\q"
    assert undone(b"plain") == b"plain"
    assert not telling(rb"C:\new")
    assert telling(rb"a\/b")


def test_each_byte_without_escapes_knows_its_place_with_them() -> None:
    body = rb"ab\u0040c\ud83d\ude00d\n\"e"
    origins = Origins(body)
    text = undone(body)
    places = [origins.origin(at, at + 1) for at in range(len(text))]

    assert text == 'ab@c\U0001f600d\n"e'.encode()
    assert [undone(body[begin:end]) for begin, end in places] == [
        *(bytes([byte]) for byte in b"ab@c"),
        *["\U0001f600".encode()] * 4,
        *(bytes([byte]) for byte in b'd\n"e'),
    ]
    assert origins.origin(0, len(text)) == (0, len(body))


def test_a_string_is_masked_by_as_many_asterisks() -> None:
    body = rb'{"a": "to user\u0040example.com!", "b": "user@example.com"}'

    assert replaced(body) == b'{"a": "to ****************!", "b": "****************"}'


def test_a_token_takes_the_room_it_needs() -> None:
    assert replaced(b'["user@example.com"]', token=TOKEN) == b'["%s"]' % TOKEN.text


@pytest.mark.parametrize("number", [b"4111111111111111", b"-4111111111111111.25e3", b"14111111111111111"])
def test_a_number_is_replaced_as_a_whole_by_a_number(number: bytes) -> None:
    body = b'{"a": ' + number + b', "b": 2}'

    assert replaced(body, b"4111111111111111") == b'{"a": 0, "b": 2}'
    tokenized = json.loads(replaced(body, b"4111111111111111", TOKEN))
    assert tokenized["a"] > 9 * 10**18
    assert tokenized["b"] == 2


def test_digits_in_a_string_are_no_number() -> None:
    assert replaced(b'["see: 4111111111111111, ok"]', b"4111111111111111") == b'["see: ****************, ok"]'


def test_masked_keys_stay_different() -> None:
    body = b'{"user@example.com": 1, "x": 2, "user@example.com": 3}'

    assert replaced(body) == b'{"****************": 1, "x": 2, "***************1": 3}'


@pytest.mark.parametrize(
    ("document", "start", "stop"),
    [
        (b'{"key": "secret one", "b": [1, true]}', b"one", b"tru"),
        (b'{"key": 12345, "b": "text"}', b"345", b"ext"),
        (b'{"key": "ab", "b": "text"}', b': "ab', b"tex"),
    ],
)
def test_what_runs_over_the_border_of_a_string_leaves_valid_json(
    document: bytes, start: bytes, stop: bytes
) -> None:
    view = JsonView(document, (), 4)
    span = document.index(start), document.index(stop) + len(stop)

    changed = spliced(document, view.edits([Edit(*span, view.replacement(*span, None))]))

    assert json.loads(changed).keys() <= {"key", "b", "*"}
    assert start not in changed
