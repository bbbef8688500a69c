"""taskiq, over any of its brokers.

```python
broker = ListQueueBroker(...).with_middlewares(TracedMiddleware(tracing))
```

What belongs here: translation between taskiq's messages and the core's. What does not: any rule about
envelopes, verdicts or spans, and a broker's own library.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from interceptors.envelope import to_text
from interceptors.errors import MissingExtraError, RejectedError
from interceptors.headers import SealedTable, envelopes, stripped
from interceptors.message import Message, bounded_id
from interceptors.tracing import off_loop

try:
    from taskiq import TaskiqMiddleware
    from taskiq.exceptions import NoResultError
except ModuleNotFoundError as error:
    if error.name != "taskiq":
        raise
    raise MissingExtraError("taskiq", "taskiq") from None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskiq import TaskiqMessage, TaskiqResult

    from interceptors.tracing import Processing, Sending, Tracing

__all__ = ["SYSTEM", "TracedMiddleware"]

SYSTEM = "taskiq"

_FIXED = frozenset(
    {
        *("_retries", "max_retries", "retry_on_error", "delay", "X-Taskiq-requeue", "schedule"),
        *("timeout", "ack_type", "queue_name", "priority"),
    }
)
"""The labels of a task that taskiq and its brokers themselves go by."""


@dataclass
class _Running:
    """A task that is being executed."""

    task_id: str
    processing: Processing
    around: _Running | None
    """The task that it is executed in, where a broker executes what is sent to it at once."""
    sending: _Sent | None
    """What was being sent there."""
    error: BaseException | None = None


@dataclass(frozen=True)
class _Sent:
    """A task that is being sent."""

    task_id: str
    sending: Sending


_running: ContextVar[_Running | None] = ContextVar("interceptors-taskiq-running", default=None)
_sent: ContextVar[_Sent | None] = ContextVar("interceptors-taskiq-sent", default=None)


class TracedMiddleware(TaskiqMiddleware):
    """A middleware of a taskiq broker, by which its tasks carry a sealed trace envelope, as a label.

    Put it first, so that no other middleware sees a task that is not verified. A task's process span and its
    sender's tenant are current in the task, and in `on_error` of other middlewares, so that a retry is a
    sibling of the attempt that failed.
    """

    def __init__(self, tracing: Tracing, *, queue: str = "taskiq") -> None:
        """Make the middleware.

        Args:
            tracing: the service's tracing.
            queue: the name by which the policy knows the broker's queue (`match: {taskiq: […]}`), the same
                where tasks are sent and where they are executed: taskiq tells a middleware of none.
        """
        super().__init__()
        self._tracing = tracing
        self._queue = queue

    async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """Seal a task that is about to be sent; the given message is left as it is.

        Raises:
            LeakError: the policy blocks the task.
        """
        wanted = self._tracing.sealing_key_wanted()
        if wanted is not None:
            await off_loop(wanted)
        view = self._view(message)._replace(headers=stripped(message.labels.items()), fixed=_FIXED)
        running = _running.get()
        again = running is not None and running.task_id == message.task_id
        sending = self._tracing.send(view, attempt=running.processing.attempt if running and again else None)
        _sent.set(_Sent(message.task_id, sending))
        labels = dict(sending.headers)
        if sending.seals:
            labels = SealedTable(labels, None if sending.envelope is None else to_text(sending.envelope))
        arguments = {} if sending.body is view.body else json.loads(sending.body)
        return message.model_copy(update={"labels": labels, **arguments})

    async def post_send(self, message: TaskiqMessage) -> None:
        """End the span of a task that was sent.

        Where a broker fails to send one, taskiq calls no middleware, and the span is not recorded.
        """
        sent = _sent.get()
        if sent is not None and sent.task_id == message.task_id:
            sent.sending.end()
            _sent.set(None)

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Verify a task and strip it, and open its processing; the given message is left as it is.

        Returns:
            The task to execute. Of one that the policy refuses, the function is not called: it is
            acknowledged, as taskiq has no other way to turn a message away, and there is no result.
        """
        labels = message.labels
        retries = labels.get("_retries")
        view = self._view(message)._replace(
            envelopes=envelopes(labels.items()),
            coordinate=(bounded_id(message.task_id), retries if isinstance(retries, int) else 0),
            headers=stripped(labels.items()),
        )
        wanted = self._tracing.opening_keys_wanted(view.envelopes)
        if wanted is not None:
            await off_loop(wanted)
        receipt = self._tracing.receive(view, consumer=SYSTEM)
        if receipt.rejected:
            refused = _Refused(
                RejectedError(
                    channel=receipt.channel.name, verdict=str(receipt.verdict), coordinate=view.coordinate
                )
            )
            labels = {"ack_type": "when_received"}  # whatever the message itself asked for
            return message.model_copy(update={"labels": labels, "args": refused, "kwargs": {}})
        processing = self._tracing.process(SYSTEM, receipt)
        _running.set(_Running(message.task_id, processing, _running.get(), _sent.get()))
        processing.__enter__()
        return message.model_copy(update={"labels": dict(view.headers)})

    def on_error(
        self,
        message: TaskiqMessage,
        result: TaskiqResult[Any],  # noqa: ARG002 - taskiq's signature
        exception: BaseException,
    ) -> None:
        """Keep what a task raised for its span. It stays current for the middlewares that retry."""
        running = _running.get()
        if running is not None and running.task_id == message.task_id:
            running.error = None if isinstance(exception, NoResultError) else exception

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # noqa: ARG002 - as above
        """End the processing of a task."""
        running = _running.get()
        if running is not None and running.task_id == message.task_id:
            running.processing.end(running.error)
            _running.set(running.around)
            _sent.set(running.sending)

    def _view(self, message: TaskiqMessage) -> Message:
        return Message(
            system=SYSTEM,
            destination=self._queue,
            body=_arguments(message),
            type=message.task_name,
            id=message.task_id,
        )


class _Refused:
    """The arguments of a task that must not run: taskiq unpacks them to call the function, and gets an error.

    What `pre_execute` itself raises would leave the message unacknowledged for good, and the error is one
    that retrying middlewares leave alone.
    """

    def __init__(self, error: RejectedError) -> None:
        self._error = error

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[NoReturn]:
        raise NoResultError from self._error


def _arguments(message: TaskiqMessage) -> object:
    """Give the arguments as JSON: the body to which an envelope is bound, and that is scanned.

    What travels is made by the broker's formatter, and has the labels in it; a middleware never sees it.
    """
    try:
        arguments = message.model_dump(mode="json", include={"args", "kwargs"})
        return json.dumps(arguments, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):  # so it is left to the formatter alone
        return message.args
