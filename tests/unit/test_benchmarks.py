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

RUNS = {
    "envelope": (
        ("seal, inject or encrypt", "open, extract or decrypt", "both"),
        {
            "OpenTelemetry, no baggage",
            "OpenTelemetry, two entries",
            "sealed, subkey kept",
            "sealed, first of a session",
            "Fernet",
            "JWE (dir, A256GCM)",
        },
    ),
    "hop": (
        ("a message sent, and received by async for", "a message sent, and received by getmany"),
        {"aiokafka", "aiokafka, traced"},
    ),
    "hop_rabbitmq": (
        ("a message published and confirmed, handled and acknowledged",),
        {"aio-pika", "aio-pika, traced", "aio-pika, OpenTelemetry in clear"},
    ),
    "pipeline": (
        ("a message, out and in",),
        {"sealed, bound to the channel", "sealed, bound to the message", "in clear, by OpenTelemetry's SDK"},
    ),
    "pipeline --profile": (
        ("a message's steps, out and in, each apart",),
        {"whole", "out: seal", "in: open"},
    ),
    "scan --alone": (
        ("1 KB of clean JSON", "500 B with one identifier"),
        {"interceptors"},
    ),
    "task_celery": (
        ("a task, published and run",),
        {"Celery", "Celery, traced", "Celery, OpenTelemetry in clear"},
    ),
}
GOALS = {
    "envelope": ["seal + open takes at most 1.3 of inject + extract"],
    "pipeline": ["a message takes at most 25 µs CPU, out and in"],
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


@pytest.mark.parametrize("command", RUNS)
def test_a_benchmark_prints_and_writes_the_same_tables(command: str, tmp_path: Path) -> None:
    titles, names = RUNS[command]

    printed = run(command, tmp_path / "report.json").splitlines()

    found: dict[str, Any] = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [table["title"] for table in found["tables"]] == list(titles)
    for table in found["tables"]:
        rows = {row["name"]: row for row in table["rows"]}
        assert {*names, CONTROL} <= rows.keys()
        assert all(row["cpu_us"] > 0 and row["wall_us"] > 0 for row in rows.values())
        first = table["rows"][0]
        for row in rows.values():
            assert row["ratio"] == pytest.approx(row["cpu_us"] / first["cpu_us"])
        start = printed.index(f"{table['title']}  [2 rounds of 20]")
        shown = printed[start + 2 : start + 2 + len(rows)]
        assert all(line.startswith(name) for line, name in zip(shown, rows, strict=True))
    assert [goal["goal"] for goal in found["goals"]] == GOALS.get(command, [])
    for goal in found["goals"]:
        assert goal["met"] is (goal["found"] <= goal["limit"])
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
