"""Receiving tasks: in the worker's main process, and in the process that runs them."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals, states

from interceptors.celery.message import SYSTEM, received
from interceptors.celery.publishing import RECEIPT, taken
from interceptors.envelope import HEADER_NAME
from interceptors.errors import RejectedError
from interceptors.tracing import Delegate, Processing

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.message import Message
    from interceptors.pipeline import Receipt
    from interceptors.tracing import Following, Tracing

    Strategy = Callable[..., Any]

logger = logging.getLogger("interceptors.celery")


def verifying_step(tracing: Tracing, is_active: Callable[[], bool]) -> type[bootsteps.Step]:
    """Make the step of a worker's consumer that has each message verified before anything else sees it.

    In the main process, which receives every message, so that one memory sees all of them, whichever child
    runs them; and before a message is acknowledged, so that one that the policy refuses can be rejected.

    Args:
        tracing: the service's tracing.
        is_active: tells whether the app is still connected; asked for each message.
    """

    class Verify(bootsteps.Step):  # type: ignore[misc]  # Celery has no types
        """Wraps the strategies that the consumer hands messages to."""

        def create(self, consumer: Any) -> None:
            """Wrap them, each time that the consumer makes them anew: on a reconnect, or a reload."""
            make = consumer.update_strategies

            def update_strategies() -> None:
                make()
                for name, strategy in consumer.strategies.items():
                    consumer.strategies[name] = _verified(tracing, strategy, consumer, is_active)

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


def _verified(tracing: Tracing, strategy: Strategy, consumer: Any, is_active: Callable[[], bool]) -> Strategy:
    def handle(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        if not is_active():
            return strategy(message, body, ack, reject, callbacks, **options)
        headers = message.headers if isinstance(message.headers, dict) else {}
        view = received(headers, message.delivery_info or {}, message.body, consumer.task_consumer.queues)
        receipt = receive(tracing, view)
        if receipt.rejected:
            error = RejectedError(
                channel=receipt.channel.name, verdict=str(receipt.verdict), coordinate=view.coordinate
            )
            signals.task_rejected.send(sender=consumer, message=message, exc=error)
            return reject(logger, consumer.connection_errors, requeue=False)
        return strategy(_Verified(message, headers, receipt), body, ack, reject, callbacks, **options)

    return handle


def receive(tracing: Tracing, message: Message) -> Receipt:
    """Verify a task's message.

    Args:
        tracing: the service's tracing.
        message: as `received` gives it.
    """
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
    fields = vars(request)
    custom = dict(request.headers) if isinstance(request.headers, dict) else {}
    receipt = taken(fields)
    receipt = taken(custom) or receipt  # it is there, too, and nowhere else where the task is of protocol 1
    if receipt is None:
        if request.is_eager:  # nothing has crossed a bus
            return
        # The worker was started before `connect` was called. What must be refused can't be any more; and
        # what the request says need not be what the message said, so no envelope is opened by it.
        logger.error("a task was received unverified; call connect(app, tracing) where the app is made")
        info = request.delivery_info if isinstance(request.delivery_info, dict) else {}
        receipt = receive(tracing, received({"task": task.name}, info))
    fields.pop(HEADER_NAME, None)
    custom.pop(HEADER_NAME, None)
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
