"""Batches of spans on a Kafka topic, by aiokafka."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any, Literal

from interceptors.envelope import HEADER_NAME
from interceptors.errors import ConfigurationError, MissingExtraError
from interceptors.spans.bus import BusSink, TooLargeError, close_client, unwrapped

try:
    from aiokafka import AIOKafkaProducer
    from aiokafka.errors import MessageSizeTooLargeError
except ModuleNotFoundError as error:
    if error.name != "aiokafka":
        raise
    raise MissingExtraError("kafka", "aiokafka") from None

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from interceptors.envelope.batch import CollectorKey
    from interceptors.spans.bus import Encode, Seal

    SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

USERNAME_VARIABLE = "INTERCEPTORS_BUS_USERNAME"
PASSWORD_VARIABLE = "INTERCEPTORS_BUS_PASSWORD"  # noqa: S105 - the name of a variable

_REQUEST_MS = 10_000


def kafka_sink(
    bootstrap_servers: str,
    topic: str,
    collector_key: CollectorKey,
    *,
    encode: Encode,
    seal: Seal,
    security_protocol: SecurityProtocol = "PLAINTEXT",
    sasl_mechanism: SaslMechanism | None = None,
    ca_file: Path | str | None = None,
    certificate_file: Path | str | None = None,
    key_file: Path | str | None = None,
) -> BusSink:
    """Make a sink that sends batches of spans to a topic.

    With a SASL mechanism, name and password are in the environment, in `INTERCEPTORS_BUS_USERNAME` and
    `INTERCEPTORS_BUS_PASSWORD`.

    Args:
        bootstrap_servers: `host:port` of some brokers, with commas between them.
        topic: the topic, which is there already.
        collector_key: whom the batches are sealed to.
        encode: writes spans as an OTLP `ExportTraceServiceRequest`.
        seal: makes the envelope for a sealed batch; None where no key can be had.
        security_protocol: as Kafka names it.
        sasl_mechanism: with `SASL_PLAINTEXT` and `SASL_SSL`, and only there.
        ca_file: PEM: who may have issued the brokers' certificates; without it, those that the system trusts.
        certificate_file: PEM: the client's certificate, for mutual TLS.
        key_file: PEM: its key, not encrypted; without it, the key lies in the certificate's file.

    Returns:
        The sink. It connects when the first batch comes.

    Raises:
        ConfigurationError: options that contradict one another, a file that can't be used, or a name or
            password that is not in the environment.
    """
    settings: dict[str, Any] = {
        "bootstrap_servers": bootstrap_servers,
        "security_protocol": security_protocol,
        **_sasl(security_protocol, sasl_mechanism),
    }
    files = (ca_file, certificate_file, key_file)
    if security_protocol.endswith("SSL"):
        settings["ssl_context"] = _ssl_context(*files)
    elif any(files):
        msg = f"certificates are for SSL and SASL_SSL; the security protocol is {security_protocol}"
        raise ConfigurationError(msg)
    return BusSink(lambda: _Client(topic, settings), collector_key, encode=encode, seal=seal)


def _sasl(security_protocol: SecurityProtocol, mechanism: SaslMechanism | None) -> dict[str, str]:
    if security_protocol.startswith("SASL_") != (mechanism is not None):
        msg = (
            f"a SASL mechanism goes with SASL_PLAINTEXT or SASL_SSL, and they with it; "
            f"the security protocol is {security_protocol}"
        )
        raise ConfigurationError(msg)
    if mechanism is None:
        return {}
    missing = [name for name in (USERNAME_VARIABLE, PASSWORD_VARIABLE) if not os.environ.get(name)]
    if missing:
        msg = f"{' and '.join(missing)} not set in the environment, which {mechanism} needs"
        raise ConfigurationError(msg)
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": os.environ[USERNAME_VARIABLE],
        "sasl_plain_password": os.environ[PASSWORD_VARIABLE],
    }


def _ssl_context(
    ca_file: Path | str | None, certificate_file: Path | str | None, key_file: Path | str | None
) -> ssl.SSLContext:
    if key_file and not certificate_file:
        msg = f"{key_file}: a key without a certificate; give both"
        raise ConfigurationError(msg)
    using = ca_file
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate_file:
            using = certificate_file
            # With a password that opens nothing: without one, the terminal would be asked for it.
            context.load_cert_chain(certificate_file, key_file, password="-")  # noqa: S106 - see above
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        msg = f"{using}: can't be used for TLS ({reason}); give PEM, and a key that is not encrypted"
        raise ConfigurationError(msg) from None
    return context


class _Client:
    """A producer, which connects anew by itself; after a failure that it reports, a new one."""

    def __init__(self, topic: str, settings: Mapping[str, Any]) -> None:
        self._topic = topic
        self._settings = settings
        self._producer: Any = None

    async def send(self, body: bytes, envelope: bytes) -> None:
        if self._producer is None:
            self._producer = await self._connected()
        sending = unwrapped(self._producer, "send")
        try:
            # The producer waits for its metadata, then gives a future of the broker's answer.
            await (await sending(self._topic, body, headers=[(HEADER_NAME, envelope)]))
        except MessageSizeTooLargeError:
            raise TooLargeError from None
        except Exception:  # it may be one after which it takes nothing any more
            await close_client(self)
            raise

    async def _connected(self) -> Any:  # noqa: ANN401 - aiokafka has no types
        producer = AIOKafkaProducer(acks="all", request_timeout_ms=_REQUEST_MS, **self._settings)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            await producer.stop()
        finally:  # where a broker that is away keeps it from stopping, too
            await producer.client.close()
