"""What is observed when somebody collects: counts, and the age of keys, of all services of a provider.

OpenTelemetry's SDK takes the callbacks of an instrument once, and ignores those of a second tracing. So the
instruments are made with the first one, and look at all that live.
"""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from opentelemetry.metrics import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

    from interceptors.envelope import SenderKey
    from interceptors.tracing.tally import Tally

K = TypeVar("K", bound="tuple[str, ...]")

_NS_PER_S = 1e9
_RECEIVED = ("messaging.system", "messaging.destination.name")
_VERDICTS = (*_RECEIVED, "interceptors.verdict")
_FINDINGS = (
    "messaging.destination.name",
    "interceptors.direction",
    "interceptors.finding.class",
    "interceptors.action",
)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Source:
    """What is observed of one service."""

    tally: Tally
    """What is counted."""
    dropped: Callable[[], int]
    """How many spans were lost so far."""
    sealing_keys: Callable[[], Iterable[SenderKey]]
    """The keys that messages are sealed with at present."""
    clock: Callable[[], int]
    """Nanoseconds since the epoch."""


_sources: weakref.WeakKeyDictionary[MeterProvider, list[weakref.ref[Source]]] = weakref.WeakKeyDictionary()


def observe(provider: MeterProvider, meter: Meter, source: Source) -> None:
    """Have a service observed whenever its metrics are collected, for as long as `source` lives.

    Args:
        provider: the meter's.
        meter: makes the instruments, where this is the provider's first service.
        source: what is observed.
    """
    known = provider in _sources
    sources = _sources.setdefault(provider, [])
    sources.append(weakref.ref(source, sources.remove))
    if not known:
        _Observers(sources).register(meter)


class _Observers:
    """The callbacks of the instruments."""

    def __init__(self, sources: list[weakref.ref[Source]]) -> None:
        self._sources = sources

    def register(self, meter: Meter) -> None:
        counters: tuple[tuple[str, Callable[[CallbackOptions], Iterable[Observation]], str, str], ...] = (
            (
                "messaging.client.consumed.messages",
                self._consumed,
                "{message}",
                "Messages that were delivered to the application.",
            ),
            (
                "interceptors.messages.verified",
                self._verdicts,
                "{message}",
                "Messages that were received, by the verdict on their envelope.",
            ),
            (
                "interceptors.findings",
                self._findings,
                "{finding}",
                "Identifiers that the policy does not declare, by class and by what became of them.",
            ),
            ("interceptors.spans.dropped", self._dropped, "{span}", "Spans that were lost."),
            (
                "interceptors.policy.refused",
                self._refused,
                "{policy}",
                "Policies that were not taken up, since they are not trusted or don't hold.",
            ),
        )
        for name, callback, unit, description in counters:
            meter.create_observable_counter(name, [callback], unit, description)
        meter.create_observable_gauge(
            "interceptors.redaction.coverage",
            [self._coverage],
            "1",
            "Of the identifiers that were found in sent messages, the part that did not leave.",
        )
        meter.create_observable_gauge(
            "interceptors.key.age", [self._ages], "s", "Age of the keys that messages are sealed with."
        )

        meter.create_observable_gauge(
            "interceptors.policy.serial",
            [self._serial],
            "1",
            "The serial of the policy that is in force: of several services, the lowest.",
        )

    def _living(self) -> list[Source]:
        return [source for ref in tuple(self._sources) if (source := ref()) is not None]

    def _consumed(self, _: CallbackOptions) -> Iterable[Observation]:
        consumed: Counter[tuple[str, str]] = Counter()
        for source in self._living():
            for (system, channel, _verdict), count in source.tally.received.copy().items():
                consumed[system, channel] += count
        return _observations(_RECEIVED, consumed, {"messaging.operation.name": "receive"})

    def _verdicts(self, _: CallbackOptions) -> Iterable[Observation]:
        return _observations(_VERDICTS, _sum(source.tally.received for source in self._living()))

    def _findings(self, _: CallbackOptions) -> Iterable[Observation]:
        return _observations(_FINDINGS, _sum(source.tally.findings for source in self._living()))

    def _dropped(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(sum(source.dropped() for source in self._living()))]

    def _refused(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(sum(source.tally.policies_refused for source in self._living()))]

    def _serial(self, _: CallbackOptions) -> Iterable[Observation]:
        known = [serial for source in self._living() if (serial := source.tally.policy_serial) is not None]
        return [Observation(min(known))] if known else []

    def _coverage(self, _: CallbackOptions) -> Iterable[Observation]:
        living = self._living()
        found = sum(source.tally.found for source in living)
        held_back = sum(source.tally.held_back for source in living)
        return [Observation(held_back / found)] if found else []

    def _ages(self, _: CallbackOptions) -> Iterable[Observation]:
        ages: dict[str, float] = {}
        for source in self._living():
            now = source.clock() / _NS_PER_S
            for key in source.sealing_keys():
                if key.created is not None:
                    ages[key.tenant] = max(now - key.created, ages.get(key.tenant, 0))
        return [Observation(age, {"interceptors.tenant": tenant}) for tenant, age in ages.items()]


def _sum(counts: Iterable[Counter[K]]) -> Counter[K]:
    total: Counter[K] = Counter()
    for one in counts:
        total.update(dict(one))  # a copy, made at once: other threads count on
    return total


def _observations(
    names: tuple[str, ...], counts: Mapping[K, int], fixed: Mapping[str, str] | None = None
) -> list[Observation]:
    """Give an observation for each combination of values of some attributes."""
    return [
        Observation(count, {**dict(zip(names, values, strict=True)), **(fixed or {})})
        for values, count in counts.items()
    ]
