"""Times several ways of doing the same work, side by side in one process.

Each round runs every case once, one after the other, so that what disturbs the machine disturbs all of them.
A case's time is its median over the rounds; its ratio is that of the medians, and the spread of a ratio is
the middle half of its rounds. The baseline runs a second time in each round as a control: what its ratio and
spread say is noise, and a difference no larger than that is none.

CPU is the process's, its other threads included.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
from itertools import repeat
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTROL = "(the first again: noise)"


class Case(NamedTuple):
    """One way of doing the work."""

    name: str
    run: Callable[[int], Any]
    """Does the work so many times; this is timed."""
    check: Callable[[Any], object]
    """Takes what `run` gave, off the clock, and says what was done: the same for every case."""


class Row(NamedTuple):
    """What was measured of one case: microseconds an operation, and CPU against the baseline's."""

    name: str
    cpu_us: float
    wall_us: float
    ratio: float
    ratio_low: float
    ratio_high: float


def each(operation: Callable[[], object]) -> Callable[[int], object]:
    """Make one operation into work that can be done so many times; it gives what the last one gave."""

    def run(times: int) -> object:
        for _ in repeat(None, times - 1):
            operation()
        return operation()

    return run


def arguments(description: str | None, *, rounds: int, operations: int) -> argparse.ArgumentParser:
    """Give the parser that all benchmarks share, with a benchmark's defaults."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="at least 2 (default: %(default)s)")
    parser.add_argument(
        "--operations", type=int, default=operations, help="for each case in a round (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    return parser


class Report:
    """Prints tables and goals as they come, and keeps them for `write`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._tables: list[dict[str, object]] = []
        self._goals: list[dict[str, object]] = []

    def compare(self, title: str, cases: Sequence[Case]) -> dict[str, Row]:
        """Time the cases, the first of which is the baseline, and print the table.

        Returns:
            The rows by name.
        """
        rounds, operations = self._options.rounds, self._options.operations
        rows = _measure([*cases, cases[0]._replace(name=CONTROL)], rounds, operations)
        width = max(len(row.name) for row in rows)
        print(f"\n{title}  [{rounds} rounds of {operations}]")
        print(f"{'':{width}}   CPU µs  wall µs       1/s   CPU ratio (middle half)")
        for row in rows:
            spread = f"({row.ratio_low:.2f}-{row.ratio_high:.2f})"
            times = f"{row.cpu_us:8.2f} {row.wall_us:8.2f} {1e6 / row.wall_us:9,.0f}"
            print(f"{row.name:{width}} {times}   {row.ratio:.2f} {spread}")
        self._tables.append({"title": title, "rows": [row._asdict() for row in rows]})
        return {row.name: row for row in rows}

    def goal(self, text: str, found: float, limit: float) -> None:
        """Print whether a goal is met."""
        met = found <= limit
        print(f"goal: {text}: {found:.2f}, {'met' if met else 'NOT met'}")
        self._goals.append({"goal": text, "found": found, "limit": limit, "met": met})

    def write(self) -> None:
        """Write what was measured where `--json` asks for it."""
        if self._options.json is None:
            return
        found = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "rounds": self._options.rounds,
            "operations": self._options.operations,
            "tables": self._tables,
            "goals": self._goals,
        }
        self._options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _measure(cases: Sequence[Case], rounds: int, operations: int) -> list[Row]:
    agreed = [case.check(case.run(operations)) for case in cases]  # warms up, too
    assert agreed.count(agreed[0]) == len(agreed), "the cases do not do the same work"
    cpu: list[list[float]] = [[] for _ in cases]
    wall: list[list[float]] = [[] for _ in cases]
    gc.freeze()  # so that collecting between the cases, which charges each with its own garbage, is quick
    for _ in range(rounds):
        for place, case in enumerate(cases):
            gc.collect()
            began_cpu, began = process_time(), perf_counter()
            done = case.run(operations)
            ended, ended_cpu = perf_counter(), process_time()
            cpu[place].append((ended_cpu - began_cpu) / operations * 1e6)
            wall[place].append((ended - began) / operations * 1e6)
            assert case.check(done) == agreed[0], f"{case.name}: not the same work"
    gc.unfreeze()
    return [_row(case.name, mine, walls, cpu[0]) for case, mine, walls in zip(cases, cpu, wall, strict=True)]


def _row(name: str, cpu: list[float], wall: list[float], baseline: list[float]) -> Row:
    low, _, high = quantiles(
        (mine / theirs for mine, theirs in zip(cpu, baseline, strict=True)), n=4, method="inclusive"
    )
    return Row(name, median(cpu), median(wall), median(cpu) / median(baseline), low, high)
