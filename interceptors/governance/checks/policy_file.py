"""A policy as the rules are asked about it: what it says, what holds of that, and where it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from interceptors.errors import PolicyError
from interceptors.governance.checks.document import Document
from interceptors.governance.checks.finding import Finding, Rule, Severity
from interceptors.policy import PolicyDocument
from interceptors.policy.compiling import Compiler, labels_of
from interceptors.policy.resolution import BUILT_IN, settle
from interceptors.policy.yaml_document import DocumentError, parse_document
from interceptors.scan import DETECTORS, OWN_TRACE_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.document import Step
    from interceptors.policy import Payload
    from interceptors.policy.labels import LabelEntry
    from interceptors.policy.resolution import Layers
    from interceptors.policy.rules import ChannelEntry

INVALID = Rule(
    "policy-invalid",
    Severity.ERROR,
    "a policy that can't be used",
    "No service starts with it, and on a reload the one before stays.",
    "mend it; `interceptors doctor` shows the same error",
)
RULES = (INVALID,)


_OTHERWISE: dict[str, object] = {
    "accept": BUILT_IN.accept,
    "emit": BUILT_IN.emit,
    "sampling_ratio": 1.0,
    "signed": BUILT_IN.signed,
}
"""What holds where nothing is said, by key; where it is not in here, nothing."""


class ChannelView(NamedTuple):
    """A channel of a policy, and what holds of it in any environment."""

    place: int
    entry: ChannelEntry
    layers: Layers
    payload: Payload | None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Where it stands."""
        return ("channels", self.place)

    def holds(self, key: str) -> Any:  # noqa: ANN401 - of each key its own type
        """Give what holds for a key, if nothing of an environment's says otherwise."""
        return settle(key, self.layers, _OTHERWISE.get(key)).value

    def said(self, key: str) -> Any:  # noqa: ANN401 - as above
        """Give what the channel or the default says, which no bound changes."""
        return next(
            (value for layer in self.layers.said() if (value := getattr(layer.rules, key)) is not None), None
        )

    def said_labels(self) -> dict[str, LabelEntry]:
        """Give the labels that may travel, if no exception says otherwise."""
        return labels_of(self.layers)

    @property
    def is_traced(self) -> bool:
        """Whether anything is sealed or opened on it."""
        return not (self.holds("emit") == "none" and self.holds("accept") == "none")


class PolicyFile:
    """A policy that holds.

    Attributes:
        document: what it says.
        yaml: where it says that.
        channels: its channels.
        names: the detectors of each name that it may say: a detector's own, a class's or a family's.
    """

    def __init__(self, document: PolicyDocument, yaml: Document) -> None:
        """Compile what the rules ask about.

        Raises:
            PolicyError: it can't be compiled.
        """
        self.document = document
        self.yaml = yaml
        self.names = _names(document)
        compiler = Compiler(document, yaml.shown)
        compiler.compile("", None)
        self.channels: list[ChannelView] = []
        for place, entry in enumerate(document.channels):
            layers = compiler.layers(place, "", None)
            self.channels.append(ChannelView(place, entry, layers, compiler.payload(layers)))

    def all_detectors(self) -> set[str]:
        """Give the names of all that can be looked for."""
        return set().union(*self.names.values())

    def detectors_of(self, name: str) -> set[str]:
        """Give the detectors that a name means; none for a class of the policy's own."""
        return self.names.get(name, set())

    def finding(self, rule: Rule, steps: tuple[Step, ...], what: str) -> Finding:
        """Give a finding at a place of the document."""
        return self.yaml.finding(rule, steps, what)

    def rules(self) -> Iterator[tuple[tuple[Step, ...], Any]]:
        """Give all parts that say rules, with where they stand."""
        document = self.document
        yield ("default",), document.default
        yield ("baseline",), document.baseline
        yield from (((*("environments", name),), bounds) for name, bounds in document.environments.items())
        yield from (((*("channels", place),), entry) for place, entry in enumerate(document.channels))
        yield from (
            (("exceptions", place, "rules"), exception.rules)
            for place, exception in enumerate(document.exceptions)
        )


def _names(document: PolicyDocument) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    rows = [(one.name, one.class_, one.family) for one in DETECTORS]
    rows += [(one.name, f"internal.{one.name}", "internal") for one in document.identifiers]
    rows.append((OWN_TRACE_ID.detector, OWN_TRACE_ID.class_, "trace"))
    for row in rows:
        for name in row:
            found.setdefault(name, set()).add(row[0])
    return found


def read_policy_file(shown: str, text: str) -> PolicyFile | Finding:
    """Read a policy; where it does not hold, give the finding that says so."""
    try:
        document = parse_document(PolicyDocument, text, shown)
        return PolicyFile(document, Document(shown, text))
    except DocumentError as error:
        return invalid(INVALID, shown, text, str(error))
    except PolicyError as error:
        # What is compiled knows places, and no lines.
        problem = str(error).removeprefix(f"{shown}: {error.path}: ")
        return Document(shown, text).finding(INVALID, _steps(error.path), f"{error.path}: {problem}")


def invalid(rule: Rule, shown: str, text: str, problem: str) -> Finding:
    """Give the finding of an error's text, which begins with file and line.

    Args:
        rule: the rule.
        shown: what findings call the file.
        text: its content.
        problem: the error's text.
    """
    number, _, rest = problem.removeprefix(f"{shown}:").partition(":")
    line, what = (int(number), rest) if number.isdecimal() else (1, problem.removeprefix(f"{shown}:"))
    lines = text.splitlines()
    return Finding(shown, line, 1, rule, what.strip(), lines[line - 1] if line <= len(lines) else "")


def _steps(path: str) -> list[Step]:
    return [int(step) if step.isdecimal() else step for step in re.findall(r"[^.\[\]]+", path)]
