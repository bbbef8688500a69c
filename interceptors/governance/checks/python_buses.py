"""Clients of buses that are used without interceptors."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.governance.checks.source import given, keyword

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.source import Source

NOT_TRACED = Rule(
    "bus-not-traced",
    Severity.ERROR,
    "a bus client that interceptors does not see",
    "Its messages carry no sealed envelope, are not verified, and are scanned for nothing.",
    "give it to a wrapper of interceptors, or call instrument() of its bus",
)
WITHOUT_ADAPTER = Rule(
    "bus-without-adapter",
    Severity.WARNING,
    "a bus client that interceptors has no adapter for",
    "Nothing seals, verifies or scans what passes here.",
    "use aiokafka, confluent-kafka, aio-pika, Celery, FastStream or taskiq",
)
RULES = (NOT_TRACED, WITHOUT_ADAPTER)


class _Client(NamedTuple):
    """How a bus is used, and how it is traced."""

    made: re.Pattern[str]
    """What makes a client."""
    room: str
    """The room whose wrappers, decorator and `instrument` trace it."""
    reads: bool = False
    """Whether a decorated handler is enough."""


_CLIENTS = (
    _Client(re.compile(r"aiokafka\.(\w+\.)*AIOKafkaProducer"), "kafka"),
    _Client(re.compile(r"aiokafka\.(\w+\.)*AIOKafkaConsumer"), "kafka", reads=True),
    _Client(
        re.compile(r"confluent_kafka\.(\w+\.)*(Serializing|AIO)?Producer"),
        "confluent",
    ),
    _Client(
        re.compile(r"confluent_kafka\.(\w+\.)*(Deserializing|AIO)?Consumer"),
        "confluent",
        reads=True,
    ),
    _Client(
        re.compile(
            r"aio_pika\.(connect|connect_robust|(abc\.Abstract|Robust)?(Robust)?Connection)\(\)\.channel"
        ),
        "rabbitmq",
        reads=True,
    ),
    _Client(re.compile(r"celery\.(app\.(base\.)?)?Celery"), "celery"),
    _Client(re.compile(r"faststream\.\w+\.(\w+\.)*(Kafka|Rabbit)Broker"), "faststream"),
    _Client(re.compile(r"taskiq(_\w+)?\.(\w+\.)*\w*Broker"), "taskiq"),
)
_WITHOUT_ADAPTER = re.compile(
    r"kombu\.((\w+\.)*(Consumer|Producer)|(\w+\.)*Connection\(\)\.(Consumer|Producer|SimpleQueue|SimpleBuffer))"
    r"|pika\.(\w+\.)*\w*Connection|kafka\.(\w+\.)*Kafka(Consumer|Producer)|aiormq\.connect"
    r"|faststream\.(nats|redis)\.(\w+\.)*(Nats|Redis)Broker"
)
_OURS = "interceptors."
_ADDING = frozenset({"add_middleware", "add_middlewares", "with_middlewares"})
_PUBLISHING = frozenset({"default_exchange", "publish"})


class Facts(NamedTuple):
    """What one source says of the whole project."""

    instrumented: frozenset[str] = frozenset()
    """The rooms whose clients are all traced, by `instrument`."""
    connected: frozenset[str] = frozenset()
    """The names of the Celery apps that are connected."""


def facts_of(source: Source) -> Facts:
    """Gather what a source says of the whole project."""
    instrumented: set[str] = set()
    connected: set[str] = set()
    for call, name in source.calls:
        match = re.fullmatch(r"interceptors\.(?:(\w+)\.)(?:\w+\.)?(instrument|connect)", name)
        if match is None:
            continue
        if match[2] == "instrument":
            instrumented.add(match[1])
        elif call.args:
            connected.add(_last_name(call.args[0]))
    return Facts(frozenset(instrumented), frozenset(connected))


def merged(facts: Iterable[Facts]) -> Facts:
    """Put together what the sources of one project say."""
    each = list(facts)
    return Facts(
        frozenset().union(*(one.instrumented for one in each)),
        frozenset().union(*(one.connected for one in each)),
    )


def check(source: Source, facts: Facts) -> Iterator[Finding]:
    """Find the clients that nothing traces.

    Args:
        source: a source.
        facts: what all sources of its project say.
    """
    if source.is_test or not source.uses_bus:
        return
    wrapped = _wrapped(source)
    for call, name in source.calls:
        shown = name.replace("()", "").rpartition(".")
        if _WITHOUT_ADAPTER.fullmatch(name):
            yield source.finding(
                WITHOUT_ADAPTER, call, f"{shown[2]} of {name.partition('.')[0]} is used directly"
            )
        for client in _CLIENTS:
            if client.made.fullmatch(name) and client.room not in facts.instrumented:
                if not _is_traced(source, call, client, wrapped, facts):
                    yield source.finding(
                        NOT_TRACED, call, f"{shown[2]} of {name.partition('.')[0]} is not traced"
                    )
                break


def _is_traced(source: Source, call: ast.Call, client: _Client, wrapped: _Wrapped, facts: Facts) -> bool:
    if call in wrapped.nodes or wrapped.functions.intersection(_functions_giving(source, call)):
        return True
    match client.room:
        case "celery":
            return not facts.connected.isdisjoint(_names_given(source, call))
        case "faststream" | "taskiq":
            return _has_middleware(source, call)
        case _:
            return client.reads and _only_reads(source, client.room)


class _Wrapped(NamedTuple):
    """What is given to interceptors."""

    nodes: frozenset[ast.AST]
    functions: frozenset[str]
    """Functions whose result is."""


def _wrapped(source: Source) -> _Wrapped:
    nodes: set[ast.AST] = set()
    functions: set[str] = set()
    for call, name in source.calls:
        if not name.startswith(_OURS):
            continue
        for argument in given(call):
            for value in (argument, *(binding.value for binding in source.bindings(argument))):
                made = value.value if isinstance(value, ast.Await) else value
                nodes.add(made)
                if isinstance(made, ast.Call):
                    functions.add(_last_name(made.func))
    return _Wrapped(frozenset(nodes), frozenset(functions))


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _names_given(source: Source, call: ast.Call) -> Iterator[str]:
    """Give the names that a client gets."""
    for above in source.parents(call):
        match above:
            case ast.Assign(targets=targets):
                yield from map(_last_name, targets)
                return
            case ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
                yield _last_name(target)
                return
            case ast.Call() | ast.Attribute():
                continue
            case _:
                return


def _functions_giving(source: Source, call: ast.Call) -> Iterator[str]:
    """Give the function that returns a client."""
    above = source.parent(call)
    if isinstance(above, ast.Await):
        above = source.parent(above)
    if isinstance(above, ast.Return | ast.Yield):
        for around in source.parents(above):
            if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
                yield around.name
                return


def _has_middleware(source: Source, call: ast.Call) -> bool:
    """Tell whether a broker is given our middleware, as it is made or later."""
    asked: list[ast.AST] = [value for value in [keyword(call, "middlewares")] if value is not None]
    for above in source.parents(call):
        if isinstance(above, ast.Call):
            asked += given(above)
        elif not isinstance(above, ast.Attribute):
            break
    names = set(_names_given(source, call))
    for other, _ in source.calls:
        function = other.func
        if (
            isinstance(function, ast.Attribute)
            and function.attr in _ADDING
            and _last_name(function.value) in names
        ):
            asked += given(other)
    for node in list(asked):
        named = node.value if isinstance(node, ast.Starred) else node
        asked += [binding.value for binding in source.bindings(named)]
    return any(
        isinstance(part, ast.Call) and source.name_of(part.func).startswith(_OURS)
        for node in asked
        for part in ast.walk(node)
    )


def _only_reads(source: Source, room: str) -> bool:
    """Tell whether handlers are decorated, and nothing is published beside them."""
    decorated = any(name == f"interceptors.{room}.traced" for _, name in source.calls)
    publishes = any(isinstance(node, ast.Attribute) and node.attr in _PUBLISHING for node in source.nodes)
    return decorated and not publishes
