"""Findings that were there when checking began, so that only new ones fail."""

from __future__ import annotations

import json
import re
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from interceptors.governance.checks.finding import Finding

_VERSION = 1
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_REMEDY = "write it anew with --write-baseline"


def fingerprint(finding: Finding) -> str:
    """Give what a finding is known by again after lines have moved.

    A digest of rule, file and line. What stands in quotes on the line is left out, so that nobody can find a
    short secret by trying.
    """
    line = " ".join(_QUOTED.sub("''", finding.text).split())
    return sha256(json.dumps([finding.rule.id, finding.path, line]).encode()).hexdigest()


class Baseline:
    """Findings that don't count, by their fingerprints."""

    def __init__(self, counts: Counter[str]) -> None:
        """Take how often each fingerprint doesn't count."""
        self._counts = counts

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Baseline:
        """Make the baseline in which these findings are."""
        return cls(Counter(map(fingerprint, findings)))

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read a baseline.

        Raises:
            ConfigurationError: it can't be read, or is none.
        """
        problem = ""
        counts: Counter[str] = Counter()
        try:
            said = json.loads(path.read_bytes())
            if said["version"] != _VERSION:
                problem = f"it is of version {said['version']!r}, and this knows {_VERSION}"
            counts.update({str(key): int(count) for key, count in said["findings"].items()})
        except OSError as error:
            problem = f"it can't be read ({error.strerror})"
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            problem = "it is no baseline"
        if problem:
            msg = f"{path}: {problem}; {_REMEDY}"
            raise ConfigurationError(msg)
        return cls(counts)

    def write(self, path: Path) -> None:
        """Write it.

        Raises:
            ConfigurationError: the file can't be written.
        """
        text = json.dumps({"version": _VERSION, "findings": dict(sorted(self._counts.items()))}, indent=1)
        try:
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            msg = f"{path}: can't be written ({error.strerror}); name another file"
            raise ConfigurationError(msg) from None

    def new(self, findings: Iterable[Finding]) -> list[Finding]:
        """Give the findings that are not in it; of several that are alike, the later ones."""
        left = self._counts.copy()
        fresh = []
        for finding in findings:
            mark = fingerprint(finding)
            if left[mark]:
                left[mark] -= 1
            else:
                fresh.append(finding)
        return fresh
