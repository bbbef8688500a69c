"""Sources that can't be parsed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from interceptors.governance.checks.finding import Finding, Rule, Severity
from interceptors.governance.checks.source import Source

if TYPE_CHECKING:
    from interceptors.governance.checks.files import File

INVALID = Rule(
    "python-invalid",
    Severity.ERROR,
    "a source that can't be parsed",
    "Nothing in it is checked.",
    "mend it, or leave the file out with --exclude",
)
UNREADABLE = Rule(
    "file-unreadable",
    Severity.ERROR,
    "a file that is no UTF-8 text, or can't be read",
    "Nothing in it is checked.",
    "save it as UTF-8, let this user read it, or leave it out with --exclude",
)
RULES = (INVALID, UNREADABLE)


def read_source(file: File) -> Source | Finding:
    """Parse a source; where that can't be done, give the finding that says so."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that are none: not ours to tell
            return Source(file.shown, file.text)
    except SyntaxError as error:
        return Finding(file.shown, error.lineno or 1, 1, INVALID, "it is no Python of this version")
    except (MemoryError, RecursionError, ValueError):  # the parser's stack is short
        return too_deep(file.shown)


def too_deep(shown: str) -> Finding:
    """Give the finding of a source that can't be followed to its end."""
    return Finding(shown, 1, 1, INVALID, "it is nested too deeply, or holds a NUL")
