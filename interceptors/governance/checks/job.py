"""All checks of all files."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from interceptors.governance.checks import (
    configurations,
    policy_catalog,
    policy_channels,
    policy_file,
    policy_labels,
    policy_payloads,
    policy_trust,
    python_buses,
    python_files,
    python_logs,
    python_spans,
    python_tasks,
    python_trust,
    suppressions,
)
from interceptors.governance.checks.files import Kind, files_in
from interceptors.governance.checks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from interceptors.governance.checks.files import File
    from interceptors.governance.checks.source import Source

FAMILIES = {
    "Policies: who answers for what": policy_catalog.RULES,
    "Policies: channels": policy_channels.RULES,
    "Policies: payloads": policy_payloads.RULES,
    "Policies: labels": policy_labels.RULES,
    "Policies: exceptions, tokens and signatures": (*policy_trust.RULES, *policy_file.RULES),
    "Configurations and keys": configurations.RULES,
    "Sources: buses": python_buses.RULES,
    "Sources: logs and errors": python_logs.RULES,
    "Sources: spans, baggage, headers and keys": python_spans.RULES,
    "Sources: tasks and bodies": python_tasks.RULES,
    "Sources: secrets and trust": python_trust.RULES,
    "The check itself": (*python_files.RULES, *suppressions.RULES),
}
"""The rules by what they are about, for the reference."""
RULES = {rule.id: rule for rules in FAMILIES.values() for rule in rules}
"""All rules, by id."""


def check_paths(paths: Iterable[Path], *, now_ms: int, exclude: Sequence[str] = ()) -> list[Finding]:
    """Check what lies in files and folders.

    Args:
        paths: the files and folders.
        now_ms: milliseconds since the epoch, by which exceptions end.
        exclude: globs of what is left out.

    Returns:
        What was found that no comment suppresses, by file, line and rule.

    Raises:
        ConfigurationError: a path that is not there, or a file that is named and is none of those to check.
        TrustError: one that is named, and signed, is damaged.
    """
    files = list(files_in(paths, exclude))
    found: dict[str, list[Finding]] = {file.shown: [] for file in files}
    sources: list[tuple[File, Source]] = []
    for file in files:
        if not file.readable:
            found[file.shown].append(Finding(file.shown, 1, 1, python_files.UNREADABLE, "it can't be read"))
        elif file.kind is Kind.PYTHON:
            source = python_files.read_source(file)
            if isinstance(source, Finding):
                found[file.shown].append(source)
            else:
                sources.append((file, source))
        else:
            found[file.shown] += _documents(file, now_ms)
    for source, findings in _sources(sources):
        found[source.shown] += findings
    return sorted(
        {finding for file in files for finding in _answered(file, found[file.shown])},
        key=lambda finding: (finding.path, finding.line, finding.column, finding.rule.id, finding.what),
    )


def _answered(file: File, findings: list[Finding]) -> list[Finding]:
    if file.kind is Kind.KEYS or not file.readable:
        return findings
    said = suppressions.suppressions(file.text, python=file.kind is Kind.PYTHON)
    return suppressions.applied(findings, said, RULES, file.shown, file.text)


def _documents(file: File, now_ms: int) -> Iterator[Finding]:
    match file.kind:
        case Kind.CONFIGURATION:
            yield from configurations.check_configuration(file)
        case Kind.KEYS:
            yield from configurations.check_keys(file)
        case _:
            policy = policy_file.read_policy_file(file.shown, file.text)
            if isinstance(policy, Finding):
                yield policy
                return
            yield from policy_catalog.check(policy)
            yield from policy_channels.check(policy)
            yield from policy_payloads.check(policy)
            yield from policy_labels.check(policy)
            yield from policy_trust.check(policy, now_ms)


def _sources(sources: list[tuple[File, Source]]) -> Iterator[tuple[Source, list[Finding]]]:
    """Check sources, each beside the others of its project."""
    projects: defaultdict[Path, list[Source]] = defaultdict(list)
    for file, source in sources:
        projects[file.project].append(source)
    for members in projects.values():
        facts = python_buses.merged(map(python_buses.facts_of, members))
        sealed = any(map(python_spans.sets_sealed_propagator, members))
        for source in members:
            try:
                findings = [
                    *python_buses.check(source, facts),
                    *python_logs.check(source),
                    *python_spans.check(source, sealed_propagator=sealed),
                    *python_tasks.check(source),
                    *python_trust.check(source),
                ]
            except RecursionError:  # a sum of some thousand parts, which Python's own parser still takes
                findings = [python_files.too_deep(source.shown)]
            yield source, findings
