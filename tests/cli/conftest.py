"""The command, called inside this process and as a process of its own, in a folder of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import interceptors
from interceptors.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of this test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Calls the command in this process; what it raises, other than its exit, comes through."""

    def call(*arguments: object, stdin: str | bytes = "") -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, input=stdin, prog_name="interceptors", catch_exceptions=False)

    return call


@pytest.fixture
def spawn(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command as a process; `without` are modules that it is not to find."""

    def run(
        *arguments: object, stdin: str = "", without: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        program = (
            f"import sys; sys.modules.update(dict.fromkeys({without!r})); "
            "from interceptors.cli import main; main()"
        )
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=folder,
            # The same package as in this process, wherever that was found.
            env=os.environ | {"PYTHONPATH": str(Path(interceptors.__file__).parent.parent)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.fixture
def starter(invoke: Callable[..., Result], folder: Path) -> Path:
    """The configuration of what `interceptors init` makes in the current folder."""
    assert invoke("init").exit_code == 0
    return folder / "interceptors.yaml"
