"""Decompressed as it is read: gzip, zstd and lz4 files, told by their first bytes."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from interceptors.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scanning.records import Readable

_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4 = b"\x04\x22\x4d\x18"
MAGIC_LENGTH = 4
_PIECE = 1 << 9
"""How much of zstd is decompressed at once. Four bytes of it may stand for 128 KiB."""


def decompressed(stream: Readable, head: bytes, damaged: Callable[[], None]) -> Readable:
    """Give a stream as it was before it was compressed, if it was.

    Args:
        stream: the stream, from its begin.
        head: its first bytes, `MAGIC_LENGTH` or more.
        damaged: is called where it can't be read on, which is its end then.

    Raises:
        MissingExtraError: the library that reads it is not installed.
    """
    # These want a file, of which they only read.
    file = cast("BinaryIO", stream)
    if head.startswith(_GZIP):
        return _Guarded(gzip.GzipFile(fileobj=file), (zlib.error, EOFError, gzip.BadGzipFile), damaged)
    if head.startswith(_ZSTD):
        try:
            import zstandard  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError("scan", "zstandard") from None
        frames = _Frames(stream, zstandard.ZstdDecompressor().decompressobj)
        return _Guarded(io.BufferedReader(frames), (zstandard.ZstdError, EOFError), damaged)
    if head.startswith(_LZ4):
        try:
            from lz4 import frame  # noqa: PLC0415 - an extra
        except ImportError:
            raise MissingExtraError("scan", "lz4") from None
        return _Guarded(frame.LZ4FrameFile(file), (RuntimeError, EOFError), damaged)
    return stream


class _Frames(io.RawIOBase):
    """What is in frames, one behind the other; zstandard's own reader doesn't tell a cut one from a whole."""

    def __init__(self, stream: Readable, new_frame: Callable[[], Any]) -> None:
        self._stream = stream
        self._new_frame = new_frame
        self._frame = new_frame()
        self._begun = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer
        """Give the next bytes.

        Raises:
            EOFError: a frame was cut.
        """
        while not self._ready:
            data = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._begun = self._new_frame(), False
            data = data or self._stream.read(_PIECE)
            if not data:
                if self._begun:
                    raise EOFError
                return 0
            self._begun = True
            self._ready = memoryview(self._frame.decompress(data))
        length = min(len(buffer), len(self._ready))
        buffer[:length], self._ready = self._ready[:length], self._ready[length:]
        return length


class _Buffered(Protocol):
    """What gives as much as it has."""

    def read1(self, size: int, /) -> bytes:
        """Give some of the next bytes."""
        ...


class _Guarded:
    """A stream that ends where it is damaged, and gives all that comes before."""

    def __init__(
        self, stream: _Buffered, errors: tuple[type[Exception], ...], damaged: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._errors = errors
        self._damaged = damaged
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""
        pieces: list[bytes] = []
        while size and not self._ended:
            try:
                piece = self._stream.read1(size)
            except self._errors:
                self._damaged()
                piece = b""
            self._ended = not piece
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)
