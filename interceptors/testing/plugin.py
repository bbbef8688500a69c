"""The pytest plugin: fixtures for tests that hold your own services to what the policy promises.

It is loaded by whoever wants it, with `pytest_plugins = ["interceptors.testing.plugin"]` in a `conftest.py`,
and changes nothing for anybody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Unpack

import pytest

from interceptors import Tracing
from interceptors.keys import MemoryKeys
from interceptors.spans import MemorySink
from interceptors.testing.canary import Canary
from interceptors.testing.embedded_kafka import EmbeddedKafka
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from interceptors.tracing import Options

__all__ = [
    "assert_no_leaks",
    "canary",
    "development_tracing",
    "embedded_kafka",
    "embedded_rabbitmq",
    "memory_keys",
    "memory_sink",
]


class AssertNoLeaks(Protocol):
    """What the fixture `assert_no_leaks` gives."""

    def __call__(self, **places: object) -> None:
        """Assert that none of the test's canaries is in the log, nor in what is given.

        Args:
            places: what to look through besides, by the name that a failure calls it: spans, headers, paths
                of files, exceptions, texts.

        Raises:
            AssertionError: naming each canary, its place and its form.
        """
        ...


class DevelopmentTracing(Protocol):
    """What the fixture `development_tracing` gives."""

    def __call__(
        self,
        service: str,
        *,
        tenant: str = "development",
        policy: Mapping[str, object] | Path | str | None = None,
        **options: Unpack[Options],
    ) -> Tracing:
        """Make a tracing whose keys are the test's `memory_keys`, and whose spans go to its `memory_sink`."""
        ...


@pytest.fixture
def canary() -> Canary:
    """Values to put where secrets lie."""
    return Canary()


@pytest.fixture
def assert_no_leaks(canary: Canary, caplog: pytest.LogCaptureFixture) -> AssertNoLeaks:
    """Look for the test's canaries in its log, and in whatever it is given."""

    def check(**places: object) -> None:
        __tracebackhide__ = True
        if not canary.made():
            pytest.fail("no canary was put anywhere, so none can be found; use the fixture `canary`")
        log = [*caplog.get_records("setup"), *caplog.get_records("call")]
        leaks = canary.leaks(log=log, **places)
        if leaks:
            pytest.fail("\n".join(f"{name} leaks at {place}, {form}" for name, place, form in leaks))

    return check


@pytest.fixture
def memory_keys() -> MemoryKeys:
    """Keys that all services of the test share, and that go with it."""
    return MemoryKeys("test")


@pytest.fixture
def memory_sink() -> MemorySink:
    """Where the spans of the test's services go: `memory_sink.spans`, after `tracing.flush()`."""
    return MemorySink()


@pytest.fixture
def development_tracing(memory_keys: MemoryKeys, memory_sink: MemorySink) -> Iterator[DevelopmentTracing]:
    """Make tracings; they are closed when the test ends."""
    made: list[Tracing] = []

    def make(
        service: str,
        *,
        tenant: str = "development",
        policy: Mapping[str, object] | Path | str | None = None,
        **options: Unpack[Options],
    ) -> Tracing:
        options.setdefault("sink", memory_sink)
        made.append(
            Tracing.for_development(service, tenant=tenant, keys=memory_keys, policy=policy, **options)
        )
        return made[-1]

    yield make
    for tracing in made:
        tracing.close()


@pytest.fixture
def embedded_kafka() -> Iterator[str]:
    """Give the bootstrap address of a Kafka inside the test's process."""
    with EmbeddedKafka() as kafka:
        yield kafka.bootstrap_servers


@pytest.fixture
def embedded_rabbitmq() -> Iterator[str]:
    """Give the URL of a RabbitMQ inside the test's process."""
    with EmbeddedRabbitMQ() as broker:
        yield broker.url
