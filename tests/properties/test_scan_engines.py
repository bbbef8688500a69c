"""The fast engine reports what the plain one does, and blocks change nothing."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from interceptors.scan import DETECTORS
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.hyperscan_engine import HyperscanEngine
from interceptors.scan.scanner import Scanner

FAST = Scanner(DETECTORS, HyperscanEngine)
PLAIN = Scanner(DETECTORS, StdlibEngine)

EXAMPLES = sorted(
    {text for detector in DETECTORS for text in (*detector.examples, *detector.counter_examples)}
)

fragments = st.one_of(
    st.sampled_from(EXAMPLES),
    st.binary(max_size=40),
    st.text("0123456789-. ", max_size=24).map(str.encode),
    st.sampled_from([b'"', b"\n", b": ", b"=", b"@", b" ", b",", b"\x00", b"\xff", b"}{", b"-----BEGIN "]),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Examples and other bytes in a row, some of them cut, changed or glued together."""
    data = bytearray(b"".join(draw(st.lists(fragments, max_size=6))))
    for _ in range(draw(st.integers(0, 4)) if data else 0):
        place = draw(st.integers(0, len(data) - 1))
        data[place] = draw(st.integers(0, 255))
    return bytes(data)


@settings(max_examples=400)
@given(damaged())
def test_both_engines_find_the_same(data: bytes) -> None:
    assert FAST.scan(data) == PLAIN.scan(data)


@settings(max_examples=200)
@given(damaged(), st.integers(200, 400))
def test_blocks_change_nothing(data: bytes, block: int) -> None:
    data = data.ljust(600, b" ") + data
    whole = FAST.scan(data)
    with patch("interceptors.scan.scanner._BLOCK", block):
        assert FAST.scan(data) == whole
