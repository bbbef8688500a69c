"""The benchmarks run and print what they promise. How fast anything is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CONTROL = "(the first again: noise)"


def sides(client: str) -> set[str]:
    return {
        client,
        *(f"{client}, {side}" for side in ("traced", "traced and scanned", "OpenTelemetry in clear")),
    }


def adds(client: str, where: str = "") -> list[str]:
    theirs = f"of what is added by {client}, OpenTelemetry in clear{where}"
    return [
        f"{client}, traced: at most 0.12 {theirs}",
        f"{client}, traced and scanned: at most 0.18 {theirs}",
    ]


DECISION = {
    "what the policy is asked for a message": {"a plain channel", "a channel with all that a policy can say"}
}
ASKED = "the policy is asked in at most 2 µs CPU"
RUNS = {  # the tables of each, and who is in them
    "audit --records 500": {
        "a record, in a log of 500": {
            "a line, written and synced",
            "recorded",
            "recorded, with a checkpoint",
        },
    },
    "envelope": {
        title: {
            "OpenTelemetry, no baggage",
            "OpenTelemetry, two entries",
            "sealed, subkey kept",
            "sealed, first of a session",
            "sealed and signed (suite 2)",
            "Fernet",
            "JWE (dir, A256GCM)",
        }
        for title in ("seal, inject or encrypt", "open, extract or decrypt", "both")
    },
    "hop": DECISION
    | {
        f"{received}, {transport}": sides("aiokafka")
        for transport in ("embedded Kafka", "transport stubbed")
        for received in (
            "200 B sent, and received by async for",
            "1 KB sent, and received by async for",
            "10 KB sent, and received by async for",
            "1 KB sent, and received by getmany",
        )
    },
    "hop_rabbitmq": {
        "a message published and confirmed, handled and acknowledged": sides("aio-pika"),
    },
    "pipeline": {
        "a message, out and in": {
            "sealed, bound to the channel",
            "sealed, bound to the message",
            "in clear, by OpenTelemetry's SDK",
        },
    },
    "pipeline --profile": {
        "a message's steps, out and in, each apart": {"whole", "out: seal", "in: open"},
    }
    | DECISION,
    "scan --alone": {
        "1 KB of clean JSON": {"interceptors"},
        "500 B with one identifier": {"interceptors"},
    },
    "task_celery": {
        "a task, published and run": sides("Celery"),
    },
    "tokens": {
        "an e-mail address replaced": {
            "HMAC-SHA256 alone, in hex",
            "derived token",
            "AES-SIV, in hex",
            "Fernet",
        },
    },
    "tokens --vault": {
        "a vault": {"a row by its key", "tokenize, known", "tokenize, new", "resolve"},
    },
}
GOALS = {
    "audit --records 500": ["a million records are verified in at most 60 s"],
    "hop": [
        ASKED,
        *adds("aiokafka", ", embedded Kafka"),
        "aiokafka, traced: at least 0.6 of the throughput of aiokafka, embedded Kafka",
        *adds("aiokafka", ", transport stubbed"),
    ],
    "hop_rabbitmq": adds("aio-pika"),
    "task_celery": adds("Celery"),
    "envelope": ["seal + open takes at most 1.3 of inject + extract"],
    "pipeline": ["a message takes at most 25 µs CPU, out and in"],
    "pipeline --profile": [ASKED],
    "scan --alone": [
        "10 MB take at most 4 times as much again, in MB",
        "a kilobyte of 10 MB costs at most 1.5 times one alone",
        "false findings in 1,000 clean messages are at most 1",
        "false findings in 10,000 clean messages are at most 10",
        "a clean message takes at most 12 µs CPU",
        "a typical message takes at most 25 µs CPU",
    ],
}


def run(command: str, report: Path) -> str:
    """Run a benchmark, small; gives what it printed."""
    script, *options = command.split()
    small = ["--rounds", "2", "--operations", "20", "--json", str(report)]
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "error", BENCHMARKS / f"{script}.py", *options, *small],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


FIGURES = {
    "hop": [
        "1 KB: waiting for the acknowledgement and the record, embedded Kafka, µs",
        "1 KB: waiting for the acknowledgement and the record, transport stubbed, µs",
        "memory of a process, MiB, 80 messages of 1 KB",
    ],
}


@pytest.mark.parametrize("command", RUNS)
def test_a_benchmark_prints_and_writes_the_same_tables(command: str, tmp_path: Path) -> None:
    tables = RUNS[command]

    printed = run(command, tmp_path / "report.json").splitlines()

    found: dict[str, Any] = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [table["title"] for table in found["tables"]] == [*tables]
    for table in found["tables"]:
        rows = {row["name"]: row for row in table["rows"]}
        assert {*tables[table["title"]], CONTROL} <= rows.keys()
        assert all(row["cpu_us"] > 0 and row["wall_us"] > 0 for row in rows.values())
        first = table["rows"][0]
        for row in rows.values():
            assert row["ratio"] == pytest.approx(row["cpu_us"] / first["cpu_us"])
        start = next(
            place for place, line in enumerate(printed) if line.startswith(f"{table['title']}  [2 rounds of ")
        )
        shown = printed[start + 2 : start + 2 + len(rows)]
        assert all(line.startswith(name) for line, name in zip(shown, rows, strict=True))
    assert [table["title"] for table in found["figures"]] == FIGURES.get(command, [])
    for table in found["figures"]:
        names = sides("aiokafka")  # only the hop has figures
        assert names <= table["rows"].keys() <= {*names, CONTROL}
        for row in table["rows"].values():
            low, high, *_ = (
                row.values()
            )  # the median and the 99th percentile; memory at start and at its peak
            assert 0 < low <= high
    assert [goal["goal"] for goal in found["goals"]] == GOALS.get(command, [])
    for goal in found["goals"]:
        too_much, too_little = goal["found"] > goal["limit"], goal["found"] < goal["limit"]
        assert goal["met"] is not (too_little if goal["at_least"] else too_much)
        assert any(line.startswith(f"goal: {goal['goal']}: ") for line in printed)


def test_work_that_is_not_the_same_is_not_compared() -> None:
    script = (
        "from measure import Case, Report, arguments\n"
        "options = arguments('', rounds=2, operations=1).parse_args([])\n"
        "Report(options).compare('unequal', [Case(str(n), lambda _, n=n: n, lambda n: n) for n in (1, 2)])\n"
    )

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        cwd=BENCHMARKS,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "the cases do not do the same work" in done.stderr
    assert done.stdout == ""
