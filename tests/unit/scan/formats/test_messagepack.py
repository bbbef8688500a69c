from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.formats.messagepack import MessagePackView, sniff
from interceptors.scan.formats.view import Edit, spliced

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = b"user@example.com"
CARD = 4111111111111111

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
)
OBJECTS = st.lists(DOCUMENTS) | st.dictionaries(st.text(max_size=9), DOCUMENTS)


def view_of(document: Any) -> MessagePackView:
    return MessagePackView(msgpack.packb(document))


def test_a_name_that_holds_a_finding_is_shown_in_no_path() -> None:
    view = view_of({"AKIAIOSFODNN7EXAMPLE": {"a": "x", "b": ["y"]}, "c": "z"})
    spans = [(at, at + 1) for at in map(view.data.index, (b"AKIA", b"x", b"y", b"z"))]

    assert view.paths(spans) == ["$.*", "$.*.a", "$.*.b[0]", "$.c"]


def test_a_place_deeper_than_paths_go_has_none() -> None:
    view = MessagePackView(b"\x91" * 101 + b"\xa1x")

    assert view.paths([(len(view.data) - 3, len(view.data) - 2)]) == [""]


def extension(length: int) -> bytes:
    packer = msgpack.Packer(autoreset=False)
    packer.pack_ext_type(5, b"x" * length)
    packed: bytes = packer.bytes()
    return packed


def test_it_reads_like_json() -> None:
    assert view_of({"a": [1, -2, None, True], "b": {"c": "d"}}).data == b'{"a":[1,-2,null,null,"b":{"c":"d",'


@pytest.mark.parametrize(
    "number", [0, 127, 128, 65536, 1 << 32, (1 << 64) - 1, -1, -32, -33, -40000, -(1 << 31), -(1 << 63)]
)
def test_integers_of_each_width_are_written_out(number: int) -> None:
    assert view_of([number]).data == b"[%d," % number


@pytest.mark.parametrize(
    "packed", [struct.pack(">Bd", 0xCB, CARD), msgpack.packb(float(1 << 24), use_single_float=True)]
)
def test_a_float_that_is_whole_is_written_as_an_integer(packed: bytes) -> None:
    assert MessagePackView(b"\x91" + packed).data in {b"[4111111111111111,", b"[16777216,"}


@pytest.mark.parametrize("number", [1.5, float("inf"), float("nan")])
def test_any_other_float_is_written_as_python_does(number: float) -> None:
    assert view_of([number]).data == f"[{number!r},".encode()


@pytest.mark.parametrize("length", [5, 200, 300, 70_000])
def test_strings_and_binaries_and_extensions_of_each_length_are_shown(length: int) -> None:
    packer = msgpack.Packer()

    for packed in (packer.pack("x" * length), packer.pack(b"x" * length), extension(length)):
        assert MessagePackView(b"\x91" + packed).data == b'["%b",' % (b"x" * length)


@pytest.mark.parametrize("length", [1, 2, 4, 8, 16])
def test_extensions_of_fixed_length_are_shown(length: int) -> None:
    assert MessagePackView(b"\x91" + extension(length)).data == b'["%b",' % (b"x" * length)


@pytest.mark.parametrize("count", [3, 20, 70_000])
def test_containers_of_each_size_are_followed(count: int, path: Callable[..., str]) -> None:
    assert path(view_of([*([0] * count), EMAIL.decode()]), EMAIL) == f"$[{count}]"
    assert path(view_of({**{f"k{n}": 0 for n in range(count)}, "mail": EMAIL.decode()}), EMAIL) == "$.mail"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"customer": {"email": EMAIL.decode()}}, "$.customer.email"),
        ([{}, [], {"x": [0, EMAIL]}], "$[2].x[1]"),
        ({"a": {"b": 1}, "c": EMAIL.decode()}, "$.c"),
        ({EMAIL.decode(): 1}, "$.*"),
        ({"a": {EMAIL: 1}}, "$.a.*"),
        ({"tel 0301234567": EMAIL}, "$.*"),
        ({1: EMAIL}, "$.*"),
        (EMAIL, "$"),
    ],
)
def test_paths(document: Any, expected: str, path: Callable[..., str]) -> None:
    assert path(view_of(document), EMAIL) == expected


def test_objects_may_follow_one_another(path: Callable[..., str]) -> None:
    body = msgpack.packb({"a": 1}) + msgpack.packb({"b": EMAIL.decode()})

    assert sniff(body)
    assert path(MessagePackView(body), EMAIL) == "$.b"


def test_what_is_cut_off_or_no_messagepack_is_shown_as_it_is(
    path: Callable[..., str], replaced: Callable[..., bytes]
) -> None:
    for broken in (b"\xc1" + EMAIL, b"\xdb\x7f\xff\xff\xff" + EMAIL):
        body = msgpack.packb({"a": 1}) + broken
        view = MessagePackView(body)

        assert path(view, EMAIL) == ""
        assert replaced(view, body, EMAIL) == body.replace(EMAIL, b"*" * len(EMAIL))


def test_a_mask_keeps_widths_and_types(replaced: Callable[..., bytes]) -> None:
    document = {
        "mail": "usér@example.com",
        "raw": EMAIL,
        "card": CARD,
        "cvv": 123,
        "float": 1.5,
        "n": -5,
        "s": 7,
    }
    body = msgpack.packb(document)

    masked = replaced(
        MessagePackView(body),
        body,
        "usér@example.com".encode(),
        b'"' + EMAIL,
        b"4111",
        b"123",
        b"1.5",
        b"-5",
        b"7",
    )

    assert msgpack.unpackb(masked) == {
        "mail": "*" * 17,
        "raw": b"*" * len(EMAIL),
        "card": 0,
        "cvv": 0,
        "float": 0.0,
        "n": 0,
        "s": 0,
    }
    assert len(masked) == len(body)


def test_a_token_says_which_are_the_same_and_nothing_else(replaced: Callable[..., bytes]) -> None:
    body = msgpack.packb({"mail": EMAIL.decode(), "card": CARD, "double": float(CARD), "phone": 3012345678})
    view = MessagePackView(body)

    tokens = msgpack.unpackb(replaced(view, body, EMAIL, b"4111111111111111", b"3012345678", token=True))

    assert tokens["mail"].startswith("tok1_aeba")
    assert 9 * 10**18 < tokens["card"] < 1 << 63
    assert tokens["phone"] == 0
    assert tokens["double"] == float(CARD)


def test_a_finding_over_several_values_leaves_what_lies_between_them(replaced: Callable[..., bytes]) -> None:
    body = msgpack.packb(["left", CARD, "right"])

    masked = replaced(MessagePackView(body), body, b'eft",4111111111111111,"rig')

    assert msgpack.unpackb(masked) == ["l***", 0, "***ht"]


def test_two_findings_in_one_number_replace_it_once() -> None:
    body = msgpack.packb([CARD])
    view = MessagePackView(body)

    edits = view.edits([Edit(1, 5, b"0"), Edit(6, 9, b"0")])

    assert msgpack.unpackb(spliced(body, edits)) == [0]


def test_what_has_another_length_becomes_a_mask() -> None:
    body = msgpack.packb(["abcdef"])
    view = MessagePackView(body)

    assert msgpack.unpackb(spliced(body, view.edits([Edit(3, 5, b"longer")]))) == ["a**def"]


def test_between_pieces_there_is_nothing_to_replace() -> None:
    view = view_of([[]])

    assert view.data == b"[["
    assert view.origin(0, 2) == (0, 0)
    assert view.edits([Edit(0, 2, b"**")]) == []
    assert view_of(["a"]).origin(3, 5) == (3, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\x05\x06",
        b"\x93abc tail",
        b"\xdehello there, this is text",
        b"\x82\xa1a\x01",
        b"\x81\x90\x01",
        b"\x91\xa2\xff\xfe",
        b"\x91\xc1",
        "Übersicht: user@example.com".encode(),
    ],
)
def test_what_only_looks_like_it_is_none(body: bytes) -> None:
    assert not sniff(body)


@given(OBJECTS)
def test_what_a_library_packs_is_told_and_each_string_shown(document: Any) -> None:
    body = msgpack.packb(document)

    assert sniff(body)
    view = MessagePackView(body)
    at = 0
    for text in strings(document):
        at = view.data.index(b'"', at) + 1
        start, end = view.origin(at, at + len(text))
        at += len(text) + 1
        assert body[start:end] == text


@given(st.binary() | OBJECTS.map(msgpack.packb), st.data())
def test_whatever_it_is_made_of_there_is_an_answer_for_each_place(body: bytes, data: st.DataObject) -> None:
    view = MessagePackView(body)
    places = st.integers(0, max(0, len(view.data) - 1))
    start = data.draw(places)
    end = data.draw(st.integers(start + 1, max(start + 1, len(view.data))))

    begin, stop = view.origin(start, end)
    assert 0 <= begin <= stop <= len(body)
    assert len(view.paths([(start, end)])) == 1
    edits = view.edits([Edit(start, end, view.replacement(start, end, None))])
    assert len(spliced(body, edits)) == len(body)


def test_nothing_is_too_deep() -> None:
    body = b"\x91" * 100_000

    view = MessagePackView(body)

    assert view.data.count(b"[") + view.data.count(b"\x91") == 100_000
    assert view.origin(len(view.data) - 1, len(view.data)) == (99_999, 100_000)


def test_a_hostile_number_of_values_is_bounded() -> None:
    body = b"\x91\x05" * (1 << 18) + EMAIL
    view = MessagePackView(body)

    assert view.data.endswith(EMAIL)
    assert view.data.count(b"5,") < 1 << 18


def strings(document: Any) -> list[bytes]:
    match document:
        case str():
            return [document.encode()]
        case bytes():
            return [document]
        case list():
            return [text for each in document for text in strings(each)]
        case dict():
            return [text for pair in document.items() for each in pair for text in strings(each)]
        case _:
            return []
