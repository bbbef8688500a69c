"""Fuzzes the scanner with atheris: any bytes as a record of any format, and what it holds replaced.

Run by hand, since it never ends by itself: `python tests/security/fuzz_scan.py -max_total_time=600`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import atheris

if TYPE_CHECKING:
    from interceptors.scan.finding import Finding

with atheris.instrument_imports(include=["interceptors.scan"]):
    from interceptors.scan.formats.codecs import CODECS
    from interceptors.scan.inspection import Format, Inspector, Limits, Treatment
    from interceptors.scan.token import Token

FORMATS = list(Format)
PACKED = [None, *CODECS.values()]
TREATMENTS = list(Treatment)
INSPECTOR = Inspector(limits=Limits(bytes=1 << 14, depth=3))


def one(data: bytes) -> None:
    """Look into one record: its first bytes say how."""
    if not data:
        return
    how, body = data[0], data[1:]
    codec = PACKED[how // len(FORMATS) % len(PACKED)]
    if codec is not None:
        body = codec.packed(body)
    inspection = INSPECTOR.inspect(body, format=FORMATS[how % len(FORMATS)])

    def choose(finding: Finding) -> Treatment:
        return TREATMENTS[(finding.start + how) % len(TREATMENTS)]

    if any(not 0 <= found.start <= found.end <= len(body) for found in inspection.findings):
        raise AssertionError(inspection)
    inspection.replaced(choose, _token)


def _token(_: Finding, text: bytes) -> Token:
    return Token(text.rjust(16, b"-")[:16], 1)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
