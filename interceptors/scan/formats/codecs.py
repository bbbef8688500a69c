"""The codecs of bodies: each gives what a body holds in small pieces, so that whoever reads them may stop.

gzip and zlib are the standard library's; zstd, lz4 and snappy need the extra `scan`.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 12
"""Of a body. A body may be many tiny frames, and what is left of a block is copied for each."""
_PIECE = 1 << 16
_GZIP, _ZLIB = 31, 15
_WINDOW = 1 << 23
"""The largest window that RFC 8878 asks every decoder of zstd to support."""
_END = b"end of the body"
_SNAPPY_RATIO = 32
"""An element of snappy takes two bytes and gives at most 64."""
_FRAMED_BLOCK = 1 << 16
_XERIAL_HEADER = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
_XERIAL_BLOCK = 1 << 15


class BrokenError(Exception):
    """The body is not what it looks like, or ends too early. Caught by who opens it."""


class Codec(NamedTuple):
    """How bodies are opened and packed. Both raise ImportError where the codec is not installed."""

    opened: Callable[[bytes], Iterator[bytes]]
    """Gives what a body holds in pieces; raises BrokenError."""
    packed: Callable[[bytes], bytes]


def _inflated(body: bytes, wbits: int) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits)
    for at in range(0, len(body), _BLOCK):
        rest, full = body[at : at + _BLOCK], False
        while rest or full:
            if engine.eof:
                if wbits != _GZIP:
                    raise BrokenError
                engine = zlib.decompressobj(wbits)
            try:
                piece = engine.decompress(rest, _PIECE)
            except zlib.error:
                raise BrokenError from None
            yield piece
            rest = engine.unconsumed_tail or engine.unused_data
            full = len(piece) == _PIECE and not engine.eof
    if not engine.eof:
        raise BrokenError


def _gunzipped(body: bytes) -> Iterator[bytes]:
    return _inflated(body, _GZIP)


def _gzipped(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=_GZIP)
    return engine.compress(data) + engine.flush()


def _zlib_opened(body: bytes) -> Iterator[bytes]:
    return _inflated(body, _ZLIB)


def _zstd_opened(body: bytes) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 - an extra

    # A frame of ours behind it shows that the body ended where it should; the reader doesn't say.
    behind = zstandard.ZstdCompressor().compress(_END)
    engine = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    reader = engine.stream_reader(body + behind, read_across_frames=True)
    last = b""
    try:
        while piece := reader.read(_PIECE):
            last += piece
            yield last[: -len(_END)]
            last = last[-len(_END) :]
    except zstandard.ZstdError:
        raise BrokenError from None
    if last != _END:
        raise BrokenError


def _zstd_packed(data: bytes) -> bytes:
    import zstandard  # noqa: PLC0415 - an extra

    return zstandard.ZstdCompressor().compress(data)


def _lz4_opened(body: bytes) -> Iterator[bytes]:
    from lz4.frame import LZ4FrameDecompressor  # noqa: PLC0415 - an extra

    engine = LZ4FrameDecompressor()
    for at in range(0, len(body), _BLOCK):
        rest, full = body[at : at + _BLOCK], False
        while rest or full:
            if engine.eof:
                engine.reset()
            try:
                piece = engine.decompress(rest, max_length=_PIECE)
            except RuntimeError:
                raise BrokenError from None
            yield piece
            rest = engine.unused_data or b""
            full = not engine.needs_input and not engine.eof
    if not engine.eof:
        raise BrokenError


def _lz4_packed(data: bytes) -> bytes:
    import lz4.frame  # noqa: PLC0415 - an extra

    packed: bytes = lz4.frame.compress(data)
    return packed


def _snappy_block(block: bytes, most: int) -> bytes:
    """Open a block of raw snappy, which says beforehand how long it will be."""
    import cramjam  # noqa: PLC0415 - an extra

    try:
        size = cramjam.snappy.decompress_raw_len(block)
        if size > min(most, _SNAPPY_RATIO * len(block)):
            raise BrokenError
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError:
        raise BrokenError from None


def _raw_opened(body: bytes) -> Iterator[bytes]:
    yield _snappy_block(body, _SNAPPY_RATIO * len(body))


def _raw_packed(data: bytes) -> bytes:
    import cramjam  # noqa: PLC0415 - an extra

    return bytes(cramjam.snappy.compress_raw(data))


def _framed_opened(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        kind, size = body[at], int.from_bytes(body[at + 1 : at + 4], "little")
        at += 4 + size
        block = body[at - size + 4 : at]  # behind its checksum
        if at > len(body):
            raise BrokenError
        if kind == 0x00:
            yield _snappy_block(block, _FRAMED_BLOCK)
        elif kind == 0x01:
            yield block
        elif kind < 0x80:  # noqa: PLR2004 - from there on chunks may be passed over
            raise BrokenError


def _framed_packed(data: bytes) -> bytes:
    import cramjam  # noqa: PLC0415 - an extra

    return bytes(cramjam.snappy.compress(data))


def _xerial_opened(body: bytes) -> Iterator[bytes]:
    at = len(_XERIAL_HEADER)
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        at += 4 + size
        if at > len(body) or not size:
            raise BrokenError
        yield _snappy_block(body[at - size : at], _SNAPPY_RATIO * size)


def _xerial_packed(data: bytes) -> bytes:
    parts = [_XERIAL_HEADER]
    for at in range(0, len(data), _XERIAL_BLOCK):
        block = _raw_packed(data[at : at + _XERIAL_BLOCK])
        parts += (len(block).to_bytes(4, "big"), block)
    return b"".join(parts)


CODECS = {
    "gzip": Codec(_gunzipped, _gzipped),
    "zlib": Codec(_zlib_opened, zlib.compress),
    "zstd": Codec(_zstd_opened, _zstd_packed),
    "lz4": Codec(_lz4_opened, _lz4_packed),
    "snappy": Codec(_raw_opened, _raw_packed),
    "snappy_framed": Codec(_framed_opened, _framed_packed),
    "snappy_xerial": Codec(_xerial_opened, _xerial_packed),
}
"""By name."""
