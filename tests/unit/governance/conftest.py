"""Projects to check: copied, so that tests may change them, and so that nothing else reads their sources."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interceptors.governance.checks import check_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.governance.checks import Finding

PROJECTS = Path(__file__).with_name("projects")
NOW_MS = 1_795_392_000_000
"""2026-11-23."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Copies a project into a folder that looks like a repository, and makes that the current one."""

    def copy(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(PROJECTS / name, folder)
        for source in sorted(folder.rglob("*.py.txt")):
            source.rename(source.with_suffix(""))
        for key_file in folder.rglob("*.json"):
            key_file.chmod(0o640)
        (folder / ".git").mkdir()
        monkeypatch.chdir(folder)
        return folder

    return copy


@pytest.fixture
def check_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Checks one file of a given content."""
    monkeypatch.chdir(tmp_path)

    def check(text: str, name: str = "shop.py") -> list[Finding]:
        Path(name).write_text(text, encoding="utf-8")
        return check_paths([Path(name)], now_ms=NOW_MS)

    return check


@pytest.fixture
def rules_of(check_text: Callable[..., list[Finding]]) -> Callable[..., list[tuple[int, str]]]:
    """Checks one file of a given content, and gives line and rule of what is found."""

    def check(text: str, name: str = "shop.py") -> list[tuple[int, str]]:
        return [(finding.line, finding.rule.id) for finding in check_text(text, name)]

    return check
