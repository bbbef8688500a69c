"""Methods of somebody else's classes, replaced and put back: what a bus's `instrument` is made of.

A replaced method does nothing itself: it asks the same wrapper that a program puts around a client by hand,
one for each instance, which is given the client as it was before.
"""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from interceptors.errors import ConfigurationError
from interceptors.tracing.peers import REPLACED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from interceptors.tracing.delegate import Delegate
    from interceptors.tracing.following import Following
    from interceptors.tracing.tracing import Tracing

    _Wrap = Callable[[Any], Delegate]

_KEPT = "_interceptors_wrapper"
_NOTHING = object()
_by_hand: dict[int, weakref.ref[Any]] = {}
"""By the client's id: one of a class below may not be hashable, or be equal to others."""
_left_alone: ContextVar[bool] = ContextVar("interceptors-left-alone", default=False)


def by_hand(client: Any) -> None:  # noqa: ANN401 - a client of whatever library
    """Say that a wrapper stands around a client, so that the replaced methods of its class leave it alone.

    Args:
        client: the client; where it can't be referred to weakly, its class can't be patched either.
    """
    if type(client) is not Unpatched:
        key = id(client)
        with suppress(TypeError):
            _by_hand[key] = weakref.ref(client, lambda _: _by_hand.pop(key, None))


def _is_by_hand(client: Any) -> bool:  # noqa: ANN401 - a client of whatever library
    found = _by_hand.get(id(client))
    return found is not None and found() is client


@contextmanager
def left_alone() -> Iterator[None]:
    """Have the replaced methods leave every client alone in here: what is sent has been sealed above."""
    token = _left_alone.set(True)
    try:
        yield
    finally:
        _left_alone.reset(token)


class Unpatched:
    """A client as it was before the methods of its class were replaced, for a wrapper to wrap.

    Where the client keeps the wrapper, this refers to it weakly: it goes when its last user lets go of it.
    """

    def __init__(self, client: Any, originals: Mapping[str, Any]) -> None:  # noqa: ANN401 - of whatever library
        """Take a client, and the methods that were replaced."""
        self._client: Callable[[], Any] = (
            weakref.ref(client) if hasattr(client, "__dict__") else lambda: client
        )
        self._originals = originals

    @property  # type: ignore[misc]  # read only, where that of every object can be set
    def __class__(self) -> type:
        """The client's class, for isinstance."""
        return type(self._client())

    @property
    def unpatched(self) -> Any:  # noqa: ANN401 - of whatever library
        """The client itself."""
        return self._client()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has there
        """Give the client's attribute, or the method that was replaced."""
        client, original = self._client(), self._originals.get(name)
        return getattr(client, name) if original is None else _bound(original, client)


class Patches:
    """What was replaced for one tracing, until it is put back.

    Attributes:
        active: whether it was not put back yet.
    """

    def __init__(self) -> None:
        """Start with nothing replaced."""
        self.active = True
        self._undo: list[Callable[[], None]] = []
        self._following: WeakSet[Following] = WeakSet()

    def attribute(self, owner: Any, name: str, value: Any) -> None:  # noqa: ANN401 - a class or a module
        """Set an attribute of a class or module until `undo`.

        Args:
            owner: the class or module.
            name: the attribute's name.
            value: what it is to be.
        """
        before = vars(owner).get(name, _NOTHING)
        setattr(owner, name, value)

        def put_back() -> None:
            if vars(owner).get(name) is not value:
                return  # somebody has replaced it since, and calls what was here: it passes everything on now
            if before is _NOTHING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        self.then(put_back)

    def methods(self, owner: type, names: Iterable[str], wrap: _Wrap | None = None) -> Mapping[str, Any]:
        """Have a wrapper around each instance of a class answer calls of some methods, until `undo`.

        Args:
            owner: the class.
            names: the methods' names; one that the class doesn't have is there as long, from the wrapper.
            wrap: makes the wrapper of an instance; without it, only instances given to `keep` have one.

        Returns:
            The methods that were replaced, for `Unpatched`.
        """
        found = {name: inspect.getattr_static(owner, name, None) for name in names}
        originals = {name: original for name, original in found.items() if original is not None}

        def wrapper_of(client: Any) -> Any:  # noqa: ANN401 - of whatever library
            if not self.active or _is_by_hand(client) or _left_alone.get():
                return None
            attributes = getattr(client, "__dict__", None)
            kept = None if attributes is None else attributes.get(_KEPT)
            if kept is not None and kept[0] is self:
                return kept[1]
            return None if wrap is None else self.keep(client, wrap(Unpatched(client, originals)))

        for name, original in found.items():
            self.attribute(owner, name, _method(name, original, wrapper_of))
        return originals

    def keep(self, client: Any, wrapper: Delegate) -> Delegate:  # noqa: ANN401 - of whatever library
        """Keep a wrapper with its client, where that has a place for it.

        Args:
            client: an instance of a class whose methods were replaced.
            wrapper: of `Unpatched`.

        Returns:
            The wrapper that counts: another thread may have been first.
        """
        attributes = getattr(client, "__dict__", None)
        if attributes is None:
            return wrapper
        kept = attributes.get(_KEPT)
        if kept is not None and kept[0] is not self:  # of an earlier `instrument`
            attributes.pop(_KEPT, None)
        winner: Delegate = attributes.setdefault(_KEPT, (self, wrapper))[1]
        return winner

    def then(self, undo: Callable[[], None]) -> None:
        """Have `undo` do something more."""
        self._undo.append(undo)

    def ends(self, following: Following) -> None:
        """Have `undo` end the processings that a consumer has opened by itself."""
        self._following.add(following)

    def undo(self) -> None:
        """Put everything back. What has been replaced by somebody else since passes everything on."""
        self.active = False
        for put_back in reversed(self._undo):
            put_back()
        for following in list(self._following):
            following.end_all()


class Instrumentation:
    """The `instrument` and `uninstrument` of a bus: there is one of each class, so there is one tracing."""

    def __init__(self, patch: Callable[[Patches, Tracing], None]) -> None:
        """Take what does the replacing."""
        self._patch = patch
        self._lock = threading.Lock()
        self._active: tuple[Tracing, Patches] | None = None

    def instrument(self, tracing: Tracing) -> None:
        """Replace, unless it is done for this tracing already.

        Args:
            tracing: the service's tracing.

        Raises:
            ConfigurationError: it is done for another tracing.
        """
        with self._lock:
            if self._active is not None:
                if self._active[0] is tracing:
                    return
                raise ConfigurationError("instrumented with another tracing; call uninstrument() first")
            patches = Patches()
            try:
                self._patch(patches, tracing)
            except BaseException:
                patches.undo()
                raise
            self._active = tracing, patches

    def uninstrument(self) -> None:
        """Put back what was replaced, if it was."""
        with self._lock:
            if self._active is not None:
                self._active[1].undo()
                self._active = None


def _method(name: str, original: Any, wrapper_of: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any callable
    def answering(client: Any) -> Any:  # noqa: ANN401 - of whatever library
        wrapper = wrapper_of(client)
        if wrapper is not None:
            return getattr(wrapper, name)
        if original is None:
            raise AttributeError(f"{type(client).__name__!r} object has no attribute {name!r}")
        return _bound(original, client)

    method: Any
    if inspect.iscoroutinefunction(original):  # and so this one has to be, for who asks

        async def method(client: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the method's
            return await answering(client)(*args, **kwargs)
    else:

        def method(client: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the method's
            return answering(client)(*args, **kwargs)

    if original is None:
        return method
    method = functools.wraps(original)(method)
    setattr(method, REPLACED, original)
    return method


def _bound(original: Any, client: Any) -> Any:  # noqa: ANN401 - any callable, of whatever library
    return original.__get__(client, type(client))
