"""Other tracers in the same process."""

from __future__ import annotations

from typing import Any

_PEERS = ("opentelemetry.instrumentation.", "ddtrace.", "elasticapm.", "newrelic.")


def without_peers(method: Any) -> Any:  # noqa: ANN401 - a method of whatever client
    """Give a client's method as it is without the wrappers that other tracers have put around it.

    For where what they add to a message in clear can't be kept from it in another way. A wrapper that is not
    one of theirs stays, and so do those below it.

    Args:
        method: a bound method; tracers wrap it with wrapt.

    Returns:
        The method, or what they have wrapped.
    """
    while (wrapper := getattr(method, "_self_wrapper", None)) is not None:
        if not (getattr(wrapper, "__module__", None) or "").startswith(_PEERS):
            break
        method = method.__wrapped__
    return method
