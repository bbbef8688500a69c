"""Contents of messages, and names of identifiers, that reach a log or an error's text."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.governance.checks.messages import Content, contents_in
from interceptors.governance.checks.sensitive import is_sensitive
from interceptors.governance.checks.source import given, keyword, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.source import Source

_WHY = "Logs are kept longer, read by more, and copied further than the bus itself."

PAYLOAD = Rule(
    "payload-logged",
    Severity.ERROR,
    "a payload in a log",
    _WHY,
    "log its size or an id of your own that is nobody's identifier",
)
KEY = Rule(
    "key-logged",
    Severity.ERROR,
    "a message key in a log",
    f"Keys are mostly identifiers. {_WHY}",
    "log topic, partition and offset, which name the message as well",
)
HEADERS = Rule(
    "headers-logged",
    Severity.ERROR,
    "headers in a log",
    f"Headers hold credentials and trace context. {_WHY}",
    "log how many there are, or the name of one",
)
ARGUMENTS = Rule(
    "task-arguments-logged",
    Severity.ERROR,
    "the arguments of a task in a log",
    f"They are the payload of its message. {_WHY}",
    "log the task's name and id",
)
NAMED = Rule(
    "identifier-logged",
    Severity.WARNING,
    "something in a log that is named like an identifier or a secret",
    _WHY,
    "leave it out, or log a token of it",
)
IN_ERROR = Rule(
    "payload-in-exception",
    Severity.ERROR,
    "the content of a message in the text of an error",
    "An error's text goes to logs, to spans, and to whoever reports errors.",
    "say what is wrong with it, and where the message lies",
)
DEBUGGING = Rule(
    "client-debug-logging",
    Severity.ERROR,
    "debug logs of a bus client",
    "At that level the clients write whole messages, keys and headers.",
    "keep the client's logger at INFO or above",
)
RULES = (PAYLOAD, KEY, HEADERS, ARGUMENTS, NAMED, IN_ERROR, DEBUGGING)

_RULE_OF = {
    Content.PAYLOAD: PAYLOAD,
    Content.KEY: KEY,
    Content.HEADERS: HEADERS,
    Content.ARGUMENTS: ARGUMENTS,
}
_LEVELS = frozenset(
    {"critical", "debug", "error", "exception", "fatal", "info", "log", "msg", "trace", "warn", "warning"}
)
_LOGGER = re.compile(r"(^|[._])(log|logger|logging)$", re.IGNORECASE)
_LOGGERS = re.compile(r"(logging|structlog)(\.\w+)*\.(getLogger|get_logger|get_task_logger|wrap_logger)\(\)")
_CLIENTS = re.compile(
    r"(aio_pika|aiokafka|aiormq|amqp|celery|confluent_kafka|faststream|kafka|kombu|pika|taskiq)(\..*)?"
)
_SENT_ON = frozenset({"bind", "decode", "encode", "format", "join", "lower", "strip", "upper"})


def check(source: Source) -> Iterator[Finding]:
    """Find what is logged that should not be."""
    if not source.uses_bus:
        return
    for call, name in source.calls:
        if _logs(source, call, name):
            yield from _logged(source, call)
        yield from _debugging(source, call, name)
    for node in source.nodes:
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for argument in given(node.exc):
                for part in contents_in(source, argument):
                    yield source.finding(
                        IN_ERROR, part.node, f"the {part.content} of a message is in an error"
                    )


def _logs(source: Source, call: ast.Call, name: str) -> bool:
    if name in {
        "print",
        "pprint.pprint",
        "rich.print",
        "sys.stdout.write",
        "sys.stderr.write",
        "warnings.warn",
    }:
        return True
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in {*_LEVELS, "bind"}:
        return False
    owner = source.name_of(call.func.value)
    if _LOGGERS.match(owner) or owner in {"logging", "loguru.logger", "structlog"}:
        return True
    match call.func.value:
        case ast.Name(id=text) | ast.Attribute(attr=text):
            return _LOGGER.search(text) is not None
        case _:
            return False


def _logged(source: Source, call: ast.Call) -> Iterator[Finding]:
    for argument in given(call):
        parts = list(contents_in(source, argument))
        for part in parts:
            yield source.finding(
                _RULE_OF[part.content], part.node, f"the {part.content} of a message is logged"
            )
        if not parts:
            yield from _named(source, argument)


def _named(source: Source, node: ast.AST) -> Iterator[Finding]:
    """Find what is logged under a sensitive name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            pass
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            pass
        case ast.Call(func=ast.Attribute(value=owner, attr=method)) if method not in _SENT_ON:
            if method == "get" and node.args and (name := text_of(node.args[0]) or "") and is_sensitive(name):
                yield source.finding(NAMED, node, f"{name} is logged")
            elif not isinstance(owner, ast.Name):
                yield from _named(source, owner)
            return
        case ast.Call(func=ast.Name()) | ast.Compare() | ast.Lambda():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _named(source, child)
            return
    # A `name` that is logged is a service's, a file's, a class's more often than a person's.
    if name.strip("_") != "name" and is_sensitive(name):
        yield source.finding(NAMED, node, f"{name} is logged")


def _debugging(source: Source, call: ast.Call, name: str) -> Iterator[Finding]:
    """Find where a client is made to log all that it does."""
    if name == "logging.basicConfig" and _is_debug(source, keyword(call, "level")):
        yield source.finding(DEBUGGING, call, "the root logger, and so each bus client, logs at DEBUG")
    elif name.endswith("getLogger().setLevel") and call.args and _is_debug(source, call.args[0]):
        for client in _logger_names(source, call.func):
            yield source.finding(DEBUGGING, call, f"the logger {client} logs at DEBUG")
    elif name.startswith("confluent_kafka.") and call.args and isinstance(call.args[0], ast.Dict):
        for key in call.args[0].keys:
            if text_of(key) == "debug":
                yield source.finding(DEBUGGING, key or call, "librdkafka's `debug` is on")


def _is_debug(source: Source, node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in {"DEBUG", 10}
    return node is not None and source.name_of(node) == "logging.DEBUG"


def _logger_names(source: Source, function: ast.expr) -> Iterator[str]:
    """Give the client's logger whose level is set: `getLogger("aiokafka")`, perhaps by a name."""
    owner = function.value if isinstance(function, ast.Attribute) else function
    calls = [owner, *(binding.value for binding in source.bindings(owner))]
    for call in calls:
        if isinstance(call, ast.Call):
            name = text_of(call.args[0]) if call.args else "root"
            if name is not None and (name == "root" or _CLIENTS.fullmatch(name)):
                yield name
