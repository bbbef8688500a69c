"""Looking for identifiers in messages, beside what you would otherwise look with.

All detectors that are on by default look at messages that machines write, through `Inspector.inspect`, as the
pipeline does. Beside them: the same detectors on the stdlib's engine; their patterns one by one with
`re.finditer`; and Presidio, detect-secrets and DataFog, where they are installed. A message is decoded for
them off the clock. What each one finds is its own affair: see `interceptors eval --peers` for how right that
is.
"""

from __future__ import annotations

import re
import resource
import tracemalloc
from itertools import cycle
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

import scan_data
from measure import Case, Report, arguments, each

from interceptors.evaluation.peers import load_peers
from interceptors.scan import DETECTORS, Inspector, Limits
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.evaluation.peers.peer import Peer

LEAST_DETECTORS = 60
MESSAGES = 200
CLEAN_US = 12
TYPICAL_US = 25
PRESIDIO_TIMES = 500
DATAFOG_TIMES = 20
SIZES = (200, 1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20)
LARGEST = SIZES[-1]
LINEAR = 1.5
MEMORY_TIMES = 4
OURS = "interceptors"


def over(name: str, look: Callable[[bytes], object], messages: Iterable[bytes]) -> Case:
    """Give the case of looking at one message after the other."""
    following = cycle(messages)
    return Case(name, each(lambda: look(next(following))), lambda _: None)


def over_text(peer: Peer, messages: Iterable[bytes]) -> Case:
    following = cycle([message.decode() for message in messages])
    return Case(peer.name, each(lambda: list(peer.find(next(following)))), lambda _: None)


def one_by_one() -> Callable[[bytes], object]:
    """Give what looks for each pattern of each detector, without triggers and validators."""
    finders = [
        re.compile(rule.pattern.encode()).finditer
        for detector in DETECTORS
        if detector.default
        for rule in detector.rules
    ]
    return lambda message: [match for finder in finders for match in finder(message)]


def compare(report: Report, inspector: Inspector, *, alone: bool) -> None:
    clean = scan_data.clean_kilobytes(MESSAGES)
    typical = scan_data.typical_messages(MESSAGES)
    peers, missing = ([], []) if alone else load_peers()
    for name in missing:
        print(f"{name}: not installed")
    stdlib = Scanner((detector for detector in DETECTORS if detector.default), StdlibEngine)
    cases = [
        over(OURS, inspector.inspect, clean),
        over("the fallback engine", stdlib.scan, clean),
        over("each pattern with re", one_by_one(), clean),
        *(over_text(peer, clean) for peer in peers),
    ]
    rows = report.compare("1 KB of clean JSON", cases)
    report.goal(f"a clean message takes at most {CLEAN_US} µs CPU", rows[OURS].cpu_us, CLEAN_US)
    for name, times in (("Presidio", PRESIDIO_TIMES), ("DataFog", DATAFOG_TIMES)):
        if name in rows:
            share = rows[OURS].cpu_us / rows[name].cpu_us * times
            report.goal(f"it takes at most a {times}th of {name}'s time; in {times}ths", share, 1)
    whole = over(OURS, inspector.inspect, typical)
    pathless = over("without paths", lambda message: inspector.inspect(message, paths=False), typical)
    rows = report.compare("500 B with one identifier", [whole, pathless])
    report.goal(f"a typical message takes at most {TYPICAL_US} µs CPU", rows[OURS].cpu_us, TYPICAL_US)


def grow(report: Report, inspector: Inspector, rounds: int) -> None:
    """Print what a kilobyte costs in messages of many sizes."""
    print(f"\nclean JSON, 200 B to 10 MB  [median of {rounds} rounds]")
    costs: dict[int, float] = {}
    for size in SIZES:
        message = scan_data.clean_batch(size) if size > 1024 else scan_data.clean_kilobytes(1, size=size)[0]
        times = max(1, (1 << 20) // size)
        run = each(lambda: inspector.inspect(message))  # noqa: B023 - called before the next message is made
        seconds = []
        for _ in range(rounds + 1):  # the first warms up
            began = process_time()
            run(times)
            seconds.append((process_time() - began) / times)
        costs[size] = median(seconds[1:]) * 1e6 / (len(message) / 1024)
        print(f"{len(message):>10,} B {costs[size] * len(message) / 1024:12.2f} µs {costs[size]:8.2f} µs/KB")
    report.goal(
        f"a kilobyte of 10 MB costs at most {LINEAR} times one alone", costs[LARGEST] / costs[1024], LINEAR
    )


def remember(report: Report, inspector: Inspector) -> None:
    """Print how much memory 10 MB take, beside themselves."""
    message = scan_data.clean_batch(LARGEST)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inspector.inspect(message)
    resident = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    tracemalloc.start()
    inspector.inspect(message)
    peak = tracemalloc.get_traced_memory()[1] / (1 << 20)
    tracemalloc.stop()
    print(f"\n10 MB of clean JSON: {peak:.1f} MB more at the peak, {resident:.1f} MB more resident")
    report.goal(f"10 MB take at most {MEMORY_TIMES} times as much again, in MB", peak, MEMORY_TIMES * 10)


def err(report: Report, inspector: Inspector) -> None:
    """Count what is found where nothing is."""
    messages = scan_data.some_clean_messages(10_000)
    false = [len(inspector.inspect(message).findings) for message in messages]
    print()
    report.goal("false findings in 1,000 clean messages are at most 1", sum(false[:1000]), 1)
    report.goal("false findings in 10,000 clean messages are at most 10", sum(false), 10)


def main() -> None:
    parser = arguments(__doc__, rounds=7, operations=200)
    parser.add_argument("--alone", action="store_true", help="leave Presidio, detect-secrets and DataFog out")
    options = parser.parse_args()
    report = Report(options)
    number = sum(detector.default for detector in DETECTORS)
    print(f"{number} detectors are on")
    assert number >= LEAST_DETECTORS, f"fewer than {LEAST_DETECTORS} detectors are on"
    inspector = Inspector(limits=Limits(bytes=2 * LARGEST))
    remember(report, inspector)
    grow(report, inspector, options.rounds)
    err(report, inspector)
    compare(report, inspector, alone=options.alone)
    report.write()


if __name__ == "__main__":
    main()
