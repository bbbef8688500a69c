"""A rule, and a place where it does not hold."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something leaks, or can be forged."""
    WARNING = "warning"
    """Something is missing, or does not do what it seems to."""
    NOTE = "note"
    """Something should be known to who answers for it."""


class Rule(NamedTuple):
    """What has to hold."""

    id: str
    """Its name, in lower case: what a suppression names."""
    severity: Severity
    title: str
    """What is wrong where it does not hold."""
    why: str
    """What follows from that."""
    remedy: str
    """The way out."""


class Finding(NamedTuple):
    """A place where a rule does not hold."""

    path: str
    """The file, from the folder that the check runs in, with slashes."""
    line: int
    """From 1."""
    column: int
    """From 1."""
    rule: Rule
    what: str
    """What is wrong there: a name at the most, and nothing else of the file."""
    text: str = ""
    """The line, for its fingerprint. Never shown."""

    @property
    def message(self) -> str:
        """What is wrong, and the way out."""
        return f"{self.what}; {self.rule.remedy}"

    def __repr__(self) -> str:
        """Show nothing of the line."""
        return f"Finding({self.path}:{self.line}:{self.column} {self.rule.id})"
