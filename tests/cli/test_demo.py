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

CLIENTS = ("aio_pika", "aiokafka", "celery", "confluent_kafka")


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
    assert handed_on == {
        "input_path": None,
        "out": Path("demo-out"),
        "kafka": None,
        "rabbitmq": None,
        "celery_broker": None,
        "otlp": None,
    }


def test_options_are_handed_on(invoke: Callable[..., Result], handed_on: dict[str, Any]) -> None:
    brokers = ("--kafka", "broker:9092", "--rabbitmq", "amqp://broker", "--celery-broker", "redis://broker")
    invoke("demo", "--input", "orders.jsonl", *brokers, "--otlp", "http://sink", "--out", "elsewhere")
    del handed_on["console"]
    assert handed_on == {
        "input_path": Path("orders.jsonl"),
        "out": Path("elsewhere"),
        "kafka": "broker:9092",
        "rabbitmq": "amqp://broker",
        "celery_broker": "redis://broker",
        "otlp": "http://sink",
    }


def test_its_status_is_that_of_the_command(invoke: Callable[..., Result], handed_on: dict[str, Any]) -> None:
    assert invoke("demo").exit_code == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_without_its_extra_it_says_what_to_install(
    spawn: Callable[..., CompletedProcess[str]], client: str
) -> None:
    result = spawn("demo", without=(client,))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: {client} is not installed; install it with: pip install 'interceptors[demo]'\n"
    )


def test_a_verb_of_another_kind_needs_no_extra(spawn: Callable[..., CompletedProcess[str]]) -> None:
    result = spawn("init", without=CLIENTS)
    assert (result.returncode, result.stderr) == (0, "")
