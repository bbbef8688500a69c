"""A decorator for functions that handle one record."""

from __future__ import annotations

import functools
import inspect
import secrets
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from aiokafka import ConsumerRecord

from interceptors.kafka.record import TracedRecord, off_loop, process, receive, rejection, wanted_keys

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

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        consumer = group_id if group_id is not None else f"kafka.traced {secrets.token_hex(8)}"

        def admit(raw: ConsumerRecord) -> TracedRecord:
            record = raw if isinstance(raw, TracedRecord) else receive(tracing, raw, consumer, group_id)
            if record.receipt.rejected:
                raise rejection(record)
            return record

        if group_id is None:
            # What it has seen goes with the handler: a program may make one for each request.
            weakref.finalize(admit, tracing.forget, consumer).atexit = False

        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):

            @functools.wraps(function)
            async def handle_async(*args: Any, **kwargs: Any) -> Any:
                place, raw = _record(args, kwargs)
                wanted = tracing.opening_keys_wanted(wanted_keys([raw]))
                if wanted is not None:
                    await off_loop(wanted)
                record = admit(raw)
                with process(tracing, record):
                    return await cast("Callable[..., Any]", function)(
                        *_replaced(args, place, record), **_named(kwargs, place, record)
                    )

            return cast("Callable[P, T]", handle_async)

        @functools.wraps(function)
        def handle(*args: Any, **kwargs: Any) -> Any:
            place, raw = _record(args, kwargs)
            wanted = tracing.opening_keys_wanted(wanted_keys([raw]))
            if wanted is not None:
                wanted()
            record = admit(raw)
            with process(tracing, record):
                return function(*_replaced(args, place, record), **_named(kwargs, place, record))

        return cast("Callable[P, T]", handle)

    return decorate


def _record(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int | str, ConsumerRecord]:
    places: dict[int | str, Any] = dict(enumerate(args)) | kwargs
    for place, value in places.items():
        if isinstance(value, ConsumerRecord):
            return place, value
    msg = "a traced handler is called with an aiokafka.ConsumerRecord among its arguments"
    raise TypeError(msg)


def _replaced(args: tuple[Any, ...], place: int | str, record: TracedRecord) -> tuple[Any, ...]:
    return tuple(record if at == place else value for at, value in enumerate(args))


def _named(kwargs: dict[str, Any], place: int | str, record: TracedRecord) -> dict[str, Any]:
    return kwargs | {place: record} if isinstance(place, str) else kwargs
