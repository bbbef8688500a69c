"""What the tests of the Celery adapter share: apps on an in-memory broker, and workers in a thread."""

from __future__ import annotations

import contextlib
import secrets
import string
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, _state, signals
from celery.contrib.testing.worker import start_worker

from interceptors import Tracing
from interceptors.celery import connect
from interceptors.keys import MemoryKeys
from interceptors.policy import check_policy
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from interceptors.keys import KeyProvider
    from interceptors.spans import Span

DEADLINE = 20
"""Seconds after which what doesn't happen is given up."""


Shops = Callable[..., "Shop"]


class Shop:
    """An app, connected to a tracing, and what can be seen of both."""

    def __init__(self, app: Any, tracing: Tracing, sink: MemorySink) -> None:
        self.app = app
        self.tracing = tracing
        self._sink = sink
        self.queue: str = app.conf.task_default_queue

        self._done = threading.Event()

        @self.task()
        def done() -> None:
            self._done.set()

    def task(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        """Make a task of this app and, other than by default, of no app that is made after it."""

        def make(function: Callable[..., Any]) -> Any:
            return self.app.task(shared=False, name=function.__name__, **options)(function)

        return make

    @contextlib.contextmanager
    def worker(self, **options: Any) -> Iterator[Any]:
        """A worker in a thread, which runs one task at a time. What it has begun is over when it ends."""
        with start_worker(self.app, pool="solo", perform_ping_check=False, **options) as worker:
            try:
                yield worker
            finally:
                self.app.control.shutdown(destination=[worker.hostname])

    def work_off(self, **options: Any) -> None:
        """Have a worker take all that waits in the queue now."""
        self._done.clear()
        self.app.send_task("done")
        with self.worker(**options):
            assert self._done.wait(DEADLINE)

    def result(self, pending: Any) -> Any:
        """What came of a task, waited for; an exception as a value."""
        return pending.get(timeout=DEADLINE, interval=0.01, propagate=False)

    def taken(self, queue: str | None = None) -> list[Any]:
        """The messages that wait in a queue, taken out of it."""
        with self.app.connection_for_read() as connection:
            channel = connection.default_channel
            return list(iter(lambda: channel.basic_get(queue or self.queue, no_ack=True), None))

    def sent(self) -> Any:
        """The only message that waits, taken out of its queue."""
        (message,) = self.taken()
        return message

    def put(self, message: Any, headers: Mapping[str, Any], queue: str | None = None) -> None:
        """Publish a message as anybody could who has seen one, and no library of ours."""
        with self.app.connection_for_write() as connection:
            self.app.amqp.Producer(connection, auto_declare=False).publish(
                message.body,
                headers=headers,
                exchange="",
                routing_key=queue or self.queue,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
            )

    def spans(self, operation: str, task: str | None = None) -> list[Span]:
        """The ended spans of an operation, of any task or of one, oldest first."""
        assert self.tracing.flush()
        return [
            span
            for span in self._sink.spans
            if span.operation.operation == operation and task in {None, span.task_name}
        ]

    def span(self, operation: str, task: str | None = None) -> Span:
        """The only one."""
        (span,) = self.spans(operation, task)
        return span

    def above(self, processed: Span) -> Span | None:
        """The span of the task in which the message of another was sent; None where that was in none."""
        (sent,) = [one for one in self.spans("send") if one.context.span_id == processed.parent_span_id]
        assert sent.context.trace_id == processed.context.trace_id
        found = [one for one in self.spans("process") if one.context.span_id == sent.parent_span_id]
        assert len(found) == (sent.parent_span_id is not None)
        return found[0] if found else None


@pytest.fixture
def keys() -> MemoryKeys:
    """The keys that every service of a test shares."""
    return MemoryKeys("store")


@pytest.fixture
def shop(keys: MemoryKeys, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    """Makes connected apps, each with a queue and a service of its own."""
    # A worker makes its app everybody's default, and sets logging up unless somebody says to have done so.
    monkeypatch.setattr(_state, "default_app", None)
    monkeypatch.setattr(_state._tls, "current_app", None)
    monkeypatch.setattr(_state, "_on_app_finalizers", set(_state._on_app_finalizers))  # the shared tasks

    def leave_logging(**_: object) -> None:
        """Do nothing: pytest has set logging up."""

    signals.setup_logging.connect(leave_logging)

    with contextlib.ExitStack() as closing:

        def make(
            name: str = "shop",
            *,
            tenant: str = "acme",
            policy: Mapping[str, object] | None = None,
            kind: type[Tracing] = Tracing,
            own_keys: KeyProvider | None = None,
            clock: Callable[[], int] = time.time_ns,
            main: Any = Celery,
            connected: bool = True,
            **conf: Any,
        ) -> Shop:
            sink = MemorySink()
            tracing = kind(
                service=name,
                tenant=tenant,
                policy=check_policy({"version": 1, **(policy or {})}, "policy"),
                keys=own_keys or keys.beside(name),
                sink=sink,
                clock=clock,
            )
            closing.enter_context(tracing)
            app = main(name, broker="memory://", backend="cache+memory://", set_as_current=False)
            app.conf.update(
                task_default_queue="orders-"
                + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
                broker_transport_options={"polling_interval": 0.001},
                broker_connection_retry_on_startup=False,
                **conf,
            )
            if connected:
                connect(app, tracing)
            return Shop(app, tracing, sink)

        yield make
    signals.setup_logging.disconnect(leave_logging)
