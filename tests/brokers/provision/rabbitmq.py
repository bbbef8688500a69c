"""RabbitMQ: one node, with its own epmd, the daemon that Erlang nodes register their names with."""

from __future__ import annotations

import secrets
import string
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

from kombu.connection import Connection

from . import packages
from .kind import Container, Kind, Launch
from .ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from .kind import Server


def _address(port: int) -> str:
    return f"amqp://guest:guest@127.0.0.1:{port}/"


class RabbitMQ(Kind):
    """Addressed by an AMQP URL.

    A queue that was declared shortly before a SIGKILL may be gone afterwards, with all that was confirmed in
    it. Its declaration is committed in two steps, and may be answered when only the first is on the disk; a
    declaration that is found without the second at the next start is taken back. A test that kills has its
    queue from `create_queue`. A quorum queue may have no leader afterwards, and can't be used then.
    """

    name: ClassVar[str] = "RabbitMQ"
    variable: ClassVar[str] = "RABBITMQ_URL"
    image: ClassVar[str] = "rabbitmq:4.1.0-management"
    user: ClassVar[str | None] = "rabbitmq"

    def probe(self, address: str) -> None:
        """Open a connection and a channel."""
        client = Connection(address, connect_timeout=2)
        try:
            # Not `client.connect()`, which waits two seconds before it tells.
            with closing(client.transport.establish_connection()) as connection:
                connection.channel()
        except client.connection_errors + client.channel_errors as error:
            raise ConnectionError("no RabbitMQ there yet") from error

    def fetch(self) -> str:
        """Have Debian's package, which brings Erlang."""
        packages.require(self, {"rabbitmq-server": "rabbitmq-server"})
        return str(packages.find("rabbitmq-server"))

    def launch(self, home: Path) -> Launch:
        """Take nothing from this machine's own RabbitMQ: neither files nor names nor its epmd."""
        program = self.fetch()
        port, distribution_port, epmd_port = free_ports(3)
        return Launch(
            address=_address(port),
            command=(program,),
            # The node has this one started for it, as a daemon that would outlive it, if it finds none.
            helper=("epmd", "-port", str(epmd_port), "-address", "127.0.0.1"),
            environment={
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_EPMD_PORT": str(epmd_port),
                "HOME": str(home),  # of the cookie, which nodes and tools know each other by
                "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
                "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
                "RABBITMQ_DIST_PORT": str(distribution_port),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
                "RABBITMQ_LOGS": "-",
                "RABBITMQ_LOG_BASE": str(home),
                "RABBITMQ_MNESIA_BASE": str(home / "data"),
                "RABBITMQ_NODENAME": f"test-{port}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(port),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
                # Then the script becomes the server, instead of the parent of one that would outlive it.
                "RUNNING_UNDER_SYSTEMD": "true",
            },
        )

    def container(self) -> Container:
        """As the image is."""
        (port,) = free_ports(1)
        return Container(address=_address(port), port=port, inner_port=5672)


def create_queue(server: Server) -> str:
    """A durable queue that nobody has used, on a server of our own, and that is there after a SIGKILL.

    It has outlived one, and what a server has found on its disk once it finds there again: `RabbitMQ` says
    what may become of one that hasn't.

    Args:
        server: one that runs, and that nobody else uses: it is killed and brought back.

    Returns:
        Its name, different each time.
    """
    while True:
        name = "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        with Connection(server.address, connect_timeout=2) as connection:
            connection.default_channel.queue_declare(name, durable=True, auto_delete=False)
        server.kill()
        server.start()
        with Connection(server.address, connect_timeout=2) as connection:
            try:
                connection.default_channel.queue_declare(name, passive=True)
            except connection.channel_errors:  # there is no such queue
                continue
        return name
