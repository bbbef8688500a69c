"""Changes to the text of a YAML document, by the marks of its nodes. Lines keep their numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

_SPACE = re.compile(r"[ \t]*")
_COMMA_BEHIND = re.compile(r"\s*,[ \t]*")
_COMMA_BEFORE = re.compile(r"[ \t]*,\s*$")
_DASH = re.compile(r"-[ \t]*$")


class Edit(NamedTuple):
    """What takes the place of a part of the text."""

    start: int
    end: int
    text: str

    def applied(self, text: str) -> str:
        """Give the changed text."""
        return text[: self.start] + self.text + text[self.end :]


def end_of(node: yaml.Node) -> int:
    """Give where a node ends: that of a block collection as PyYAML has it lies behind what follows."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def replaced(node: yaml.ScalarNode, value: str) -> Edit:
    """Give the edit that writes another value."""
    return Edit(node.start_mark.index, node.end_mark.index, value)


def dropped(text: str, parent: yaml.CollectionNode, first: yaml.Node, last: yaml.Node) -> Edit:
    """Give the edit that takes an entry out of a collection that has others.

    Args:
        text: the document.
        parent: the collection.
        first: the entry, or its key.
        last: the entry, or its value.
    """
    start, end = first.start_mark.index, end_of(last)
    if parent.flow_style:
        behind = _COMMA_BEHIND.match(text, end)
        before = _COMMA_BEFORE.search(text, 0, start)
        if behind is not None:
            end = behind.end()
        elif before is not None:
            start = before.start()
    elif isinstance(parent, yaml.SequenceNode):
        dash = _DASH.search(text, 0, start)
        start = start if dash is None else dash.start()
    return Edit(start, end, "\n" * text.count("\n", start, end))


def added(mapping: yaml.MappingNode, entry: str) -> Edit:
    """Give the edit that writes an entry in front of those of a mapping.

    In a block it takes a line of its own, so that the lines behind it move.
    """
    if mapping.flow_style:
        at = mapping.start_mark.index + 1
        return Edit(at, at, f"{entry}, ")
    key = mapping.value[0][0]
    return Edit(key.start_mark.index, key.start_mark.index, f"{entry}\n{' ' * key.start_mark.column}")


def appended(sequence: yaml.SequenceNode, item: str) -> Edit:
    """Give the edit that writes an item in front of those of a list."""
    first = sequence.value[0]
    if sequence.flow_style:
        return Edit(first.start_mark.index, first.start_mark.index, f"{item}, ")
    start = sequence.start_mark
    return Edit(start.index, start.index, f"- {item}\n{' ' * start.column}")
