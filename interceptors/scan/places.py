"""Places of a document as an operator writes them: `$.items[*].email`, after JSONPath (RFC 9535)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.formats.paths import member

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DECLARED = re.compile(r"(?P<deep>\.(?=\.))?(?P<step>\.(?P<name>[^.\[\]]+)|\[(?:\*|0|[1-9][0-9]{0,8})\])")
_FOUND = re.compile(r"\.[^.\[\]]+|\[[^.\[\]]+\]")
_ANY = (".*", "[*]")


class _Step(NamedTuple):
    text: str
    """`.name`, `[3]`, or a wildcard."""
    deep: bool
    """Whether it may lie at any depth from here on."""


@lru_cache(maxsize=1024)
def _compiled(text: str) -> tuple[_Step, ...]:
    if not text.startswith("$"):
        raise ValueError(f"{text!r} is no path: it has to begin with $, such as $.customer.email")
    steps: list[_Step] = []
    at = 1
    while at < len(text):
        match = _DECLARED.match(text, at)
        if match is None:
            raise ValueError(
                f"{text!r} is no path from {text[at:]!r} on: write .name, .* for any, [3], [*] or ..name"
            )
        name = match["name"]
        if name is not None and name != "*" and member(name) != f".{name}":
            raise ValueError(
                f"{text!r} would never match: a name is shown as * unless it is a letter and up to 63"
                " letters, digits, _ and -, no five digits in a row, nor eight joined by _ or -; write .* in"
                " the place of this one"
            )
        steps.append(_Step(match["step"], match["deep"] is not None))
        at = match.end()
    return tuple(steps)


def check_path(text: str) -> None:
    """Check a path as it is written in a policy.

    Args:
        text: such as `$.customer.email`, `$.items[*].email`, `$..email` or `$.customer.*`.

    Raises:
        ValueError: it can't be used; the text says why, and what to write instead.
    """
    _compiled(text)


def path_matches(pattern: str, path: str) -> bool:
    """Tell whether a finding lies where a policy says.

    A wildcard is any one step, a member or an element; nothing else matches a name that is shown as `*`.

    Args:
        pattern: a path that `check_path` has passed.
        path: a finding's path; one that is empty or none lies nowhere.

    Returns:
        Whether it lies there, not above or below.

    Raises:
        ValueError: the pattern can't be used.
    """
    steps = _compiled(pattern)
    found = _FOUND.findall(path)
    if path != "".join(("$", *found)):
        return False
    at = place = 0
    # Where the last `..` was tried, from which on it may also lie one step deeper.
    again: tuple[int, int] | None = None
    while place < len(found):
        if at < len(steps):
            step = steps[at]
            if step.deep:
                again = at, place
            if step.text in _ANY or step.text == found[place]:
                at, place = at + 1, place + 1
                continue
        if again is None:
            return False
        at, place = again[0], again[1] + 1
    return at == len(steps)


State = tuple[tuple[int, int], ...]
"""How far paths have been followed: which of them, and how many of its steps."""


class Paths:
    """Several paths, followed at once from the top of a document to each of its values.

    Attributes:
        start: the state at the top.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile.

        Args:
            patterns: paths that `check_path` has passed.
        """
        self._steps = [_compiled(pattern) for pattern in patterns]
        self._known: dict[State, tuple[Mapping[str, State], State]] = {}
        self.start: State = tuple((number, 0) for number in range(len(patterns)))

    def steps(self, state: State) -> tuple[Mapping[str, State], State]:
        """Tell where each step leads.

        Args:
            state: at what the step is taken from.

        Returns:
            The states by step, such as `.name` and `[3]`; and the one that any other step leads to.
        """
        found = self._known.get(state)
        if found is None:
            names = {
                self._steps[number][at].text for number, at in state if at < len(self._steps[number])
            } - set(_ANY)
            led = {name: self._followed(state, name) for name in sorted(names)}
            found = self._known[state] = (led, self._followed(state, ""))
        return found

    def _followed(self, state: State, step: str) -> State:
        found: dict[tuple[int, int], None] = {}
        for number, at in state:
            if at < len(self._steps[number]):
                wanted = self._steps[number][at]
                if wanted.deep:
                    found[number, at] = None
                if wanted.text in _ANY or wanted.text == step:
                    found[number, at + 1] = None
        return tuple(found)

    def ended(self, state: State) -> tuple[int, ...]:
        """Give the paths that lead to where a state is, and not on: their numbers."""
        return tuple(number for number, at in state if at == len(self._steps[number]))
