"""The headers of a message: what is taken out of them, on its way out and on its way in.

What belongs here: which headers are ours, which carry a trace in clear, and copies of headers without them.
What does not: what an envelope's bytes say (`envelope`), and whether a channel seals (`policy`).

Headers come as pairs (Kafka) or as a table (AMQP, Celery). A name may be of any type: what is not text is
nobody's header.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, TypeVar

from interceptors.bounded import BoundedMap
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

CLEAR_TRACE_HEADERS = frozenset(
    {
        *("traceparent", "tracestate", "baggage"),  # W3C Trace Context and Baggage
        *("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),  # Zipkin
        *("uber-trace-id", "jaeger-baggage"),  # Jaeger
        *("x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority"),
        *("x-datadog-origin", "x-datadog-tags", "dd-pathway-ctx", "dd-pathway-ctx-base64"),
        *("sentry-trace", "x-amzn-trace-id", "x-cloud-trace-context", "grpc-trace-bin"),
        *("elastic-apm-traceparent", "elasticapmtraceparent", "sw8", "sw8-correlation", "sw8-x"),
        *("newrelic", "newrelicid", "newrelictransaction"),
        *("ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"),  # OpenTracing's basic tracers
    }
)
"""The headers by which others carry a trace in clear, in lower case."""
_CLEAR_PREFIXES = ("uberctx-", "ot-baggage-")  # baggage of Jaeger and OpenTracing, an entry a header

_LONGEST_KNOWN = 128
_known: BoundedMap[str, bool] = BoundedMap(1024)


def is_clear(name: object) -> bool:
    """Tell whether a header of this name carries a trace in clear."""
    if not isinstance(name, str):
        return False
    clear = _known.get(name)
    if clear is None:
        lower = name.lower()
        clear = lower in CLEAR_TRACE_HEADERS or lower.startswith(_CLEAR_PREFIXES)
        if len(name) <= _LONGEST_KNOWN:
            _known.set(name, clear)
    return clear


def envelopes(headers: Iterable[tuple[str, object]]) -> tuple[object, ...]:
    """Give the values of a message's envelope headers, of whatever type they are."""
    return tuple([value for name, value in headers if name == HEADER_NAME])  # a list is faster here


def stripped(headers: Iterable[tuple[str, T]]) -> list[tuple[str, T]]:
    """Give a new list of headers without envelopes."""
    return [header for header in headers if header[0] != HEADER_NAME]


def without_clear(headers: Sequence[tuple[str, T]]) -> Sequence[tuple[str, T]]:
    """Give headers without those that carry a trace in clear: where there are none, those that were given."""
    for header in headers:
        if is_clear(header[0]):
            return [kept for kept in headers if not is_clear(kept[0])]
    return headers


def died_in(queues: Collection[str], headers: Iterable[tuple[str, object]]) -> bool:
    """Tell whether a message says that RabbitMQ has dead-lettered it out of one of these queues.

    Then it comes round again, over a queue that it waited in.

    Args:
        queues: their names.
        headers: of a message that came over AMQP; `x-death` may be of any type there.
    """
    if not queues:
        return False
    deaths = next((value for name, value in headers if name == "x-death"), None)
    return isinstance(deaths, list) and any(
        isinstance(death, Mapping) and death.get("queue") in queues for death in deaths
    )


def _is_kept_out(name: object) -> bool:
    """Tell whether nobody may add a header to a sealed message.

    An envelope neither: with the propagator `sealed`, other tracers add one of their own, which belongs to no
    message, so that what is received would be found invalid.
    """
    return name == HEADER_NAME or is_clear(name)


class SealedHeaders(list[tuple[str, T]]):
    """Headers of a sealed message: another tracer that adds its own finds that they don't stay.

    The envelope is among those that it is made from.
    """

    def append(self, header: tuple[str, T]) -> None:
        """Append a header, unless it carries a trace."""
        if not _is_kept_out(header[0]):
            super().append(header)

    def extend(self, headers: Iterable[tuple[str, T]]) -> None:
        """Append headers, but for those that carry a trace."""
        super().extend(header for header in headers if not _is_kept_out(header[0]))

    def insert(self, index: SupportsIndex, header: tuple[str, T]) -> None:
        """Insert a header, unless it carries a trace."""
        if not _is_kept_out(header[0]):
            super().insert(index, header)

    def __iadd__(self, headers: Iterable[tuple[str, T]]) -> Self:  # type: ignore[misc, override]  # as `extend`
        """Append headers, as `extend` does."""
        self.extend(headers)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Be copied and pickled with the envelope."""
        return type(self), (list(self),)


class SealedTable(dict[str, T]):
    """The same for headers that are a table."""

    def __init__(self, headers: Mapping[str, T], envelope: T | None = None) -> None:
        """Copy headers, but for those that carry a trace.

        Args:
            headers: the headers.
            envelope: the message's own; None for none.
        """
        super().__init__({name: value for name, value in headers.items() if not _is_kept_out(name)})
        if envelope is not None:
            super().__setitem__(HEADER_NAME, envelope)

    def __setitem__(self, name: str, value: T) -> None:
        """Set a header, unless it carries a trace."""
        if not _is_kept_out(name):
            super().__setitem__(name, value)

    def setdefault(self, name: str, value: Any = None) -> Any:  # noqa: ANN401 - as a dict's
        """Set a header that is not there yet, unless it carries a trace."""
        return self.get(name, value) if _is_kept_out(name) else super().setdefault(name, value)

    def update(self, *headers: Any, **more: Any) -> None:  # noqa: ANN401 - whatever a dict takes
        """Set headers, but for those that carry a trace."""
        for name, value in dict(*headers, **more).items():
            self[name] = value

    def __ior__(self, headers: Any) -> Self:  # type: ignore[misc, override]  # noqa: ANN401 - as `update`
        """Set headers, as `update` does."""
        self.update(headers)
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Be copied and pickled with the envelope."""
        return type(self), (dict(self), self.get(HEADER_NAME))
