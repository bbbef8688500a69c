"""Publishing tasks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from celery import current_task

from interceptors.celery.message import sent
from interceptors.context import Scope
from interceptors.envelope import HEADER_NAME, to_text
from interceptors.errors import ConfigurationError
from interceptors.headers import SealedTable
from interceptors.pipeline import Receipt
from interceptors.policy import TaskMetadata
from interceptors.tracing import Delegate, Processing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.context import TraceContext
    from interceptors.tracing import Tracing

RECEIPT = "interceptors-receipt"
"""The key under which a worker's main process hands what it received on to the process that runs the task."""

_METADATA = ("argsrepr", "kwargsrepr", "origin")
_SENT_METADATA = ("args", "kwargs")


class TracedProducer(Delegate):
    """A kombu producer for one call of `send_task`: it seals the task, and minimises what Celery adds.

    Here and not in a signal, since nothing can change or add a header after this, and what is raised here
    reaches the caller: a signal's receivers run before other receivers, and their exceptions are swallowed.
    """

    def __init__(self, producer: Any, tracing: Tracing) -> None:
        """Wrap a producer."""
        super().__init__(producer)
        self._tracing = tracing
        self._metadata = TaskMetadata.REMOVED

    def publish(
        self, body: Any, *, headers: Any = None, exchange: Any = None, routing_key: Any = None, **options: Any
    ) -> Any:
        """Publish a task, or the event that says that it was sent, as `kombu.Producer.publish` does.

        Args:
            body: as there.
            headers: as there; left as they are.
            exchange: as there.
            routing_key: as there.
            options: as there.

        Raises:
            ConfigurationError: the task is of protocol 1, whose messages have no headers to seal.
            LeakError: the policy blocks the task.
        """
        options |= {"exchange": exchange, "routing_key": routing_key}
        if headers and "task" in headers:
            return self._publish_task(body, headers, options)
        if isinstance(body, dict) and body.get("type") == "task-sent":
            if self._metadata is TaskMetadata.REMOVED:
                body = body | {name: "" for name in _SENT_METADATA if name in body}
            return self._wrapped.publish(body, headers=headers, **options)
        msg = "task_protocol is 1, whose messages carry no envelope; set task_protocol = 2"
        raise ConfigurationError(msg)

    def _publish_task(self, body: Any, headers: dict[str, Any], options: dict[str, Any]) -> Any:
        message = sent(headers, options["exchange"], options["routing_key"], options.get("declare"))
        with _lost(headers), self._tracing.send(message, attempt=_attempt(headers)) as sending:
            if sending.span is not None:
                sending.span.task_name = message.type
            self._metadata = sending.channel.task_metadata
            table: dict[str, Any] = SealedTable(headers) if sending.seals else dict(headers)
            table.pop(RECEIPT, None)
            table.pop(HEADER_NAME, None)
            if self._metadata is TaskMetadata.REMOVED:
                for name in _METADATA:
                    table.pop(name, None)
            if sending.envelope is not None:
                table[HEADER_NAME] = to_text(sending.envelope)
            return self._wrapped.publish(body, headers=table, **options)


@contextlib.contextmanager
def _lost(headers: dict[str, Any]) -> Iterator[None]:
    """Make current what was so in a child that was lost, where a worker's main process retries its task."""
    receipt = headers.get(RECEIPT)
    if not isinstance(receipt, Receipt):
        yield
        return
    scope = Scope(receipt.tenant, receipt.parent)
    try:
        yield
    finally:
        scope.leave()


def _attempt(headers: dict[str, Any]) -> TraceContext | None:
    """Give what a retry is to go on from: what the attempt that asks for it went on from."""
    receipt = headers.get(RECEIPT)
    if isinstance(receipt, Receipt):  # see `_lost`
        return receipt.parent
    if not current_task:
        return None
    request = current_task.request
    processing = getattr(request, "processing", None)
    if (
        isinstance(processing, Processing)
        and request.id == headers.get("id")
        and headers.get("retries", 0) > request.retries
    ):
        return processing.attempt
    return None
