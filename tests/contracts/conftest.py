"""Holds the contract against every bus, on fake and on real brokers."""

from __future__ import annotations

import contextlib
import secrets
import string
from typing import TYPE_CHECKING

import pytest

from .buses import BUSES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Service, Services

    from .buses import Bus, Need


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "needs(*needs): holds for those buses only that lack none of these")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test for every bus and broker, but for buses that lack what it is about."""
    if "bus" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("needs")
    needs: set[Need] = set(marker.args) if marker else set()
    cases = [(kind, broker) for kind in BUSES if not needs & kind.lacks.keys() for broker in kind.brokers]
    metafunc.parametrize("bus", cases, ids=[f"{kind.name}-{broker}" for kind, broker in cases], indirect=True)


@pytest.fixture(scope="session")
def celery_memory() -> str:
    """The address of the broker that kombu has inside this process."""
    return "memory://"


@pytest.fixture
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """A topic or queue that only this test knows, of each bus in turn."""
    kind, broker = request.param
    async with contextlib.AsyncExitStack() as stopping:
        made: Bus = kind(
            request.getfixturevalue(broker),
            "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16)),
            stopping,
        )
        await made.open()
        yield made


@pytest.fixture
def checkout(service: Services) -> Service:
    """A service that sends, under a policy that says nothing."""
    return service("checkout")


@pytest.fixture
def billing(service: Services) -> Service:
    """A service that receives, under a policy that says nothing."""
    return service("billing")
