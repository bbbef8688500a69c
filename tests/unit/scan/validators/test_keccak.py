from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.keccak import _sponge, keccak_256

SHA3_SUFFIX = 0x06


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"testing", "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02"),
    ],
)
def test_published_digests(data: bytes, digest: str) -> None:
    assert keccak_256(data).hex() == digest


@pytest.mark.parametrize("length", [0, 1, 134, 135, 136, 137, 272, 500])
def test_with_the_padding_of_sha3_it_is_sha3(length: int) -> None:
    data = bytes(range(256)) * 2

    assert _sponge(data[:length], SHA3_SUFFIX) == hashlib.sha3_256(data[:length]).digest()


@given(st.binary(max_size=300))
def test_with_the_padding_of_sha3_it_is_sha3_for_any_bytes(data: bytes) -> None:
    assert _sponge(data, SHA3_SUFFIX) == hashlib.sha3_256(data).digest()
