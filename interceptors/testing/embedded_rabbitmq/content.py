"""The properties of a message, as the bytes that the publisher sent.

They are cut at the borders of the fields and never decoded, so that what a broker leaves alone passes through
it byte for byte, whatever the types.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from pamqp import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = (  # in their order on the wire, each with its type, as a table names it; "s" is a short string
    ("content_type", "s"),
    ("content_encoding", "s"),
    ("headers", "F"),
    ("delivery_mode", "B"),
    ("priority", "B"),
    ("correlation_id", "s"),
    ("reply_to", "s"),
    ("expiration", "s"),
    ("message_id", "s"),
    ("timestamp", "T"),
    ("type", "s"),
    ("user_id", "s"),
    ("app_id", "s"),
    ("cluster_id", "s"),
)
FIRST_FLAG = 0x8000
SIZES = dict.fromkeys("V\0", 0) | dict.fromkeys("tbB", 1) | dict.fromkeys("su", 2) | dict.fromkeys("Iif", 4)
SIZES |= {"D": 5} | dict.fromkeys("LldT", 8)
"""How many bytes a value of a table takes that is of one size, by its type."""
MEASURED = "SxAF"
"""The types whose value begins with four bytes that say how long the rest is."""


def split_properties(raw: bytes) -> dict[str, bytes]:
    """Cut the properties of a message into fields.

    Raises:
        ValueError: the bytes are no properties.
    """
    flags = int.from_bytes(raw[:2])
    fields: dict[str, bytes] = {}
    at = 2
    for position, (name, kind) in enumerate(FIELDS):
        if flags & FIRST_FLAG >> position:
            end = at + (1 + raw[at] if kind == "s" else _size(kind, raw, at)) if at < len(raw) else at + 1
            fields[name] = raw[at:end]
            at = end
    if at != len(raw) or flags & 3:
        raise ValueError("properties that end elsewhere than their frame")
    return fields


def join_properties(fields: Mapping[str, bytes]) -> bytes:
    """The bytes of the properties that have these fields."""
    flags = sum(FIRST_FLAG >> position for position, (name, _) in enumerate(FIELDS) if name in fields)
    return flags.to_bytes(2) + b"".join(fields[name] for name, _ in FIELDS if name in fields)


def split_table(raw: bytes) -> dict[str, bytes]:
    """Cut a table into its values, each with its type before it.

    Raises:
        ValueError: the bytes are no table.
    """
    values: dict[str, bytes] = {}
    at = 4
    while at < len(raw):
        start = at + 1 + raw[at]
        name = raw[at + 1 : start].decode()
        at = start + _value_size(raw, start)
        values[name] = raw[start:at]
    if at != len(raw) or at != _size("F", raw, 0):
        raise ValueError("a table that ends elsewhere than it says")
    return values


def join_table(values: Mapping[str, bytes]) -> bytes:
    """The bytes of the table that has these values."""
    return _measured(b"".join(short_string(name) + value for name, value in values.items()))


def split_array(raw: bytes) -> list[bytes]:
    """Cut an array into its values, each with its type before it.

    Raises:
        ValueError: the bytes are no array.
    """
    values: list[bytes] = []
    at = 4
    while at < len(raw):
        end = at + _value_size(raw, at)
        values.append(raw[at:end])
        at = end
    if at != len(raw) or at != _size("A", raw, 0):
        raise ValueError("an array that ends elsewhere than it says")
    return values


def short_string(text: str) -> bytes:
    """A short string, as in a property or the name of a value."""
    encoded = text.encode()
    return len(encoded).to_bytes(1) + encoded


def long_value(number: int) -> bytes:
    """A value of a table: a number of 64 bits."""
    return b"l" + number.to_bytes(8, signed=True)


def text_value(text: str) -> bytes:
    """A value of a table: a text."""
    return b"S" + _measured(text.encode())


def with_header(raw: bytes, name: str, value: bytes) -> bytes:
    """These properties with one header set."""
    fields = split_properties(raw)
    fields["headers"] = join_table(_headers(fields) | {name: value})
    return join_properties(fields)


def decoded_headers(raw: bytes) -> dict[str, object]:
    """The headers as values; those that can't be decoded are left out."""
    values: dict[str, object] = {}
    for name, value in _headers(split_properties(raw)).items():
        with contextlib.suppress(ValueError, ArithmeticError, RecursionError):
            values[name] = decode.embedded_value(value)[1]
    return values


def deaths(raw: bytes) -> list[dict[str, bytes]]:
    """The entries of the `x-death` header, the latest first; none if there is no such header."""
    value = _headers(split_properties(raw)).get("x-death", b"")
    try:
        return [split_table(entry[1:]) for entry in split_array(value[1:])] if value[:1] == b"A" else []
    except ValueError:
        return []  # a publisher may call anything by that name


def with_death(raw: bytes, *, queue: str, reason: str, exchange: str, routing_key: str) -> bytes:
    """The properties that a message has after it was dead-lettered.

    Args:
        raw: those that it had in the queue.
        queue: where it died.
        reason: of what: `rejected` or `expired`.
        exchange: what it had been published to.
        routing_key: with which key.
    """
    fields = split_properties(raw)
    headers = _headers(fields)
    first = {"exchange": exchange, "queue": queue, "reason": reason}
    place = {"queue": text_value(queue), "reason": text_value(reason)}
    known = deaths(raw)
    same = next((entry for entry in known if place.items() <= entry.items()), None)
    if same is None:
        latest = {"count": long_value(1), "reason": place["reason"], "queue": place["queue"]}
        latest |= {"time": b"T" + int(time.time()).to_bytes(8), "exchange": text_value(exchange)}
        latest["routing-keys"] = b"A" + _measured(text_value(routing_key))
        if "expiration" in fields:
            latest["original-expiration"] = text_value(fields["expiration"][1:].decode())
    else:
        latest = same | {"count": long_value(_number(same.get("count", b"V")) + 1)}
    entries = [latest, *(entry for entry in known if entry is not same)]
    headers["x-death"] = b"A" + _measured(b"".join(b"F" + join_table(entry) for entry in entries))
    if not known:
        headers |= {f"x-first-death-{name}": text_value(value) for name, value in first.items()}
    fields["headers"] = join_table(headers)
    fields.pop("expiration", None)  # or it would die again where it goes
    return join_properties(fields)


def _headers(fields: Mapping[str, bytes]) -> dict[str, bytes]:
    return split_table(fields["headers"]) if "headers" in fields else {}


def _measured(rest: bytes) -> bytes:
    return len(rest).to_bytes(4) + rest


def _size(kind: str, raw: bytes, at: int) -> int:
    """How many bytes a value takes that begins there, without its type."""
    if kind in MEASURED:
        return 4 + int.from_bytes(raw[at : at + 4])
    return SIZES[kind]


def _value_size(raw: bytes, at: int) -> int:
    """How many bytes a value takes, with the type that is there."""
    kind = chr(raw[at]) if at < len(raw) else ""
    if kind not in SIZES and kind not in MEASURED:
        raise ValueError(f"no type of AMQP: {kind!r}")
    return 1 + _size(kind, raw, at + 1)


def _number(value: bytes) -> int:
    """A number of a table; 0 for what is none."""
    _, number = decode.embedded_value(value)
    return number if isinstance(number, int) else 0
