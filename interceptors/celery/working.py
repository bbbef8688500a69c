"""Receiving tasks: in the worker's main process, and in the process that runs them."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals, states

from interceptors.celery.message import SYSTEM, lasting_name, received
from interceptors.celery.publishing import RECEIPT
from interceptors.envelope import HEADER_NAME
from interceptors.errors import RejectedError
from interceptors.pipeline import Receipt
from interceptors.tracing import Delegate, Processing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.tracing import Following, Tracing

    Strategy = Callable[..., Any]

logger = logging.getLogger("interceptors.celery")


def verifying_step(tracing: Tracing) -> type[bootsteps.Step]:
    """Make the step of a worker's consumer that has each message verified before anything else sees it.

    In the main process, which receives every message, so that one memory sees all of them, whichever child
    runs them; and before a message is acknowledged, so that one that the policy refuses can be rejected.
    """

    class Verify(bootsteps.Step):  # type: ignore[misc]  # Celery has no types
        """Wraps the strategies that the consumer hands messages to."""

        def create(self, consumer: Any) -> None:
            """Wrap them, each time that the consumer makes them anew: on a reconnect, or a reload."""
            make = consumer.update_strategies

            def update_strategies() -> None:
                make()
                for name, strategy in consumer.strategies.items():
                    consumer.strategies[name] = _verified(tracing, strategy, consumer)

            consumer.update_strategies = update_strategies

    return Verify


class _Verified(Delegate):
    """A message with the receipt in the place of its envelope.

    The message itself stays as it came: a transport may put it back into the queue from there.
    """

    def __init__(self, message: Any, headers: dict[str, Any], receipt: Receipt) -> None:
        super().__init__(message)
        self.headers = headers | {RECEIPT: receipt}
        self.headers.pop(HEADER_NAME, None)


def _verified(tracing: Tracing, strategy: Strategy, consumer: Any) -> Strategy:
    def handle(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        headers = message.headers if isinstance(message.headers, dict) else {}
        info = message.delivery_info or {}
        receipt = receive(tracing, headers, info, _queue(tracing, consumer, info))
        if receipt.rejected:
            error = RejectedError(
                channel=receipt.channel.name, verdict=str(receipt.verdict), coordinate=_coordinate(headers)
            )
            signals.task_rejected.send(sender=consumer, message=message, exc=error)
            return reject(logger, consumer.connection_errors, requeue=False)
        return strategy(_Verified(message, headers, receipt), body, ack, reject, callbacks, **options)

    return handle


def _queue(tracing: Tracing, consumer: Any, delivery_info: Mapping[str, Any]) -> str:
    """Give the queue that a message was taken from, as far as it can be told.

    A name that it was routed by, and that belongs to none of this worker's queues, says nothing: else it
    would be the publisher who chose whether the policy refuses. So the strictest of the queues counts.
    """
    name = lasting_name(delivery_info.get("exchange"), delivery_info.get("routing_key"))
    queues = consumer.task_consumer.queues
    if any(name in {queue.name, lasting_name(queue.exchange, queue.routing_key)} for queue in queues):
        return name
    return tracing.policy.strictest(SYSTEM, [queue.name for queue in queues])


def receive(
    tracing: Tracing, headers: Mapping[str, Any], delivery_info: Mapping[str, Any], queue: str = ""
) -> Receipt:
    """Verify a task's message.

    Args:
        tracing: the service's tracing.
        headers: as they came.
        delivery_info: the broker's word.
        queue: where it was taken from, where that is known.
    """
    message = received(headers, delivery_info, queue)
    wanted = tracing.opening_keys_wanted(message.envelopes)
    if wanted is not None:
        wanted()
    return tracing.receive(message, consumer=SYSTEM)


def begin(tracing: Tracing, task: Any, following: Following) -> None:
    """Open the processing of a task that is about to run, and strip its request.

    Args:
        tracing: the service's tracing.
        task: the task; its request gets a `receipt`, as a record of Kafka has one, and a `processing`.
        following: where the processing is kept until it is certainly over.
    """
    request = task.request
    if request.is_eager:  # nothing has crossed a bus
        return
    fields = vars(request)
    custom = request.headers if isinstance(request.headers, dict) else {}
    receipt = fields.pop(RECEIPT, None) or custom.get(RECEIPT)  # there, where the task is of protocol 1
    if not isinstance(receipt, Receipt):
        # The worker was started before `connect` was called: what must be refused can't be any more.
        logger.error("a task was received unverified; call connect(app, tracing) where the app is made")
        info = dict(request.delivery_info or {})
        # Here, the worker has put "no" where nothing was said.
        receipt = receive(tracing, fields, info | {"redelivered": info.get("redelivered") or None})
    fields.pop(HEADER_NAME, None)
    if custom:
        custom = {name: value for name, value in custom.items() if name not in {RECEIPT, HEADER_NAME}}
        request.headers = custom or None
    request.receipt = receipt
    request.processing = tracing.process(SYSTEM, receipt)
    if request.processing.span is not None:
        request.processing.span.task_name = task.name
    following.open(request.processing)


def end(request: Any, state: str | None, outcome: object) -> None:
    """End the processing of a task.

    Args:
        request: the task's.
        state: Celery's name for how it ended, as far as it got.
        outcome: the result, or what was raised.
    """
    processing = getattr(request, "processing", None)
    if isinstance(processing, Processing):
        processing.end(_error(state, outcome))


def _error(state: str | None, outcome: object) -> BaseException | None:
    raised = sys.exc_info()[1]
    if raised is not None:  # no Exception, which has no state; or a callback that could not be published
        return raised
    if state in {states.SUCCESS, states.IGNORED} or not isinstance(outcome, BaseException):
        return None
    cause = getattr(outcome, "exc", None) if state == states.RETRY else None
    return cause if isinstance(cause, BaseException) else outcome


def _coordinate(headers: Mapping[str, Any]) -> tuple[object, ...]:
    return received(headers, {}).coordinate or ()
