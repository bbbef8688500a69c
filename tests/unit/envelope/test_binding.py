from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from interceptors.envelope.binding import Binding, Level, associated_data, lp

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = bytes(range(18))


@pytest.mark.parametrize(
    ("value", "prefixed"),
    [
        ("", b"\0\0"),
        (b"", b"\0\0"),
        ("abc", b"\0\x03abc"),
        (b"\xff\0", b"\0\x02\xff\0"),
        ("é", b"\0\x02\xc3\xa9"),
        ("a" * 0x102, b"\x01\x02" + b"a" * 0x102),
    ],
)
def test_a_length_is_two_big_endian_bytes_of_utf_8(value: str | bytes, prefixed: bytes) -> None:
    assert lp(value) == prefixed


def test_the_longest_value_has_65535_bytes() -> None:
    assert lp(bytes(65535)) == b"\xff\xff" + bytes(65535)
    assert lp("a" * 65535)[:2] == b"\xff\xff"


@pytest.mark.parametrize("longer", [bytes(65536), "a" * 65536, "é" * 32768])
def test_a_longer_value_is_refused(longer: str | bytes) -> None:
    with pytest.raises(ValueError, match="65535"):
        lp(longer)


def test_text_without_utf_8_form_is_refused_and_not_shown(
    assert_silent: Callable[[BaseException, str | bytes], None],
) -> None:
    with pytest.raises(ValueError, match="UTF-8") as refusal:
        lp("customer-4711\ud800")

    assert_silent(refusal.value, "4711")


@pytest.mark.parametrize(
    ("level", "bound"),
    [
        (Level.TENANT, b""),
        (Level.CHANNEL, b"\0\x06orders"),
        (Level.TYPE, b"\0\x06orders\0\x04paid"),
        (Level.MESSAGE, b"\0\x06orders\0\x04paid\0\x03m-1\0\x20" + bytes(32)),
    ],
)
def test_a_level_binds_what_the_specification_lists(level: Level, bound: bytes) -> None:
    binding = Binding("orders", "paid", "m-1", bytes(32))

    data = associated_data(PREFIX, "acme", "checkout", level, binding)

    named = b"\0\x13interceptors/v1/aad\0\x04acme\0\x08checkout"
    assert data == PREFIX + sha256(named + bound).digest()


def test_a_missing_body_is_not_an_empty_one() -> None:
    missing, empty = Binding("orders"), Binding("orders", body_digest=sha256(b"").digest())

    assert associated_data(PREFIX, "t", "s", Level.MESSAGE, missing) != associated_data(
        PREFIX, "t", "s", Level.MESSAGE, empty
    )


def test_the_repr_hides_id_and_digest() -> None:
    binding = Binding("orders", "paid", "customer-4711", sha256(b"4711").digest())

    assert repr(binding) == "Binding(channel='orders', type='paid')"
