"""Documents that people write: YAML held to a pydantic model, with errors that say where and what to do."""

from __future__ import annotations

import contextlib
import difflib
import re
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic
import yaml

from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class DocumentModel(pydantic.BaseModel):
    """A part of a document: strict, frozen, and closed to keys it does not know."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


_QUOTED = re.compile(r"""'(?!<)[^'\s]{2,}'|"[^"\s]{2,}\"""")  # neither a character nor the kind of a token
_PLAIN = {
    "missing": "this key is required; add it",
    "invalid_key": "a key is text; put it in quotes",
    "string_type": "should be text; put it in quotes",
    "too_short": "write at least one",
    "tuple_type": "should be a list",
    "model_type": "should be a mapping of keys to values",
}

_MOST_VALUES = 200_000
"""A document of a few lines can stand for billions of them, by aliases of aliases."""

ModelT = TypeVar("ModelT", bound=DocumentModel)


class DocumentError(ConfigurationError):
    """A document that does not hold. Turned into the room's own error by who reads the document.

    Attributes:
        path: where in the document, such as `channels[2].binding`.
    """

    def __init__(self, source: str, path: str, line: int | None, problem: str) -> None:
        """Compose the text: file, line, place, problem with its remedy."""
        place = source if line is None else f"{source}:{line}"
        super().__init__(f"{place}: {path}: {problem}" if path else f"{place}: {problem}")
        self.path = path


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, in which a key that stands twice is an error and not the last one's win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key `{key_node.value}` stands twice; keep one", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def parse_document(model: type[ModelT], text: str, source: str) -> ModelT:
    """Read a document.

    Args:
        model: what it has to be.
        text: YAML (so JSON, too).
        source: what to call it in errors: its file name.

    Returns:
        The document.

    Raises:
        DocumentError: with file, line, place and remedy of the first problem.
    """
    root, data, unreadable = _read(text)
    if unreadable is not None:
        line, problem = unreadable
        raise DocumentError(source, "", line, f"not readable as YAML: {problem}")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DocumentError(source, "", 1, "the document is a mapping of keys to values")
    return validate_document(model, data, source, root)


def _read(text: str) -> tuple[yaml.Node | None, object, tuple[int | None, str] | None]:
    """Give the nodes and values of a YAML text, or the line and the problem.

    Nothing is raised, so that no error drags the text along as its context.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        if _size(root, {}) > _MOST_VALUES:
            return None, None, (None, f"more than {_MOST_VALUES} values, those that aliases repeat included")
        return root, yaml.load(text, Loader=_Loader), None  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # A tag or an alias that is quoted may be a value that begins with "!" or "*" by chance.
        problem = _QUOTED.sub("'…'", str(error.problem))
        if r"'\t'" in problem:
            problem = "a tab can't stand here; indent with spaces"
        return None, None, (mark.line + 1 if mark else None, problem)
    except yaml.YAMLError:
        return None, None, (None, "not text")
    except RecursionError:
        return None, None, (None, "nested too deeply")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # What PyYAML's constructors raise for a value that only looks like a date, a number or a tagged one.
        return None, None, (None, "a date, number or tagged value that is none; quote it")


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Count the values of a document as it would be with its aliases written out."""
    size = known.get(id(node))
    if size is None:
        known[id(node)] = size = 1  # for a node that holds itself, which is refused later
        if isinstance(node, yaml.CollectionNode):
            for part in node.value:
                pair = part if isinstance(part, tuple) else (part,)
                size += sum(_size(each, known) for each in pair)
        known[id(node)] = size
    return size


def lines_of(text: str) -> Callable[[str], int | None]:
    """Give what finds the line of a place in a document.

    Args:
        text: the document, YAML.

    Returns:
        Gives the line of a place such as `channels[2].payload.actions.payment.card`, or of the nearest place
        above it that is written down; None in a document that can't be read.
    """
    root, _, _ = _read(text)
    return lambda path: None if root is None else _line_at(root, path)


def _line_at(root: yaml.Node, path: str) -> int:
    """Find a line by the text of a path: a key may have dots of its own, so the longest one that fits."""
    node, line = root, root.start_mark.line + 1
    while path:
        steps: list[tuple[str, yaml.Node, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            steps = [(str(key.value), key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            steps = [(f"[{number}]", value, value) for number, value in enumerate(node.value)]
        fitting = [
            step for step in steps if path == step[0] or path.startswith((f"{step[0]}.", f"{step[0]}["))
        ]
        if not fitting:
            break
        step, key, node = max(fitting, key=lambda each: len(each[0]))
        line, path = key.start_mark.line + 1, path[len(step) :].removeprefix(".")
    return line


def validate_document(
    model: type[ModelT], data: dict[str, object], source: str, root: yaml.Node | None = None
) -> ModelT:
    """Hold values to a model.

    Args:
        model: what they have to be.
        data: the values.
        source: what to call the document in errors.
        root: the document as YAML, which knows the lines.

    Returns:
        The document.

    Raises:
        DocumentError: with place and remedy of the first problem.
    """
    empty = None
    with contextlib.suppress(RecursionError):  # of a document that holds itself; pydantic says so
        empty = _empty(data)
    if empty is not None:
        # What was commented out below it would be taken for its default, and that may be laxer.
        problem = "this key has no value; write one, or leave the key out"
        raise DocumentError(source, _path(empty), _line(root, empty), problem)
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    # Raised out here, so that pydantic's error, which holds the values, is not the context of ours.
    # A key that is written wrongly is the reason for the one that is missing.
    first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
    location = first["loc"]
    problem = _remedy(model, location) if first["type"] == "extra_forbidden" else _plain(first)
    raise DocumentError(source, _path(location), _line(root, location), problem)


def _empty(data: object) -> tuple[str | int, ...] | None:
    """Find the first place without a value."""
    if data is None:
        return ()
    parts: Iterable[tuple[Any, object]] = ()
    if isinstance(data, dict):
        parts = data.items()
    elif isinstance(data, list):
        parts = enumerate(data)
    for step, part in parts:
        found = _empty(part)
        if found is not None:
            return (step if isinstance(step, int) else str(step), *found)
    return None


def _plain(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, whose context is untyped
    if error["type"] in _PLAIN:
        return _PLAIN[error["type"]]
    text: str = error["msg"]
    text = text.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _remedy(model: type[pydantic.BaseModel], location: Sequence[str | int]) -> str:
    """Name the nearest key that exists where an unknown one was written."""
    names = _keys_at(model, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(names))}"
    return f"unknown key; {hint}"


def _keys_at(model: type[pydantic.BaseModel], location: Sequence[str | int]) -> list[str]:
    for step in location:
        field = model.model_fields.get(str(step))  # the steps into a list or a mapping are no fields
        if field is not None:
            model = next(iter(_models_in(field.annotation)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: object) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _path(location: Sequence[str | int]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def _line(root: yaml.Node | None, location: Sequence[str | int]) -> int | None:
    """Find the line of a place, or of the nearest place above it that is written down."""
    if root is None:
        return None
    node: yaml.Node | None = root
    line = root.start_mark.line + 1
    for step in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = (node.value[step], node.value[step])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
