"""Base64 within a text: told by what its beginning decodes to, looked into, and encoded again."""

from __future__ import annotations

import binascii
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from interceptors.scan.detector import Rule
from interceptors.scan.formats import compressed

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALPHABET = "A-Za-z0-9+/_-"
# The four characters of three bytes of ASCII text, line ends included. One random character in three or so is
# right in each place, and hardly any of hexadecimal digits.
_TEXT = "[CDI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
# JSON, also where it goes on in another script; and what is compressed.
_MAGIC = (
    "ey[I-L]",
    "Wy[I-L]",
    "W3si",
    "H4sI[A-P]",
    "KLUv[/_]",
    "BCJN",
    "eJ[w-z]",
    "eN[o-r]",
    "eA[E-H]",
    "eF[4-7]",
)

ENCODED = Rule(
    (rf"\b{_TEXT * 2}", *(rf"\b{magic}" for magic in _MAGIC)),
    f"(?<![{_ALPHABET}])[{_ALPHABET}]{{24}}",
)
"""How base64 shows that may hold a text, or something compressed."""

_RUN = re.compile(f"[{_ALPHABET}]*+={{0,2}}".encode())
_PROBE = 64
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_STANDARD = bytes.maketrans(b"+/", b"-_")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST_CHARACTER = 4


class Encoded:
    """A run of base64 that holds a text."""

    def __init__(self, run: bytes) -> None:
        """Decode it.

        Args:
            run: characters of one of the alphabets, padded or not.
        """
        self._length = len(run)
        self._padded = run.endswith(b"=")
        self._url_safe = b"-" in run or b"_" in run
        self.data = _decoded(run)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the characters that hold some of the bytes."""
        return start // 3 * 4, min(self._length, (end + 2) // 3 * 4)

    def packed(self, data: bytes) -> bytes:
        """Encode other bytes in the same manner."""
        run = binascii.b2a_base64(data, newline=False)
        if not self._padded:
            run = run.rstrip(b"=")
        return run.translate(_STANDARD) if self._url_safe else run


def runs(data: bytes, begins: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Find the runs of base64 that hold something to be looked into.

    A line of base64 is a run of its own: lines are whole groups of four.

    Args:
        data: what they lie in.
        begins: where the rule matched.

    Returns:
        Their spans, in order.
    """
    spans = []
    starts = sorted({start for start, _ in begins})
    for start, _ in pairwise((*starts, len(data))):
        match = _RUN.match(data, start)
        if match is not None and _holds_text(match[0][:_PROBE]):
            spans.append(match.span())
    return spans


def _holds_text(beginning: bytes) -> bool:
    if (b"+" in beginning or b"/" in beginning) and (b"-" in beginning or b"_" in beginning):
        return False
    head = _decoded(beginning)
    if compressed.sniff(head):
        return True
    if _CONTROLS.search(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start > len(head) - _LONGEST_CHARACTER
    return True


def _decoded(run: bytes) -> bytes:
    run = run.rstrip(b"=").translate(_URL_SAFE)
    if len(run) % 4 == 1:
        run = run[:-1]  # no encoder makes it: cut off
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))
