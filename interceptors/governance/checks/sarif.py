"""SARIF 2.1.0 (OASIS), which code hosts show beside the lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from interceptors.governance.checks.baseline import fingerprint
from interceptors.governance.checks.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.governance.checks.finding import Finding, Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """Give findings as a SARIF log.

    Args:
        findings: what was found.

    Returns:
        The log, as what JSON is made of.
    """
    rules = {finding.rule.id: finding.rule for finding in findings}
    order = sorted(rules)
    driver = {
        "name": "interceptors",
        "rules": [_rule(rules[id_]) for id_ in order],
    }
    results = [_result(finding, order.index(finding.rule.id)) for finding in findings]
    # Columns count characters, as Python's and YAML's marks do.
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": quote(os.fsencode(finding.path))},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"interceptors/v1": fingerprint(finding)},
    }
