"""What is weaker than what a policy says, one change at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import yaml

from interceptors.errors import PolicyError
from interceptors.governance.mutation.edits import Edit, added, appended, dropped, replaced
from interceptors.policy import parse_policy
from interceptors.policy.rules import BUSES

if TYPE_CHECKING:
    from collections.abc import Iterator


class Weakening(NamedTuple):
    """One change that makes a policy weaker."""

    line: int
    """Which line of the policy it is about, from 1."""
    column: int
    what: str
    """What was changed into what: keys and words of the policy's form, and names that it gives."""
    text: str
    """The policy with the change."""


class _Place(NamedTuple):
    """A key of a mapping, where it stands."""

    text: str
    path: tuple[str, ...]
    parent: yaml.MappingNode
    around: yaml.MappingNode | None
    """The mapping that the parent stands in."""
    key: yaml.Node
    value: yaml.Node


_Change = tuple[str, Edit]

_ACTIONS = {"block": ("redact", "observe"), "redact": ("observe",), "tokenize": ("observe",)}
_BINDINGS = {"message": ("type", "channel"), "type": ("channel",), "channel": ("tenant",)}
_WEAKER: dict[str, dict[str, tuple[str, ...]]] = {
    "accept": {"reject": ("required",), "required": ("optional",), "optional": ("none",)},
    "binding": _BINDINGS,
    "emit": {"sealed": ("none",)},
    "handling": {"drop": ("redact", "keep"), "redact": ("tokenize",), "tokenize": ("keep",)},
    "lowest_level": _BINDINGS,
    "on_leak": _ACTIONS,
    "on_unscanned": {"block": ("pass",)},
    "signed": {"true": ("false",)},
    "task_metadata": {"removed": ("kept",)},
}
"""Words that are weaker than others, by key."""
_LONGER = ("max_age", "retention", "retry_window")
_TIMES = 10
_LONGEST = {"ms": 86_400_000, "s": 86_400_000, "m": 5_000_000, "h": 87_600, "d": 3650}
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_ANY_LABEL = "'[ -~]{1,64}'"
_REMOVED = ("check", "lowest_level", "senders")
"""Keys without which more is let through."""
_STRANGERS = {
    "allow": "personal",
    "attributes": "customer.email",
    "senders": "somebody-else",
    "values": "somebody-else",
}
"""What would let more through, by list."""
_LISTS = ("drop", "fields", "identifiers", "include", *BUSES)
"""What is looked for or dropped, and what has rules of its own instead of the default's. With one item, these
go whole."""
_LEAST = {"bytes": "1B", "time": "1us"}
"""Of a budget, with which next to nothing is scanned."""


def weakenings(text: str, source: str) -> list[Weakening]:
    """Give all weakenings of a policy that are policies themselves.

    Args:
        text: the policy.
        source: what to call it in errors.

    Returns:
        The weakenings, by line.

    Raises:
        PolicyError: it does not hold as it is.
    """
    parse_policy(text, source)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found: dict[str, Weakening] = {}
    for place in _places(text, root, ()):
        for what, edit in _changes(place):
            changed = edit.applied(text)
            if changed not in found and changed != text and _holds(changed, source):
                mark = place.key.start_mark
                path = ".".join((*place.path, str(place.key.value)))
                found[changed] = Weakening(mark.line + 1, mark.column + 1, f"{path}: {what}", changed)
    return sorted(found.values(), key=lambda weakening: (weakening.line, weakening.column, weakening.what))


def _holds(text: str, source: str) -> bool:
    try:
        parse_policy(text, source)
    except PolicyError:
        return False
    return True


def _places(
    text: str, node: yaml.Node | None, path: tuple[str, ...], around: yaml.MappingNode | None = None
) -> Iterator[_Place]:
    """Give all keys of a document; items of lists are called by their `name`, `id` or number."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield _Place(text, path, node, around, key, value)
            yield from _places(text, value, (*path, str(key.value)), node)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _places(text, item, (*path, _called(item) or str(number)))


def _called(item: yaml.Node) -> str:
    if isinstance(item, yaml.MappingNode):
        names = {key.value: value.value for key, value in item.value if isinstance(value, yaml.ScalarNode)}
        return str(names.get("name") or names.get("id") or "")
    return ""


def _is_dropped(place: _Place) -> bool:
    """Tell whether what a mapping is about doesn't travel anyway."""
    return any((key.value, value.value) == ("handling", "drop") for key, value in place.parent.value)


def _changes(place: _Place) -> Iterator[_Change]:
    for changes in (_weaker_words, _kept_labels, _other_values, _taken_out, _put_in):
        yield from changes(place)


def _weaker_words(place: _Place) -> Iterator[_Change]:
    """Say a weaker word."""
    key, value = place.key.value, place.value
    words = _ACTIONS if place.path[-1:] == ("actions",) else _WEAKER.get(key)
    if words is not None and isinstance(value, yaml.ScalarNode):
        for weaker in words.get(value.value.lower(), ()):
            yield f"{value.value} → {weaker}", replaced(value, weaker)


def _kept_labels(place: _Place) -> Iterator[_Change]:
    """Let a label's values travel themselves: those that it may have, else any."""
    value = place.value
    if place.key.value != "handling" or place.path[-2:-1] != ("labels",):
        return
    if isinstance(value, yaml.ScalarNode) and value.value in ("redact", "tokenize"):
        if any(key.value in ("pattern", "values") for key, _ in place.parent.value):
            yield f"{value.value} → keep", replaced(value, "keep")
        else:
            between = ", " if place.parent.flow_style else "\n" + " " * place.key.start_mark.column
            yield f"{value.value} → keep, any text", replaced(value, f"keep{between}pattern: {_ANY_LABEL}")


def _other_values(place: _Place) -> Iterator[_Change]:
    """Make numbers laxer and patterns wider."""
    key, value = place.key.value, place.value
    if not isinstance(value, yaml.ScalarNode):
        return
    duration = _DURATION.fullmatch(value.value)
    if key in _LONGER and duration is not None:
        longer = f"{min(int(duration[1]) * _TIMES or 1, _LONGEST[duration[2]])}{duration[2]}"
        yield f"{value.value} → {longer}", replaced(value, longer)
    elif key == "sample" and place.path[-1:] == ("payload",):
        yield f"{value.value} → 0", replaced(value, "0")
    elif key == "sampling_ratio":
        yield f"{value.value} → 1.0", replaced(value, "1.0")
    elif key in _LEAST and place.path[-1:] == ("budget",):
        yield f"{value.value} → {_LEAST[key]}", replaced(value, _LEAST[key])
    elif key == "pattern" and "labels" in place.path:
        yield "any text", replaced(value, _ANY_LABEL)
    elif key == "expires" and "exceptions" in place.path and value.value[:4].isdecimal():
        later = str(int(value.value[:4]) + 1) + value.value[4:]
        yield "a year later", Edit(value.start_mark.index, value.end_mark.index, f'"{later}"')


def _taken_out(place: _Place) -> Iterator[_Change]:
    """Take out what forbids."""
    key, value = place.key.value, place.value
    forbids = place.path[-1:] in {("actions",), ("baseline",)} or place.path[:-1] == ("environments",)
    narrows = key == "environments" and place.path[:1] == ("exceptions",)
    narrows |= (key == "path" and place.path[-2:-1] == ("allow",)) or (key == "expires" and not place.path)
    last = key in _LISTS and isinstance(value, yaml.SequenceNode) and len(value.value) == 1
    if len(place.parent.value) > 1 and (forbids or narrows or last or key in _REMOVED):
        yield "taken out", dropped(place.text, place.parent, place.key, value)
    if key in ("channels", *_LISTS) and isinstance(value, yaml.SequenceNode) and len(value.value) > 1:
        for number, item in enumerate(value.value):
            called = item.value if isinstance(item, yaml.ScalarNode) else _called(item) or number
            yield f"{called} taken out", dropped(place.text, value, item, item)


def _put_in(place: _Place) -> Iterator[_Change]:
    """Put in what allows."""
    key, value = place.key.value, place.value
    around = place.around
    if place.path[-1:] == ("actions",) and around is not None:
        if all(name.value != "allow" for name, _ in around.value):
            yield "allowed", added(around, f"allow: [{key}]")
    elif isinstance(value, yaml.SequenceNode) and key in _STRANGERS and not _is_dropped(place):
        yield f"{_STRANGERS[key]} too", appended(value, _STRANGERS[key])
