"""The app that the tests' workers load (`celery -A warehouse worker`), configured by its environment."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.concurrency.asynpool import AsynPool

from interceptors import Tracing
from interceptors.celery import connect
from interceptors.context import current

faulthandler.register(signal.SIGUSR2)  # a test asks where its threads are, if the worker doesn't end
DEADLINE = 30
RUNS = Path(os.environ["WAREHOUSE_RUNS"])

# A child that dies is at times looked for before it can be found, and not again before 5 seconds are over.
AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.1})

app = Celery("warehouse")
app.conf.update(json.loads(os.environ["WAREHOUSE_CONF"]))
connect(app, Tracing.from_file(os.environ["WAREHOUSE_TRACING"]))


def note(task: Any) -> int:
    """Write down that a task runs, and give how often it has."""
    context, request = current(), task.request
    run = {
        "task": task.name,
        "id": request.id,
        "pid": os.getpid(),
        "verdict": request.receipt.verdict,
        "tenant": request.receipt.tenant,
        "span": context and context.span_id.hex(),
        "leftovers": [name for name in vars(request) if "sealed" in name],
    }
    with RUNS.open("a") as file:
        file.write(json.dumps(run) + "\n")
    return count(request.id)


def count(task_id: str) -> int:
    """Give how often a task has run."""
    return sum(json.loads(line)["id"] == task_id for line in RUNS.read_text().splitlines())


def wait_for_runs(task_id: str, wanted: int) -> None:
    """Return when a task has run as often as that, or never will."""
    end = time.monotonic() + DEADLINE
    while count(task_id) < wanted and time.monotonic() < end:
        time.sleep(0.02)


@app.task(bind=True, name="place")  # type: ignore[untyped-decorator]  # Celery has no types
def place(self: Any) -> None:
    """Be done at once."""
    note(self)


@app.task(bind=True, name="restock", default_retry_delay=0)  # type: ignore[untyped-decorator]  # Celery has no types
def restock(self: Any) -> None:
    """Succeed at the second attempt."""
    note(self)
    if not self.request.retries:
        raise self.retry(countdown=0)


@app.task(bind=True, name="count_stock", acks_late=True, reject_on_worker_lost=True)  # type: ignore[untyped-decorator]  # Celery has no types
def count_stock(self: Any) -> None:
    """Be done when it runs for the second time, and not before."""
    note(self)
    wait_for_runs(self.request.id, 2)
