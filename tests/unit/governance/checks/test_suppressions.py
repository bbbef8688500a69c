from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.governance.checks.suppressions import suppressions

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORT = "from aiokafka import AIOKafkaConsumer\n"
RAW = "c = AIOKafkaConsumer()"
IGNORE = "# interceptors: ignore[bus-not-traced]"


@pytest.mark.parametrize(
    "text",
    [
        f"{IMPORT}{RAW}  {IGNORE} reads what others trace\n",
        f"{IMPORT}{RAW}  #interceptors:ignore[ bus-not-traced ] reads what others trace\n",
        f"{IMPORT}{IGNORE} reads what others trace\n{RAW}\n",
        f"{IMPORT}{IGNORE} reads what others trace\n# another comment\n{RAW}\n",
    ],
)
def test_a_suppression_with_a_reason_counts(
    rules_of: Callable[..., list[tuple[int, str]]], text: str
) -> None:
    assert rules_of(text) == []


def test_one_without_a_reason_does_not(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    found = rules_of(f"{IMPORT}{RAW}  {IGNORE}\n")
    assert found == [(2, "bus-not-traced"), (2, "suppression-without-reason")]


def test_one_is_for_its_line_only(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    found = rules_of(f"{IMPORT}{RAW}\n\nx = 1  {IGNORE} reads what others trace\n")
    assert found == [(2, "bus-not-traced"), (4, "suppression-unused")]


def test_several_rules_are_named_at_once(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    comment = "# interceptors: ignore[client-debug-logging, bus-not-traced] a probe"
    text = f"from confluent_kafka import Consumer\nc = Consumer({{'debug': 'all'}})  {comment}\n"
    assert rules_of(text) == []


def test_a_text_is_no_comment() -> None:
    text = f"x = '{IGNORE} a reason'\n"
    assert suppressions(text, python=True) == []


def test_a_policy_has_them_too(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    channel = "version: 1\ndefault:  {}\n  retry_window: 0s  # interceptors: ignore[retry-window-zero] {}\n"
    kept = [(2, "default-open"), (3, "retry-window-zero"), (3, "suppression-without-reason")]
    assert rules_of(channel.format("", ""), "policy.yaml") == kept
    above = "# interceptors: ignore[default-open] each service says what it sends"
    assert rules_of(channel.format(above, "all acknowledge"), "policy.yaml") == []


def test_what_breaks_off_has_none() -> None:
    assert suppressions(f"x = '''\n{IGNORE} a reason", python=True) == []
