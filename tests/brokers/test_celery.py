"""Celery workers of every kind of pool, in processes of their own, on real brokers."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import string
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from celery import Celery

import interceptors
from interceptors import Tracing
from interceptors.celery import connect
from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.policy import check_policy
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.spans import Span

    from .conftest import OtlpSink

APP = Path(__file__).with_name("celery_app")
LIBRARY = Path(interceptors.__file__).parents[1]
DEADLINE = 30
"""Seconds after which what doesn't happen is given up."""

TASKS_OF_A_CHILD = 3
PREFORK = ("prefork", "--concurrency=2", f"--max-tasks-per-child={TASKS_OF_A_CHILD}")
POOLS = {
    # Each pool, and each broker; both brokers for the pool that has processes of its own.
    "redis": (PREFORK, ("threads", "--concurrency=2")),
    "rabbitmq": (PREFORK, ("solo",), ("gevent", "--concurrency=2")),
}
HURRIED = {
    # Redis: how soon what nobody has acknowledged is delivered again.
    "visibility_timeout": 1,
    "unacked_restore_interval": 0.2,
    "unacked_restore_throttle": 1,
}


class Worker:
    """A worker in a process of its own."""

    def __init__(self, pool: tuple[str, ...], environment: dict[str, str], log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "celery", "-A", "warehouse", "worker", "--pool", *pool]
        # An idle worker on AMQP finds that it is to end when its own heartbeat wakes it.
        quiet = ["--without-gossip", "--without-mingle", "--heartbeat-interval=1", "--loglevel=INFO"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own app
                [*command, *quiet],
                env=os.environ | environment,
                stdout=file,
                stderr=file,
                cwd=log.parent,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, with its children: in good order, or by SIGKILL."""
        if self._process.poll() is None:
            if how is signal.SIGKILL:
                os.killpg(self._process.pid, how)
            else:
                self._process.send_signal(how)
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGUSR2)  # each writes down where its threads are
            self.wait_for(lambda: "most recent call first" in self._log.read_text())
            pytest.fail(f"it didn't end; the worker's log:\n{self._log.read_text()}")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when something has come true."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"it didn't happen; the worker's log:\n{self._log.read_text()}")
            time.sleep(0.02)  # what it waits for happens in another process


class Warehouse:
    """A queue of a broker, the service that fills it, and what its workers have written down."""

    def __init__(self, broker: str, folder: Path) -> None:
        name = "stock-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        self._folder = folder
        self._runs = folder / "runs.jsonl"
        self._runs.touch()
        self._conf = {
            "broker_url": broker,
            "broker_connection_retry_on_startup": True,
            "broker_transport_options": {"global_keyprefix": name, **HURRIED}
            if broker.startswith("redis")
            else {},
            "task_default_queue": name,
            "task_ignore_result": True,
            "worker_hijack_root_logger": False,
            "worker_lost_wait": 0.1,
            "worker_prefetch_multiplier": 1,
        }
        administration = KeyAdministration(folder / "roots.json")
        administration.root("acme")
        administration.grant("shop", "acme", [], folder / "shop-keys.json")
        administration.grant("warehouse", "acme", ["shop"], folder / "keys.json")
        (folder / "policy.yaml").write_text("version: 1\ndefault: {accept: required}\n")
        self.export_by("file: {path: spans.jsonl}")
        self._sink = MemorySink()
        self.tracing = Tracing(
            service="shop",
            tenant="acme",
            policy=check_policy({"version": 1}, "policy"),
            keys=LocalKeys(folder / "shop-keys.json"),
            sink=self._sink,
        )
        self._app = Celery("shop", set_as_current=False)
        self._app.conf.update(self._conf)
        connect(self._app, self.tracing)

    def export_by(self, export: str) -> None:
        """Write the workers' configuration."""
        (self._folder / "interceptors.yaml").write_text(
            f"service: warehouse\ntenant: other\nkeys: keys.json\npolicy: policy.yaml\nexport: {{{export}}}\n"
        )

    def worker(self, *pool: str) -> Worker:
        environment = {
            "PYTHONPATH": os.pathsep.join(map(str, (APP, LIBRARY))),
            "WAREHOUSE_CONF": json.dumps(self._conf),
            "WAREHOUSE_RUNS": str(self._runs),
            "WAREHOUSE_TRACING": str(self._folder / "interceptors.yaml"),
        }
        return Worker(pool, environment, self._folder / "worker.log")

    def send(self, task: str) -> Span:
        """Publish a task, and give the span of that."""
        self._app.send_task(task)
        assert self.tracing.flush()
        return self._sink.spans[-1]

    def runs(self, task: str) -> list[dict[str, Any]]:
        """What the runs of a task have written down, oldest first."""
        runs = [json.loads(line) for line in self._runs.read_text().splitlines()]
        return [run for run in runs if run["task"] == task]

    def spans(self, operation: str, task: str) -> list[dict[str, Any]]:
        """The workers' spans, their attributes by name."""
        file = self._folder / "spans.jsonl"
        spans = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        for span in spans:
            span["attributes"] = {
                attribute["key"]: next(iter(attribute["value"].values())) for attribute in span["attributes"]
            }
        wanted = {"messaging.operation.name": operation, "celery.task_name": task}
        return [span for span in spans if wanted.items() <= span["attributes"].items()]

    def close(self) -> None:
        with self._app.connection_for_write() as connection:
            connection.default_channel.queue_delete(self._conf["task_default_queue"])
        self._app.close()
        self.tracing.close()


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> str:
    """The URL of each broker in turn."""
    url: str = request.getfixturevalue(f"real_{request.param}")
    return url


@pytest.fixture
def warehouse(broker: str, tmp_path: Path) -> Iterator[Warehouse]:
    """On each broker in turn."""
    with contextlib.closing(Warehouse(broker, tmp_path)) as made:
        yield made


@pytest.fixture
def redis_warehouse(real_redis: str, tmp_path: Path) -> Iterator[Warehouse]:
    """On Redis, for what it alone does."""
    with contextlib.closing(Warehouse(real_redis, tmp_path)) as made:
        yield made


@pytest.mark.parametrize(
    ("broker", "pool"),
    [
        pytest.param(broker, pool, id=f"{broker}-{pool[0]}")
        for broker, pools in POOLS.items()
        for pool in pools
    ],
    indirect=["broker"],
)
def test_every_span_of_every_pool_arrives(warehouse: Warehouse, pool: tuple[str, ...]) -> None:
    sent = [warehouse.send("place") for _ in range(6)]
    restock = warehouse.send("restock")
    with warehouse.worker(*pool) as worker:
        worker.wait_for(lambda: len(warehouse.runs("place")) == 6 and len(warehouse.runs("restock")) == 2)
        if pool is PREFORK:
            # billiard may kill a child that is being recycled when the worker is ended.
            pids = Counter(run["pid"] for task in ("place", "restock") for run in warehouse.runs(task))
            recycled = [pid for pid, count in pids.items() if count == TASKS_OF_A_CHILD]
            worker.wait_for(lambda: not any(map(is_alive, recycled)))
        worker.end()

    runs, spans = warehouse.runs("place"), warehouse.spans("process", "place")
    assert {run["span"] for run in runs} == {span["spanId"] for span in spans}
    assert [(run["verdict"], run["tenant"], run["leftovers"]) for run in runs] == [("fresh", "acme", [])] * 6
    assert {(span["traceId"], span["parentSpanId"]) for span in spans} == {
        (span.context.trace_id.hex(), span.context.span_id.hex()) for span in sent
    }
    if pool is PREFORK:
        # Eight runs, at most three in a child.
        assert len({run["pid"] for run in [*runs, *warehouse.runs("restock")]}) >= 3

    first, second = sorted(warehouse.spans("process", "restock"), key=lambda span: len(span["links"]))
    (retry,) = warehouse.spans("send", "restock")
    assert first["parentSpanId"] == second["parentSpanId"] == restock.context.span_id.hex()
    assert retry["parentSpanId"] == first["spanId"]
    assert [link["spanId"] for link in second["links"]] == [retry["spanId"]]
    assert {span["attributes"]["interceptors.tenant"] for span in (first, second, retry)} == {"acme"}


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_that_is_recycled_after_each_task_exports_by_otlp(
    redis_warehouse: Warehouse, otlp_sink: OtlpSink
) -> None:
    redis_warehouse.export_by(f"otlp: {{endpoint: {otlp_sink.url}}}")
    sent = [redis_warehouse.send("place") for _ in range(4)]
    with redis_warehouse.worker("prefork", "--concurrency=2", "--max-tasks-per-child=1") as worker:
        # Before the worker is ended: billiard may kill a child that is being recycled just then.
        arrived = [one for span in sent for one in otlp_sink.trace(span.context.trace_id, 1)]
        worker.end()
    runs = redis_warehouse.runs("place")
    assert len({run["pid"] for run in runs}) == 4
    assert [one.span.parent_span_id for one in arrived] == [span.context.span_id for span in sent]
    assert {one.span.span_id.hex() for one in arrived} == {run["span"] for run in runs}


def test_a_task_whose_child_is_killed_runs_again_under_its_trace(warehouse: Warehouse) -> None:
    sent = warehouse.send("count_stock")
    with warehouse.worker("prefork", "--concurrency=1") as worker:
        worker.wait_for(lambda: len(warehouse.runs("count_stock")) == 1)
        os.kill(warehouse.runs("count_stock")[0]["pid"], signal.SIGKILL)
        worker.wait_for(lambda: len(warehouse.runs("count_stock")) == 2)
        worker.end()
    first, second = warehouse.runs("count_stock")
    assert (first["verdict"], second["verdict"]) == ("fresh", "redelivery")
    (span,) = warehouse.spans("process", "count_stock")  # the first went with the child
    assert (span["spanId"], span["attributes"]["interceptors.verdict"]) == (second["span"], "redelivery")
    assert (span["traceId"], span["parentSpanId"]) == (
        sent.context.trace_id.hex(),
        sent.context.span_id.hex(),
    )


def test_a_task_whose_worker_is_killed_runs_in_another(warehouse: Warehouse) -> None:
    sent = warehouse.send("count_stock")
    with warehouse.worker("prefork", "--concurrency=1") as worker:
        worker.wait_for(lambda: len(warehouse.runs("count_stock")) == 1)
        worker.end(signal.SIGKILL)
    with warehouse.worker("solo") as worker:
        worker.wait_for(lambda: len(warehouse.runs("count_stock")) == 2)
        worker.end()
    # Fresh to a worker that has not seen it; what the one before saw went with that.
    assert [run["verdict"] for run in warehouse.runs("count_stock")] == ["fresh", "fresh"]
    (span,) = warehouse.spans("process", "count_stock")
    assert (span["traceId"], span["parentSpanId"]) == (
        sent.context.trace_id.hex(),
        sent.context.span_id.hex(),
    )


def test_what_outlives_the_visibility_timeout_is_redelivered(redis_warehouse: Warehouse) -> None:
    sent = redis_warehouse.send("count_stock")
    with redis_warehouse.worker("threads", "--concurrency=2") as worker:
        worker.wait_for(lambda: len(redis_warehouse.runs("count_stock")) == 2)
        worker.end()
    assert [run["verdict"] for run in redis_warehouse.runs("count_stock")] == ["fresh", "redelivery"]
    spans = redis_warehouse.spans("process", "count_stock")
    assert {span["traceId"] for span in spans} == {sent.context.trace_id.hex()}
    assert len(spans) == 2
