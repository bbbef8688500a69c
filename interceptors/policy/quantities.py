"""Durations and sizes, as people write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_NS = {
    "us": 1_000,
    "ms": 1_000_000,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_DURATION = re.compile(r"^([0-9]{1,9})(ms|s|m|h|d)$")
_LONGEST_MS = 3650 * _NS["d"] // _NS["ms"]
_SHORT = re.compile(r"^([0-9]{1,9})(us|ms|s)$")
_LONGEST_SHORT_NS = 60 * _NS["s"]
_SIZE = re.compile(r"^([0-9]{1,9})(B|KiB|MiB)$")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}
_LARGEST = 64 << 20


def _milliseconds(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration as a number and a unit (ms, s, m, h, d), such as 90s or 7d")
    milliseconds = int(match[1]) * _NS[match[2]] // _NS["ms"]
    if milliseconds > _LONGEST_MS:
        raise ValueError("a duration is 3650d at most; give a shorter one")
    return milliseconds


def _nanoseconds(value: object) -> object:
    match = _SHORT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a time as a number and a unit (us, ms, s), such as 500us or 20ms")
    nanoseconds = int(match[1]) * _NS[match[2]]
    if not 0 < nanoseconds <= _LONGEST_SHORT_NS:
        raise ValueError("a time is 1us to 60s")
    return nanoseconds


def _bytes(value: object) -> object:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a size as a number and a unit (B, KiB, MiB), such as 256KiB")
    size = int(match[1]) * _BYTES[match[2]]
    if not 0 < size <= _LARGEST:
        raise ValueError("a size is 1B to 64MiB")
    return size


Duration = Annotated[
    int,
    BeforeValidator(_milliseconds, json_schema_input_type=Annotated[str, Field(pattern=_DURATION.pattern)]),
]
"""Milliseconds."""
ShortTime = Annotated[
    int,
    BeforeValidator(_nanoseconds, json_schema_input_type=Annotated[str, Field(pattern=_SHORT.pattern)]),
]
"""Nanoseconds."""
Size = Annotated[
    int,
    BeforeValidator(_bytes, json_schema_input_type=Annotated[str, Field(pattern=_SIZE.pattern)]),
]
"""Bytes."""


def shown_ms(milliseconds: int) -> str:
    """Write milliseconds as a document has them."""
    return _shown(milliseconds * _NS["ms"], _NS)


def shown_ns(nanoseconds: int) -> str:
    """Write nanoseconds as a document has them."""
    return _shown(nanoseconds, {unit: size for unit, size in _NS.items() if size <= _NS["s"]})


def shown_bytes(size: int) -> str:
    """Write a size as a document has it."""
    return _shown(size, _BYTES)


def _shown(quantity: int, units: dict[str, int]) -> str:
    unit = max((unit for unit in units if quantity % units[unit] == 0), key=units.__getitem__)
    return f"{quantity // units[unit]}{unit}"
