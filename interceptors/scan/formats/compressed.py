"""Compressed bodies: told by how they begin, opened up to a bound, packed the same way again."""

from __future__ import annotations

import re

from interceptors.scan.finding import Unscanned
from interceptors.scan.formats.codecs import CODECS, BrokenError

_MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08)|(?P<zlib>x[\x01\x5e\x9c\xda])|(?P<zstd>\x28\xb5\x2f\xfd)|(?P<lz4>\x04\x22\x4d\x18)"
    rb"|(?P<snappy_framed>\xff\x06\x00\x00sNaPpY)|(?P<snappy_xerial>\x82SNAPPY\x00)"
)
# Raw snappy has no magic: its size, then a literal, which is text only where both are by chance.
_RAW_SNAPPY = re.compile(rb"(?![\x20-\x7e]{2})[\x80-\xff]{0,4}[\x01-\x7f][\x00\x04\x08\x0c\x10-\xf4]")
_LITERAL = 3
_DOUBTFUL = ("zlib", "snappy")
"""What begins like these may be something else."""


class Opened:
    """A compressed body, opened."""

    def __init__(self, codec: str, body: bytes, data: bytes, unscanned: Unscanned | None) -> None:
        """Keep.

        Args:
            codec: its name.
            body: as it lies.
            data: what it holds, or the beginning of that.
            unscanned: why that is not all.
        """
        self.data = data
        self.unscanned = unscanned
        self._codec = codec
        self._length = len(body)

    def origin(self, _start: int, _end: int) -> tuple[int, int]:
        """Give the whole body: what lies where in it can't be told."""
        return 0, self._length

    def packed(self, data: bytes) -> bytes | None:
        """Compress other bytes with the same codec; None where the body was not read to its end."""
        return None if self.unscanned is not None else CODECS[self._codec].packed(data)


def sniff(head: bytes) -> bool:
    """Say whether a body begins like one with a magic."""
    return _MAGIC.match(head) is not None


def opened(body: bytes, limit: int) -> Opened | None:
    """Open a compressed body.

    Args:
        body: any bytes.
        limit: how many bytes to give at most.

    Returns:
        What it holds; None where it isn't compressed.
    """
    match = _MAGIC.match(body)
    if match is not None:
        codec = str(match.lastgroup)
    elif (match := _RAW_SNAPPY.match(body)) is not None and not body[match.end() - 1] & _LITERAL:
        codec = "snappy"
    else:
        return None
    parts: list[bytes] = []
    size = 0
    unscanned = None
    try:
        for part in CODECS[codec].opened(body):
            parts.append(part)
            size += len(part)
            if size > limit:
                unscanned = Unscanned.BYTES
                break
    except (BrokenError, ImportError):
        if codec in _DOUBTFUL and not size:
            return None
        unscanned = Unscanned.CODEC
    return Opened(codec, body, b"".join(parts)[:limit], unscanned)
