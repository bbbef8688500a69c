"""Comments by which a finding is answered for: `# interceptors: ignore[rule] reason`."""

from __future__ import annotations

import io
import re
import tokenize
from typing import TYPE_CHECKING, NamedTuple

from interceptors.governance.checks.finding import Finding, Rule, Severity
from interceptors.governance.checks.source import lines_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

WITHOUT_REASON = Rule(
    "suppression-without-reason",
    Severity.WARNING,
    "a suppression without a reason",
    "Nobody can tell later whether it still holds.",
    "write the reason behind the bracket",
)
UNKNOWN = Rule(
    "suppression-of-unknown-rule",
    Severity.WARNING,
    "a suppression of a rule that there is not",
    "It suppresses nothing, and what it was meant for is found elsewhere or not at all.",
    "write the id of a rule, as findings show it",
)
UNUSED = Rule(
    "suppression-unused",
    Severity.NOTE,
    "a suppression of something that is not found",
    "It would hide what comes to stand there later.",
    "take it out",
)
RULES = (WITHOUT_REASON, UNKNOWN, UNUSED)

_COMMENT = re.compile(r"#\s*interceptors:\s*ignore\[([^\]]*)\]\s*(.*)")


class Suppression(NamedTuple):
    """One rule that is suppressed on one line."""

    line: int
    """The line that it is for."""
    at: int
    """The line that it stands on."""
    column: int
    rule: str
    reason: str


def suppressions(text: str, *, python: bool) -> list[Suppression]:
    """Find the suppressions in a file.

    Args:
        text: its content.
        python: whether it is Python, where a text may look like a comment; else YAML.

    Returns:
        One for each rule that is named. A comment that has a line of its own is for the next line that is
        no such comment.
    """
    if "interceptors:" not in text:
        return []
    lines = lines_of(text) if python else text.splitlines()
    found = []
    for number, column in _python_comments(text) if python else _yaml_comments(lines):
        match = _COMMENT.match(lines[number - 1], column)
        if match is None:
            continue
        target = number
        if not lines[number - 1][:column].strip():
            target += 1
            while target <= len(lines) and lines[target - 1].lstrip().startswith("#"):
                target += 1
        named = [rule.strip() for rule in match[1].split(",")]
        found += [Suppression(target, number, column + 1, rule, match[2].strip()) for rule in named]
    return found


def _python_comments(text: str) -> Iterator[tuple[int, int]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start
    except (tokenize.TokenError, SyntaxError):
        return  # which is a finding of its own


def _yaml_comments(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(lines, 1):
        match = re.search(r"(?:^|\s)(?=#\s*interceptors:)", line)
        if match is not None:
            yield number, match.end()


def applied(
    findings: Iterable[Finding], said: Iterable[Suppression], known: Collection[str], shown: str, text: str
) -> list[Finding]:
    """Take out what is suppressed, and say what is wrong with the suppressions.

    Args:
        findings: of one file.
        said: its suppressions.
        known: the ids of all rules.
        shown: what findings call the file.
        text: its content.

    Returns:
        What is left.
    """
    said = list(said)
    lines = text.splitlines()
    used: set[Suppression] = set()
    left = []
    for finding in findings:
        matching = [one for one in said if (one.line, one.rule) == (finding.line, finding.rule.id)]
        used.update(matching)
        if not any(one.reason for one in matching):
            left.append(finding)
    for one in said:
        if one.rule not in known:
            rule, what = UNKNOWN, "no rule has this id"
        elif not one.reason:
            rule, what = WITHOUT_REASON, f"no reason is given for ignoring {one.rule}"
        elif one not in used:
            rule, what = UNUSED, f"{one.rule} is not found here"
        else:
            continue
        left.append(Finding(shown, one.at, one.column, rule, what, lines[one.at - 1]))
    return left
