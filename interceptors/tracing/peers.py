"""Other tracers in the same process."""

from __future__ import annotations

from types import MethodType
from typing import Any

REPLACED = "_interceptors_replaced"
"""The attribute of a method that `patching` has put into a client's class, with what was there before."""

_PEERS = ("opentelemetry.instrumentation.", "ddtrace.", "elasticapm.", "newrelic.")


def without_peers(method: Any) -> Any:  # noqa: ANN401 - a method of whatever client
    """Give a client's method as it is without the wrappers that other tracers, and ours, have put around it.

    For where what they add to a message in clear can't be kept from it in another way. A wrapper that is not
    one of theirs stays, and so do those below it.

    Args:
        method: a bound method; tracers wrap it with wrapt.

    Returns:
        The method, or what they have wrapped.
    """
    if type(method) is MethodType and not vars(method.__func__):  # nearly always: nobody has wrapped it
        return method
    while True:
        if (replaced := getattr(method, REPLACED, None)) is not None:
            method = replaced.__get__(method.__self__, type(method.__self__))
        elif (getattr(getattr(method, "_self_wrapper", None), "__module__", None) or "").startswith(_PEERS):
            method = method.__wrapped__
        else:
            return method
