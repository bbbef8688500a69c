"""A server in Docker, through testcontainers, whose reaper removes it even when the tests are killed."""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from .readiness import wait_ready

if TYPE_CHECKING:
    from .kind import Kind

_START_SECONDS = 120
_TAIL_LINES = 40


def engine_answers() -> bool:
    """Whether there is a Docker engine that this process may use."""
    with warnings.catch_warnings():
        # A client that finds no engine leaves its socket to the garbage collector, which says so wherever it
        # happens to run: in the middle of some test. Here it does no harm.
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _ping()
        gc.collect()
    return answers


def _ping() -> bool:
    try:
        client = docker.from_env(timeout=5)
    except DockerException:
        return False
    client.close()
    return True  # it has asked the engine for its version


class ContainerServer:
    """A server whose port on this machine stays the same when it comes back."""

    def __init__(self, kind: Kind) -> None:
        """Set the container up; it is not created yet."""
        self._kind = kind
        setup = kind.container()
        self._address = setup.address
        self._container = DockerContainer(kind.image)
        if setup.on_host_network:
            self._container.with_kwargs(network_mode="host")
        else:
            # Bound to loopback, which `with_bind_ports` has no way to say.
            self._container.ports[f"{setup.inner_port}/tcp"] = ("127.0.0.1", setup.port)  # type: ignore[assignment]  # typed too narrowly there
        self._container.with_envs(**setup.environment)
        if setup.command:
            self._container.with_command(list(setup.command))
        self._created = False

    @property
    def address(self) -> str:
        """See `Server`."""
        return self._address

    def start(self) -> None:
        """See `Server`. The error of a start that fails ends with the last lines of the log."""
        if not self._created:
            self._container.start()
            self._created = True
        else:
            self._container.get_wrapped_container().start()  # does nothing when it runs
        try:
            wait_ready(self._kind, self._address, timeout=_START_SECONDS, check=self._check_running)
        except TimeoutError as error:
            raise RuntimeError(f"{self._kind.name} did not become ready:\n{self._log_tail()}") from error

    def _check_running(self) -> None:
        container = self._container.get_wrapped_container()
        container.reload()
        if container.status == "exited":
            raise RuntimeError(f"{self._kind.name} ended:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        logs: bytes = self._container.get_wrapped_container().logs(tail=_TAIL_LINES)
        return logs.decode(errors="replace")

    def kill(self) -> None:
        """See `Server`."""
        container = self._container.get_wrapped_container()
        container.kill("SIGKILL")
        container.wait()

    def stop(self) -> None:
        """See `Server`."""
        if self._created:
            self._container.stop()
            self._created = False
