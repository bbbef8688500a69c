from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import cramjam
import lz4.frame
import pytest
import zstandard

from interceptors.scan.finding import Unscanned
from interceptors.scan.formats.codecs import CODECS
from interceptors.scan.formats.compressed import Opened, opened

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b'{"email": "user@example.com"}'
LIMIT = 1 << 20


def must(body: bytes, limit: int = LIMIT) -> Opened:
    """The body, opened."""
    result = opened(body, limit)
    assert result is not None
    return result


def bomb(codec: str) -> bytes:
    """A body of a few kilobytes that holds 64 MB."""
    return CODECS[codec].packed(bytes(1 << 26))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("text", [TEXT, TEXT * 10_000, b"x"], ids=["small", "large", "byte"])
def test_a_body_is_told_opened_and_packed_again(codec: str, text: bytes) -> None:
    body = CODECS[codec].packed(text)
    result = must(body)

    assert (result.data, result.unscanned) == (text, None)
    assert result.origin(3, 5) == (0, len(body))
    again = result.packed(b"other text")
    assert again is not None
    assert must(again).data == b"other text"
    assert again[:2] == body[:2] or codec == "snappy"


@pytest.mark.parametrize(
    ("compress", "text"),
    [
        (gzip.compress, TEXT),
        (lz4.frame.compress, TEXT),
        (zstandard.ZstdCompressor(write_content_size=False).compress, TEXT),
        (lambda text: bytes(cramjam.snappy.compress(text)), TEXT),
        (lambda text: bytes(cramjam.snappy.compress_raw(text)), TEXT),
        (lambda text: gzip.compress(text) + gzip.compress(text), TEXT),
        (lambda text: lz4.frame.compress(text) + lz4.frame.compress(text), TEXT),
    ],
)
def test_what_others_compressed_is_opened(compress: Callable[[bytes], bytes], text: bytes) -> None:
    assert must(compress(text)).data.startswith(text)
    assert must(compress(text)).unscanned is None


@pytest.mark.parametrize("codec", CODECS)
def test_no_more_than_the_bound_is_kept(codec: str) -> None:
    body = CODECS[codec].packed(TEXT * 10_000)
    result = must(body, 1000)

    assert result.data == (TEXT * 1000)[:1000]
    assert result.unscanned is Unscanned.BYTES
    assert result.packed(b"") is None


@pytest.mark.parametrize("codec", sorted(CODECS.keys() - {"snappy"}))
def test_a_bomb_costs_what_the_bound_allows(codec: str) -> None:
    body = bomb(codec)
    must(body, 1000)  # imports the codec
    tracemalloc.start()
    try:
        result = must(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (len(result.data), result.unscanned) == (LIMIT, Unscanned.BYTES)
    assert peak < 4 * LIMIT + len(body)


def test_raw_snappy_that_says_more_than_it_can_hold_is_not_opened() -> None:
    assert opened(b"\xff\xff\xff\xff\x0f\x00a", LIMIT) is None


@pytest.mark.parametrize("codec", sorted(CODECS.keys() - {"snappy"}))
def test_a_broken_body_gives_what_could_be_read(codec: str) -> None:
    body = CODECS[codec].packed(bytes(range(256)) * 1000)
    result = must(body[: len(body) * 3 // 4])

    assert result.data == (bytes(range(256)) * 1000)[: len(result.data)]
    assert result.unscanned is Unscanned.CODEC
    assert result.packed(b"") is None


@pytest.mark.parametrize(
    "body",
    [
        b"\x1f\x8b\x08 no gzip",
        b"\x28\xb5\x2f\xfd no zstd",
        b"\x04\x22\x4d\x18 no lz4",
        b"\xff\x06\x00\x00sNaPpY\x02 no snappy",
        b"\xff\x06\x00\x00sNaPpY\x00\x04\x00\x00abcd",
        b"\xff\x06\x00\x00sNaPpY\x00\x05\x00\x00abcd\xff",
        b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\xff\x06\x00\x00sNaPpY\x01\x09\x00\x00abcd",
        gzip.compress(TEXT, mtime=0) + b"garbage",
        zlib.compress(TEXT) + zlib.compress(TEXT),
    ],
)
def test_what_is_not_what_its_magic_says_is_named(body: bytes) -> None:
    assert must(body).unscanned is Unscanned.CODEC


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"x^2 + y^2", b"x\x9cthis is no zlib", b"\x05\x10text", b"\x00" * 9]
)
def test_what_is_not_compressed_is_left_alone(body: bytes) -> None:
    assert opened(body, LIMIT) is None


def test_frames_that_may_be_passed_over_are() -> None:
    body = bytes(cramjam.snappy.compress(TEXT))
    stream, frames = body[:10], body[10:]

    assert must(stream + b"\xfe\x03\x00\x00abc" + frames + b"\x01\x05\x00\x00abcd!").data == TEXT + b"!"


@pytest.mark.parametrize(
    ("codec", "module"),
    [("zstd", "zstandard"), ("lz4", "lz4.frame"), ("snappy_framed", "cramjam"), ("snappy_xerial", "cramjam")],
)
def test_a_codec_that_is_not_installed_is_named(
    codec: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = CODECS[codec].packed(TEXT * 100)
    monkeypatch.setitem(sys.modules, module, None)

    assert (must(body).data, must(body).unscanned) == (b"", Unscanned.CODEC)


def test_raw_snappy_is_unknown_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = CODECS["snappy"].packed(TEXT)
    monkeypatch.setitem(sys.modules, "cramjam", None)

    assert opened(body, LIMIT) is None
