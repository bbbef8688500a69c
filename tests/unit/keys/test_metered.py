from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys import MemoryKeys
from interceptors.keys.metered import BUCKETS, MeteredKeys

if TYPE_CHECKING:
    from collections.abc import Iterator


class Meter:
    """A meter, and what was recorded by it."""

    def __init__(self, provider: MeterProvider, reader: InMemoryMetricReader) -> None:
        self.meter = provider.get_meter("interceptors")
        self._reader = reader
        self.now = 0.0

    def clock(self) -> float:
        self.now += 0.25
        return self.now

    def points(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        ((metric,),) = [scope.metrics for part in data.resource_metrics for scope in part.scope_metrics]
        assert (metric.name, metric.unit) == ("interceptors.keys.duration", "s")
        return list(metric.data.data_points)

    def counts(self) -> dict[tuple[str, str], int]:
        """How often each method came to each outcome."""
        found = {}
        for point in self.points():
            assert set(point.attributes) == {"interceptors.keys.method", "interceptors.keys.outcome"}
            named = point.attributes
            found[named["interceptors.keys.method"], named["interceptors.keys.outcome"]] = point.count
        return found


@pytest.fixture
def meter() -> Iterator[Meter]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    yield Meter(provider, reader)
    provider.shutdown()


class Faulty(MemoryKeys):
    """Fails as it is told."""

    fault: Exception = KeyProviderError("no", problem=KeyProblem.DENIED)

    def refresh(self) -> bool:
        raise self.fault


def test_calls_are_counted_by_method_and_outcome(meter: Meter) -> None:
    keys = MeteredKeys(MemoryKeys("checkout"), meter.meter)
    kid = keys.sealing_key("acme").kid
    assert keys.opening_key(kid).kid == kid
    assert keys.opening_key(kid).kid == kid
    assert not keys.refresh()
    with pytest.raises(KeyProviderError):
        keys.opening_key(bytes(16))
    assert meter.counts() == {
        ("sealing_key", "ok"): 1,
        ("opening_key", "ok"): 2,
        ("opening_key", "unknown"): 1,
        ("refresh", "ok"): 1,
    }


@pytest.mark.parametrize("problem", KeyProblem)
def test_each_problem_is_an_outcome(meter: Meter, problem: KeyProblem) -> None:
    faulty = Faulty("checkout")
    faulty.fault = KeyProviderError("no", problem=problem)
    with pytest.raises(KeyProviderError):
        MeteredKeys(faulty, meter.meter).refresh()
    assert meter.counts() == {("refresh", problem.value): 1}


def test_another_fault_is_an_outcome_and_goes_on(meter: Meter) -> None:
    faulty = Faulty("checkout")
    faulty.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        MeteredKeys(faulty, meter.meter).refresh()
    assert meter.counts() == {("refresh", "failed"): 1}


def test_durations_are_in_seconds(meter: Meter) -> None:
    keys = MeteredKeys(MemoryKeys("checkout"), meter.meter, clock=meter.clock)
    keys.sealing_key("acme")
    keys.sealing_key("acme")
    (point,) = meter.points()
    assert (point.sum, point.count) == (0.5, 2)
    assert point.explicit_bounds == BUCKETS


def test_what_is_answered_out_of_memory_is_not_measured(meter: Meter) -> None:
    memory = MemoryKeys("checkout")
    memory.revoke(bytes(16))
    assert MeteredKeys(memory, meter.meter).revoked() == {bytes(16)}
    assert meter.points() == []
