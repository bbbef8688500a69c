"""Publishing tasks."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from celery import current_task
from kombu.serialization import dumps

from interceptors.celery.message import QUOTES, sent
from interceptors.context import Scope
from interceptors.envelope import HEADER_NAME, to_text
from interceptors.errors import ConfigurationError
from interceptors.headers import SealedTable
from interceptors.pipeline import Receipt
from interceptors.tracing import Delegate, Processing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.context import TraceContext
    from interceptors.tracing import Tracing

RECEIPT = f"interceptors-receipt-{secrets.token_hex(16)}"
"""The key under which a worker's main process hands what it received on to the process that runs the task.

A task's body may set fields of its request, so none may guess it. A forked child has inherited it; another
knows the receipt by its class."""

_TABLES = ("headers", "stamps")
"""Tables among the headers, which other tracers write to as well."""
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
        self._quotes = False
        """Whether the task that was published last quotes its arguments as they were given."""

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
            if not self._quotes:
                body = body | {name: "" for name in _SENT_METADATA if name in body}
            return self._wrapped.publish(body, headers=headers, **options)
        msg = "task_protocol is 1, whose messages carry no envelope; set task_protocol = 2"
        raise ConfigurationError(msg)

    def _publish_task(self, body: Any, headers: dict[str, Any], options: dict[str, Any]) -> Any:
        body, options = _serialized(self._wrapped, body, options)
        receipt = taken(headers := dict(headers))
        wanted = self._tracing.sealing_key_wanted(None if receipt is None else receipt.tenant)
        if wanted is not None:
            wanted()
        headers.pop(HEADER_NAME, None)
        message = sent(headers, options["exchange"], options["routing_key"], _bytes(body))
        with (
            _lost(receipt),
            self._tracing.send(message, attempt=_attempt(receipt, headers)) as sending,
        ):
            if sending.span is not None:
                sending.span.task_name = message.type
            given, headers = headers, dict(sending.headers)
            same = sending.body is message.body
            if not same:
                body = sending.body
                # They quote what was taken out, and only a finding would be taken out of them.
                headers = {name: value for name, value in headers.items() if name not in QUOTES}
            # The event that says that the task was sent quotes its arguments, as they were given.
            self._quotes = same and all(
                name in headers and headers[name] is given.get(name) for name in QUOTES
            )
            if sending.seals:
                for name in _TABLES:
                    if isinstance(headers.get(name), dict):
                        headers[name] = SealedTable(headers[name])
                headers = SealedTable(
                    headers, None if sending.envelope is None else to_text(sending.envelope)
                )
            return self._wrapped.publish(body, headers=headers, **options)


def taken(fields: dict[str, Any]) -> Receipt | None:
    """Take the receipt out of the headers or request that it was handed on in, whatever its key.

    Returns:
        The receipt, or None where there is none: what comes over a bus can't be one.
    """
    found = [name for name, value in fields.items() if type(value) is Receipt]
    receipts = [fields.pop(name) for name in found]
    return receipts[0] if receipts else None


def _serialized(producer: Any, body: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Serialize a body as the producer would, so that an envelope can be bound to it."""
    if options.get("content_type"):  # the caller has
        return body, options
    serializer = options.pop("serializer", None) or producer.serializer
    content_type, content_encoding, body = dumps(body, serializer=serializer)
    return body, options | {"content_type": content_type, "content_encoding": content_encoding}


def _bytes(body: Any) -> Any:
    return body.encode() if isinstance(body, str) else body


@contextlib.contextmanager
def _lost(receipt: Receipt | None) -> Iterator[None]:
    """Make current what was so in a child that was lost, where a worker's main process retries its task."""
    if receipt is None:
        yield
        return
    scope = Scope(receipt.tenant, receipt.parent, receipt.labels or {})
    try:
        yield
    finally:
        scope.leave()


def _attempt(receipt: Receipt | None, headers: dict[str, Any]) -> TraceContext | None:
    """Give what a retry is to go on from: what the attempt that asks for it went on from."""
    if receipt is not None:  # see `_lost`
        return receipt.parent
    if not current_task:
        return None
    request = current_task.request
    processing, tried = getattr(request, "processing", None), request.retries
    retries = headers.get("retries")
    if (
        isinstance(processing, Processing)
        and request.id == headers.get("id")
        and retries
        and retries > (tried if isinstance(tried, int) else 0)
    ):
        return processing.attempt
    return None
