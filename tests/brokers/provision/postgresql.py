"""PostgreSQL: one server, whose data goes with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

import psycopg

from . import packages
from .kind import Container, Kind, Launch
from .ports import free_ports

# Debian keeps the programs of each version apart, and off the PATH.
_VERSIONS = Path("/usr/lib/postgresql")


def _address(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


class PostgreSQL(Kind):
    """Addressed by a PostgreSQL URL, whose user may make databases."""

    name: ClassVar[str] = "PostgreSQL"
    variable: ClassVar[str] = "POSTGRESQL_URL"
    image: ClassVar[str] = "postgres:17.5-alpine"
    user: ClassVar[str | None] = "postgres"

    def probe(self, address: str) -> None:
        """Ask it for a number."""
        try:
            with psycopg.connect(address, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            raise ConnectionError("no PostgreSQL there yet") from error

    def fetch(self) -> str:
        """Have Debian's package."""
        if not self._programs():
            packages.require(self, {"postgres": "postgresql"})
        return str(self._programs()[-1])

    def launch(self, home: Path) -> Launch:
        """Make the data when first started, as the user that the server runs as: it refuses root."""
        programs = Path(self.fetch())
        (port,) = free_ports(1)
        data = home / "data"
        make = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        serve = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", port, "-k", home, "-F"]
        script = f"test -d {_quoted([data])} || {_quoted(make)} && exec {_quoted(serve)}"
        return Launch(address=_address(port), command=("sh", "-c", script), environment={"LC_ALL": "C.UTF-8"})

    def container(self) -> Container:
        """As the image is, but for passwords."""
        (port,) = free_ports(1)
        return Container(
            address=_address(port),
            port=port,
            inner_port=5432,
            environment={"POSTGRES_HOST_AUTH_METHOD": "trust"},
        )

    @staticmethod
    def _programs() -> list[Path]:
        """The folders with servers in them, the newest last."""
        found = [server.parent for server in _VERSIONS.glob("*/bin/postgres")]
        return sorted(found, key=lambda folder: folder.parent.name.zfill(4))


def _quoted(words: list[object]) -> str:
    return shlex.join(map(str, words))
