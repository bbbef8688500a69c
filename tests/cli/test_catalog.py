from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


@pytest.mark.parametrize(
    ("format_", "beginning"),
    [("markdown", "# Data catalog\n"), ("html", "<!doctype html>\n"), ("mermaid", "flowchart LR\n")],
)
def test_the_starters_catalog_is_written(
    invoke: Callable[..., Result], starter: Path, format_: str, beginning: str
) -> None:
    arguments = (
        "catalog",
        "--policy",
        starter.with_name("policy.yaml"),
        "--config",
        starter,
        "--format",
        format_,
    )
    shown = invoke(*arguments)
    written = invoke(*arguments, "--out", "catalog.out")

    assert (shown.exit_code, written.exit_code, written.stdout) == (0, 0, "")
    assert shown.stdout.startswith(beginning)
    assert "a file" in shown.stdout
    assert starter.with_name("catalog.out").read_text(encoding="utf-8") == shown.stdout


def test_an_environment_is_named(invoke: Callable[..., Result], starter: Path) -> None:
    result = invoke("catalog", "--policy", starter.with_name("policy.yaml"), "--environment", "production")
    assert result.stdout.startswith("# Data catalog in production\n")


def test_a_place_that_can_not_be_written_is_refused(invoke: Callable[..., Result], starter: Path) -> None:
    result = invoke("catalog", "--policy", starter.with_name("policy.yaml"), "--out", "none/catalog.md")
    assert result.exit_code == 2
    assert "can't be written" in result.stderr


def test_a_policy_that_does_not_hold_is_refused(invoke: Callable[..., Result], folder: Path) -> None:
    (folder / "policy.yaml").write_text("version: 2\n", encoding="utf-8")
    result = invoke("catalog")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: policy.yaml:1: version: ")
