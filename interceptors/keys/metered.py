"""A `KeyProvider` that measures another one, by OpenTelemetry's API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from interceptors.errors import KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import Meter

    from interceptors.envelope import SenderKey
    from interceptors.keys.provider import KeyProvider

P = ParamSpec("P")
T = TypeVar("T")

DURATION = "interceptors.keys.duration"
METHOD = "interceptors.keys.method"
OUTCOME = "interceptors.keys.outcome"
BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds."""
OK = "ok"
FAILED = "failed"
"""The outcome of what ends with another exception than a `KeyProviderError`."""


class MeteredKeys:
    """Measures how long a provider takes, by method and outcome; the histogram counts the calls as well.

    An outcome is `ok`, a `KeyProblem` or `failed`. No tenant, sender or key is an attribute. `revoked` is not
    measured: it answers out of memory.
    """

    def __init__(
        self, provider: KeyProvider, meter: Meter, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Make the instrument.

        Args:
            provider: what is measured.
            meter: whose instrument.
            clock: seconds, from any beginning.
        """
        self._provider = provider
        self._clock = clock
        self._duration = meter.create_histogram(
            DURATION,
            "s",
            "Duration of a call for keys, each attempt by itself.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for a tenant."""
        return self._measured("sealing_key", self._provider.sealing_key, tenant)

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of a sender."""
        return self._measured("opening_key", self._provider.opening_key, kid)

    def revoked(self) -> frozenset[bytes]:
        """Give the kids that the provider says are revoked."""
        return self._provider.revoked()

    def refresh(self) -> bool:
        """Look for changes."""
        return self._measured("refresh", self._provider.refresh)

    def _measured(self, method: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        begun = self._clock()
        outcome = FAILED
        try:
            result = call(*args, **kwargs)
            outcome = OK
        except KeyProviderError as error:
            outcome = error.problem.value
            raise
        finally:
            attributes = {METHOD: method, OUTCOME: outcome}
            self._duration.record(self._clock() - begun, attributes)
        return result
