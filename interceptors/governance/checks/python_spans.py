"""What is put on spans, into baggage, and into headers by hand."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.governance.checks.messages import contents_in
from interceptors.governance.checks.sensitive import is_sensitive
from interceptors.governance.checks.source import given, keyword, pairs_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.source import Source

_SPANS = "Spans leave the process, and go to people and to vendors who may not see it."

ATTRIBUTE = Rule(
    "sensitive-span-attribute",
    Severity.ERROR,
    "a span attribute that is named like an identifier or a secret",
    _SPANS,
    "leave it out, or declare a label in the policy that says what its values may be",
)
ON_SPAN = Rule(
    "payload-on-span",
    Severity.ERROR,
    "the content of a message on a span",
    _SPANS,
    "set its size or its type instead",
)
EXCEPTION = Rule(
    "exception-on-span",
    Severity.WARNING,
    "the text of an exception on a span",
    f"An exception's text may hold anything. {_SPANS}",
    "set `error.type` to the name of its class",
)
METRIC = Rule(
    "sensitive-metric-attribute",
    Severity.ERROR,
    "a metric attribute that is named like an identifier or a secret",
    "Metrics leave the process too, and each value makes a series of its own.",
    "leave it out",
)
BAGGAGE = Rule(
    "sensitive-baggage",
    Severity.ERROR,
    "a baggage entry that is named like an identifier or a secret",
    "Baggage goes in clear to every service that is called, third parties included.",
    "leave it out, or declare a label in the policy, which travels sealed",
)
CLEAR_HEADER = Rule(
    "clear-trace-header",
    Severity.ERROR,
    "a clear trace header that is written by hand",
    "Whoever reads or writes the bus can link messages by it, or forge it.",
    "leave it to interceptors, which seals what it carries",
)
INJECTED = Rule(
    "context-injected",
    Severity.ERROR,
    "OpenTelemetry's context put into a message in clear",
    "Whoever reads or writes the bus can link messages by it, or forge it.",
    "take the line out where a wrapper sends the message, or set SealedPropagator as the global one",
)
HEADER = Rule(
    "sensitive-header",
    Severity.ERROR,
    "a message header that is named like an identifier or a secret",
    "Brokers, mirrors and logs show headers, and most payload encryption leaves them out.",
    "put it into the body, where the policy says what becomes of it",
)
MESSAGE_KEY = Rule(
    "sensitive-message-key",
    Severity.WARNING,
    "a message key that is named like an identifier or a secret",
    "A key can't be redacted, as messages are partitioned and routed by it, and brokers show it.",
    "use an id of your own that is nobody's identifier",
)
RULES = (ATTRIBUTE, ON_SPAN, EXCEPTION, METRIC, BAGGAGE, CLEAR_HEADER, INJECTED, HEADER, MESSAGE_KEY)

_CLEAR = frozenset({"b3", "baggage", "traceparent", "tracestate", "uber-trace-id", "x-b3-traceid"})
_STARTS = frozenset({"start_as_current_span", "start_span"})
_METERS = frozenset({"add", "record"})
_SENDS = frozenset(
    {
        "apply_async",
        "kiq",
        "produce",
        "publish",
        "send",
        "send_and_wait",
        "send_task",
        "Message",
        "TaskiqMessage",
    }
)
_KEYS = ("key", "routing_key")
_ATTRIBUTES_AT = 1
"""Of `add_event(name, attributes)` and of `counter.add(amount, attributes)`."""


def check(source: Source, *, sealed_propagator: bool = False) -> Iterator[Finding]:
    """Find what is put where it does not belong.

    Args:
        source: a source.
        sealed_propagator: whether the project's global propagator is ours, which seals what it injects.
    """
    for call, name in source.calls:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
        yield from _on_span(source, call, method)
        if name.startswith("opentelemetry.baggage") and method == "set_baggage" and call.args:
            yield from _sensitive(source, BAGGAGE, call.args[0], "the baggage entry")
        if source.uses_bus:
            yield from _sent(source, call, method)
            if method == "inject" and name.startswith("opentelemetry.") and not sealed_propagator:
                yield source.finding(INJECTED, call, "`inject` writes the context in clear")
    if source.uses_bus and not source.is_test:
        yield from _clear_headers(source)


def sets_sealed_propagator(source: Source) -> bool:
    """Tell whether a source makes our propagator the global one."""
    return any(name.endswith("set_global_textmap") for _, name in source.calls) and any(
        name.startswith("interceptors.") and name.endswith("SealedPropagator") for _, name in source.calls
    )


def _on_span(source: Source, call: ast.Call, method: str) -> Iterator[Finding]:
    attributes = keyword(call, "attributes")
    named: list[tuple[ast.expr, ast.expr]] = []
    rule = ATTRIBUTE
    match method:
        case "set_attribute" if len(call.args) > 1:
            named = [(call.args[0], call.args[1])]
        case "set_attributes":
            named = list(pairs_of(call.args[0] if call.args else attributes))
        case "add_event":
            given_here = call.args[_ATTRIBUTES_AT] if len(call.args) > _ATTRIBUTES_AT else attributes
            named = list(pairs_of(given_here))
        case "record_exception":
            yield source.finding(EXCEPTION, call, "the exception is recorded with its text")
        case _ if method in _STARTS:
            named = list(pairs_of(attributes))
        case _ if method in _METERS and len(call.args) > _ATTRIBUTES_AT:
            rule, named = METRIC, list(pairs_of(call.args[_ATTRIBUTES_AT]))
    for key, value in named:
        yield from _sensitive(source, rule, key, "the attribute")
        for part in contents_in(source, value):
            yield source.finding(
                ON_SPAN, part.node, f"the {part.content} of a message is set as an attribute"
            )


def _sensitive(source: Source, rule: Rule, node: ast.expr, what: str) -> Iterator[Finding]:
    name = text_of(node)
    if name is not None and is_sensitive(name):
        yield source.finding(rule, node, f"{what} {name!r} is named like an identifier or a secret")


def _sent(source: Source, call: ast.Call, method: str) -> Iterator[Finding]:
    if method not in _SENDS:
        return
    headers = keyword(call, "headers")
    values = [headers, *(binding.value for binding in source.bindings(headers))] if headers else []
    for value in values:
        for name, _ in pairs_of(value):
            yield from _sensitive(source, HEADER, name, "the header")
    for argument in _KEYS:
        key = keyword(call, argument)
        shown = None if key is None else _named(key)
        if key is not None and shown is not None and is_sensitive(shown):
            yield source.finding(MESSAGE_KEY, key, f"the {argument} comes from {shown!r}")


def _named(node: ast.expr) -> str | None:
    """Give the name of what an expression is made of: `email` of `order["email"].encode()`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(value=value, attr="decode" | "encode" | "lower" | "strip")):
            return _named(value)
        case ast.Call(func=ast.Name(id="bytes" | "str"), args=[value, *_]):
            return _named(value)
        case ast.JoinedStr(values=parts):
            shown = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
            return next((name for name in map(_named, shown) if name and is_sensitive(name)), None)
        case _:
            return None


def _clear_headers(source: Source) -> Iterator[Finding]:
    for node in source.nodes:
        names: list[ast.expr] = []
        match node:
            case ast.Assign(targets=targets):
                names = [target.slice for target in targets if isinstance(target, ast.Subscript)]
            case ast.Dict(keys=keys):
                names = [key for key in keys if key is not None]
            case ast.Tuple(elts=[name, _]) if isinstance(
                source.parent(node), ast.List | ast.Tuple | ast.Call
            ):
                names = [name]
            case ast.Call(func=ast.Attribute(attr="setdefault" | "append")):
                names = [each for each in given(node) if isinstance(each, ast.Constant)]
            case _:
                pass
        for name in names:
            text = text_of(name)
            if text is not None and text.lower() in _CLEAR:
                yield source.finding(CLEAR_HEADER, name, f"`{text.lower()}` is written in clear")
