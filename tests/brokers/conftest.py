"""The brokers that tests run against: embedded in this process, and real."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from interceptors.testing.embedded_kafka import EmbeddedKafka

from . import provision
from .provision import readiness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .provision import KafkaServer


def _skip_if_unwanted() -> None:
    if provision.unwanted():
        pytest.skip("needs a real broker, and BROKERS=none asks to do without")


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[str]:
    """The bootstrap address of the broker inside this process."""
    with EmbeddedKafka() as server:
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def real_kafka() -> Iterator[str]:
    """The bootstrap address of a real broker: the one that the environment names, or one of our own."""
    _skip_if_unwanted()
    if address := provision.given_address():
        readiness.wait_ready(address, timeout=30, check=lambda: None)
        yield address
        return
    server = provision.new_server()
    try:
        server.start()
        yield server.bootstrap_servers
    finally:
        server.stop()


@pytest.fixture(params=["embedded", "real"])
def kafka(request: pytest.FixtureRequest) -> str:
    """The bootstrap address of each in turn: what holds on one must hold on the other."""
    address: str = request.getfixturevalue(f"{request.param}_kafka")
    return address


@pytest.fixture
def topic(kafka: str, request: pytest.FixtureRequest) -> str:
    """The name of a topic of `kafka` that only this test knows, with 2 partitions or more."""
    if request.node.callspec.params["kafka"] == "embedded":
        return f"test-{uuid.uuid4()}"  # comes into being with 4 partitions when first asked for
    return readiness.create_topic(kafka)


@pytest.fixture(scope="module")
def _owned_server() -> Iterator[KafkaServer]:
    _skip_if_unwanted()
    server = provision.new_server()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def owned_kafka(_owned_server: KafkaServer) -> KafkaServer:
    """A real, running broker that this test may kill. The tests of one module share it, one at a time."""
    _owned_server.start()
    return _owned_server
