"""Canaries: values that nobody else has, put where secrets lie, and looked for where none may be."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import json
import logging
import secrets
import string
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from interceptors.spans import Span, to_otlp_json

_DEEPEST = 24
_GZIP = b"\x1f\x8b"
_PARTS = (str, bytes, bytearray, memoryview, int, float, bool, type(None))


class Leak(NamedTuple):
    """A canary that was found where none may be."""

    name: str
    """Which one, such as `email`."""
    place: str
    """Where, such as `spans[0].attributes.customer`."""
    form: str
    """How it was written there, such as `base64`."""


class Canary:
    """Values that look like identifiers and secrets, each made once and known by nobody else.

    Put them into bodies, keys, headers, labels, task arguments and exceptions; then ask `leaks` whether one
    of them is in a log, a span, a header or a file. Only those that were asked for are looked for.
    """

    @cached_property
    def text(self) -> str:
        """A word that is no identifier of any kind."""
        return "canary" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))

    @cached_property
    def email(self) -> str:
        """An e-mail address (in a domain of RFC 2606)."""
        return f"canary.{secrets.token_hex(8)}@example.com"

    @cached_property
    def card_number(self) -> str:
        """A number of 16 digits with the check digit of a payment card (ISO/IEC 7812-1)."""
        digits = "411111" + "".join(secrets.choice(string.digits) for _ in range(9))
        doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(digits))
        return digits + str(-sum(number // 10 + number % 10 for number in doubled) % 10)

    @cached_property
    def api_key(self) -> str:
        """A secret in the form of an access key id of AWS."""
        return "AKIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))

    def made(self) -> dict[str, str]:
        """Give the canaries that were asked for so far, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, str)}

    def leaks(self, **places: object) -> list[Leak]:
        """Look for the canaries.

        Args:
            places: what to look through, by the name that it is called in the answer: texts, bytes, paths of
                files and folders, log records, exceptions, spans, and whatever is made of those. Of any other
                object only its `repr` and `str` are looked at, so give the parts that matter.

        Returns:
            Each canary that was found, once for each place and form.
        """
        needles = [
            (name, form, needle.lower())
            for name, value in self.made().items()
            for form, needle in _forms(value)
        ]
        found: dict[Leak, None] = {}
        for name, value in places.items():
            for place, text in _texts(value, name, 0, {}):
                lowered = text.lower()
                found |= {
                    Leak(what, place, form): None for what, form, needle in needles if needle in lowered
                }
        return list(found)

    def __repr__(self) -> str:
        """Say which canaries were made; a value in a report would be found by who searches the report."""
        return f"Canary(made={list(self.made())})"


def _forms(value: str) -> Iterator[tuple[str, str]]:
    """Give the ways in which a value may be written."""
    raw = value.encode()
    yield "as it is", value
    yield "backwards", value[::-1]
    yield "in hex", raw.hex()
    yield "in UTF-16", value.encode("utf-16-le").decode("latin-1")
    if quote(value, safe="") != value:
        yield "URL-encoded", quote(value, safe="")
    yield "in base64", base64.b64encode(raw).decode().rstrip("=")[:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # where in a longer text it begins
            text = encode(bytes(before) + raw).decode()
            yield "in base64", text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]


def _texts(value: object, place: str, depth: int, seen: dict[int, object]) -> Iterator[tuple[str, str]]:
    """Give all that can be read in a value, each with its place.

    What was seen is held: else the next part that is made for the occasion may have the same id.
    """
    if depth > _DEEPEST or (not isinstance(value, _PARTS) and id(value) in seen):
        return
    if not isinstance(value, _PARTS):
        seen[id(value)] = value
    if isinstance(value, (bytes, bytearray, memoryview)):
        yield from ((place, text) for text in _texts_of_bytes(bytes(value)))
    elif isinstance(value, Path):
        yield from _texts_of_path(value, place)
    elif isinstance(value, Span):
        yield place, json.dumps(to_otlp_json(value), ensure_ascii=False)
        yield place, repr(value)
    elif isinstance(value, logging.LogRecord):
        yield place, value.getMessage()
        yield from _texts(vars(value), place, depth + 1, seen)
    else:
        yield place, repr(value)
        yield place, str(value)
        for step, part in _parts(value):
            yield from _texts(part, f"{place}{step}", depth + 1, seen)


def _texts_of_bytes(raw: bytes) -> Iterator[str]:
    yield raw.decode("latin-1")
    yield raw.decode("utf-8", "replace")
    if raw.startswith(_GZIP):
        with contextlib.suppress(OSError, EOFError):
            yield gzip.decompress(raw).decode("latin-1")


def _texts_of_path(path: Path, place: str) -> Iterator[tuple[str, str]]:
    """Give the names and contents of a file, or of all files of a folder."""
    yield place, path.name
    if path.is_file():
        yield from ((f"{place}:{path.name}", text) for text in _texts_of_bytes(path.read_bytes()))
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            yield from _texts_of_path(inner, place)


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Give what a value is made of, each with the step that leads there."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield ".(key)", key
            yield f".{key}", part
    elif isinstance(value, (Collection, Iterator)) and not isinstance(value, str):
        yield from ((f"[{place}]", part) for place, part in enumerate(value))
    elif isinstance(value, BaseException):
        yield ".args", value.args
        yield ".__dict__", vars(value)
        yield ".__cause__", value.__cause__
        yield ".__context__", value.__context__
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        yield from ((f".{field.name}", getattr(value, field.name)) for field in fields)
    elif hasattr(value, "to_json"):  # a span of OpenTelemetry's SDK
        yield ".to_json()", value.to_json()
