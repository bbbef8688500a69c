"""A decorator for functions that handle one record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aiokafka import ConsumerRecord

from interceptors.kafka.record import TracedRecord, process, receive, rejection, wanted_keys
from interceptors.tracing import Handling, handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")


def traced(tracing: Tracing, *, group_id: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Trace the handling of each record that a function is called with.

    For records of a `TracedConsumer`, and for raw ones of any `AIOKafkaConsumer`: those are verified and
    stripped before the function sees them.

    Args:
        tracing: the service's tracing.
        group_id: the consumer's group, for raw records. Handlers of one group share a memory of what they
            have seen, so that the second one that is given a record finds it redelivered.

    Returns:
        A decorator for a function, or coroutine function, one of whose arguments is the record.

    Raises:
        RejectedError: by the decorated function: the channel's policy refuses the record.
    """

    def admit(raw: ConsumerRecord, consumer: str) -> TracedRecord:
        record = raw if isinstance(raw, TracedRecord) else receive(tracing, raw, consumer, group_id)
        if record.receipt.rejected:
            raise rejection(record)
        return record

    handling = Handling(ConsumerRecord, lambda raw: wanted_keys([raw]), admit, partial(process, tracing))
    return handler(tracing, handling, consumer=group_id)
