"""Kafka: one node in KRaft mode, and topics on it."""

from __future__ import annotations

import secrets
import string
import uuid
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, ClassVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from . import packages
from .kafka_jars import fetch_jars
from .kind import Container, Kind, Launch
from .ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

# How long one request of a probe may take.
_GLANCE = 1.0


def _client_settings(bootstrap_servers: str) -> dict[str, str | int]:
    return {
        "bootstrap.servers": bootstrap_servers,
        "reconnect.backoff.max.ms": 250,
        "log_level": 0,  # while the server starts, each refused connection would be a line
    }


def _settings(*, port: int, controller_port: int, listen_on: str, advertised_port: int) -> dict[str, str]:
    """Everything of `server.properties` but the place of the data.

    Args:
        port: where clients connect, here and inside a container alike, so that what the broker advertises
            holds on both sides.
        controller_port: where the node talks to itself.
        listen_on: the address that the broker binds; clients are always told 127.0.0.1.
        advertised_port: the port that clients are told.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://{listen_on}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{advertised_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        # One node cannot hold the three replicas that these ask for by default.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        # Nobody else is coming: a group starts at once, and its fifty offset partitions are not needed.
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "num.partitions": "2",
        # A broker that comes back after SIGKILL is not let in before the session it had is over.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


class Kafka(Kind):
    """Addressed by its bootstrap servers."""

    name: ClassVar[str] = "Kafka"
    variable: ClassVar[str] = "KAFKA_BOOTSTRAP_SERVERS"
    image: ClassVar[str] = "apache/kafka:4.1.0"

    def __init__(self, *, advertised_port: int | None = None) -> None:
        """Describe one.

        Args:
            advertised_port: where clients are told to connect, if that is not where it listens: the port of
                what stands between them, which has to forward before the server starts.
        """
        self._advertised_port = advertised_port

    def probe(self, address: str) -> None:
        """Ask for metadata, and for the coordinator of a fresh group."""
        client = Consumer(_client_settings(address) | {"group.id": f"ready-{uuid.uuid4()}"})
        try:
            client.list_topics(timeout=_GLANCE)
            # Finding the coordinator makes the broker create the topic that offsets are kept in, and this
            # returns when that topic is loaded.
            client.committed([TopicPartition("ready", 0)], timeout=_GLANCE)
        except KafkaException as error:
            raise ConnectionError(f"no Kafka at {address} yet") from error
        finally:
            client.close()

    def fetch(self) -> str:
        """Have Java and the jars."""
        packages.require(self, {"java": "default-jre-headless"})
        return str(fetch_jars(self))

    def launch(self, home: Path) -> Launch:
        """Format the folder of the data, which the server wants done before it starts."""
        java = ("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{self.fetch()}/*")
        port, controller_port = free_ports(2)
        settings = _settings(
            port=port,
            controller_port=controller_port,
            listen_on="127.0.0.1",
            advertised_port=self._advertised_port or port,
        )
        settings["log.dirs"] = str(home / "data")
        properties = home / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # An id may begin with a dash, and would be taken for an option if it stood alone.
        tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties))
        packages.run(*java, *tool)
        return Launch(address=f"127.0.0.1:{port}", command=(*java, "kafka.Kafka", str(properties)))

    def container(self) -> Container:
        """The port is the same inside and outside, so that what the broker advertises holds on both sides."""
        port, controller_port = free_ports(2)
        settings = _settings(
            port=port,
            controller_port=controller_port,
            listen_on="0.0.0.0",  # noqa: S104 - inside
            advertised_port=self._advertised_port or port,
        )
        return Container(
            address=f"127.0.0.1:{port}",
            port=port,
            inner_port=port,
            environment={
                f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()
            },
        )


def create_topic(bootstrap_servers: str, *, partitions: int = 2) -> str:
    """A topic that nobody has used, on a real broker.

    Returns:
        Its name, different each time.
    """
    # Letters alone: a name with an id in it is shown as a template.
    name = "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
    admin = AdminClient(_client_settings(bootstrap_servers))
    admin.create_topics([NewTopic(name, partitions, 1)], operation_timeout=20)[name].result(timeout=30)
    return name
