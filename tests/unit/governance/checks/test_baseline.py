from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interceptors import ConfigurationError
from interceptors.governance.checks import Baseline

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.governance.checks import Finding

BEFORE = """\
from aiokafka import AIOKafkaConsumer

c = AIOKafkaConsumer("orders")
d = AIOKafkaConsumer("orders")
"""


def test_what_was_there_does_not_count_wherever_it_has_moved(
    check_text: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    file = tmp_path / "baseline.json"
    Baseline.of(check_text(BEFORE)).write(file)
    moved = check_text(f"import os\n\n{BEFORE}".replace("c =", "c  ="))
    assert len(moved) == 2
    assert Baseline.read(file).new(moved) == []


def test_one_more_of_the_same_line_counts(check_text: Callable[..., list[Finding]]) -> None:
    before = Baseline.of(check_text(BEFORE))
    after = before.new(check_text(f'{BEFORE}d = AIOKafkaConsumer("orders")\n'))
    assert [finding.line for finding in after] == [5]


def test_another_rule_on_the_line_counts(check_text: Callable[..., list[Finding]]) -> None:
    before = Baseline.of(check_text(BEFORE))
    after = before.new(check_text(BEFORE.replace("d =", "import kombu; d =")))
    assert [finding.line for finding in after] == [4]


def test_nothing_of_a_line_is_in_it_not_even_as_a_digest_that_can_be_tried(
    check_text: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    file = tmp_path / "baseline.json"
    texts = []
    for password in ("hunter2", "swordfish"):
        line = f'URL = "postgresql://app:{password}@db.example.com/app"\n'
        findings = check_text(line)
        assert [finding.rule.id for finding in findings] == ["hard-coded-secret"]
        Baseline.of(findings).write(file)
        texts.append(file.read_text())
    assert "hunter2" not in texts[0]
    assert "shop.py" not in texts[0]
    assert texts[0] == texts[1]  # so that it says nothing about which it was


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        '{"version": 2, "findings": {}}',
        '{"version": 1}',
        '{"version": 1, "findings": []}',
        '{"version": 1, "findings": {"a": "b"}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(
        ConfigurationError, match=r"baseline\.json: it is .*; write it anew with --write-baseline"
    ):
        Baseline.read(file)


def test_a_baseline_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"it can't be read \(No such file or directory\); write it anew"
    ):
        Baseline.read(tmp_path / "none.json")
    with pytest.raises(
        ConfigurationError, match=r"can't be written \(No such file or directory\); name another"
    ):
        Baseline.of([]).write(tmp_path / "none" / "none.json")


def test_it_is_the_same_for_the_same_findings(
    check_text: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    findings = check_text(BEFORE)
    for name, order in (("a", findings), ("b", findings[::-1])):
        Baseline.of(order).write(tmp_path / name)
    assert json.loads(Path("a").read_bytes()) == json.loads(Path("b").read_bytes())


def test_a_password_that_stands_without_quotes_is_not_in_it_either(
    check_text: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    file = tmp_path / "baseline.json"
    texts = []
    for password in ("hunter2", "swordfish"):
        findings = check_text(
            "service: a\ntenant: b\nkeys: c\npolicy: d\nexport:\n  otlp:\n"
            f"    endpoint: https://app:{password}@c.example.com\n",
            "interceptors.yaml",
        )
        findings += check_text(f"password: {password}\n", "interceptors-b.yaml")
        assert {finding.rule.id for finding in findings} == {
            "credential-in-configuration",
            "configuration-invalid",
        }
        Baseline.of(findings).write(file)
        texts.append(file.read_text())
    assert texts[0] == texts[1]
