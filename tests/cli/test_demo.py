from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

import interceptors.demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from typer.testing import Result


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the demonstration is called with; it ends with exit status 1."""
    arguments: dict[str, Any] = {}

    def run(**given: Any) -> int:
        arguments.update(given)
        return 1

    monkeypatch.setattr(interceptors.demo, "run", run)
    return arguments


def test_without_options_it_runs_in_this_process(
    invoke: Callable[..., Result], handed_on: dict[str, Any]
) -> None:
    invoke("demo")
    assert isinstance(handed_on.pop("console"), Console)
    assert handed_on == {"input_path": None, "out": Path("demo-out"), "kafka": None}


def test_options_are_handed_on(invoke: Callable[..., Result], handed_on: dict[str, Any]) -> None:
    invoke("demo", "--input", "orders.jsonl", "--kafka", "broker:9092", "--out", "elsewhere")
    del handed_on["console"]
    assert handed_on == {
        "input_path": Path("orders.jsonl"),
        "out": Path("elsewhere"),
        "kafka": "broker:9092",
    }


def test_its_status_is_that_of_the_command(invoke: Callable[..., Result], handed_on: dict[str, Any]) -> None:
    assert invoke("demo").exit_code == 1


def test_without_its_extra_it_says_what_to_install(spawn: Callable[..., CompletedProcess[str]]) -> None:
    result = spawn("demo", without=("aiokafka",))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: aiokafka is not installed; install it with: pip install 'interceptors[demo]'\n"
    )


def test_a_verb_of_another_kind_needs_no_extra(spawn: Callable[..., CompletedProcess[str]]) -> None:
    result = spawn("init", without=("aiokafka", "confluent_kafka"))
    assert (result.returncode, result.stderr) == (0, "")
