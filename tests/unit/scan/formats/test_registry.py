from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.formats.protobuf import ProtobufView
from interceptors.scan.formats.registry import AvroView, sniff, views
from interceptors.scan.formats.view import Edit, View, spliced

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = b"\x00\x00\x00\x01\x02"
EMAIL = b"user@example.com"
CARD = 4111111111111111


def varint(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def avro(*values: bytes | float) -> bytes:
    """What Avro writes of a record's fields; a float as a double."""
    body = HEADER
    for value in values:
        match value:
            case bytes():
                body += zigzag(len(value)) + value
            case int():
                body += zigzag(value)
            case float():
                body += struct.pack("<d", value)
    return body


def field(number: int, value: bytes | float) -> bytes:
    match value:
        case bytes():
            return varint(number << 3 | 2) + varint(len(value)) + value
        case int():
            return varint(number << 3) + varint(value)
        case float():
            return varint(number << 3 | 1) + struct.pack("<d", value)


def protobuf(*fields: bytes, indexes: bytes = b"\x00") -> bytes:
    return HEADER + indexes + b"".join(fields)


def only(body: bytes) -> View:
    (view,), more = views(body, 4)
    assert not more
    return view


def test_it_is_told_by_its_first_byte() -> None:
    assert sniff(avro(b"x"))
    assert not sniff(HEADER)
    assert not sniff(b"\x01" + avro(b"x"))
    assert not sniff(b"")


@pytest.mark.parametrize("length", [5, 8, 15, 16, 24, 30, 63, 64, 100, 2048, 4000, 9000])
def test_a_length_is_no_part_of_the_string_behind_it(length: int) -> None:
    text = (b"4111" * 3000)[:length]

    for body in (avro(7, text), avro(text, 1.5), avro(b"abc", text, b"de", 300), avro(text, text)):
        shown = only(body)
        assert isinstance(shown, AvroView)
        assert len(shown.data) == len(body)
        at = shown.data.index(text)
        assert shown.data[at - 1 : at] < b"\x20"
        assert shown.data[at + length : at + length + 1] < b"\x20"


def test_numbers_that_happen_to_be_readable_are_told_from_strings() -> None:
    body = avro(b"Some Doe, of some town", 40, EMAIL, -33, b"a note on it that is long enough", 300)

    strings = only(body).data.replace(b"\x00", b" ").split()

    assert EMAIL in strings
    assert b"Some" in strings
    assert b"enough" in strings


def test_what_is_no_chain_of_strings_is_shown_as_it_is() -> None:
    for text in (b"1" * 101, b"#" * 5001):
        assert only(HEADER + b"\x02" + text).data.endswith(text)


def test_avro_keeps_its_lengths(replaced: Callable[..., bytes], path: Callable[..., str]) -> None:
    body = avro(1, EMAIL, b"4111")
    view = only(body)

    assert path(view, EMAIL) == ""
    assert replaced(view, body, EMAIL) == avro(1, b"*" * len(EMAIL), b"4111")


def test_protobuf_reads_like_text_with_field_numbers(path: Callable[..., str]) -> None:
    inner = field(1, EMAIL) + field(2, CARD)
    view = only(
        protobuf(
            field(1, b"K\xc3\xa4se"),
            field(3, inner),
            field(4, 2.5),
            field(16, float(CARD)),
            b"\x2d....",
            field(6, b""),
        )
    )

    assert isinstance(view, ProtobufView)
    assert view.data == '"Käse","user@example.com",4111111111111111,4111111111111111,"",'.encode()
    assert path(view, EMAIL) == "$.3.1"
    assert path(view, b"4111111111111111") == "$.3.2"
    assert view.paths([(45, 50)]) == ["$.16"]


@pytest.mark.parametrize("indexes", [b"\x00", b"\x02\x04", b"\x04\x02\x00"])
def test_the_indexes_of_the_message_are_stepped_over(indexes: bytes) -> None:
    assert only(protobuf(field(1, EMAIL), indexes=indexes)).data == b'"user@example.com",'


@pytest.mark.parametrize("indexes", [b"", b"\x01", b"\x7e", b"\x02", b"\x02\x01", b"\x04\x02\x80"])
def test_without_indexes_it_is_no_protobuf(indexes: bytes) -> None:
    assert isinstance(only(HEADER + indexes + b"\xff" * 3), AvroView)


@pytest.mark.parametrize(
    "broken",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x08",
        b"\x08" + b"\xff" * 12,
        b"\x09abc",
        b"\x0dab",
        b"\x0b\x0c",
        b"\x00\x01",
        b"\x80" * 11,
        b"",
    ],
)
def test_what_does_not_parse_to_its_end_is_no_protobuf(broken: bytes) -> None:
    assert isinstance(only(protobuf(broken)), AvroView)


@pytest.mark.parametrize("text", [b"123456789", b"5abcd", b"\tx", b"*plain text", b'"$ and so on'])
def test_a_text_is_no_message_though_it_parses_as_one(text: bytes) -> None:
    assert only(protobuf(field(1, text))).data == b'"%b",' % text


def test_a_message_of_texts_is_one_though_it_is_readable() -> None:
    text = b"a" * 36

    assert only(protobuf(field(2, field(4, text)))).data == b'"%b",' % text


def test_bytes_that_are_no_message_are_shown_as_they_are() -> None:
    assert only(
        protobuf(field(1, b"\xff\x00"), field(3, b"\xff!"), field(2, b"\x01\xfe" + EMAIL))
    ).data.endswith(EMAIL + b'",')


def test_a_mask_keeps_all_lengths(replaced: Callable[..., bytes]) -> None:
    body = protobuf(field(1, EMAIL), field(2, field(3, CARD)), field(4, float(CARD + 1)))
    view = only(body)

    new = replaced(view, body, EMAIL, b"4111111111111111", b"4111111111111112")

    assert len(new) == len(body)
    assert only(new).data == b'"%b",0,0,' % (b"*" * len(EMAIL))


def test_a_token_is_used_where_there_is_room(replaced: Callable[..., bytes]) -> None:
    body = protobuf(field(1, (1 << 63) - 1), field(2, CARD), field(3, float(CARD + 1)))

    new = replaced(
        only(body), body, b"9223372036854775807", b"4111111111111111", b"4111111111111112", token=True
    )

    token, *others = only(new).data.split(b",")
    assert token.startswith(b"90")
    assert len(token) == 19
    assert others == [b"0", b"0", b""]


def test_json_behind_the_five_bytes_is_json(path: Callable[..., str], replaced: Callable[..., bytes]) -> None:
    body = HEADER + b'{"customer":{"email":"user\\u0040example.com"}}'
    view = only(body)

    assert path(view, EMAIL) == "$.customer.email"
    assert (
        body[slice(*view.origin(view.data.index(b"user"), view.data.index(b".com")))] == b"user\\u0040example"
    )
    assert replaced(view, body, EMAIL).startswith(HEADER + b'{"customer":{"email":"****')


def test_deep_and_many_messages_have_a_bound() -> None:
    deep = b"\x08\x01"
    for _ in range(40):
        deep = field(1, deep)

    assert only(protobuf(deep)).data.endswith(b'\x08\x01",')
    assert isinstance(only(protobuf(b"\x08\x01" * (1 << 17))), AvroView)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.text(min_size=1) | st.integers(0, (1 << 64) - 1)), min_size=1),
)
def test_all_of_a_message_is_shown(fields: list[tuple[int, str | int]]) -> None:
    body = protobuf(
        *(field(number, value.encode() if isinstance(value, str) else value) for number, value in fields)
    )

    view = only(body)

    assert isinstance(view, ProtobufView)
    assert all(b"%d," % value in view.data for _, value in fields if isinstance(value, int))


@given(st.binary(), st.data())
def test_whatever_it_is_made_of_there_is_an_answer(content: bytes, data: st.DataObject) -> None:
    body = HEADER + b"\x00" + content
    view = only(body)
    start = data.draw(st.integers(0, max(0, len(view.data) - 1)))
    end = data.draw(st.integers(start + 1, max(start + 1, len(view.data))))

    if end <= len(view.data):
        begin, stop = view.origin(start, end)
        assert 0 <= begin <= stop <= len(body)
        assert len(view.paths([(start, end)])) == 1
        edits = view.edits([Edit(start, end, view.replacement(start, end, None))])
        assert len(spliced(body, edits)) == len(body)
