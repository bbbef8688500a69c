"""OpenTelemetry's SDK, held to the policy.

```python
exporter = otel.ScrubbingSpanExporter(OTLPSpanExporter(), tracing)
provider.add_span_processor(BatchSpanProcessor(exporter))
```

What belongs here: what OpenTelemetry's SDK and API can be given of ours: the scrubbing of what it exports,
and a propagator. What does not: what may leave (`policy`), and spans of our own (`spans`).

A part is imported when it is asked for: they need different packages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from interceptors.errors import MissingExtraError

if TYPE_CHECKING:
    from interceptors.otel.propagator import SealedPropagator
    from interceptors.otel.scrubbing import ScrubbingSpanExporter, ScrubbingSpanProcessor
    from interceptors.otel.scrubbing_logs import ScrubbingLogRecordExporter

__all__ = [
    "ScrubbingLogRecordExporter",
    "ScrubbingSpanExporter",
    "ScrubbingSpanProcessor",
    "SealedPropagator",
]

_PLACES = {
    "ScrubbingLogRecordExporter": "interceptors.otel.scrubbing_logs",
    "ScrubbingSpanExporter": "interceptors.otel.scrubbing",
    "ScrubbingSpanProcessor": "interceptors.otel.scrubbing",
    "SealedPropagator": "interceptors.otel.propagator",
}


def __getattr__(name: str) -> object:
    """Import what is asked for.

    Args:
        name: one of `__all__`.

    Returns:
        It.

    Raises:
        AttributeError: there is no such name.
        MissingExtraError: the SDK is not installed.
    """
    place = _PLACES.get(name)
    if place is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        return getattr(import_module(place), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
    raise MissingExtraError("otel", "opentelemetry-sdk")
