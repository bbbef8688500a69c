"""What holds for every verb."""

from __future__ import annotations

import pkgutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interceptors.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from typer.testing import Result

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
VERBS = ["init", "doctor", "open", "demo", "keys", "scan"]


def test_the_installed_script_is_main() -> None:
    scripts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["scripts"]
    assert {name: pkgutil.resolve_name(place) for name, place in scripts.items()} == {"interceptors": main}


def test_the_version_is_that_of_the_installed_distribution(
    folder: Path, monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., Result]
) -> None:
    metadata = folder / "interceptors-9.8.7.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: interceptors\nVersion: 9.8.7\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, "interceptors 9.8.7\n")


def test_without_a_verb_the_verbs_are_shown(invoke: Callable[..., Result]) -> None:
    result = invoke()
    assert all(verb in result.output for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(invoke: Callable[..., Result], verb: str) -> None:
    result = invoke(verb, "--help")
    assert result.exit_code == 0
    assert f"interceptors {verb}" in result.stdout


def test_an_expected_error_is_one_line_and_no_traceback(spawn: Callable[..., CompletedProcess[str]]) -> None:
    result = spawn("keys", "rotate", "acme")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: roots.json: there is no such file; name the administration's with --roots, or make one: "
        "interceptors keys root acme\n"
    )
