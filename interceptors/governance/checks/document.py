"""A YAML document whose parts know their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from interceptors.governance.checks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.governance.checks.finding import Rule

Step = str | int


class Document:
    """A document that is readable as YAML.

    Attributes:
        shown: what findings call the file.
        lines: its lines.
        root: its nodes; None for an empty one.
    """

    def __init__(self, shown: str, text: str) -> None:
        """Read the nodes.

        Args:
            shown: what findings call the file.
            text: YAML that was read before, so that nothing is wrong with it.
        """
        self.shown = shown
        self.lines = text.splitlines()
        self.root = yaml.compose(text, Loader=yaml.SafeLoader)

    def finding(self, rule: Rule, steps: Iterable[Step], what: str) -> Finding:
        """Give a finding at a place, or at the nearest place above it that is written down.

        Args:
            rule: the rule.
            steps: keys and numbers, from the document's root.
            what: what is wrong there.
        """
        line, column = self.place(steps)
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return Finding(self.shown, line, column, rule, what, text)

    def place(self, steps: Iterable[Step]) -> tuple[int, int]:
        """Find the line and column of a place, from 1."""
        node = self.root
        if node is None:
            return 1, 1
        mark = node.start_mark
        for step in steps:
            found = _within(node, step)
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        return mark.line + 1, mark.column + 1


def _within(node: yaml.Node, step: Step) -> tuple[yaml.Node, yaml.Node] | None:
    """Give the node at whose begin a part of another is shown, and the part."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
