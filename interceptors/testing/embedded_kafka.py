"""A Kafka cluster inside this process, for tests and demonstrations.

It is the mock cluster of librdkafka, which speaks the protocol on loopback sockets: any client in any
process of this machine can produce to it, consume from it, join a group, commit and run transactions. A real
broker differs in this:

- It keeps its records when it is closed; this one is memory only.
- It creates topics on request; here, each comes into being with four partitions when a client first asks
  for it, and a request to create one is not understood.
- It lets a group have several members; here, an aiokafka consumer fails when its group has another. The
  first of a group waits three seconds.
- It hides the records of aborted transactions from a `read_committed` consumer, and keeps the offsets that
  a transaction commits; this one does neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from interceptors.errors import MissingExtraError

if TYPE_CHECKING:
    from types import TracebackType


class EmbeddedKafka:
    """A running mock cluster, from construction until `close`. Also a context manager.

    Attributes:
        bootstrap_servers: `host:port` of each broker, separated by commas, as a client wants it.
    """

    bootstrap_servers: str

    def __init__(self, *, brokers: int = 1, timeout: float = 10.0) -> None:
        """Start the cluster.

        Args:
            brokers: how many brokers it has, at least 1.
            timeout: how many seconds it may take to say where it listens.

        Raises:
            ValueError: fewer than one broker was asked for.
            MissingExtraError: confluent-kafka, which carries the mock cluster, is not installed.
            TimeoutError: the cluster did not answer in time.
        """
        if brokers < 1:
            raise ValueError(f"a cluster has at least 1 broker, not {brokers}")
        try:
            from confluent_kafka import KafkaException, Producer  # noqa: PLC0415 - an extra: see the error
        except ImportError as error:
            raise MissingExtraError("demo", "confluent_kafka") from error
        # The address is a placeholder: librdkafka puts that of the mock cluster in its place.
        settings = {"bootstrap.servers": "embedded", "test.mock.num.brokers": brokers, "log_level": 0}
        producer = Producer(settings)
        try:
            found = producer.list_topics(timeout=timeout).brokers.values()
        except KafkaException as error:
            raise TimeoutError(f"the embedded Kafka did not answer in {timeout} s") from error
        # The cluster lives as long as this object does, which is all that the producer is for.
        self._producer: Any = producer
        self.bootstrap_servers = ",".join(sorted(f"{broker.host}:{broker.port}" for broker in found))

    def close(self) -> None:
        """Free the cluster: its ports are closed and its records are gone. Harmless when done twice."""
        self._producer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
