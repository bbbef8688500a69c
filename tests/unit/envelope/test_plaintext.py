from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from interceptors.context import TraceContext
from interceptors.envelope.plaintext import Plaintext, decode, encode, is_label, padded_size
from interceptors.errors import Answer, EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.context import Label

TRACE_ID = bytes(range(1, 17))
SPAN_ID = bytes(range(1, 9))
PACKED = b"\x95\xc4\x10" + TRACE_ID + b"\xc4\x08" + SPAN_ID + b"\x03\x01\x80"
"""The array at the time 1, without labels."""

LABELS: list[tuple[str, Label]] = [
    ("a", True),
    ("a", False),
    ("a", 0),
    ("a", -(1 << 63)),
    ("a", (1 << 63) - 1),
    ("a", ""),
    ("a", "v" * 64),
    ("a", "é" * 32),
    ("a", b""),
    ("a", b"\xff" * 64),
    ("n" * 32, 1),
    ("é" * 16, 1),
]

NO_LABELS_OF_OURS: list[tuple[Any, Any]] = [
    ("", 1),
    ("n" * 33, 1),
    ("é" * 17, 1),
    ("\ud800", 1),
    (1, 1),
    (b"a", 1),
    ("a", None),
    ("a", 1.0),
    ("a", 1 << 63),
    ("a", -(1 << 63) - 1),
    ("a", "v" * 65),
    ("a", "é" * 33),
    ("a", "\ud800"),
    ("a", b"v" * 65),
    ("a", bytearray(b"v")),
    ("a", ["v"]),
    ("a", {}),
]


def padded(packed: bytes, size: int = 64) -> bytes:
    return (packed + b"\x80").ljust(size, b"\0")


def labelled(context: TraceContext, labels: dict[str, Label]) -> TraceContext:
    return context._replace(labels=labels)


def test_a_context_becomes_the_specification_s_bytes() -> None:
    assert encode(TraceContext(TRACE_ID, SPAN_ID), 1) == (padded(PACKED), 0)


def test_the_bytes_become_the_context() -> None:
    plaintext = decode(padded(PACKED))

    assert plaintext == Plaintext(TraceContext(TRACE_ID, SPAN_ID), 1)
    assert repr(plaintext) == "Plaintext()"


@pytest.mark.parametrize(("name", "value"), LABELS)
def test_a_label_of_an_allowed_type_travels(context: TraceContext, name: str, value: Label, now: int) -> None:
    given = labelled(context, {name: value})

    plaintext, left_out = encode(given, now)
    read = decode(plaintext)

    assert left_out == 0
    assert read == Plaintext(given, now)
    assert type(read.context.labels[name]) is type(value)
    assert is_label(name, value)


@pytest.mark.parametrize(("name", "value"), NO_LABELS_OF_OURS)
def test_another_label_is_left_out_and_counted(
    context: TraceContext, name: Any, value: Any, now: int
) -> None:
    plaintext, left_out = encode(labelled(context, {name: value, "kept": True}), now)

    assert left_out == 1
    assert decode(plaintext).context.labels == {"kept": True}
    assert not is_label(name, value)


def test_labels_of_any_mapping_travel(context: TraceContext, now: int) -> None:
    plaintext, _ = encode(context._replace(labels=MappingProxyType({"a": 1})), now)

    assert decode(plaintext).context.labels == {"a": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trace_id", bytes(16)),
        ("trace_id", TRACE_ID[1:]),
        ("trace_id", TRACE_ID + b"\1"),
        ("trace_id", "0123456789abcdef"),
        ("span_id", bytes(8)),
        ("span_id", SPAN_ID[1:]),
        ("span_id", SPAN_ID + b"\1"),
        ("span_id", "01234567"),
        ("flags", 4),
        ("flags", -1),
        ("flags", True),
        ("flags", 1.0),
    ],
)
def test_a_context_without_a_place_in_the_format_is_neither_sealed_nor_read(
    context: TraceContext, field: str, value: Any, now: int
) -> None:
    wrong = context._replace(**{field: value})
    packed = msgpack.packb([wrong.trace_id, wrong.span_id, wrong.flags, now, {}])

    with pytest.raises(ValueError, match="all zero"):
        encode(wrong, now)
    with pytest.raises(EnvelopeError):
        decode(padded(packed))


@pytest.mark.parametrize("issued_at", [0, -1, 1 << 48, True, 1.0])
def test_a_time_without_a_place_in_the_format_is_neither_sealed_nor_read(
    context: TraceContext, issued_at: Any
) -> None:
    with pytest.raises(ValueError, match="all zero"):
        encode(context, issued_at)
    with pytest.raises(EnvelopeError):
        decode(padded(PACKED[:-2] + msgpack.packb(issued_at) + b"\x80"))


@pytest.mark.parametrize("issued_at", [1, (1 << 48) - 1])
def test_the_first_and_the_last_time_travel(context: TraceContext, issued_at: int) -> None:
    assert decode(encode(context, issued_at)[0]).issued_at == issued_at


@pytest.mark.parametrize(
    "plaintext",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(64), id="zeros"),
        pytest.param(padded(b""), id="the mark alone"),
        pytest.param(PACKED.ljust(64, b"\0"), id="no mark"),
        pytest.param(padded(PACKED, 96), id="a larger size than needed"),
        pytest.param(padded(PACKED, 65), id="a size of no table"),
        pytest.param(padded(PACKED)[:-1] + b"\1", id="padding that is not zero"),
        pytest.param(padded(b"x" * 600, 640), id="more than fits"),
        pytest.param(padded(PACKED + b"\xc0"), id="a second object"),
        pytest.param(padded(PACKED[:-1]), id="cut off"),
        pytest.param(padded(b"\x94" + PACKED[1:-1]), id="an array of four"),
        pytest.param(padded(b"\x96" + PACKED[1:] + b"\xc0"), id="an array of six"),
        pytest.param(padded(b"\x81\xa1a" + PACKED), id="a map"),
        pytest.param(padded(b"\xc4\x05" + PACKED[:5]), id="five bytes"),
        pytest.param(padded(b"\xc1"), id="no MessagePack"),
        pytest.param(padded(b"\xd4\xff\x00"), id="a timestamp of a wrong length"),
        pytest.param(padded(b"\x91" * 62), id="nested to the end"),
        pytest.param(padded(PACKED[:-1] + b"\xc0"), id="labels of nil"),
        pytest.param(padded(PACKED[:-1] + b"\x90"), id="labels of an array"),
        pytest.param(padded(PACKED[:-1] + b"\x82\xa1a\x01\xa1a\x01"), id="a name twice"),
        pytest.param(padded(PACKED[:-1] + b"\x81\x90\x01"), id="a name that cannot be a key"),
        pytest.param(padded(PACKED[:-1] + b"\x81\xa1a\x80"), id="a label that is a map"),
        pytest.param(padded(PACKED[:-1] + b"\x81\xa0\x01"), id="a name of nothing"),
        pytest.param(padded(PACKED[:-1] + b"\x81\xa1a\xa1\xff"), id="text that is not UTF-8"),
    ],
)
def test_any_breach_is_malformed_and_shows_nothing(
    plaintext: bytes, assert_silent: Callable[[BaseException, str | bytes], None]
) -> None:
    with pytest.raises(EnvelopeError) as refusal:
        decode(plaintext)

    assert refusal.value.answer is Answer.MALFORMED
    assert_silent(refusal.value, TRACE_ID[:4])


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (0, 64),
        (63, 64),
        (64, 96),
        (95, 96),
        (96, 128),
        (128, 192),
        (192, 256),
        (256, 384),
        (384, 512),
        (511, 512),
    ],
)
def test_a_plaintext_takes_the_smallest_size_that_leaves_room_for_the_mark(packed: int, size: int) -> None:
    assert padded_size(packed) == size


def test_nothing_holds_more_than_511_bytes() -> None:
    assert padded_size(512) == 0


def test_a_label_that_does_not_fit_is_left_out_and_a_later_one_that_does_is_kept(
    context: TraceContext, now: int
) -> None:
    # The array takes 40 bytes and the mark one; each of these labels takes 68 of the other 471.
    large = dict.fromkeys("abcdef", "v" * 64)

    plaintext, left_out = encode(labelled(context, {**large, "g": "v" * 60, "h": "v" * 59}), now)

    assert left_out == 1
    assert decode(plaintext).context.labels == {**large, "h": "v" * 59}
    assert plaintext[-1:] == b"\x80"


@pytest.mark.parametrize(("length", "fits"), [(54, True), (55, False)])
def test_the_sixteenth_label_pays_for_the_larger_map(
    context: TraceContext, now: int, length: int, *, fits: bool
) -> None:
    # Fifteen labels take 6 * 64 + 9 * 3 bytes of the 471; the sixteenth takes four, its value, and two more.
    fifteen: dict[str, Label] = {**dict.fromkeys("abcdef", "v" * 60), **dict.fromkeys("ghijklmno", True)}
    sixteen: dict[str, Label] = {**fifteen, "p": "v" * length}

    plaintext, left_out = encode(labelled(context, sixteen), now)

    assert left_out == (0 if fits else 1)
    assert decode(plaintext).context.labels == (sixteen if fits else fifteen)


@pytest.mark.parametrize(
    "one", [b"\xcc\x01", b"\xcf" + b"\0" * 7 + b"\x01", b"\xd0\x01", b"\xd3" + b"\0" * 7 + b"\x01"]
)
def test_an_integer_is_read_in_any_form(one: bytes) -> None:
    assert decode(padded(PACKED[:-3] + one + one + b"\x80")) == Plaintext(
        TraceContext(TRACE_ID, SPAN_ID, 1), 1
    )
