"""A broker that is killed under Celery: each task that it had taken runs, under its own trace."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import string
import subprocess
import sys
import uuid
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

import interceptors
from interceptors import Tracing
from interceptors.celery import connect
from interceptors.context import Scope, new_root
from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.policy import check_policy
from interceptors.spans import MemorySink

from .provision.rabbitmq import create_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .provision import Server

APP = Path(__file__).with_name("celery_app")
LIBRARY = Path(interceptors.__file__).parents[1]
pytestmark = pytest.mark.alone

DEADLINE = 30
"""Seconds after which what doesn't happen is given up."""
TRANSPORT = {
    # What nobody has acknowledged is delivered again after a second.
    "redis": {"visibility_timeout": 1, "unacked_restore_interval": 0.2, "unacked_restore_throttle": 1},
    "amqp": {"confirm_publish": True},
}
DONE = 2
"""How many tasks are done before the broker is killed."""
CONCURRENCY = 3
"""How many run while it is, which is all that the worker takes at a time.

None may be on its way to the worker then: kombu takes a message off the queue first, and notes second that
nobody has acknowledged it, so what Redis hands out in the moment of its death is gone.
"""
WAITING = 6
AFTER = 4
"""How many tasks are published when the broker is back."""


class Run(NamedTuple):
    """A task that runs, and waits."""

    id: str
    sender: str
    trace_id: str
    parent: str
    verdict: str


class Returns:
    """An app that publishes tasks, each in a trace of its own, and what its worker says of their runs."""

    def __init__(self, broker: str, queue: str, folder: Path, closing: contextlib.ExitStack) -> None:
        self._closing = closing
        self._folder = folder
        self._conf = {
            "broker_transport_options": TRANSPORT[broker.partition(":")[0]],
            "broker_url": broker,
            "task_default_queue": queue,
            "task_ignore_result": True,
            "worker_prefetch_multiplier": 1,
        }
        administration = KeyAdministration(folder / "roots.json")
        administration.root("acme")
        administration.grant("shop", "acme", [], folder / "shop-keys.json")
        administration.grant("returns", "acme", ["shop"], folder / "keys.json")
        (folder / "policy.yaml").write_text("version: 1\n")
        (folder / "interceptors.yaml").write_text(
            "service: returns\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n"
        )
        self.sink = MemorySink()
        self.tracing = closing.enter_context(
            Tracing(
                service="shop",
                tenant="acme",
                policy=check_policy({"version": 1}, "policy"),
                keys=LocalKeys(folder / "shop-keys.json"),
                sink=self.sink,
            )
        )
        self._app = closing.enter_context(contextlib.closing(Celery("shop", set_as_current=False)))
        closing.callback(self._app.pool.force_close_all)
        self._app.conf.update(self._conf)
        connect(self._app, self.tracing)
        self._server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._server.settimeout(DEADLINE)
        self._waiting: dict[str, list[socket.socket]] = defaultdict(list)
        self.trace_ids: dict[str, str] = {}
        self.runs: dict[str, list[Run]] = defaultdict(list)

    def start_worker(self) -> None:
        """Start a worker, whose processes end with the test."""
        environment = {
            "PYTHONPATH": os.pathsep.join(map(str, (APP, LIBRARY))),
            "RETURNS_CONF": json.dumps(self._conf),
            "RETURNS_PORT": str(self._server.getsockname()[1]),
            "RETURNS_TRACING": str(self._folder / "interceptors.yaml"),
        }
        command = [sys.executable, "-m", "celery", "-A", "returns", "worker", "--without-gossip"]
        with (self._folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(  # noqa: S603 - our own app
                [
                    *command,
                    "--pool=prefork",
                    f"--concurrency={CONCURRENCY}",
                    "--without-mingle",
                    "--loglevel=INFO",
                ],
                env=os.environ | environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._closing.callback(worker.wait)
        self._closing.callback(os.killpg, worker.pid, signal.SIGKILL)

    def publish(self, **options: Any) -> None:
        """Publish a task; whatever is raised goes to the caller, as it does to any publisher."""
        task_id, begun = str(uuid.uuid4()), new_root()
        scope = Scope("acme", begun)
        try:
            self._app.send_task("inspect", task_id=task_id, **options)
        finally:
            scope.leave()
        self.trace_ids[task_id] = begun.trace_id.hex()

    def next_run(self) -> Run:
        """Return when one more task runs; it waits then."""
        try:
            connection, _ = self._server.accept()
        except TimeoutError:
            log = (self._folder / "worker.log").read_text()
            pytest.fail(f"no task has run; {self.runs}; the worker's log:\n{log}")
        self._closing.enter_context(connection)
        with connection.makefile() as lines:
            run = Run(**json.loads(lines.readline()))
        self.runs[run.id].append(run)
        self._waiting[run.id].append(connection)
        return run

    def finish(self, run: Run) -> None:
        """Let every run of that task be done."""
        while self._waiting[run.id]:
            self._waiting[run.id].pop().close()


@pytest.fixture(params=["redis", "rabbitmq"])
def owned_broker(request: pytest.FixtureRequest) -> Server:
    """A broker of each kind, which may be killed."""
    server: Server = request.getfixturevalue(f"owned_{request.param}")
    return server


@pytest.fixture
def returns(owned_broker: Server, tmp_path: Path) -> Iterator[Returns]:
    """Its worker is started by the test."""
    if owned_broker.address.startswith("amqp:"):
        queue = create_queue(owned_broker)
    else:
        queue = "returns-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    with contextlib.ExitStack() as closing:
        yield Returns(owned_broker.address, queue, tmp_path, closing)


def test_what_a_killed_broker_had_taken_runs_under_its_own_trace(
    owned_broker: Server, returns: Returns
) -> None:
    for _ in range(DONE + CONCURRENCY + WAITING):
        returns.publish()
    returns.start_worker()
    for _ in range(DONE):
        returns.finish(returns.next_run())
    first, *held = [returns.next_run() for _ in range(CONCURRENCY)]

    owned_broker.kill()
    with pytest.raises(OperationalError):
        returns.publish(retry=False)
    owned_broker.start()
    for _ in range(AFTER):
        returns.publish()
    returns.finish(first)
    # The others that ran all the while are done when they have come again, and not before.
    missed = {run.id for run in held}
    while missed or returns.runs.keys() != returns.trace_ids.keys():
        run = returns.next_run()
        if run.id not in missed or len(returns.runs[run.id]) > 1:
            missed.discard(run.id)
            returns.finish(run)

    assert returns.tracing.flush()
    sent = {span.context.span_id.hex(): span for span in returns.sink.spans}
    assert [span.error_type is None for span in sent.values()].count(False) == 1
    for task_id, (earliest, *later) in returns.runs.items():
        for run in (earliest, *later):
            assert (run.sender, run.trace_id) == ("shop", returns.trace_ids[task_id])
            assert sent[run.parent].context.trace_id.hex() == run.trace_id
        # What a worker had taken but not begun comes again too, and is first run then.
        assert earliest.verdict in {"fresh", "redelivery"}
        assert {run.verdict for run in later} <= {"redelivery"}
    assert {run.verdict for run in (first, *held)} == {"fresh"}
