"""Records made to cost time or memory: each gets a verdict, and neither grows out of bounds.

Time isn't measured, since that would say more about the machine: calls are counted where there is something
to count, and all else is so large that what is not linear would never end.
"""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from interceptors.scan.finding import Finding, Unscanned
from interceptors.scan.formats.codecs import CODECS
from interceptors.scan.inspection import Format, Inspector, Limits, Treatment

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1 << 20
ADDRESS = b"user@example.com"


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector()


@pytest.fixture(scope="module")
def wide() -> Inspector:
    """Looks at 128 MB."""
    return Inspector(limits=Limits(bytes=128 * MEGABYTE))


def mask(_finding: Finding) -> Treatment:
    return Treatment.MASK


def peak(call: Callable[[], object]) -> int:
    """The most memory that a call holds beside what there was before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Budget:
    """Is spent after it was asked for some times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_to_any_depth_has_a_verdict(inspector: Inspector, opening: bytes) -> None:
    body = opening * 100_000 + b'"user@example.com"'

    (finding,) = inspector.inspect(body).findings

    assert (finding.detector, finding.path) == ("email", "")
    assert inspector.inspect(body).replaced(mask) == body.replace(ADDRESS, b"*" * len(ADDRESS))


def test_documents_in_strings_to_any_depth_have_a_verdict(inspector: Inspector) -> None:
    document = json.dumps({"a": ADDRESS.decode()})
    for _ in range(14):
        document = json.dumps({"a": document})

    assert inspector.inspect(document.encode()).unscanned is Unscanned.DEPTH


def test_a_string_of_100_mb_costs_no_memory_of_its_size(wide: Inspector) -> None:
    body = b'{"long": "' + b"x y " * (25 * MEGABYTE) + b'", "email": "user@example.com"}'
    found: list[Finding] = []

    held = peak(lambda: found.extend(wide.inspect(body).findings))

    assert [finding.path for finding in found] == ["$.email"]
    assert held < 8 * MEGABYTE


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_has_a_verdict(inspector: Inspector, codec: str) -> None:
    body = CODECS[codec].packed(ADDRESS + b" " * (64 * MEGABYTE))

    inspection = inspector.inspect(body)

    assert [finding.detector for finding in inspection.findings] == ["email"]
    assert inspection.unscanned is Unscanned.BYTES
    assert inspection.replaced(mask) is None
    if codec != "snappy":  # which says beforehand how much it is, and is at most 32 times as large
        assert peak(lambda: inspector.inspect(body)) < 8 * MEGABYTE + len(body)


def test_bombs_in_base64_share_one_bound(inspector: Inspector) -> None:
    bomb = base64.b64encode(CODECS["gzip"].packed(b" " * (16 * MEGABYTE))).decode()
    body = json.dumps([bomb] * 20).encode()

    assert inspector.inspect(body).unscanned is Unscanned.BYTES
    assert peak(lambda: inspector.inspect(body)) < 8 * MEGABYTE


def test_many_tiny_members_are_read(inspector: Inspector) -> None:
    body = CODECS["gzip"].packed(b"x") * 50_000 + CODECS["gzip"].packed(b" user@example.com")

    assert [finding.detector for finding in inspector.inspect(body).findings] == ["email"]


@pytest.mark.parametrize(
    "body",
    [
        b"@a" * 500_000,
        b'{"a": "' + b"@a" * 500_000 + b'"}',
        b"a@" * 500_000,
        b"a.b@c." * 150_000,
        b"\\" * MEGABYTE,
        b'{"a": "' + b'\\"' * 500_000 + b'"}',
        b'{"a": "' + b"\\u0040" * 150_000 + b'"}',
        b'{"a": "' + b"\\ud83d" * 150_000 + b'"}',
        b'"' * MEGABYTE,
        b"{" + b'"a":"",' * 149_000 + b"}",
        b"[" + b"1," * 500_000 + b"1]",
        b'{"":' * 250_000,
        b"4111111111111111 " * 60_000,
        b"[" * 900_000 + b'"user@example.com",' * 1000,
        b'{"a":' * 180_000 + b"[" + b'"user@example.com",' * 1000,
        b'["4111111111111111",' * 45_000,
        b"4" * MEGABYTE,
        b"[" + b"4111111111111111:" * 60_000,
        b"eyJhIjog" * 130_000,
        b"eyJhIjogImIiLCAiYyI6ICJkIn0 " * 35_000,
        b"a=%40&" * 170_000,
        b"%40" * 340_000,
        b"a,b\n" * 250_000,
        b'a,b\n"' * 200_000,
        b"\x00\x00\x00\x00\x01" + b"\x02a" * 500_000,
        b"\x91" * MEGABYTE,
        b"\x81\xa1a" * 340_000,
        b"ssn: " * 200_000,
        b"password=" * 110_000,
        bytes(range(256)) * 4096,
        b"\xff" * MEGABYTE,
        b"\xed\xa0\x80" * 340_000,
        b"-----BEGIN PRIVATE KEY-----" * 38_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_megabyte_of_anything_has_a_verdict_within_a_budget(inspector: Inspector, body: bytes) -> None:
    inspection = inspector.inspect(body, spent=Budget(2_000))

    assert inspection.unscanned in {None, Unscanned.TIME, Unscanned.FINDINGS, Unscanned.DEPTH}
    assert len(inspection.findings) <= 1000
    assert inspection.replaced(mask) is not None


@pytest.mark.parametrize("format_", sorted(set(Format) - {Format.MESSAGEPACK}))
def test_what_is_no_text_has_a_verdict(inspector: Inspector, format_: Format) -> None:
    for damage in (b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", rb"\ud800", rb"\udc00\ud800", b"\x00"):
        body = b'{"' + damage + b'": "' + damage + b' user@example.com"}'
        inspection = inspector.inspect(body, format=format_)

        assert [finding.detector for finding in inspection.findings] == ["email"]
        changed = inspection.replaced(mask)
        assert changed is not None
        assert ADDRESS not in changed
