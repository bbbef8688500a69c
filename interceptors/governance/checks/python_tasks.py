"""How Celery's tasks are named and written."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.governance.checks.messages import content_of
from interceptors.governance.checks.source import given, keyword, text_of
from interceptors.governance.checks.texts import identifiers_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.source import Source

_RUNS = "Whoever can write to the bus runs code of their own in the worker."

FROM_DATA = Rule(
    "task-name-from-data",
    Severity.ERROR,
    "a task name that is made of data",
    "Names of tasks are on spans, in metrics and in the broker's monitoring, and no policy lists them.",
    "give the task a fixed name, and the data as an argument",
)
IDENTIFIER = Rule(
    "task-name-identifier",
    Severity.ERROR,
    "a task name that holds an identifier",
    "Names of tasks are on spans, in metrics and in the broker's monitoring.",
    "give the task a name of words",
)
PICKLE = Rule(
    "pickle-serializer",
    Severity.ERROR,
    "messages that are read or written by pickle",
    f"{_RUNS} And no scan looks into what pickle has written.",
    "use json",
)
PICKLED = Rule(
    "pickled-body",
    Severity.ERROR,
    "a message body that is read or written by pickle",
    f"{_RUNS} And no scan looks into what pickle has written.",
    "use json, or a format with a schema",
)
EVALUATED = Rule(
    "evaluated-body",
    Severity.ERROR,
    "a message body that is run, or read by a loader that builds any object",
    _RUNS,
    "use json.loads, yaml.safe_load or ast.literal_eval",
)
RULES = (FROM_DATA, IDENTIFIER, PICKLE, PICKLED, EVALUATED)

_NAMING = frozenset({"send_task", "shared_task", "signature", "subtask", "task"})
_SETTINGS = frozenset({"event_serializer", "result_serializer", "serializer", "task_serializer"})
_LISTS = frozenset({"accept_content", "result_accept_content"})
_PICKLES = frozenset({"application/x-python-serialize", "pickle"})
_PICKLERS = frozenset({"cloudpickle", "dill", "jsonpickle", "marshal", "pickle"})
_BUILDERS = frozenset({"eval", "exec", "yaml.full_load", "yaml.load", "yaml.unsafe_load"})
_SAFE_LOADERS = frozenset({"yaml.BaseLoader", "yaml.CBaseLoader", "yaml.CSafeLoader", "yaml.SafeLoader"})
_SENDS = frozenset({"Message", "produce", "publish", "send", "send_and_wait"})


def check(source: Source) -> Iterator[Finding]:
    """Find what is wrong with names and forms of tasks and messages."""
    if not source.uses_bus:
        return
    for call, name in source.calls:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
        if source.imports("celery") and method in _NAMING:
            yield from _name(source, call, method)
        for each in call.keywords:
            yield from _setting(source, each.arg or "", each.value)
            if each.arg and each.arg.endswith("serializer") and _pickles(source.name_of(each.value)):
                yield source.finding(PICKLED, each.value, f"{each.arg} is {source.name_of(each.value)}")
        yield from _body(source, call, name, method)
    yield from _settings(source)


def _name(source: Source, call: ast.Call, method: str) -> Iterator[Finding]:
    named = keyword(call, "name")
    if named is None and method not in {"task", "shared_task"} and call.args:
        named = call.args[0]
    match named:
        case ast.JoinedStr(values=parts) if any(isinstance(part, ast.FormattedValue) for part in parts):
            yield source.finding(FROM_DATA, named, "the task's name is put together while running")
        case ast.BinOp(op=ast.Add() | ast.Mod()) | ast.Call(func=ast.Attribute(attr="format" | "join")):
            yield source.finding(FROM_DATA, named, "the task's name is put together while running")
        case ast.Constant(value=str(text)):
            for found in identifiers_in(text):
                yield source.finding(IDENTIFIER, named, f"the task's name holds an identifier ({found})")
        case _:
            pass


def _setting(source: Source, name: str, value: ast.expr) -> Iterator[Finding]:
    name = name.lower().removeprefix("celery_")
    if name in _SETTINGS and text_of(value) in _PICKLES:
        yield source.finding(PICKLE, value, f"{name} is pickle")
    elif name in _LISTS and isinstance(value, ast.List | ast.Tuple | ast.Set):
        for each in value.elts:
            if text_of(each) in _PICKLES:
                yield source.finding(PICKLE, each, f"{name} takes pickle")


def _settings(source: Source) -> Iterator[Finding]:
    """Find settings that are assigned, or stand in a dict, and what lets kombu read all that it can."""
    for node in source.nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                yield from _setting(source, name, value)
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value):
                yield from _setting(source, name, value)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    yield from _setting(source, text_of(key) or "", value)
            case ast.Call() if source.name_of(node.func) == "kombu.serialization.enable_insecure_serializers":
                yield source.finding(PICKLE, node, "kombu is let read pickle")


def _body(source: Source, call: ast.Call, name: str, method: str) -> Iterator[Finding]:
    read = call.args and content_of(source, call.args[0]) is not None
    if read and _pickles(name) and method in {"load", "loads", "decode"}:
        yield source.finding(PICKLED, call, f"{name} reads a message")
    elif read and name in _BUILDERS and not _is_safe(source, call):
        yield source.finding(EVALUATED, call, f"{name} gets a message")
    if method in _SENDS:
        for each in given(call):
            if isinstance(each, ast.Call) and _pickles(source.name_of(each.func)):
                yield source.finding(PICKLED, each, f"{source.name_of(each.func)} writes a message")


def _pickles(name: str) -> bool:
    package, _, function = name.rpartition(".")
    return package.partition(".")[0] in _PICKLERS and function in {
        "decode",
        "dumps",
        "encode",
        "load",
        "loads",
    }


def _is_safe(source: Source, call: ast.Call) -> bool:
    loader = keyword(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
    return source.name_of(loader) in _SAFE_LOADERS
