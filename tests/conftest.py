"""What more than one folder of tests needs: brokers, and services under test.

Nothing here imports the library of a bus before a fixture asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from opentelemetry import propagate

from interceptors import Tracing
from interceptors.keys import MemoryKeys
from interceptors.policy import parse_policy
from interceptors.spans import MemorySink
from interceptors.tracing.in_force import InForce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.propagators.textmap import TextMapPropagator

    from interceptors.envelope import SenderKey
    from interceptors.keys import KeyProvider
    from interceptors.policy import Policy
    from interceptors.spans import Span

    from .brokers.provision import Server
    from .brokers.provision.softhsm import SoftHSM

DEADLINE = 60
"""Seconds that anything may take before it is given up."""

UNIT = Path(__file__).with_name("unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure the coverage of unit tests alone: no others count, and being measured doubles their time."""
    for item in items:
        if not item.path.is_relative_to(UNIT):
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[str]:
    """The bootstrap address of the Kafka inside this process."""
    from interceptors.testing.embedded_kafka import EmbeddedKafka  # noqa: PLC0415 - see above

    with EmbeddedKafka() as server:
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def embedded_rabbitmq() -> Iterator[str]:
    """The AMQP URL of the RabbitMQ inside this process."""
    from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ  # noqa: PLC0415 - see above

    with EmbeddedRabbitMQ() as server:
        yield server.url


@pytest.fixture(scope="session")
def real_brokers() -> None:
    """Skips what needs a real broker where the environment asks to do without."""
    from .brokers import provision  # noqa: PLC0415 - see above

    if provision.unwanted():
        pytest.skip("needs a real broker, and BROKERS=none asks to do without")


def _real(name: str) -> Iterator[str]:
    from .brokers import provision  # noqa: PLC0415 - see above

    (kind,) = (kind for kind in provision.KINDS if kind.name == name)
    with provision.running(kind) as address:
        yield address


@pytest.fixture(scope="session")
def real_kafka(real_brokers: None) -> Iterator[str]:
    """The bootstrap address of a real broker."""
    yield from _real("Kafka")


@pytest.fixture(scope="session")
def real_rabbitmq(real_brokers: None) -> Iterator[str]:
    """The AMQP URL of a real broker."""
    yield from _real("RabbitMQ")


@pytest.fixture(scope="session")
def real_redis(real_brokers: None) -> Iterator[str]:
    """The URL of a real Redis."""
    yield from _real("Redis")


@pytest.fixture(scope="session")
def real_postgresql(real_brokers: None) -> Iterator[str]:
    """The URL of a real PostgreSQL."""
    yield from _real("PostgreSQL")


@pytest.fixture(scope="session")
def real_vault(real_brokers: None) -> Iterator[tuple[str, str]]:
    """The URL of a real Vault or OpenBao, and a token that may do all there."""
    from .brokers import provision  # noqa: PLC0415 - see above

    for address in _real("Vault"):
        yield address, provision.VAULT.token(os.environ)


@pytest.fixture
def owned_vault(real_brokers: None) -> Iterator[tuple[Server, str]]:
    """A real, running OpenBao that this test may kill, and a token that may do all there."""
    from .brokers import provision  # noqa: PLC0415 - see above

    server = provision.new_server(provision.VAULT)
    try:
        server.start()
        yield server, provision.VAULT.own_token
    finally:
        server.stop()


@pytest.fixture(scope="session")
def softhsm(real_brokers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHSM]:
    """SoftHSM in this process, with one token."""
    from .brokers.provision.softhsm import SoftHSM  # noqa: PLC0415 - see above

    with pytest.MonkeyPatch.context() as patch:
        made = SoftHSM(tmp_path_factory.mktemp("softhsm"))
        patch.setenv("SOFTHSM2_CONF", str(made.configuration))
        yield made


# The library under test.


class Clock:
    """The time, in nanoseconds, and as much later as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_s * 1_000_000_000


class GatedKeys:
    """Keys that can't be had before `gate` is set."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys
        self._asked = threading.Event()
        self.gate = threading.Event()

    async def asked(self) -> None:
        """Return when somebody waits for a key."""
        assert await asyncio.to_thread(self._asked.wait, DEADLINE)

    def _wait(self) -> None:
        self._asked.set()
        assert self.gate.wait(DEADLINE)

    def sealing_key(self, tenant: str) -> SenderKey:
        self._wait()
        return self._keys.sealing_key(tenant)

    def opening_key(self, kid: bytes) -> SenderKey:
        self._wait()
        return self._keys.opening_key(kid)

    def revoked(self) -> frozenset[bytes]:
        return self._keys.revoked()

    def refresh(self) -> bool:
        return self._keys.refresh()


class Service(NamedTuple):
    """A service: its tracing, and the spans that have left it."""

    tracing: Tracing
    clock: Clock
    sink: MemorySink

    def spans(self, operation: str) -> list[Span]:
        """The ended spans of an operation, oldest first."""
        assert self.tracing.flush()
        return [span for span in self.sink.spans if span.operation.operation == operation]

    def span(self, operation: str) -> Span:
        """The only ended span of an operation."""
        (span,) = self.spans(operation)
        return span


class Services:
    """Makes services that read one another's envelopes, out of one store of keys."""

    def __init__(self, closing: contextlib.ExitStack) -> None:
        self._keys = MemoryKeys("store")
        self._closing = closing

    def keys(self, service: str) -> MemoryKeys:
        return self._keys.beside(service)

    def foreign_keys(self, service: str) -> MemoryKeys:
        """Keys of another store, which nobody here was granted."""
        return MemoryKeys(service)

    def gated_keys(self, service: str) -> GatedKeys:
        keys = GatedKeys(self.keys(service))
        self._closing.callback(keys.gate.set)  # a thread may still wait there
        return keys

    def __call__(
        self,
        name: str,
        *,
        tenant: str = "acme",
        policy: Mapping[str, object] | None = None,
        keys: KeyProvider | None = None,
    ) -> Service:
        clock, sink = Clock(), MemorySink()
        tracing = Tracing(
            service=name,
            tenant=tenant,
            policy=parse_policy(json.dumps({"version": 1, **(policy or {})}), "policy"),
            keys=keys or self.keys(name),
            sink=sink,
            clock=clock,
        )
        self._closing.enter_context(tracing)
        return Service(tracing, clock, sink)


@pytest.fixture
def service() -> Iterator[Services]:
    """Makes services."""
    with contextlib.ExitStack() as closing:
        yield Services(closing)


@pytest.fixture
def swapped_policies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Swaps the policy each time that it is asked for: one seals, the next does not.

    Gives the `emit` of each policy that somebody was given.
    """
    emits = ("sealed", "none")
    policies = [
        parse_policy(json.dumps({"version": 1, "default": {"emit": emit}}), "policy") for emit in emits
    ]
    given: list[str] = []

    def at(_in_force: InForce, _now: int) -> Policy:
        which = len(given) % 2
        given.append(emits[which])
        return policies[which]

    monkeypatch.setattr(InForce, "at", at)
    return given


@pytest.fixture
def set_propagator() -> Iterator[Callable[[TextMapPropagator], None]]:
    """Sets OpenTelemetry's global propagator, which is the one of before again when the test is over."""
    before = propagate.get_global_textmap()
    yield propagate.set_global_textmap
    propagate.set_global_textmap(before)
