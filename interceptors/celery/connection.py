"""`connect`: what ties an app to a tracing."""

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


def connect(app: Celery, tracing: Tracing) -> None:
    """Seal the tasks that an app publishes, and verify those that its workers receive.

    Call it where the app is made, before a worker starts. It hooks into this app and no other.

    Args:
        app: the app, configured or not yet.
        tracing: the service's tracing.

    Raises:
        ConfigurationError: the app is connected already.
    """
    if isinstance(app, Proxy):  # such as `current_app`, which is another one later
        app = app._get_current_object()  # noqa: SLF001 - the only way to the object
    if _is_connected(app):
        msg = f"the app {app.main!r} is connected already; call connect once"
        raise ConfigurationError(msg)
    connection = _Connection(app, tracing)
    app.send_task = connection.send_task  # keeps the connection for as long as the app lives
    app.steps["consumer"].add(verifying_step(tracing))
    app.loader.on_process_cleanup = connection.on_process_cleanup
    signals.task_prerun.connect(connection.on_prerun)
    signals.task_postrun.connect(connection.on_postrun)
    signals.worker_process_shutdown.connect(connection.on_process_shutdown)


class _Connection:
    """What stands between an app and Celery's signals, which every app shares."""

    def __init__(self, app: Celery, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing
        self._send_task = app.send_task
        self._clean_up = app.loader.on_process_cleanup
        self._following = Following()

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
        if task.app is self._app:
            begin(self._tracing, task, self._following)
        elif not _is_connected(task.app) and any(isinstance(v, Receipt) for v in vars(task.request).values()):
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


def _is_connected(app: Any) -> bool:
    return isinstance(getattr(app.send_task, "__self__", None), _Connection)
