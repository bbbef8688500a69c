"""The side-by-side comparison of what breaks: what happens on our side holds, and its page shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OURS = {
    "OpenTelemetry, aiokafka": {
        "one of 3 records has a `traceparent` that is not UTF-8; `getone`": "3 of 3 arrived",
        "one of 5 records has `baggage` that is not UTF-8; `getmany`": "5 of 5 arrived",
        "one of 3 records has a `traceparent` that is not UTF-8; `async for`": "3 of 3 arrived",
        "is the record's span current": "after `getone`: yes, in the loop: yes",
        "`getmany` of 500 records": "spans for the 500: 1; links on one: 500",
        "`list(record.headers)` is sent on: trace contexts": (
            "1 on the wire; the receiver's parent is send 2 of 2"
        ),
        "one list of headers for 3 sends": "the caller's list of 1 has 1 after",
        "serializers of one send": "calls: 1 for the key, 1 for the value",
        "a send that fails": "raised MessageSizeTooLargeError; the span says MessageSizeTooLargeError",
        "`send_batch`": "3 of 3 messages carry a trace",
    },
    "FastStream": {"a batch of 3 tenants, each passed on": "3 of 3 went on under their own tenant"},
    "OpenTelemetry, confluent-kafka": {
        "one of 3 messages has a `traceparent` that is not UTF-8; `poll`": "3 of 3 arrived",
        "one of 5 messages has a `traceparent` that is not UTF-8; `consume`": "5 of 5 arrived",
        "`from confluent_kafka import Producer` came first": "1 of 1 message carries a trace",
        "a consumer that is wrapped: `assign`": "worked",
        "a consumer that is wrapped: `pause`": "worked",
    },
    "OpenTelemetry, aio-pika": {
        "`traceparent` is an int, a float, bytes that are no text": "3 of 3 handled; 0 never acknowledged",
        "one `Message` is published": "the caller's table of 1 has 1 after",
        "is the message's span current": "`get`: yes, `iterator`: yes",
    },
    "OpenTelemetry, Celery": {
        "a task that is retried 3 times": "runs at depth 1, 1, 1, 1",
        "a group, a chord and an eta": "runs: 6; traces: 1; runs below a send of their own: 6",
        "a child that is recycled after one task": "the spans of 3 of 3 runs were exported",
    },
    "Celery": {
        "two arguments, beside the body": "headers: none; readable there: 0 of 2, in `task-sent`: 0 of 2",
        "sealing the trace fails": "sent with trace headers: none",
        "`Task.retry`": "trace headers of the retry: `sealed-trace`; as they came: none",
        "attributes of `task.request`": "on the wire: `sealed-trace`; attributes: none",
    },
    "Celery's `auth`": {"a signed `quote` is sent again as `pay`, twice": "runs of `pay`: 0; of `quote`: 1"},
}


def table(text: str) -> list[list[str]]:
    """The rows of the table in a text."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert rows[:2] == [["Peer", "Case", "The peer", "interceptors"], ["---|---|---|---"]]
    return rows[2:]


@pytest.fixture(scope="module")
def printed() -> list[list[str]]:
    """What the script prints in this environment."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", ROOT / "benchmarks" / "robustness.py"],
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return table(done.stdout)


def test_what_breaks_others_does_not_break_ours(printed: list[list[str]]) -> None:
    found: dict[str, dict[str, str]] = {}
    for peer, what, _, ours in printed:
        found.setdefault(peer, {})[what] = ours

    assert found == OURS


def test_every_peer_could_be_run(printed: list[list[str]]) -> None:
    """A comparison with what did not run would say nothing."""
    not_run = [row for row in printed if row[2].startswith(("the case could not be run", "not done"))]

    assert not_run == []


def test_the_page_shows_what_is_printed_for_ours(printed: list[list[str]]) -> None:
    page = (ROOT / "docs" / "reference" / "robustness.md").read_text(encoding="utf-8")

    assert [(peer, what, ours) for peer, what, _, ours in table(page)] == [
        (peer, what, ours) for peer, what, _, ours in printed
    ]
