"""Redis, with every write on disk before it is acknowledged, so that it may be killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from . import packages
from .kind import Container, Kind, Launch
from .ports import free_ports

if TYPE_CHECKING:
    from pathlib import Path

_DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def _address(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


class Redis(Kind):
    """Addressed by a Redis URL."""

    name: ClassVar[str] = "Redis"
    variable: ClassVar[str] = "REDIS_URL"
    image: ClassVar[str] = "redis:7.4.2-alpine"

    def probe(self, address: str) -> None:
        """Send a PING."""
        try:
            with Client.from_url(address, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
                client.ping()
        except RedisError as error:
            raise ConnectionError("no Redis there yet") from error

    def fetch(self) -> str:
        """Have Debian's package."""
        packages.require(self, {"redis-server": "redis-server"})
        return str(packages.find("redis-server"))

    def launch(self, home: Path) -> Launch:
        """All that it has to know is said in its arguments."""
        program = self.fetch()
        (port,) = free_ports(1)
        place = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(home))
        return Launch(address=_address(port), command=(program, *place, *_DURABLE))

    def container(self) -> Container:
        """As the image is, but durable."""
        (port,) = free_ports(1)
        return Container(
            address=_address(port), port=port, inner_port=6379, command=("redis-server", *_DURABLE)
        )
