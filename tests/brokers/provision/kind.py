"""What every kind of server has to say about itself, and what every server of our own can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Server(Protocol):
    """A server that is ours to start, kill and bring back. One that doesn't come up is a `RuntimeError`."""

    @property
    def address(self) -> str:
        """What clients are given, on loopback. It stays the same for as long as the object lives."""

    def start(self) -> None:
        """Return when clients can use it. Does nothing when it runs already."""

    def kill(self) -> None:
        """End it with SIGKILL, at once, and return when it is gone. What it has on disk stays."""

    def stop(self) -> None:
        """End it and remove its data. Harmless when done twice."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a server runs as a child process, each time that it is started."""

    address: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    helper: tuple[str, ...] = ()
    """A command that runs beside the server, from its first start until it is stopped."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """How a server runs in Docker."""

    address: str
    port: int
    """On this machine. A fixed one, so that the server has it again when it comes back."""
    inner_port: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    on_host_network: bool = False
    """Whether it shares this machine's network, and so listens on `port` itself and reaches loopback."""


class Kind(ABC):
    """A kind of server. It describes; `native` and `container` do."""

    name: ClassVar[str]
    variable: ClassVar[str]
    """What names the address of one in the environment."""
    image: ClassVar[str]
    """The one that `docker-compose.yml` has."""
    user: ClassVar[str | None] = None
    """Whom a native one runs as where root starts it and there is such a user."""

    @abstractmethod
    def probe(self, address: str) -> None:
        """Use the server for a moment, as a client would. Gives up after some seconds at most.

        Raises:
            ConnectionError: it can't be used, or not yet.
        """

    @abstractmethod
    def fetch(self) -> str:
        """Have what a native one runs on, and say where that is.

        Raises:
            RuntimeError: it is missing and can't be fetched; the text says what to do.
        """

    @abstractmethod
    def launch(self, home: Path) -> Launch:
        """Set a native one up, with all that it keeps below `home`.

        Raises:
            RuntimeError: see `fetch`.
        """

    @abstractmethod
    def container(self) -> Container:
        """Set one up for Docker."""
