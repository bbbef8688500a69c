"""Times several ways of doing the same work, side by side in one process.

Each round runs every case once, one after the other, so that what disturbs the machine disturbs all of them.
A case's time is its median over the rounds; its ratio is that of the medians, and the spread of a ratio is
the middle half of its rounds. The baseline runs a second time in each round as a control: what its ratio and
spread say is noise, and a difference no larger than that is none.

CPU is the process's, its other threads included. Where single operations are timed, the percentiles are those
of all rounds together, and what a case adds is the difference to the baseline's percentile.
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

CONTROL = "(the first again: noise)"
ADDS, ADDS_SCANNING = 0.12, 0.18


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
        self._figures: list[dict[str, object]] = []
        self._goals: list[dict[str, object]] = []

    def compare(self, title: str, cases: Sequence[Case], *, part: int = 1) -> dict[str, Row]:
        """Time the cases, the first of which is the baseline, and print the table.

        Args:
            title: what is compared.
            cases: the ways of doing it.
            part: by how much fewer operations a round has here.

        Returns:
            The rows by name.
        """
        rounds, operations = self._options.rounds, max(1, self._options.operations // part)
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

    def latencies(self, title: str, cases: Sequence[Case]) -> None:
        """Time single operations: the `run` of each case gives the seconds that each took."""
        every = [*cases, cases[0]._replace(name=CONTROL)]
        waited: list[list[float]] = [[] for _ in every]
        for place, case in _rounds(every, self._options.rounds):
            done = case.run(self._options.operations)
            case.check(done)
            waited[place] += done
        first = _percentiles(waited[0])
        rows: dict[str, dict[str, float]] = {}
        for case, waits in zip(every, waited, strict=True):
            mine = _percentiles(waits)
            added = {f"added {name}": mine[name] - first[name] for name in mine}
            rows[case.name] = mine | added
        self.figures(f"{title}, µs", rows)

    def figures(self, title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
        """Print what was measured in another way: figures by case and by what they are."""
        width = max(map(len, rows))
        names = list(next(iter(rows.values())))
        print(f"\n{title}")
        print(f"{'':{width}} " + "".join(f"{name:>11}" for name in names))
        for name, row in rows.items():
            print(f"{name:{width}} " + "".join(f"{figure:11.2f}" for figure in row.values()))
        self._figures.append({"title": title, "rows": rows})

    def goal(self, text: str, found: float, limit: float, *, at_least: bool = False) -> None:
        """Print whether a goal is met: to find at most so much, or at least."""
        met = found >= limit if at_least else found <= limit
        print(f"goal: {text}: {found:.2f}, {'met' if met else 'NOT met'}")
        self._goals.append({"goal": text, "found": found, "limit": limit, "at_least": at_least, "met": met})

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
            "figures": self._figures,
            "goals": self._goals,
        }
        self._options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def goals(
    report: Report, rows: Mapping[str, Row], *, ours: str, scanning: str, theirs: str, where: str = ""
) -> None:
    """Print whether ours adds as little to the baseline's CPU, next to what theirs adds, as it is to.

    Args:
        report: where to.
        rows: what `Report.compare` gave.
        ours: the name of our side.
        scanning: that of our side that scans messages, too.
        theirs: that of the other's.
        where: told with the goal.
    """
    first = next(iter(rows.values())).cpu_us
    for name, limit in ((ours, ADDS), (scanning, ADDS_SCANNING)):
        part = (rows[name].cpu_us - first) / (rows[theirs].cpu_us - first)
        report.goal(f"{name}: at most {limit} of what is added by {theirs}{where}", part, limit)


def _measure(cases: Sequence[Case], rounds: int, operations: int) -> list[Row]:
    agreed = [case.check(case.run(operations)) for case in cases]  # warms up, too
    assert agreed.count(agreed[0]) == len(agreed), "the cases do not do the same work"
    cpu: list[list[float]] = [[] for _ in cases]
    wall: list[list[float]] = [[] for _ in cases]
    for place, case in _rounds(cases, rounds):
        began_cpu, began = process_time(), perf_counter()
        done = case.run(operations)
        ended, ended_cpu = perf_counter(), process_time()
        cpu[place].append((ended_cpu - began_cpu) / operations * 1e6)
        wall[place].append((ended - began) / operations * 1e6)
        assert case.check(done) == agreed[0], f"{case.name}: not the same work"
    return [_row(case.name, mine, walls, cpu[0]) for case, mine, walls in zip(cases, cpu, wall, strict=True)]


def _rounds(cases: Sequence[Case], rounds: int) -> Iterator[tuple[int, Case]]:
    gc.freeze()  # so that collecting between the cases, which charges each with its own garbage, is quick
    for _ in range(rounds):
        for turn in enumerate(cases):
            gc.collect()
            yield turn
    gc.unfreeze()


def _percentiles(waits: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(waits, n=100, method="inclusive")
    return {"p50": cuts[49] * 1e6, "p99": cuts[98] * 1e6}


def _row(name: str, cpu: list[float], wall: list[float], baseline: list[float]) -> Row:
    low, _, high = quantiles(
        (mine / theirs for mine, theirs in zip(cpu, baseline, strict=True)), n=4, method="inclusive"
    )
    return Row(name, median(cpu), median(wall), median(cpu) / median(baseline), low, high)
