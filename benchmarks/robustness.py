"""Runs what other libraries break on, on them and on this one side by side, and prints what happened.

Every cell of the table is what was observed in this run; none is written down beforehand. Each side of each
case runs in a process of its own, against the embedded Kafka, the embedded RabbitMQ, or Celery's broker in
memory. `--write` writes the page of the documentation that shows the table.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import logging
import multiprocessing
import resource
import signal
from collections import deque
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import robustness_aiokafka
import robustness_celery
import robustness_confluent
import robustness_rabbitmq

from interceptors.testing.embedded_kafka import EmbeddedKafka
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from robustness_sides import Case, Scenario

DEADLINE = 30.0
AT_ONCE = 4
"""Processes at the same time: they wait for brokers and timers more than they compute."""
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "robustness.md"
PAGE_TEXT = """\
# Robustness

<!-- written by benchmarks/robustness.py --write: change the code and run it -->

What other libraries break on, and what happens in the same case with this one. Each cell is what was observed
when both were run side by side, each in a process of its own, against the Kafka and RabbitMQ of
`interceptors.testing` and Celery's broker in memory. `python benchmarks/robustness.py` does it again, and
prints what it finds on your machine.

{table}

Run with {versions}.

- A record has *arrived* when the consumer was handed it. Of one that has not, the position has moved on: it
  does not come again.
- Where both sides say the same, there is no difference: a group, a chord and an eta stay in the trace of what
  called them, on purpose.
- Ours runs under a policy that says nothing, except beside Celery's `auth` serializer: there it says
  `accept: reject`, so that a task whose envelope does not hold is not run.
- Not run, because they are Java, Go or .NET: Kafka's Java interceptors (KIP-42), Confluent's client-side
  field encryption, Kroxylicious, and Temporal's codecs.
"""
VERSIONS = (
    "aiokafka",
    "aio-pika",
    "celery",
    "confluent-kafka",
    "faststream",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
)

# The process of each side of each case is forked off one that has imported this and done nothing else.
PROCESSES = multiprocessing.get_context("forkserver")
PRELOADED = [
    "celery.worker",
    "faststream.kafka.opentelemetry",
    "opentelemetry.instrumentation.aio_pika",
    "opentelemetry.instrumentation.aiokafka",
    "opentelemetry.instrumentation.celery",
    "opentelemetry.instrumentation.confluent_kafka",
    "opentelemetry.sdk.trace",
]


class Side(NamedTuple):
    """One side of a case."""

    scenario: Scenario
    make: Callable[[], Any]
    address: str


class Row(NamedTuple):
    """A case, and what happened on each side."""

    peer: str
    what: str
    theirs: str
    ours: str


def play(scenario: Scenario, make: Callable[[], Any], address: str, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a peer that crashes leaves no file behind
    logging.disable()  # what a peer logs about its failure is no part of the table
    try:
        said = scenario(make(), address)
        pipe.send(asyncio.run(said) if inspect.iscoroutine(said) else said)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what happened
        pipe.send(f"the case could not be run: {type(error).__name__}")


def ended(process: BaseProcess) -> str:
    """Say how a process ended that has said nothing."""
    process.join()
    code = process.exitcode
    assert code is not None
    return f"the process died by {signal.Signals(-code).name}" if code < 0 else f"the process ended: {code}"


def happened(sides: Sequence[Side]) -> list[str]:
    """Run sides, each in a process of its own and some at the same time, and give what happened."""
    found = [f"not done after {DEADLINE:.0f} s"] * len(sides)
    waiting = deque(enumerate(sides))
    running: dict[Connection, tuple[int, BaseProcess, float]] = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, side = waiting.popleft()
            here, there = PROCESSES.Pipe(duplex=False)
            started = PROCESSES.Process(target=play, args=(*side, there))
            started.start()
            there.close()  # so that the end of the process is the end of the pipe
            running[here] = number, started, monotonic() + DEADLINE
        soonest = min(deadline for _, _, deadline in running.values())
        done = wait(running, max(0, soonest - monotonic()))
        for pipe, (number, process, deadline) in [*running.items()]:
            if pipe in done:
                try:
                    found[number] = pipe.recv()
                except EOFError:
                    found[number] = ended(process)
            elif monotonic() < deadline:
                continue
            process.kill()
            process.join()
            pipe.close()
            del running[pipe]
    return found


def rows() -> list[Row]:
    """Run all cases."""
    PROCESSES.set_forkserver_preload(PRELOADED)
    with EmbeddedKafka() as kafka, EmbeddedRabbitMQ() as rabbitmq:
        addresses: dict[str, list[Case]] = {
            kafka.bootstrap_servers: [*robustness_aiokafka.CASES, *robustness_confluent.CASES],
            rabbitmq.url: robustness_rabbitmq.CASES,
            "memory://": robustness_celery.CASES,
        }
        placed = [(case, address) for address, cases in addresses.items() for case in cases]
        sides = [
            Side(case.scenario, side, address)
            for case, address in placed
            for side in (case.theirs, case.ours)
        ]
        found = happened(sides)
    return [
        Row(case.peer, case.what, theirs, ours)
        for (case, _), theirs, ours in zip(placed, found[::2], found[1::2], strict=True)
    ]


def table(found: list[Row]) -> str:
    lines = ["| Peer | Case | The peer | interceptors |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}, too")
    options = parser.parse_args()
    shown = table(rows())
    print(shown)
    if options.write:
        versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
        PAGE.write_text(PAGE_TEXT.format(table=shown, versions=versions), encoding="utf-8")


if __name__ == "__main__":
    main()
