"""How findings are told: to people, to programs, and to what shows them beside the code."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from interceptors.files import shown
from interceptors.governance.checks.sarif import sarif

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.governance.checks.finding import Finding


class Form(StrEnum):
    """The form of a report."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"


def report(findings: Sequence[Finding], form: Form) -> str:
    """Write findings down.

    Args:
        findings: what was found.
        form: how.

    Returns:
        The report, with a newline at its end; nothing where there is nothing to say in text.
    """
    match form:
        case Form.TEXT:
            return "".join(_line(finding) for finding in findings)
        case Form.JSON:
            return json.dumps([_fields(finding) for finding in findings], indent=1) + "\n"
        case Form.SARIF:
            return json.dumps(sarif(findings), indent=1) + "\n"
        case Form.JUNIT:
            return _junit(findings)


def _line(finding: Finding) -> str:
    place = f"{shown(finding.path)}:{finding.line}:{finding.column}"
    return f"{place}: {finding.rule.severity}: {shown(finding.message)} [{finding.rule.id}]\n"


def _fields(finding: Finding) -> dict[str, object]:
    return {
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "rule": finding.rule.id,
        "severity": finding.rule.severity,
        "message": finding.message,
    }


def _junit(findings: Sequence[Finding]) -> str:
    """Write the form that continuous integration shows as tests: a failed one for each finding."""
    count = str(len(findings))
    suites = ET.Element("testsuites", failures=count)
    suite = ET.SubElement(suites, "testsuite", name="interceptors check", tests=count, failures=count)
    for finding in findings:
        place = f"{shown(finding.path)}:{finding.line}"
        case = ET.SubElement(
            suite, "testcase", classname=finding.rule.id, name=place, file=shown(finding.path)
        )
        failure = ET.SubElement(case, "failure", type=finding.rule.severity, message=shown(finding.message))
        failure.text = f"{place}:{finding.column}: {shown(finding.message)}\n{finding.rule.why}"
    if not findings:
        suite.set("tests", "1")  # what reads it takes a suite without tests for one that did not run
        ET.SubElement(suite, "testcase", classname="interceptors", name="check")
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
