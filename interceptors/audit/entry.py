"""One record and its line: canonical JSON, as RFC 8785 has it.

Texts, integers, booleans and ASCII names are all that a record is made of. For those, the canonical form is
what `json` writes with sorted keys and no white space; there is no floating-point number to be formatted.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeGuard

from interceptors.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Detail: TypeAlias = str | int | bool | list[str]

VERSION = 1
START = "0" * 64
"""What stands for the hash of the line before the first."""
LONGEST = 1 << 16
"""Bytes of the longest line, its newline not counted."""
LARGEST = (1 << 53) - 1
"""The largest integer that every JSON reader takes for what it is (RFC 8785, section 3.2.2.3)."""
FAILED: Literal["failed"] = "failed"

_ACTION = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_HASH = re.compile(r"[0-9a-f]{64}")
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One record.

    Attributes:
        sequence: its number, from 0.
        time: when it was written, in milliseconds since the epoch, by the writer's clock.
        actor: who acts.
        action: what is done, such as `keys.rotate`.
        details: to what, and how: names with a text, an integer, a boolean or a list of texts each.
        previous: the SHA-256 of the line before, in hex; zeros in the first record.
        outcome: `failed` in the record of an act that has failed; else None, and not written.
    """

    sequence: int
    time: int
    actor: str
    action: str
    details: Mapping[str, Detail]
    previous: str
    outcome: Literal["failed"] | None = None

    def line(self) -> bytes:
        """Give the record's line, without its newline.

        Raises:
            AuditError: there is none; the text names the field, and not what it holds.
        """
        problem = _problem(form := self._form())
        if problem is not None:
            raise AuditError(f"the record can't be written: {problem}")
        line = _encode(form).encode()
        if len(line) > LONGEST:
            raise AuditError(f"the record can't be written: details: longer than {LONGEST} bytes in all")
        return line

    def _form(self) -> dict[str, object]:
        form: dict[str, object] = {
            "version": VERSION,
            "sequence": self.sequence,
            "time": self.time,
            "actor": self.actor,
            "action": self.action,
            "details": self.details,
            "previous": self.previous,
        }
        return form if self.outcome is None else form | {"outcome": self.outcome}


def parse_entry(line: bytes) -> Entry:
    """Read a record's line.

    Args:
        line: any bytes; a line has no newline.

    Returns:
        The record.

    Raises:
        AuditError: they are none; the text says why, and holds nothing of them.
    """
    form: object = None
    # A parser of foreign text; what it raises holds that text.
    with contextlib.suppress(ValueError, RecursionError):
        form = json.loads(line.decode())
    problem = _problem(form)
    if problem is None and isinstance(form, dict):
        if _encode(form).encode() == line and len(line) <= LONGEST:
            del form["version"]
            return Entry(**form)
        problem = f"not canonical JSON of at most {LONGEST} bytes"
    raise AuditError(f"not a record: {problem}")


def chain_hash(line: bytes) -> str:
    """Give what the record after a line has as `previous`."""
    return sha256(line).hexdigest()


def _problem(form: object) -> str | None:
    """Say which field can't stand in a record, and why."""
    if not isinstance(form, dict) or form.keys() - {"outcome"} != _FIELDS.keys() - {"outcome"}:
        return "not an object with the fields of a record"
    for name, value in form.items():
        holds, rule = _FIELDS[name]
        if not holds(value):
            return f"{name}: not {rule}"
    for name, value in form["details"].items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return "details: a name that is not lower-case ASCII"
        if not _is_detail(value):
            return f"details.{name}: not a text, an integer up to 2^53 - 1, a boolean or a list of texts"
    return None


def _is_detail(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_text, value))
    return _is_text(value) or isinstance(value, bool) or _is_integer(value)


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_text(value: object) -> bool:
    """Whether a value is a text that has a UTF-8 form: one without half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_count(value: object) -> bool:
    return _is_integer(value) and value >= 0


def _is_of(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "version": (lambda value: _is_integer(value) and value == VERSION, f"{VERSION}"),
    "sequence": (_is_count, "an integer from 0 to 2^53 - 1"),
    "time": (_is_count, "an integer from 0 to 2^53 - 1"),
    "actor": (lambda value: _is_text(value) and value != "", "a text that has a UTF-8 form"),
    "action": (_is_of(_ACTION), "lower-case words with dots between them"),
    "details": (lambda value: isinstance(value, dict), "an object"),
    "outcome": (lambda value: value == FAILED, f"{FAILED!r}"),
    "previous": (_is_of(_HASH), "a SHA-256 in hex"),
}
"""What may stand in each field of a record."""
