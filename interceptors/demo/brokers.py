"""Where the brokers are, as the command line says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from interceptors.errors import ConfigurationError
from interceptors.testing.embedded_kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_PROCESS = "memory://"

_AMQP = {"amqp", "amqps"}
_REDIS = {"redis", "rediss"}
_SCHEMES = {
    "--rabbitmq": _AMQP,
    "--celery-broker": _AMQP | _REDIS,
    "--otlp": {"http", "https"},
}
_EXAMPLES = {
    "--rabbitmq": "amqp://user:password@127.0.0.1:5672/",
    "--celery-broker": "redis://127.0.0.1:6379/0 or amqp://user:password@127.0.0.1:5672/",
    "--otlp": "http://127.0.0.1:4318",
}


class Brokers(NamedTuple):
    """The broker of each bus."""

    kafka: str
    """`host:port`."""
    rabbitmq: str | None
    """A URL; None where the payments go through Kafka."""
    celery: str
    """A URL."""

    def __repr__(self) -> str:
        """Show no URL: it may hold a password."""
        return "Brokers()"


@contextlib.contextmanager
def brokers(kafka: str | None, rabbitmq: str | None, celery: str | None) -> Iterator[Brokers]:
    """Give the brokers; an embedded Kafka lives as long as this does.

    Args:
        kafka: `host:port`, or None for an embedded one.
        rabbitmq: a URL, or None to do without.
        celery: a URL, or None for a broker inside the process.

    Raises:
        ConfigurationError: a URL is none, or of a broker that can't be used.
    """
    if kafka is not None and not all(_host(f"//{address}") for address in kafka.split(",")):
        raise ConfigurationError("--kafka: not HOST:PORT; give one such as 127.0.0.1:9092")
    if rabbitmq is not None:
        check_url("--rabbitmq", rabbitmq)
    if celery is not None:
        check_url("--celery-broker", celery)
    with contextlib.ExitStack() as stack:
        if kafka is None:
            kafka = stack.enter_context(EmbeddedKafka()).bootstrap_servers
        yield Brokers(kafka, rabbitmq, celery or IN_PROCESS)


def unreachable(option: str, address: str, error: BaseException) -> ConfigurationError:
    """Make the error for a broker or endpoint that does not answer, or not to us.

    Args:
        option: which one.
        address: its URL, or `host:port`. Of a URL no more than that is shown: the rest may be secret.
        error: what the client says; its class is shown, since its text may hold the address.
    """
    where = urlsplit(address).netloc.rpartition("@")[2] or address
    return ConfigurationError(
        f"{option} {where}: {type(error).__name__}; check the address (user and password too, where it has "
        f"any), and that it is running"
    )


def check_url(option: str, url: str) -> None:
    """Check that a URL is of a kind that its option takes. No part of it is shown: it may hold a password.

    Args:
        option: which one.
        url: what was given.

    Raises:
        ConfigurationError: it is none.
    """
    if url.partition("://")[0] not in _SCHEMES[option] or not _host(url):
        what = "an endpoint" if option == "--otlp" else "a broker"
        raise ConfigurationError(
            f"{option}: not the URL of {what} that it can use; give one such as {_EXAMPLES[option]}"
        )


def _host(url: str) -> str | None:
    """Give the host of a URL; None where it has none, or a port that is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # looked at only when it is asked for
    except ValueError:
        return None
    return parts.hostname
