"""Kafka in Docker, through testcontainers, whose reaper removes it even when the tests are killed."""

from __future__ import annotations

import gc
import warnings

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from .ports import free_ports
from .readiness import wait_ready
from .settings import broker_settings

IMAGE = "apache/kafka:4.1.0"
_START_SECONDS = 120
_STOP_SECONDS = 30
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


class KafkaContainer:
    """A broker whose port is the same inside and outside, and stays the same when it comes back."""

    def __init__(self) -> None:
        """Set the container up; it is not created yet."""
        port, controller_port = free_ports(2)
        self._bootstrap_servers = f"127.0.0.1:{port}"
        self._container = DockerContainer(IMAGE)
        # Bound to loopback, which `with_bind_ports` has no way to say.
        self._container.ports[f"{port}/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment]  # typed too narrowly there
        settings = broker_settings(port=port, controller_port=controller_port, listen_on="0.0.0.0")  # noqa: S104 - inside
        for name, value in settings.items():
            self._container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
        self._created = False

    @property
    def bootstrap_servers(self) -> str:
        """See `KafkaServer`."""
        return self._bootstrap_servers

    def start(self) -> None:
        """See `KafkaServer`. The error of a start that fails ends with the last lines of the log."""
        if not self._created:
            self._container.start()
            self._created = True
        else:
            self._container.get_wrapped_container().start()  # does nothing when it runs
        try:
            wait_ready(self._bootstrap_servers, timeout=_START_SECONDS, check=self._check_running)
        except TimeoutError as error:
            raise RuntimeError(f"Kafka did not become ready:\n{self._log_tail()}") from error

    def _check_running(self) -> None:
        container = self._container.get_wrapped_container()
        container.reload()
        if container.status == "exited":
            raise RuntimeError(f"Kafka ended:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        logs: bytes = self._container.get_wrapped_container().logs(tail=_TAIL_LINES)
        return logs.decode(errors="replace")

    def kill(self) -> None:
        """See `KafkaServer`."""
        container = self._container.get_wrapped_container()
        container.kill("SIGKILL")
        container.wait()

    def restart(self) -> None:
        """See `KafkaServer`."""
        self._container.get_wrapped_container().stop(timeout=_STOP_SECONDS)  # does nothing when it is ended
        self.start()

    def stop(self) -> None:
        """See `KafkaServer`."""
        if self._created:
            self._container.stop()
            self._created = False
