"""The Kafka consumers of the services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from interceptors import kafka

if TYPE_CHECKING:
    from interceptors.demo.arrivals import Arrivals
    from interceptors.demo.brokers import Brokers
    from interceptors.demo.setup import Setup


def kafka_consumer(
    setup: Setup, brokers: Brokers, arrivals: Arrivals, service: str, *channels: str
) -> kafka.TracedConsumer:
    """Make a service's consumer, which says when it has been given its partitions.

    Args:
        setup: names and tracings.
        brokers: where Kafka is.
        arrivals: who is told.
        service: whose it is.
        channels: what it consumes.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers.kafka,
        group_id=setup.place(f"{service}.group"),
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,  # the embedded broker doesn't wake a fetch that waits
    )
    consumer.subscribe([setup.place(channel) for channel in channels], listener=_Assigned(arrivals, service))
    return kafka.TracedConsumer(consumer, setup.tracings[service], group_id=service)


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, arrivals: Arrivals, service: str) -> None:
        self._arrivals = arrivals
        self._service = service

    def on_partitions_revoked(self, _revoked: object) -> None:
        """Do nothing: there is nothing to commit."""

    def on_partitions_assigned(self, _assigned: object) -> None:
        """Note that messages come from now on."""
        self._arrivals.say_ready(self._service)
