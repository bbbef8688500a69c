from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from interceptors.governance.checks import RULES, Finding, Form, Rule, Severity, check_paths, report

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_MS = 1_795_392_000_000
RULE = Rule("a-rule", Severity.ERROR, "a title", "a reason", "a remedy")
FINDING = Finding("shop/a b.py", 3, 5, RULE, "something is wrong", "secret = 'x'")

_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_POSITIVE = {"type": "integer", "minimum": 1}
SARIF: dict[str, Any] = {
    # What SARIF 2.1.0 (sections 3.13, 3.14, 3.19, 3.27 to 3.30, 3.49) requires of the parts that are used.
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string", "minLength": 1},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "additionalProperties": False,
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": _TEXT,
                                                "fullDescription": _TEXT,
                                                "help": _TEXT,
                                                "defaultConfiguration": {"properties": {"level": _LEVEL}},
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "locations"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": _LEVEL,
                                "message": _TEXT,
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                                "locations": {
                                    "type": "array",
                                    "minItems": 1,
                                    "items": {
                                        "required": ["physicalLocation"],
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation", "region"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "required": ["uri"],
                                                        "properties": {
                                                            "uri": {
                                                                "type": "string",
                                                                "pattern": "^[^ \\\\]+$",
                                                            }
                                                        },
                                                    },
                                                    "region": {
                                                        "required": ["startLine"],
                                                        "properties": {
                                                            "startLine": _POSITIVE,
                                                            "startColumn": _POSITIVE,
                                                        },
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_text_is_a_line_with_place_message_and_rule() -> None:
    line = "shop/a b.py:3:5: error: something is wrong; a remedy [a-rule]\n"
    assert report([FINDING], Form.TEXT) == line
    assert report([], Form.TEXT) == ""


def test_a_name_does_nothing_to_a_terminal() -> None:
    shown = report([FINDING._replace(path="a\x1b[31m.py", what="the label 'a\x07'")], Form.TEXT)
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_json_has_a_field_for_each() -> None:
    assert json.loads(report([FINDING], Form.JSON)) == [
        {
            "path": "shop/a b.py",
            "line": 3,
            "column": 5,
            "rule": "a-rule",
            "severity": "error",
            "message": "something is wrong; a remedy",
        }
    ]


def test_sarif_is_as_the_standard_has_it(project: Callable[[str], Path]) -> None:
    project("bad")
    findings = check_paths([Path()], now_ms=NOW_MS)
    log = json.loads(report(findings, Form.SARIF))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    places = [
        (
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
            rules[result["ruleIndex"]]["id"],
        )
        for result in run["results"]
    ]
    assert places == [(finding.path, finding.line, finding.rule.id) for finding in findings]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_sarif_of_nothing_and_of_an_odd_path() -> None:
    jsonschema.validate(json.loads(report([], Form.SARIF)), SARIF)
    jsonschema.validate(json.loads(report([FINDING], Form.SARIF)), SARIF)


def test_junit_has_a_failed_test_for_each() -> None:
    suites = ET.fromstring(report([FINDING, FINDING._replace(line=9, what="<&\x00>")], Form.JUNIT))  # noqa: S314 - ours
    (suite,) = suites
    assert (suites.tag, suite.tag, suite.get("tests"), suite.get("failures")) == (
        "testsuites",
        "testsuite",
        "2",
        "2",
    )
    case = suite[0]
    assert (case.get("classname"), case.get("name"), case.get("file")) == (
        "a-rule",
        "shop/a b.py:3",
        "shop/a b.py",
    )
    assert [(child.tag, child.get("message")) for child in case] == [
        ("failure", "something is wrong; a remedy")
    ]


def test_junit_of_nothing_is_a_test_that_passed() -> None:
    (suite,) = ET.fromstring(report([], Form.JUNIT))  # noqa: S314 - ours
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert [list(case) for case in suite] == [[]]


@pytest.mark.parametrize("form", Form)
def test_no_form_shows_the_line(form: Form) -> None:
    assert "secret" not in report([FINDING], form)
    assert "secret" not in repr(FINDING)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_says_what_why_and_the_way_out(rule: Rule) -> None:
    assert rule.id == rule.id.lower()
    assert rule.title[0].islower() or rule.title.startswith("OpenTelemetry")
    assert rule.why.endswith(".")
    assert rule.remedy[0].islower()
    assert not rule.remedy.endswith(".")


def test_a_name_that_is_no_text_is_told_in_every_form() -> None:
    name = os.fsdecode(b"shop/\xff\x01]]>.py")
    finding = FINDING._replace(path=name)

    sarif = json.loads(report([finding], Form.SARIF))
    (case,) = ET.fromstring(report([finding], Form.JUNIT)).iter("testcase")  # noqa: S314 - our own

    (result,) = sarif["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote_to_bytes(uri) == os.fsencode(name)
    assert case.attrib["file"] == "shop/\\udcff\\x01]]>.py"
    assert json.loads(report([finding], Form.JSON))[0]["path"] == name
    report([finding], Form.TEXT).encode()
