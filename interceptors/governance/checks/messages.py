"""Which expressions of a source are the content of a message."""

from __future__ import annotations

import ast
import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.source import Source


class Content(StrEnum):
    """What of a message it is."""

    PAYLOAD = "payload"
    KEY = "key"
    HEADERS = "headers"
    ARGUMENTS = "arguments"


class Part(NamedTuple):
    """An expression, and what of a message it is."""

    node: ast.expr
    content: Content


_ATTRIBUTES = {
    "body": Content.PAYLOAD,
    "payload": Content.PAYLOAD,
    "value": Content.PAYLOAD,
    "key": Content.KEY,
    "headers": Content.HEADERS,
}
_ARGUMENTS = frozenset({"args", "argsrepr", "kwargs", "kwargsrepr"})
_NAMES = frozenset({"incoming", "message", "msg", "raw_message", "rec", "record"})
_TYPES = re.compile(
    r"(^|\.)(ConsumerRecord|TracedRecord|\w*IncomingMessage|TracedMessage|(Kafka|Rabbit)Message"
    r"|StreamMessage|confluent_kafka\.Message|TaskiqMessage)\(\)$"
)
_RECEIVED = re.compile(
    r"(Consumer|TracedConsumer)\(\)(\[\]|\.(getone|poll)\(\)|\.consume\(\)\[\])$"
    r"|\.iterator\(\)\[\]$|(declare_queue|get_queue)\(\)(\[\]|\.get\(\))$"
)
_READERS = frozenset(
    {
        *("ascii", "bytes", "dict", "json.loads", "list", "msgpack.loads", "msgpack.unpackb", "orjson.loads"),
        *("repr", "simplejson.loads", "str", "tuple", "ujson.loads", "pprint.pformat", "json.dumps"),
        "bytearray",
    }
)
"""What makes of a content another form of all of it."""
_METHODS = frozenset({"copy", "decode", "get", "hex", "items", "json", "strip", "values"})
_TELLING_NOTHING = frozenset({"all", "any", "bool", "hash", "id", "isinstance", "len", "type"})


def is_message(source: Source, node: ast.expr) -> bool:
    """Tell whether an expression is a message that was received."""
    name = source.name_of(node)
    if name and (_TYPES.search(name) or _RECEIVED.search(name)):
        return True
    return isinstance(node, ast.Name) and source.uses_bus and node.id in _NAMES


def content_of(  # noqa: PLR0911 - a case for each form of an expression
    source: Source, node: ast.AST
) -> Content | None:
    """Tell what of a message an expression is, as a whole; None where it is no such thing, or a part of it.

    Args:
        source: where it stands.
        node: the expression.
    """
    match node:
        case ast.Attribute(value=ast.Attribute(attr="request"), attr=attribute) if attribute in _ARGUMENTS:
            return Content.ARGUMENTS
        case ast.Attribute(value=value, attr=attribute):
            return _ATTRIBUTES.get(attribute) if is_message(source, value) else None
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=[]) if method in _ATTRIBUTES:
            return _ATTRIBUTES[method] if is_message(source, value) else None
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _METHODS:
            return content_of(source, value)
        case ast.Call(args=[first, *_], func=function) if source.name_of(function) in _READERS:
            return content_of(source, first)
        case ast.Await(value=value):
            return content_of(source, value)
        case ast.Subscript(value=value, slice=ast.Slice()):
            return content_of(source, value)
        case ast.Subscript(value=value):
            found = content_of(source, value)
            return found if found is Content.HEADERS else None
        case ast.Name():
            return _content_of_name(source, node)
        case _:
            return None


def _content_of_name(source: Source, node: ast.Name) -> Content | None:
    name = source.name_of(node)
    if name and (_TYPES.search(name) or _RECEIVED.search(name)):
        return Content.PAYLOAD  # its repr shows it
    with source.following(node) as bindings:
        for binding in bindings:
            if not binding.suffix and (found := content_of(source, binding.value)) is not None:
                return found
    return None


def contents_in(source: Source, node: ast.AST) -> Iterator[Part]:
    """Find what of a message comes out of an expression.

    Args:
        source: where it stands.
        node: an expression that is shown to somebody: its parts, too, but not what it only asks of a content,
            such as its length.

    Yields:
        Each part that is the content of a message.
    """
    if isinstance(node, ast.expr) and (content := content_of(source, node)) is not None:
        yield Part(node, content)
        return
    match node:
        case ast.Compare() | ast.Subscript() | ast.Attribute() | ast.Lambda():
            return
        case ast.Call(func=ast.Name(id=name)) if name in _TELLING_NOTHING:
            return
        case ast.IfExp(body=body, orelse=orelse):
            parts: list[ast.AST] = [body, orelse]
        case _:
            parts = list(ast.iter_child_nodes(node))
    for part in parts:
        yield from contents_in(source, part)
