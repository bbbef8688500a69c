"""Documents that people write: YAML held to a pydantic model, with errors that say where and what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic
import yaml

from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


class DocumentModel(pydantic.BaseModel):
    """A part of a document: strict, frozen, and closed to keys it does not know."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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
                        None, None, f"the key {key_node.value!r} stands twice; keep one", key_node.start_mark
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
    try:
        root = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise DocumentError(source, "", line, f"not readable as YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise DocumentError(source, "", None, "not readable as YAML: not text") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DocumentError(source, "", 1, "the document is a mapping of keys to values")
    return validate_document(model, data, source, root)


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
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        # A key that is written wrongly is the reason for the one that is missing.
        first = min(problems, key=lambda problem: problem["type"] != "extra_forbidden")
        location = first["loc"]
        problem = _remedy(model, location) if first["type"] == "extra_forbidden" else _plain(first)
        raise DocumentError(source, _path(location), _line(root, location), problem) from None


def _plain(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, whose context is untyped
    if error["type"] == "missing":
        return "this key is required; add it"
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
        if isinstance(step, int):
            continue
        found = _models_in(model.model_fields[step].annotation)
        if found:
            model = found[0]
    return list(model.model_fields)


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
