from __future__ import annotations

import gzip
import io
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any, NoReturn

import lz4.frame
import pytest
import zstandard

from interceptors.errors import MissingExtraError
from interceptors.scanning.compressed import decompressed

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b"".join(b"%d;" % number for number in range(50_000))
CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}


@pytest.fixture(params=CODECS)
def packed(request: pytest.FixtureRequest) -> bytes:
    """The text, by each codec, in two frames: tools that rotate logs append."""
    pack = CODECS[request.param]
    return pack(TEXT[:100_000]) + pack(TEXT[100_000:])


def unharmed() -> NoReturn:
    pytest.fail("nothing is damaged")


def read(data: bytes, damaged: Callable[[], None] = unharmed) -> bytes:
    stream = decompressed(io.BytesIO(data), data[:4], damaged)
    parts: list[bytes] = []
    while part := stream.read(7000):
        parts.append(part)
    assert {len(part) for part in parts[:-1]} == {7000}
    return b"".join(parts)


def test_what_was_compressed_is_read(packed: bytes) -> None:
    assert read(packed) == TEXT


def test_anything_else_is_read_as_it_is() -> None:
    assert read(TEXT) == TEXT


def test_what_was_cut_or_is_damaged_is_told_once_and_read_up_to_there(packed: bytes) -> None:
    for data, least in (
        (packed[: len(packed) * 3 // 4], 100_000),
        (packed[:-1], 100_000),
        (packed + b"no frame", len(TEXT)),
    ):
        told: list[bool] = []
        given = read(data, lambda told=told: told.append(True))  # type: ignore[misc]  # mypy infers no default
        assert told == [True]
        assert len(given) >= least
        assert TEXT.startswith(given)


def test_a_bomb_is_read_piece_by_piece() -> None:
    size = 1 << 29
    bomb = zstandard.ZstdCompressor().compressobj(size=size)
    packed = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(size >> 20)) + bomb.flush()
    tracemalloc.start()
    stream = decompressed(io.BytesIO(packed), packed[:4], unharmed)
    read_in_all = 0
    while part := stream.read(1 << 20):
        read_in_all += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read_in_all == size
    assert peak < size >> 3


@pytest.mark.parametrize(("codec", "module"), [("zstd", "zstandard"), ("lz4", "lz4")])
def test_a_codec_that_is_not_installed_is_named(
    codec: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: Any = CODECS[codec](TEXT)
    for name in [module, *(name for name in sys.modules if name.startswith(f"{module}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"interceptors\[scan\]"):
        decompressed(io.BytesIO(packed), packed[:4], unharmed)
