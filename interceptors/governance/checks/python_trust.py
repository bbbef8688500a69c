"""Secrets in sources, keys for development, whom a service believes, and refusals that nobody sees."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.governance.checks.messages import Content, contents_in
from interceptors.governance.checks.sensitive import is_sensitive
from interceptors.governance.checks.source import given, keyword, text_of
from interceptors.governance.checks.texts import secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.source import Source

SECRET = Rule(
    "hard-coded-secret",
    Severity.ERROR,
    "a secret in a source",
    "Whoever reads the repository, now or later, has it.",
    "read it from the environment or a secret store, and change the one that stood here",
)
KEY = Rule(
    "hard-coded-key",
    Severity.ERROR,
    "a key in a source",
    "Whoever reads the repository, now or later, has it.",
    "use key files, which `interceptors keys grant` writes, or a key management service",
)
DEVELOPMENT = Rule(
    "development-tracing",
    Severity.ERROR,
    "tracing for development outside of tests",
    "Its keys are random or lie open, so that nobody else can verify what it seals.",
    "use Tracing.from_file with the service's configuration",
)
TENANT = Rule(
    "tenant-from-header",
    Severity.ERROR,
    "a tenant that a header names",
    "Whoever writes to the bus chooses the tenant.",
    "leave it out: a handler has the tenant of the key that opened the envelope",
)
SWALLOWED = Rule(
    "refusal-swallowed",
    Severity.ERROR,
    "a refusal that is passed over",
    "A message that the policy blocks or rejects is lost, and nobody learns of it.",
    "let it rise, or count it and put the message where somebody looks",
)
RULES = (SECRET, KEY, DEVELOPMENT, TENANT, SWALLOWED)

_REFUSALS = re.compile(r"interceptors\.(errors\.)?(InterceptorError|LeakError|RejectedError)")
_BROAD = frozenset({"", "Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})
_ON_A_BUS = frozenset(
    {
        *("apply_async", "consume", "delay", "getmany", "getone", "kiq", "poll", "process", "produce"),
        *("publish", "send", "send_and_wait", "send_task"),
    }
)
_KEY_TAKERS = re.compile(
    r"(interceptors\.(\w+\.)*\w*Key(s|ring)?|hmac\.(new|digest)|cryptography\.(\w+\.)+\w+"
    r"|(base64\.\w+|binascii\.unhexlify|bytes\.fromhex|bytearray\.fromhex))"
)
_DECODERS = re.compile(r"base64\.\w+decode|binascii\.unhexlify|(bytes|bytearray)\.fromhex")
_HEX_KEY = re.compile(r"(?:[0-9a-fA-F]{2}){16,}")
_BASE64_KEY = re.compile(r"[A-Za-z0-9+/_-]{42,}={0,2}")
_NAME = re.compile(r"-{0,2}[A-Za-z]+(?:[ _-][A-Za-z]+)*")
_SHORTEST_KEY = 16
_GUEST = re.compile(r"://\w*:(guest|password)@(localhost|127\.0\.0\.1|\[::1\])([:/]|$)")
"""RabbitMQ's own user, which it takes from the same host only, and what stands for a password in a help."""


def check(source: Source) -> Iterator[Finding]:
    """Find what makes a service believe, or give away, too much."""
    if not source.is_test:
        yield from _secrets(source)
        yield from _keys(source)
    for call, name in source.calls:
        if re.fullmatch(r"interceptors\.(\w+\.)*Tracing\.for_development", name) and not source.is_test:
            yield source.finding(DEVELOPMENT, call, "Tracing.for_development is called")
        yield from _tenant(source, call, name)
        if name == "contextlib.suppress" and source.uses_bus:
            yield from _suppressed(source, call)
    for node in source.nodes:
        if isinstance(node, ast.Try) and source.uses_bus:
            yield from _tried(source, node)


def _secrets(source: Source) -> Iterator[Finding]:
    found = list(secrets_in("\n".join(source.lines)))
    if not found:
        return
    begins = [0]
    for line in source.lines:
        begins.append(begins[-1] + len(line.encode(errors="replace")) + 1)
    literals = [
        (node, begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset)
        for node in source.nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str | bytes)
        and node.end_lineno is not None
        and node.end_col_offset is not None
        and not isinstance(source.parent(node), ast.Expr)  # a docstring
    ]
    for start, end, class_ in found:
        for node, begin, stop in literals:
            text = text_of(node) or ""
            if begin <= start and end <= stop and not _GUEST.search(text) and not _names_one(text):
                yield source.finding(SECRET, node, f"a literal holds a secret ({class_})")
                break


def _names_one(text: str) -> bool:
    """Tell whether a literal names a secret, as `--password` and `password of the broker` do, and is none."""
    return _NAME.fullmatch(text) is not None and (text == "pass" or is_sensitive(text))


def _keys(source: Source) -> Iterator[Finding]:
    seen: set[ast.AST] = set()
    for call, name in source.calls:
        if not _KEY_TAKERS.fullmatch(name):
            continue
        decodes = _DECODERS.fullmatch(name) is not None
        for argument in given(call):
            values = [argument, *(binding.value for binding in source.bindings(argument))]
            for value in values:
                if value not in seen and _is_key(value, decodes=decodes):
                    seen.add(value)
                    yield source.finding(KEY, value, "a literal is used as a key")


def _is_key(node: ast.expr, *, decodes: bool) -> bool:
    if not isinstance(node, ast.Constant):
        return False
    if isinstance(node.value, bytes) and not decodes:
        return len(node.value) >= _SHORTEST_KEY
    text = text_of(node)
    return text is not None and decodes and bool(_HEX_KEY.fullmatch(text) or _BASE64_KEY.fullmatch(text))


def _tenant(source: Source, call: ast.Call, name: str) -> Iterator[Finding]:
    named = keyword(call, "tenant")
    if isinstance(call.func, ast.Attribute) and call.func.attr == "tenant" and call.args:
        named = call.args[0]
    elif named is not None and not name.startswith("interceptors."):
        return
    if named is None or not source.imports("interceptors"):
        return
    if any(_is_header(source, part) for part in _with_bound(source, named)):
        yield source.finding(TENANT, named, "the tenant comes from a header")


def _with_bound(source: Source, node: ast.expr) -> Iterator[ast.AST]:
    for part in ast.walk(node):
        yield part
        for binding in source.bindings(part):
            yield from ast.walk(binding.value)


def _is_header(source: Source, node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == "headers":
        return True
    return any(part.content is Content.HEADERS for part in contents_in(source, node))


def _tried(source: Source, tried: ast.Try) -> Iterator[Finding]:
    for handler in tried.handlers:
        if not all(_does_nothing(statement) for statement in handler.body):
            continue
        named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        yield from _passed_over(source, handler, named, tried.body)


def _suppressed(source: Source, call: ast.Call) -> Iterator[Finding]:
    for above in source.parents(call):
        if isinstance(above, ast.With | ast.AsyncWith):
            yield from _passed_over(source, call, call.args, above.body)
            return


def _passed_over(
    source: Source,
    node: ast.AST,
    named: list[ast.expr] | list[ast.expr | None],
    body: list[ast.stmt],
) -> Iterator[Finding]:
    names = [source.name_of(each) for each in named]
    if refused := next((name for name in names if _REFUSALS.fullmatch(name)), None):
        yield source.finding(SWALLOWED, node, f"{refused.rpartition('.')[2]} is passed over")
    elif not _BROAD.isdisjoint(names) and source.imports("interceptors") and _uses_bus(body):
        yield source.finding(SWALLOWED, node, "whatever is raised while a message passes is passed over")


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Continue() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Return(value=None | ast.Constant(value=None)):
            return True
        case _:
            return False


def _uses_bus(body: list[ast.stmt]) -> bool:
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _ON_A_BUS
        for statement in body
        for part in ast.walk(statement)
    )
