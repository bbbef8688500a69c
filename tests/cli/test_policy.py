from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

POLICY = """\
version: 1
environments:
  production: {accept: reject}
channels:
  - name: orders
    match: {celery: [orders], kafka: [orders]}
    accept: optional
    payload: {on_leak: block}
    fields:
      - {path: $.name, class: personal.name, handling: drop}
  - name: mirror
    match: {kafka: [orders]}
"""


@pytest.fixture(autouse=True)
def _policy(folder: Path) -> None:
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")


@pytest.fixture
def explained(invoke: Callable[..., Result]) -> Callable[..., list[dict[str, Any]]]:
    """Runs `policy explain` and reads its JSON."""

    def run(*arguments: object) -> list[dict[str, Any]]:
        result = invoke("policy", "explain", *arguments, "--format", "json")
        assert result.exit_code == 0, result.output
        answers: list[dict[str, Any]] = json.loads(result.stdout)
        return answers

    return run


def rule(answer: dict[str, Any], key: str) -> tuple[str, int | None]:
    found = next(each for each in answer["rules"] if each["key"] == key)
    return found["value"], found["line"]


def test_a_channel_is_explained_with_the_lines_that_decided(invoke: Callable[..., Result]) -> None:
    result = invoke("policy", "explain", "orders", "--environment", "production")

    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert "channel orders, on kafka, in production" in result.stdout
    assert [
        "accept",
        "reject",
        "policy.yaml:3",
        "stricter,",
        "and",
        "nobody",
        "may",
        "go",
        "below",
        "it",
    ] in lines
    assert ["policy.yaml:7", "does", "not", "count", "here"] in lines
    assert ["binding", "channel", "-", "built", "in"] in lines


def test_a_topic_is_explained_by_each_channel_that_lists_it(
    explained: Callable[..., list[dict[str, Any]]],
) -> None:
    answers = explained("--bus", "kafka", "--name", "orders")
    assert [answer["channel"] for answer in answers] == ["orders", "mirror"]
    (other,) = explained("--bus", "celery", "--name", "emails")
    assert (other["channel"], rule(other, "binding")) == ("emails", ("type", None))


def test_the_bus_says_what_an_envelope_is_bound_to(explained: Callable[..., list[dict[str, Any]]]) -> None:
    (on_celery,) = explained("orders", "--bus", "celery")
    (on_kafka,) = explained("orders")
    assert (rule(on_celery, "binding"), rule(on_kafka, "binding")) == (("type", None), ("channel", None))


def test_a_message_is_explained_and_never_shown(
    invoke: Callable[..., Result], explained: Callable[..., list[dict[str, Any]]], folder: Path
) -> None:
    (folder / "m.json").write_text('{"name": "Jo Doe", "to": "user@example.com"}', encoding="utf-8")
    arguments = ("orders", "--message", "m.json", "--header", "x-card=4111111111111111")
    (answer,) = explained(*arguments)
    result = invoke("policy", "explain", *arguments)

    assert [(each["class"], each["place"], each["handling"], each["line"]) for each in answer["message"]] == [
        ("personal.name", "$.name", "drop", 10),
        ("personal.email", "$.to", "block", 8),
        ("payment.card", "headers.x-card", "block", 8),
    ]
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["personal.name", "$.name", "drop", "policy.yaml:10", "said", "by", "the", "channel"] in words
    assert all(text not in result.stdout for text in ("Jo", "user@", "4111"))


def test_that_nothing_is_in_a_message_is_said(invoke: Callable[..., Result], folder: Path) -> None:
    (folder / "m.json").write_text("{}", encoding="utf-8")
    for channel in ("orders", "mirror"):
        result = invoke("policy", "explain", channel, "--message", "m.json")
        assert "nothing that the policy speaks of is in it" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "name a CHANNEL, or a topic"),
        (("orders", "--bus", "kafka", "--name", "x"), "name a CHANNEL, or a topic"),
        (("--name", "x"), "with --bus and --name"),
        (("--bus", "nats", "--name", "x"), "there is no bus 'nats'"),
        (("order",), "no channel is called 'order'; it has orders, mirror"),
        (("orders", "--header", "x"), "write each as NAME=VALUE"),
        (("orders", "--message", "none"), "none: can't be read"),
        (("orders", "--policy", "none"), "none: can't be read"),
    ],
)
def test_wrong_use_is_refused(
    invoke: Callable[..., Result], arguments: tuple[str, ...], problem: str
) -> None:
    result = invoke("policy", "explain", *arguments)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_policy_that_does_not_hold_is_refused(invoke: Callable[..., Result], folder: Path) -> None:
    (folder / "policy.yaml").write_text("version: 1\nchanels: []\n", encoding="utf-8")
    result = invoke("policy", "explain", "orders")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: policy.yaml:2: chanels: unknown key; did you mean 'channels'?\n",
    )
    assert issubclass(PolicyError, ConfigurationError)
