"""A decorator for functions that handle one message, the same for every bus."""

from __future__ import annotations

import functools
import inspect
import secrets
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

from interceptors.errors import RejectedError
from interceptors.tracing.off_loop import off_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from interceptors.tracing.scopes import Processing
    from interceptors.tracing.tracing import Tracing

P = ParamSpec("P")
T = TypeVar("T")


class Handling(NamedTuple):
    """How a bus's messages are handled: what an adapter gives to `handler`."""

    kind: type
    """The class of a message, of which one has to be among the handler's arguments."""
    envelopes: Callable[[Any], Iterable[object]]
    """The values of a raw message's envelope headers."""
    admit: Callable[[Any, str], Any]
    """Verifies a raw message, given whose memory of what was seen counts, and gives what the handler sees;
    raises RejectedError."""
    process: Callable[[Any], Processing]
    """The processing of what `admit` gave."""
    refuse: Callable[[Any], Awaitable[None]] | None = None
    """Turns a raw message away that `admit` raised for, on a bus that can; called for coroutine functions."""


def handler(
    tracing: Tracing, handling: Handling, *, consumer: str | None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make the decorator of a bus.

    Args:
        tracing: the service's tracing.
        handling: how the bus's messages are handled.
        consumer: which handlers share a memory of what they have seen; None for each its own.

    Returns:
        A decorator for functions and coroutine functions.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        seen_by = consumer if consumer is not None else f"handler {secrets.token_hex(8)}"
        handle: Callable[..., Any]

        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):

            @functools.wraps(function)
            async def handle_async(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's
                place, raw = _message(handling.kind, args, kwargs)
                wanted = tracing.opening_keys_wanted(handling.envelopes(raw))
                if wanted is not None:
                    await off_loop(wanted)
                try:
                    message = handling.admit(raw, seen_by)
                except RejectedError:
                    if handling.refuse is not None:
                        await handling.refuse(raw)
                    raise
                with handling.process(message):
                    return await cast("Callable[..., Any]", function)(
                        *_replaced(args, place, message), **_named(kwargs, place, message)
                    )

            handle = handle_async
        else:

            @functools.wraps(function)
            def handle_sync(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's
                place, raw = _message(handling.kind, args, kwargs)
                wanted = tracing.opening_keys_wanted(handling.envelopes(raw))
                if wanted is not None:
                    wanted()
                message = handling.admit(raw, seen_by)
                with handling.process(message):
                    return cast("Callable[..., Any]", function)(
                        *_replaced(args, place, message), **_named(kwargs, place, message)
                    )

            handle = handle_sync
        if consumer is None:
            # What it has seen goes with the handler: a program may make one for each request.
            weakref.finalize(handle, tracing.forget, seen_by).atexit = False
        return cast("Callable[P, T]", handle)

    return decorate


def _message(kind: type, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[int | str, object]:
    places: dict[int | str, object] = dict(enumerate(args)) | kwargs
    for place, value in places.items():
        if isinstance(value, kind):
            return place, value
    library = kind.__module__.partition(".")[0]
    msg = f"a traced handler is called with a {library}.{kind.__qualname__} among its arguments"
    raise TypeError(msg)


def _replaced(args: tuple[object, ...], place: int | str, message: object) -> tuple[object, ...]:
    return tuple(message if at == place else value for at, value in enumerate(args))


def _named(kwargs: dict[str, object], place: int | str, message: object) -> dict[str, object]:
    return kwargs | {place: message} if isinstance(place, str) else kwargs
