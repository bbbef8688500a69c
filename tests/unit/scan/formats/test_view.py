"""What is the same for all views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgpack
import pytest

from interceptors.scan.formats import dispatch
from interceptors.scan.formats.dispatch import Format
from interceptors.scan.formats.view import never, within

if TYPE_CHECKING:
    from collections.abc import Callable

ESCAPED = b'{"a": "' + b"\\\\" * 2_000 + b'"}'
HEADER = b"\0\0\0\0\1"
COSTLY = [
    (Format.JSON, ESCAPED),
    (Format.REGISTRY, HEADER + ESCAPED),
    (Format.REGISTRY, HEADER + b"\0" + b"\x08\x01" * 2_000),
    (Format.REGISTRY, HEADER + b"\0\x20sixteen readable" * 2_000),
    (Format.MESSAGEPACK, msgpack.packb([1] * 2_000)),
    (Format.FORM, b"a=%40&" * 2_000),
    (Format.TEXT, b"%40 " * 2_000),
    (Format.CSV, b"a,b\n" * 2_000),
]


def asked(times: int) -> Callable[[], bool]:
    """Says that the time is over when it is asked for the last of so many times, and from then on."""
    answers = iter([False] * (times - 1))
    return lambda: next(answers, True)


def shown(format_: Format, body: bytes, spent: Callable[[], bool]) -> list[bytes]:
    views, _ = dispatch.views(body, format_, 4, lambda _: True, spent)
    return [view.data for view in views]


@pytest.mark.parametrize(("format_", "body"), COSTLY, ids=lambda value: repr(value)[:24])
def test_what_costs_time_ends_with_the_time(format_: Format, body: bytes) -> None:
    whole = shown(format_, body, never)

    for times in (1, 2, 3):
        part = shown(format_, body, asked(times))
        assert part != whole
        assert len(part) <= len(whole)


def test_items_are_given_as_long_as_there_is_time() -> None:
    assert list(within(range(10), never, every=3)) == list(range(10))
    assert list(within(range(10), asked(3), every=3)) == list(range(6))
    assert list(within(range(10), asked(1))) == []
