"""`connect`: what ties an app to a tracing, and what undoes that."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.local import Proxy

from interceptors.celery.publishing import TracedProducer
from interceptors.celery.working import begin, end, verifying_step
from interceptors.errors import ConfigurationError
from interceptors.pipeline import Receipt
from interceptors.tracing import Following

if TYPE_CHECKING:
    from celery import Celery

    from interceptors.tracing import Tracing

logger = logging.getLogger("interceptors.celery")

_KEPT = "_interceptors_connection"


def connect(app: Celery, tracing: Tracing) -> None:
    """Seal the tasks that an app publishes, and verify those that its workers receive.

    Call it where the app is made, before a worker starts. It hooks into this app and no other, and counts
    before `instrument`.

    Args:
        app: the app, configured or not yet.
        tracing: the service's tracing.

    Raises:
        ConfigurationError: the app is connected already.
    """
    if isinstance(app, Proxy):  # such as `current_app`, which is another one later
        app = app._get_current_object()  # noqa: SLF001 - the only way to the object
    found = _connection(app)
    if found is not None and found.by_hand:
        msg = f"the app {app.main!r} is connected already; call connect once"
        raise ConfigurationError(msg)
    detach(app)
    _Connection(app, tracing, by_hand=True)


def attach(app: Celery, tracing: Tracing) -> None:
    """Connect an app for `instrument`, unless it is connected."""
    if _connection(app) is None:
        _Connection(app, tracing, by_hand=False)


def detach(app: Celery) -> None:
    """Undo `attach`, where it has connected the app.

    What a worker has received before, and not run yet, is still traced when it runs.
    """
    connection = _connection(app)
    if connection is not None and not connection.by_hand:
        connection.undo()


class _Connection:
    """What stands between an app and Celery's signals, which every app shares."""

    def __init__(self, app: Celery, tracing: Tracing, *, by_hand: bool) -> None:
        self._app = app
        self._tracing = tracing
        self._send_task = app.send_task
        self._clean_up = app.loader.on_process_cleanup
        self._following = Following()
        self._step = verifying_step(tracing, lambda: self._active)
        self._active = True
        self.by_hand = by_hand
        vars(app)[_KEPT] = self  # for as long as the app lives
        app.send_task = self.send_task
        app.steps["consumer"].add(self._step)
        app.loader.on_process_cleanup = self.on_process_cleanup
        # Weakly: they go with the connection.
        signals.task_prerun.connect(self.on_prerun)
        signals.task_postrun.connect(self.on_postrun)
        signals.worker_process_shutdown.connect(self.on_process_shutdown)

    def undo(self) -> None:
        """Let go of the app. A worker that runs keeps the connection, for what it has received before."""
        self._active = False
        vars(self._app).pop(_KEPT, None)
        if self._app.send_task == self.send_task:  # else somebody has wrapped it since, and ours passes on
            self._app.send_task = self._send_task
        self._app.steps["consumer"].discard(self._step)
        self._app.loader.on_process_cleanup = self._clean_up

    def send_task(  # noqa: PLR0917 - Celery's signature
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        countdown: Any = None,
        eta: Any = None,
        task_id: Any = None,
        producer: Any = None,
        connection: Any = None,
        *others: Any,
        publisher: Any = None,
        **options: Any,
    ) -> Any:
        """Publish a task as `Celery.send_task` does, sealed. Every way to call a task comes by here."""
        if not self._active:
            options |= {"publisher": publisher} if publisher else {}
            return self._send_task(
                name, args, kwargs, countdown, eta, task_id, producer, connection, *others, **options
            )
        given = producer or publisher
        if connection:
            given = self._app.amqp.Producer(connection, auto_declare=False)
        with self._app.producer_or_acquire(given) as acquired:
            traced = TracedProducer(acquired, self._tracing)
            return self._send_task(
                name, args, kwargs, countdown, eta, task_id, traced, None, *others, **options
            )

    def on_prerun(self, task: Any = None, **_: object) -> None:
        """Begin the processing of a task of this app."""
        if task is None:
            return
        has_receipt = any(isinstance(value, Receipt) for value in vars(task.request).values())
        if task.app is self._app:
            if not self._active and not has_receipt:
                return
            begin(self._tracing, task, self._following)
        elif has_receipt and _connection(task.app) is None:
            # Which connection's worker it is can't be told here, so nothing is done but to say so.
            logger.error(
                "a verified task was looked up in the app %r, which is not connected, and is not traced; "
                "an embedded worker needs app.set_current() in its thread",
                task.app.main,
            )

    def on_postrun(self, task: Any = None, state: Any = None, retval: object = None, **_: object) -> None:
        """End it."""
        if task is not None and task.app is self._app:
            end(task.request, state, retval)

    def on_process_cleanup(self) -> None:
        """Put back what was current before a task, once every receiver of `task_postrun` has been called.

        Another tracer that was told of the task after us makes current again, after us, what it found: ours.
        """
        self._following.end_finished()
        self._clean_up()

    def on_process_shutdown(self, **_: object) -> None:
        """Hand over what a child has recorded: it ends without its hooks at exit being run."""
        self._tracing.flush()


def _connection(app: Any) -> _Connection | None:
    found: _Connection | None = vars(app).get(_KEPT)
    return found
