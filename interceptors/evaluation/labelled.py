"""Labelled data: texts of which somebody has said what is in them, one JSON object a line.

A record:

```json
{"text": "card 4111 1111 1111 1111", "labels": [{"class": "payment.card", "start": 5, "end": 24}], "id": "a1"}
```
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError
from interceptors.scan.inspection import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_CLASS = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9][a-z0-9_-]*)?")
_RECORD_KEYS = ("text", "base64", "format", "labels", "id")
_LABEL_KEYS = ("class", "start", "end")


class _LineError(Exception):
    """What is wrong with a line, and how to mend it."""


class Label(NamedTuple):
    """An identifier that lies in a record."""

    class_: str
    """A class such as `payment.card`, a family such as `payment`, or a detector such as `iban`."""
    start: int | None = None
    """Where it begins, in bytes; None where the label is of the record as a whole."""
    end: int | None = None
    """The first byte after it."""


class Record(NamedTuple):
    """A text, and all that lies in it."""

    id: str
    """What the data calls it, or `line N`."""
    body: bytes
    format: Format
    labels: tuple[Label, ...]
    """None of them: nothing is to be found in it."""


class LabelledData(NamedTuple):
    """Records, and what they are labelled with."""

    classes: frozenset[str]
    """Every class, family or detector that is declared or occurs: what else is found in the records is not
    known to be right or wrong. Empty where no label occurs and none is declared: all found is wrong."""
    records: tuple[Record, ...]


def read_labelled(path: Path) -> LabelledData:
    """Read labelled data.

    Args:
        path: a file of JSON lines.

    Returns:
        What is in it.

    Raises:
        ConfigurationError: it can't be used; the text names file and line, never what the line holds.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a file of JSON lines") from None
    declared: frozenset[str] = frozenset()
    records: list[Record] = []
    first = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            document = _object(line)
            if first and "classes" in document:
                declared = frozenset(_classes(document))
            else:
                records.append(_record(document, number))
        except _LineError as error:
            raise ConfigurationError(f"{path}:{number}: {error}") from None
        first = False
    if not records:
        raise ConfigurationError(f"{path}: there is no record in it; write one JSON object a line")
    occurring = {label.class_ for record in records for label in record.labels}
    return LabelledData(declared | occurring, tuple(records))


def _object(line: bytes) -> dict[str, object]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise _LineError("this is no JSON; write one object a line, in UTF-8") from None
    if not isinstance(document, dict):
        raise _LineError('this is no JSON object; write {"text": …, "labels": […]}')
    return document


def _classes(document: dict[str, object]) -> Iterator[str]:
    if not document.keys().isdisjoint(("text", "base64", "labels")):
        raise _LineError("`classes` is beside a record; give it a line of its own, the first")
    value = document["classes"]
    if not isinstance(value, list):
        raise _LineError('`classes` is no list; write {"classes": ["payment.card", …]}')
    for each in value:
        yield _class(each, "`classes`")


def _record(document: dict[str, object], number: int) -> Record:
    _spelled(document, _RECORD_KEYS)
    body = _body(document)
    labels = document.get("labels", [])
    if not isinstance(labels, list):
        raise _LineError('`labels` is no list; write [{"class": …}], or [] where nothing is to be found')
    format_ = document.get("format", Format.AUTO.value)
    if format_ not in [each.value for each in Format]:
        raise _LineError(f"`format` is none of {', '.join(Format)}")
    name = document.get("id", f"line {number}")
    if not isinstance(name, str | int):
        raise _LineError("`id` is neither a text nor a number")
    return Record(str(name), body, Format(str(format_)), tuple(_label(label, len(body)) for label in labels))


def _body(document: dict[str, object]) -> bytes:
    match document:
        case {"text": str(text)} if "base64" not in document:
            # A lone surrogate is a text that can be written down in JSON, and so one that can be sent.
            return text.encode("utf-8", "surrogatepass")
        case {"base64": str(encoded)} if "text" not in document:
            try:
                return base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                raise _LineError("`base64` is no base64 (RFC 4648, with padding)") from None
        case _:
            raise _LineError("give either `text` or `base64`, and that as a text")


def _label(value: object, length: int) -> Label:
    if not isinstance(value, dict) or "class" not in value:
        raise _LineError('a label has no class; write {"class": "payment.card", "start": 0, "end": 16}')
    _spelled(value, _LABEL_KEYS)
    class_ = _class(value["class"], "a label's `class`")
    start, end = value.get("start"), value.get("end")
    if start is None and end is None:
        return Label(class_)
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= length:
        raise _LineError(
            f"a label's `start` and `end` are not within the record's {length} bytes; count bytes of UTF-8, "
            "`end` after the last one, or leave both out"
        )
    return Label(class_, start, end)


def _class(value: object, place: str) -> str:
    if not isinstance(value, str) or not _CLASS.fullmatch(value):
        raise _LineError(
            f"{place} is no name of a class (payment.card), of a family (payment) or of a detector (iban)"
        )
    return value


def _spelled(document: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse a key that is nearly one of ours; what else a data set has to say of its records is its own."""
    for key in document:
        if key not in known and (nearest := get_close_matches(key, known, n=1, cutoff=0.7)):
            raise _LineError(f"a key that is not known; did you mean `{nearest[0]}`?")
