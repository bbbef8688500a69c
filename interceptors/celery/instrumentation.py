"""`instrument`: every app of Celery connected, for programs that are not to be changed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from celery import Celery, _state

from interceptors.celery.connection import attach, detach
from interceptors.tracing.patching import Instrumentation, Patches

if TYPE_CHECKING:
    from interceptors.tracing import Tracing


def instrument(tracing: Tracing) -> None:
    """Connect every app of this process, those that are there and those to come, as `connect` does.

    One that is connected by hand, before or after, is left to that. Call it before a worker starts. A second
    call with the same tracing does nothing.

    Args:
        tracing: the service's tracing.

    Raises:
        ConfigurationError: they are connected with another tracing.
    """
    _instrumentation.instrument(tracing)


def uninstrument() -> None:
    """Disconnect the apps that `instrument` has connected; without it, do nothing.

    What a worker has received before, and not run yet, is still traced when it runs. The children that a
    worker has forked already don't hear of it, and report each task as received unverified.
    """
    _instrumentation.uninstrument()


def _patch(patches: Patches, tracing: Tracing) -> None:
    begin = Celery.__init__

    @functools.wraps(begin)
    def __init__(app: Celery, *args: Any, **settings: Any) -> None:  # noqa: N807 - it is one
        begin(app, *args, **settings)
        if patches.active:
            attach(app, tracing)

    def detach_all() -> None:
        for app in list(_state._get_active_apps()):  # noqa: SLF001 - Celery's signals don't tell of apps
            detach(app)

    patches.attribute(Celery, "__init__", __init__)
    patches.then(detach_all)
    for app in list(_state._get_active_apps()):  # noqa: SLF001 - as above
        attach(app, tracing)


_instrumentation = Instrumentation(_patch)
