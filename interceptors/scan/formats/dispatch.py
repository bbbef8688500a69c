"""Which format a record has, and the views that show it."""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from interceptors.scan.formats import csv_, form, json, messagepack, registry
from interceptors.scan.formats.plain import plain_views
from interceptors.scan.formats.view import StackedView, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.scan.formats.view import View

_PERCENT = re.compile(rb"%[2-7][0-9A-Fa-f]")


class Format(StrEnum):
    """What a record is."""

    AUTO = "auto"
    """Told by its first bytes; what is not known is scanned as bytes."""
    JSON = "json"
    """Also several documents in a row, such as one a line."""
    TEXT = "text"
    FORM = "form"
    """application/x-www-form-urlencoded"""
    CSV = "csv"
    """With names in the first row."""
    MESSAGEPACK = "messagepack"
    REGISTRY = "registry"
    """Avro or Protobuf behind the five bytes of a schema registry."""
    BYTES = "bytes"
    """Scanned as they are: nothing in them is decoded or decompressed."""


def told(body: bytes) -> Format:
    """Tell the format of a record.

    Args:
        body: any bytes.

    Returns:
        The format; TEXT for what is none of the others.
    """
    if json.sniff(body):
        return Format.JSON
    if registry.sniff(body):
        return Format.REGISTRY
    if messagepack.sniff(body):
        return Format.MESSAGEPACK
    if form.sniff(body):
        return Format.FORM
    if csv_.sniff(body):
        return Format.CSV
    return Format.TEXT


def is_bare(body: bytes) -> bool:
    """Say whether JSON needs no view but itself: it has no escapes of its own, nor those of a URL."""
    return b"\\" not in body and (b"%" not in body or _PERCENT.search(body) is None)


def views(
    data: bytes,
    kind: Format,
    depth: int,
    matters: Callable[[bytes], object],
    spent: Callable[[], bool] = never,
) -> tuple[Iterable[View], bool]:
    """Show a record.

    Args:
        data: the record.
        kind: its format, not AUTO.
        depth: how many levels of escapes are undone.
        matters: says of the name of a column whether some values count only beside it.
        spent: says whether the time is over; what comes then is not shown, or as it lies.

    Returns:
        Its views, and whether there are more levels of escapes than were undone.
    """
    more = False
    shown: list[View]
    match kind:
        case Format.JSON:
            documents, more = json.json_views(data, depth, spent)
            shown = [*documents]
        case Format.FORM:
            return [form.FormView(data, spent)], False
        case Format.CSV:
            whole = csv_.CsvView(data)
            return chain([whole], csv_.columns(whole, matters, spent)), False
        case Format.MESSAGEPACK:
            return [messagepack.MessagePackView(data, spent)], False
        case Format.REGISTRY:
            return registry.views(data, depth, spent)
        case _:
            shown = [*plain_views(data)]
    last = shown[-1]
    if _PERCENT.search(last.data):
        shown.append(StackedView(last, form.EscapedView(last.data, spent)))
    return shown, more
