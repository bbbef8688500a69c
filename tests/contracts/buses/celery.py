"""Celery, on any of its brokers."""

from __future__ import annotations

import asyncio
import copy
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from celery import Celery as App
from celery import signals
from celery._state import set_default_app
from celery.contrib.testing.worker import TestWorkController
from celery.exceptions import Reject, WorkerShutdown

from interceptors import celery as adapter
from interceptors.envelope import to_text

from .bus import DEADLINE, Bus, Delivery, Fate, Headers, Inbox, Need, Raw, Received, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.conftest import Service

    from .bus import Handle

TASK = "handle"
_GLANCE = 0.02
"""Seconds between looks at whether a worker is to stop."""


class Celery(Bus):
    """A queue, and a worker in a thread of this process. The body is the task's only argument."""

    name: ClassVar[str] = "celery"
    system: ClassVar[str] = "celery"
    brokers: ClassVar[tuple[str, ...]] = ("celery_memory", "real_redis", "real_rabbitmq")
    lacks: ClassVar[Mapping[Need, str]] = {
        Need.REPEATED_HEADERS: "headers are a table",
        Need.CANCELLATION: "what runs in a thread can't be cancelled",
    }
    headers: ClassVar[Headers] = [
        ("text", "größer"),
        ("flag", True),
        ("number", -7),
        ("nothing", None),
        ("table", {"deeper": [1, "two", {"three": 3}]}),
        ("empty", ""),
    ]
    poisons: ClassVar[tuple[Any, ...]] = (
        *(None, True, 7, "", "é", "E", "E" * 100_000, [], ["E"], {}, {"sealed-trace": ["E"]}),
    )

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._apps: dict[Service | None, Any] = {None: self._app(None)}

    async def open(self) -> None:
        self.stopping.callback(self._delete)  # it comes into being by being used

    async def send(
        self, service: Service | None, body: str, headers: Headers | None = None, *, name: str = ""
    ) -> Sent:
        given = {"args": [body], "headers": None if headers is None else dict(headers)}
        before = copy.deepcopy(given)
        self._client(service).send_task(TASK, **given, task_id=name or None)
        return Sent(before, given)

    async def serve(
        self, service: Service | None, handle: Handle | None = None, *, concurrency: int = 1
    ) -> Inbox:
        inbox = self.inbox(handle)
        app = self._app(service)
        deliveries = threading.local()

        @app.task(name=TASK, bind=True, shared=False, acks_late=True)  # type: ignore[untyped-decorator]  # no types
        def run(task: Any, body: str) -> None:
            request = task.request
            headers = list((request.headers or {}).items())
            receipt = getattr(request, "receipt", None)
            deliveries.last = Delivery(inbox, Received(body, headers, request, receipt))
            deliveries.last.run()
            if deliveries.last.fate is Fate.AGAIN:
                raise Reject(requeue=True)

        def on_postrun(task: Any = None, **_: object) -> None:
            if task.app is app:
                deliveries.last.done()

        signals.task_postrun.connect(on_postrun)  # after the adapter, which has connected
        inbox.stopping.callback(signals.task_postrun.disconnect, on_postrun)
        worker = TestWorkController(
            app=app,
            pool="solo" if concurrency == 1 else "threads",
            concurrency=concurrency,
            loglevel="ERROR",
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        stopping = threading.Event()
        worker.consumer.loop = partial(_loop, worker.consumer.loop, stopping)

        def work() -> None:
            app.set_current()  # in this thread
            worker.start()

        if concurrency > 1:
            set_default_app(app)  # the threads of its pool have no current one
            inbox.stopping.callback(set_default_app, None)
        thread = threading.Thread(target=work, name=f"worker of {self.place}", daemon=True)
        thread.start()
        await asyncio.to_thread(worker.ensure_started)

        async def stop() -> None:
            stopping.set()
            await asyncio.to_thread(thread.join, DEADLINE)
            assert not thread.is_alive()
            app.close()

        inbox.stopping.push_async_callback(stop)
        return inbox

    async def lift(self) -> Raw:
        with self._apps[None].connection_for_read() as connection:
            queue = connection.SimpleQueue(self.place)
            message = await asyncio.to_thread(queue.get, timeout=DEADLINE)
            message.ack()
            queue.close()
        body = message.body.encode() if isinstance(message.body, str) else message.body
        return Raw(body, list(message.headers.items()), message)

    async def put(self, raw: Raw) -> None:
        message, headers = raw.properties, dict(raw.headers)
        with self._apps[None].producer_or_acquire() as producer:
            producer.publish(
                raw.body,
                routing_key=self.place,
                headers=headers,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                correlation_id=headers["id"],
            )

    def carried(self, envelope: bytes) -> str:
        return to_text(envelope)

    def renamed(self, raw: Raw) -> Raw:
        """The same task under another id."""
        headers = [(name, f"{value}-2" if name == "id" else value) for name, value in raw.headers]
        return raw._replace(headers=headers)

    def _delete(self) -> None:
        with self._apps[None] as app, app.connection_for_write() as connection:
            connection.default_channel.queue_delete(self.place)
            connection.default_channel.exchange_delete(self.place)

    def _client(self, service: Service | None) -> Any:
        """The app that a service sends by."""
        if service not in self._apps:
            self._apps[service] = self._app(service)
            self.stopping.callback(self._apps[service].close)
        return self._apps[service]

    def _app(self, service: Service | None) -> Any:
        app = App("contracts", broker=self.address, set_as_current=False)
        app.conf.update(
            task_default_queue=self.place,
            task_ignore_result=True,
            broker_transport_options={"polling_interval": 0.01},
            broker_connection_retry_on_startup=True,
            worker_enable_remote_control=False,
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
            worker_prefetch_multiplier=1,
        )
        if service is not None:
            adapter.connect(app, service.tracing)
        return app


class _Stoppable:
    """A connection that is not waited on for long, and not any more when the worker is to stop."""

    def __init__(self, connection: Any, check: Callable[[], None]) -> None:
        self._connection = connection
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def drain_events(self, timeout: float) -> Any:
        self._check()
        return self._connection.drain_events(timeout=min(timeout, _GLANCE))


def _loop(loop: Callable[..., None], stopping: threading.Event, *arguments: Any) -> None:
    """Run a worker's loop until it is to stop: no other thread may touch its socket."""

    def check() -> None:
        if stopping.is_set():
            raise WorkerShutdown(0)

    worker, connection, consumer, blueprint, hub, *others = arguments
    if hub is None:
        connection = _Stoppable(connection, check)
    else:
        hub.call_repeatedly(_GLANCE, check)
    loop(worker, connection, consumer, blueprint, hub, *others)
