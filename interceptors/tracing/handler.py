"""A decorator for functions that handle one message, the same for every bus."""

from __future__ import annotations

import functools
import inspect
import secrets
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

from interceptors.context import Turns
from interceptors.errors import RejectedError
from interceptors.tracing.off_loop import off_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
    from types import TracebackType

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
        A decorator for functions, coroutine functions and generators of both kinds. Of a generator, the
        message is processed from the first value that is asked for until it ends or is closed.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        seen_by = consumer if consumer is not None else f"handler {secrets.token_hex(8)}"
        handle = _traced(function, _Admission(tracing, handling, seen_by))
        if consumer is None:
            # What it has seen goes with the handler: a program may make one for each request.
            weakref.finalize(handle, tracing.forget, seen_by).atexit = False
        return cast("Callable[P, T]", handle)

    return decorate


class _Admission:
    """What becomes of the raw message in a call before the handler sees it."""

    def __init__(self, tracing: Tracing, handling: Handling, seen_by: str) -> None:
        self._tracing = tracing
        self._handling = handling
        self._seen_by = seen_by
        self.process = handling.process

    def now(self, args: tuple[object, ...], kwargs: dict[str, object]) -> _Call:
        """Admit it, in this thread."""
        place, raw = _message(self._handling.kind, args, kwargs)
        wanted = self._wanted(raw)
        if wanted is not None:
            wanted()
        return _Call(args, kwargs, place, self._admit(raw))

    async def off_loop(self, args: tuple[object, ...], kwargs: dict[str, object]) -> _Call:
        """Admit it, without the loop waiting for a key; send back one that is refused."""
        place, raw = _message(self._handling.kind, args, kwargs)
        wanted = self._wanted(raw)
        if wanted is not None:
            await off_loop(wanted)
        try:
            return _Call(args, kwargs, place, self._admit(raw))
        except RejectedError:
            if self._handling.refuse is not None:
                await self._handling.refuse(raw)
            raise

    def _wanted(self, raw: object) -> Callable[[], object] | None:
        return self._tracing.opening_keys_wanted(self._handling.envelopes(raw))

    def _admit(self, raw: object) -> object:
        return self._handling.admit(raw, self._seen_by)


def _traced(function: Callable[..., Any], admission: _Admission) -> Callable[..., Any]:
    process = admission.process

    @functools.wraps(function)
    async def handle_async(*args: object, **kwargs: object) -> object:
        call = await admission.off_loop(args, kwargs)
        with process(call.message):
            return await function(*call.args, **call.kwargs)

    @functools.wraps(function)
    def handle(*args: object, **kwargs: object) -> object:
        call = admission.now(args, kwargs)
        with process(call.message):
            return function(*call.args, **call.kwargs)

    if _is(inspect.iscoroutinefunction, function):
        return handle_async
    if _is(inspect.isasyncgenfunction, function):
        return _generating_async(function, admission)
    return _generating(function, admission) if _is(inspect.isgeneratorfunction, function) else handle


def _generating_async(function: Callable[..., Any], admission: _Admission) -> Callable[..., Any]:
    @functools.wraps(function)
    async def generate_async(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
        call = await admission.off_loop(args, kwargs)
        body = _Body(admission.process(call.message))
        values = function(*call.args, **call.kwargs)
        resume = partial(values.asend, None)
        while True:
            try:
                with body:
                    value = await resume()
            except StopAsyncIteration:
                return
            try:
                resume = partial(values.asend, (yield value))
            except BaseException as error:  # noqa: BLE001 - for the body to see
                resume = partial(values.athrow, error)

    return generate_async


def _generating(function: Callable[..., Any], admission: _Admission) -> Callable[..., Any]:
    @functools.wraps(function)
    def generate(*args: object, **kwargs: object) -> Generator[object, object, object]:
        call = admission.now(args, kwargs)
        body = _Body(admission.process(call.message))
        values = function(*call.args, **call.kwargs)
        resume = partial(values.send, None)
        while True:
            try:
                with body:
                    value = resume()
            except StopIteration as stop:
                return stop.value
            try:
                resume = partial(values.send, (yield value))
            except BaseException as error:  # noqa: BLE001 - for the body to see
                resume = partial(values.throw, error)

    return generate


class _Body:
    """The body of a generator that handles a message: under its process span, until an exception ends it.

    Between its values other code runs, which may handle other messages.
    """

    __slots__ = ("_processing", "_turns")

    def __init__(self, processing: Processing) -> None:
        self._processing = processing
        self._turns = Turns()
        with self._turns:
            processing.__enter__()

    def __enter__(self) -> None:
        self._turns.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            over = isinstance(error, (StopIteration, StopAsyncIteration))
            self._processing.end(None if over else error)
        self._turns.__exit__()


class _Call:
    """The call of a handler, with the message that was admitted where the raw one stood."""

    __slots__ = ("args", "kwargs", "message")

    def __init__(
        self, args: tuple[object, ...], kwargs: dict[str, object], place: int | str, message: object
    ) -> None:
        self.args = tuple(message if at == place else value for at, value in enumerate(args))
        self.kwargs = kwargs | {place: message} if isinstance(place, str) else kwargs
        self.message = message


def _is(kind: Callable[[object], bool], function: object) -> bool:
    """Tell whether a function, or what an object does when it is called, is of a kind."""
    return kind(function) or kind(type(function).__call__)


def _message(kind: type, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[int | str, object]:
    places: dict[int | str, object] = dict(enumerate(args)) | kwargs
    for place, value in places.items():
        if isinstance(value, kind):
            return place, value
    library = kind.__module__.partition(".")[0]
    msg = f"a traced handler is called with a {library}.{kind.__qualname__} among its arguments"
    raise TypeError(msg)
