"""A Python source, parsed and never run: what its names stand for."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from interceptors.governance.checks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.finding import Rule

_STEPS = 500
"""How many assignments are looked at to tell what one name stands for."""
_LINE_END = re.compile(r"\r\n|\r|\n")
"""What ends a line for Python. `str.splitlines` knows more, such as the form feed that old sources have."""
_TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")

BUSES = frozenset(
    {
        *("aio_pika", "aiokafka", "aiormq", "celery", "confluent_kafka", "faststream", "interceptors"),
        *("kafka", "kombu", "pika", "taskiq", "taskiq_aio_pika", "taskiq_nats", "taskiq_redis"),
    }
)
"""The top-level packages of bus clients, and ours."""

_Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class Binding(NamedTuple):
    """What a name was given."""

    value: ast.expr
    suffix: str = ""
    """`[]` for an item of the value, `()` for an instance of what the value names."""


class Source:
    """A source and its names.

    Attributes:
        shown: what findings call the file.
        lines: its lines.
        calls: its calls, in the order of the text, each with the name of what is called.
        is_test: whether it lies among tests.
        uses_bus: whether it imports a bus client, or interceptors.
    """

    def __init__(self, shown: str, text: str) -> None:
        """Parse.

        Args:
            shown: what findings call the file.
            text: its content.

        Raises:
            SyntaxError: it is no Python.
            ValueError: likewise.
            RecursionError: it is nested too deeply.
        """
        self.shown = shown
        self.lines = lines_of(text)
        self.tree = ast.parse(text)
        self.is_test = _TESTS.search(shown) is not None
        self._imports: dict[str, str] = {}
        self._bindings: dict[tuple[_Scope, str], list[Binding]] = defaultdict(list)
        self._parents: dict[ast.AST, ast.AST] = {}
        self._followed: set[int] = set()
        """The names that are being followed, by the identity of what they were given."""
        self._steps = _STEPS
        self.nodes = list(ast.walk(self.tree))
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                self._parents[child] = node
        for node in self.nodes:
            self._note(node)
        self.uses_bus = not BUSES.isdisjoint(name.partition(".")[0] for name in self._imports.values())
        calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        calls.sort(key=lambda call: (call.lineno, call.col_offset))
        self.calls = [(call, self.name_of(call.func)) for call in calls]

    def finding(self, rule: Rule, node: ast.AST, what: str) -> Finding:
        """Give a finding at a node."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
        return Finding(self.shown, line, column, rule, what, self.lines[line - 1])

    def imports(self, *packages: str) -> bool:
        """Tell whether one of these top-level packages is imported."""
        return any(name.partition(".")[0] in packages for name in self._imports.values())

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Give the node that a node is a part of."""
        return self._parents.get(node)

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """Give the nodes around a node, the nearest first."""
        while (above := self._parents.get(node)) is not None:
            yield above
            node = above

    def name_of(  # noqa: PLR0911 - a case for each form of an expression
        self, node: ast.AST | None
    ) -> str:
        """Say what an expression stands for, as far as the text tells.

        Args:
            node: an expression.

        Returns:
            A dotted name, such as `aiokafka.AIOKafkaProducer`, followed by `()` for what a call of it gives
            and by `[]` for an item; empty where nothing is known.
        """
        match node:
            case ast.Name(id=name) if (imported := self._imports.get(name)) is not None:
                return imported
            case ast.Name() | ast.Attribute(value=ast.Name(id="self" | "cls")):
                with self.following(node) as bindings:
                    for binding in bindings:
                        if found := self.name_of(binding.value):
                            return found + binding.suffix
                # A global that nothing is known of is called what it is called.
                return node.id if isinstance(node, ast.Name) and not self.bindings(node) else ""
            case ast.Attribute(value=value, attr=attribute):
                owner = self.name_of(value)
                return f"{owner}.{attribute}" if owner else ""
            case ast.Call(func=function):
                called = self.name_of(function)
                return f"{called}()" if called else ""
            case ast.Await(value=value):
                return self.name_of(value)
            case ast.Subscript(value=value):
                owner = self.name_of(value)
                return f"{owner}[]" if owner else ""
            case _:
                return ""

    def bindings(self, node: ast.AST) -> list[Binding]:
        """Give what a name, or an attribute of `self`, was given where it is seen."""
        match node:
            case ast.Name(id=name):
                scopes = [scope for scope in self.parents(node) if isinstance(scope, _SCOPES)]
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attribute):
                name = f".{attribute}"
                scopes = [scope for scope in self.parents(node) if isinstance(scope, ast.ClassDef)]
            case _:
                return []
        return next((found for scope in scopes if (found := self._bindings.get((scope, name)))), [])

    @contextmanager
    def following(self, node: ast.AST) -> Iterator[Iterator[Binding]]:
        """Follow a name to what it was given.

        A name is not followed again while it is, since `x = x.strip()` leads back to it. And for one question
        only so many steps are taken: names that are made of one another lead on by more ways than there is
        time for.

        Args:
            node: a name, or an attribute of `self`.

        Yields:
            What `bindings` gives, as long as steps are left; nothing for a name that is being followed.
        """
        found = self.bindings(node)
        if id(found) in self._followed:
            yield iter(())
            return
        if not self._followed:
            self._steps = _STEPS
        self._followed.add(id(found))
        try:
            yield self._stepping(found)
        finally:
            self._followed.remove(id(found))

    def _stepping(self, bindings: list[Binding]) -> Iterator[Binding]:
        for binding in bindings:
            if self._steps == 0:
                return
            self._steps -= 1
            yield binding

    def _note(self, node: ast.AST) -> None:  # noqa: C901, PLR0912 - a case for each way to name
        """Note what a node gives to a name."""
        match node:
            case ast.Import(names=names):
                for alias in names:
                    full = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._imports[alias.asname or full] = full
            case ast.ImportFrom(names=names, module=module, level=level):
                package = "." * level + (module or "")
                for alias in names:
                    self._imports[alias.asname or alias.name] = f"{package}.{alias.name}"
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, Binding(value))
            case ast.AnnAssign(target=target, value=None, annotation=annotation):
                self._bind(target, Binding(_plain(annotation), "()"))
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
            ):
                self._bind(target, Binding(value))
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._bind(target, Binding(value))
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                self._bind(target, Binding(value, "[]"))
            case ast.comprehension(target=target, iter=value):
                self._bind(target, Binding(value, "[]"))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._note_function(node)
            case _:
                pass

    def _note_function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = function.args
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            # One without an annotation hides a global of the same name all the same.
            annotation = ast.Constant(None) if each.annotation is None else _plain(each.annotation)
            self._parents[annotation] = function
            self._bindings[function, each.arg].append(Binding(annotation, "()"))

    def _bind(self, target: ast.expr, binding: Binding) -> None:
        match target:
            case ast.Name(id=name):
                scope = next(one for one in self.parents(target) if isinstance(one, _SCOPES))
                self._bindings[scope, name].append(binding)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attribute):
                owner = next((one for one in self.parents(target) if isinstance(one, ast.ClassDef)), None)
                if owner is not None:
                    self._bindings[owner, f".{attribute}"].append(binding)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = binding.value.elts if isinstance(binding.value, ast.Tuple | ast.List) else []
                for number, part in enumerate(parts):
                    paired = len(values) == len(parts) and not binding.suffix
                    self._bind(part, Binding(values[number]) if paired else Binding(ast.Constant(None)))
            case _:
                pass


def lines_of(text: str) -> list[str]:
    """Give the lines of a source as Python counts them."""
    return _LINE_END.split(text)


def _plain(annotation: ast.expr) -> ast.expr:
    """Give the class of an annotation: `X` of `X | None` and of `"X"`."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr()):
            return _plain(left)
        case ast.Constant(value=str(text)):
            try:
                return _plain(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return annotation
        case _:
            return annotation


def text_of(node: ast.AST | None) -> str | None:
    """Give the text of a literal; None for what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    return None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Give what a call is given for a keyword."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def given(call: ast.Call) -> list[ast.expr]:
    """Give all that a call is given."""
    return [*call.args, *(each.value for each in call.keywords)]


def pairs_of(node: ast.AST | None) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Give names and values of a literal: of a dict, or of a list of pairs."""
    match node:
        case ast.Dict(keys=keys, values=values):
            yield from ((key, value) for key, value in zip(keys, values, strict=True) if key is not None)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                match part:
                    case ast.Tuple(elts=[name, value]):
                        yield name, value
                    case _:
                        pass
        case _:
            pass
