"""How a single-node Kafka in KRaft mode is set up, for the container and for the native one alike."""

from __future__ import annotations


def broker_settings(*, port: int, controller_port: int, listen_on: str) -> dict[str, str]:
    """Everything of `server.properties` but the place of the data.

    Args:
        port: where clients connect, here and inside a container alike, so that what the broker advertises
            holds on both sides.
        controller_port: where the node talks to itself.
        listen_on: the address that the broker binds; clients are always told 127.0.0.1.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://{listen_on}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
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
