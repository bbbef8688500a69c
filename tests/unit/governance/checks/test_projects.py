"""A project in which faults were planted, and one in which there are none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interceptors import demo
from interceptors.governance.checks import RULES, check_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW_MS = 1_795_392_000_000
"""2026-11-23."""
_PLANTED = re.compile(r"# planted( here)?: (.*)")
IN_KEYS = {("keys/shop.json", 1, "key-file-committed"), ("keys/shop.json", 1, "key-file-readable")}
"""Which has no comments."""


def planted(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Read the manifest: comments on the lines of the faults, or above those that have a comment already."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".py", ".yaml"}:
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                if match := _PLANTED.search(line):
                    for rule in match[2].split(", "):
                        yield file.relative_to(folder).as_posix(), number + bool(match[1]), rule


def found(folder: Path) -> list[tuple[str, int, str]]:
    findings = check_paths([Path()], now_ms=NOW_MS)
    assert Path.cwd() == folder
    return [(finding.path, finding.line, finding.rule.id) for finding in findings]


def test_each_planted_fault_is_found_at_its_line_and_nothing_else_is(project: Callable[[str], Path]) -> None:
    folder = project("bad")
    manifest = {*planted(folder), *IN_KEYS}
    assert sorted(found(folder)) == sorted(manifest)


def test_the_project_of_faults_is_worth_its_name(project: Callable[[str], Path]) -> None:
    manifest = {*planted(project("bad")), *IN_KEYS}
    assert len(manifest) >= 80
    assert len({file for file, _, _ in manifest}) >= 12
    assert {rule for _, _, rule in manifest} <= set(RULES)


def test_every_rule_is_planted_or_has_a_test_of_its_own(project: Callable[[str], Path]) -> None:
    tested = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    rules = {rule for _, _, rule in (*planted(project("bad")), *IN_KEYS)}
    assert {rule for rule in set(RULES) - rules if f'"{rule}"' not in tested} == set()


def test_nothing_is_found_in_the_clean_project(project: Callable[[str], Path]) -> None:
    assert found(project("clean")) == []


def test_nothing_is_found_in_the_demonstration() -> None:
    folder = Path(demo.__file__).parent
    assert [repr(finding) for finding in check_paths([folder], now_ms=NOW_MS)] == []


def test_the_order_is_the_same_whatever_the_order_of_paths(project: Callable[[str], Path]) -> None:
    project("bad")
    paths = [Path("shop/tasks.py"), Path("policy.yaml"), Path("shop")]
    assert check_paths(paths, now_ms=NOW_MS) == check_paths(reversed(paths), now_ms=NOW_MS)


@pytest.mark.parametrize(
    "secret", ["s3cr-et", "000102030405", "jo.doe@example.com", "not-a-secret", "0123456789abcdef"]
)
def test_no_message_shows_what_stands_in_a_file(project: Callable[[str], Path], secret: str) -> None:
    folder = project("bad")
    assert any(secret in file.read_text(encoding="utf-8") for file in folder.rglob("*.*") if file.is_file())
    findings = check_paths([Path()], now_ms=NOW_MS)
    assert not any(secret in f"{finding.message} {finding!r}" for finding in findings)
