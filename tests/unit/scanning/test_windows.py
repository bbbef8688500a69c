from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan import Finding, Inspector, Unscanned, Validation
from interceptors.scan.finding import Scan
from interceptors.scanning import windows
from interceptors.scanning.windows import scan_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.scanning.windows import Result

PATTERN = re.compile(rb"<[a-z\n]{0,12}>")
KEPT = 5


def inspect(data: bytes) -> Scan:
    """Finds what is in angle brackets, and like a scanner keeps only the first findings."""
    found = [
        Finding("tag", "internal.tag", *match.span(), Validation.PATTERN, "a tag")
        for match in PATTERN.finditer(data)
    ]
    return Scan(tuple(found[:KEPT]), Unscanned.FINDINGS if len(found) > KEPT else None)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Windows of a few bytes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in {"BLOCK": 64, "REACH": 64, "_BEFORE": 8, "_MARGIN": 4}.items():
            patch.setattr(windows, name, size)
        yield


def spans(results: Iterator[Result]) -> list[tuple[int, int, int]]:
    """Record, start and end of each finding; all else is an error."""
    found = []
    for record, result in results:
        assert isinstance(result, Finding)
        found.append((record, result.start, result.end))
    return found


def expected(text: bytes, *, by_lines: bool) -> list[tuple[int, int, int]]:
    found = []
    for match in PATTERN.finditer(text):
        start, end = match.span()
        line_start = text.rfind(b"\n", 0, start) + 1 if by_lines else 0
        found.append((text.count(b"\n", 0, start) if by_lines else 0, start - line_start, end - line_start))
    return found


@given(
    text=st.lists(
        st.sampled_from([b"<", b">", b"ab", b"\n", b"<ab\nc>", b"x" * 20, b"<a>" * 9]), max_size=80
    ),
    size=st.integers(1, 100),
    by_lines=st.booleans(),
)
def test_windows_find_what_lies_in_the_whole(text: list[bytes], size: int, *, by_lines: bool) -> None:
    data = b"".join(text)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = spans(scan_windows(pieces, inspect, by_lines=by_lines))
    assert found == expected(data, by_lines=by_lines)


def test_what_begins_before_is_left_out_and_the_record_is_as_given() -> None:
    data = b"<a> <b> <c>"
    assert spans(scan_windows([data], inspect, record=7, begin=4)) == [(7, 4, 7), (7, 8, 11)]


def test_only_a_window_is_kept_of_a_long_text() -> None:
    longest = 0

    def measured(data: bytes) -> Scan:
        nonlocal longest
        longest = max(longest, len(data))
        return inspect(data)

    pieces = (random.Random(number).choice([b"x" * 40, b"<a>" + b"y" * 40]) for number in range(2000))
    assert len(spans(scan_windows(pieces, measured))) > 500
    assert longest <= windows.BLOCK + windows.REACH + windows._BEFORE + 43


def test_a_value_whose_name_is_in_the_window_before_is_found(inspector: Inspector) -> None:
    # However the text lies to the windows.
    for shift in range(200):
        data = b"." * shift + b"tag=abc;" + b"." * 300
        found = spans(scan_windows([data[at : at + 50] for at in range(0, len(data), 50)], inspector.inspect))
        assert found == [(0, shift + 4, shift + 8)]


def test_what_was_not_scanned_is_told() -> None:
    def blind(data: bytes) -> Scan:
        return Scan((), Unscanned.CODEC)

    assert list(scan_windows([b"a\nb"], blind, record=3)) == [(3, Unscanned.CODEC)]
