"""`export` in `interceptors.yaml`: where a service's spans go."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from interceptors.errors import ConfigurationError
from interceptors.keys.collector_key import read_collector_key
from interceptors.policy.quantities import Duration
from interceptors.policy.rules import Name
from interceptors.policy.yaml_document import DocumentModel
from interceptors.spans import JsonLinesSink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.spans import SpanSink

Address = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
_MS_PER_S = 1000
BUS_URL = "INTERCEPTORS_BUS_URL"


class FileExport(DocumentModel):
    """Spans appended to a file, one OTLP-JSON span a line."""

    path: Name
    """The file, relative to the configuration's."""


class OtlpExport(DocumentModel):
    """Spans sent to whatever speaks OTLP over HTTP: a Collector, Jaeger, Tempo, a vendor.

    What is left out is as the variables `OTEL_EXPORTER_OTLP_TRACES_…` and `OTEL_EXPORTER_OTLP_…` say;
    headers, which are credentials, come from there alone.
    """

    endpoint: Address | None = Field(default=None, repr=False)
    """The address, such as `https://collector.example.com:4318`; `/v1/traces` is added where it is not
    there. Default: `http://localhost:4318`."""
    certificate: Name | None = None
    """A file with the certificates (PEM) of those who may vouch for the server, relative to the
    configuration's."""
    client_certificate: Name | None = None
    """This service's own certificate (PEM), for mutual TLS, relative likewise."""
    client_key: Name | None = None
    """Its private key (PEM), relative likewise."""
    compression: Literal["none", "gzip"] | None = None
    """How what is sent is compressed. Default: none."""
    timeout: Duration | None = None
    """How long a batch may take. Default, and at most: 10s."""


class KafkaExport(DocumentModel):
    """A Kafka topic that spans are sent to, sealed.

    Name and password for SASL are in `INTERCEPTORS_BUS_USERNAME` and `INTERCEPTORS_BUS_PASSWORD`.
    """

    bootstrap_servers: Address
    """The brokers, as `host:port`, separated by commas."""
    topic: Name
    """The topic, which has to be there."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """As Kafka names it."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """With the two protocols of SASL."""
    certificate: Name | None = None
    """A file with the certificates (PEM) of those who may vouch for the brokers, relative to the
    configuration's."""
    client_certificate: Name | None = None
    """This service's own certificate (PEM), for mutual TLS, relative likewise."""
    client_key: Name | None = None
    """Its private key (PEM), relative likewise."""


class RabbitExport(DocumentModel):
    """A RabbitMQ queue that spans are sent to, sealed."""

    url: Address | None = Field(default=None, repr=False)
    """The broker, as an AMQP URL. Default: what the variable `INTERCEPTORS_BUS_URL` says, which is the place
    for one that holds a password."""
    queue: Name
    """The queue, which has to be there."""


class BusExport(DocumentModel):
    """Spans sent over a bus, in batches that only the collector can open.

    For where services reach only the broker.
    """

    collector_key: Name
    """The file with the collector's public key (PEM, X25519), relative to the configuration's."""
    kafka: KafkaExport | None = None
    """Either a Kafka topic,"""
    rabbitmq: RabbitExport | None = None
    """or a RabbitMQ queue."""

    @model_validator(mode="after")
    def _one(self) -> BusExport:
        if (self.kafka is None) == (self.rabbitmq is None):
            msg = "spans go over one bus: give either `kafka` or `rabbitmq`"
            raise ValueError(msg)
        return self


class Export(DocumentModel):
    """Where spans go: to all that is given here. Left out: nowhere, and none are recorded."""

    file: FileExport | None = None
    """A local file."""
    otlp: OtlpExport | None = None
    """A backend that speaks OTLP."""
    bus: BusExport | None = None
    """A collector behind a bus."""


_FILES = ("certificate", "client_certificate", "client_key", "collector_key", "path")


def located(export: Export, folder: Path) -> Export:
    """Make the paths of an export relative to a folder.

    Args:
        export: as it is written.
        folder: the configuration's.
    """
    # Copies, so that a deep folder is not held to the length of a name.
    return export.model_copy(
        update={name: _located(part, folder) for name, part in export if part is not None}
    )


def _located(part: DocumentModel, folder: Path) -> DocumentModel:
    changes: dict[str, object] = {}
    for name, value in part:
        if isinstance(value, DocumentModel):
            changes[name] = _located(value, folder)
        elif name in _FILES and isinstance(value, str):
            changes[name] = str(folder / value)
    return part.model_copy(update=changes)


def sinks_of(
    export: Export, *, service: str, environment: str, seal: Callable[[bytes], bytes | None]
) -> list[SpanSink]:
    """Make the sinks that an export names.

    Args:
        export: where spans go.
        service: the service's name.
        environment: the deployment environment.
        seal: makes the envelope for a batch of spans that goes over a bus; None where no key can be had.

    Raises:
        ConfigurationError: a file or an address that does not hold.
        MissingExtraError: what an export needs is not installed.
    """
    sinks: list[SpanSink] = []
    if export.file is not None:
        sinks.append(JsonLinesSink(export.file.path))
    if export.otlp is not None:
        sinks.append(_otlp(export.otlp, service, environment))
    if export.bus is not None:
        sinks.append(_bus(export.bus, service, environment, seal))
    return sinks


def _otlp(export: OtlpExport, service: str, environment: str) -> SpanSink:
    from interceptors.spans.otlp import otlp_sink  # noqa: PLC0415 - of an extra

    return otlp_sink(
        export.endpoint,
        export.certificate,
        export.client_certificate,
        export.client_key,
        export.compression,
        None if export.timeout is None else export.timeout / _MS_PER_S,
        service=service,
        environment=environment,
    )


def _bus(
    export: BusExport, service: str, environment: str, seal: Callable[[bytes], bytes | None]
) -> SpanSink:
    from interceptors.spans.otlp_protobuf import SpanEncoder  # noqa: PLC0415 - of an extra

    key = read_collector_key(export.collector_key)
    encode = SpanEncoder(service, environment).encode
    if export.kafka is not None:
        from interceptors.spans.bus_kafka import kafka_sink  # noqa: PLC0415 - of an extra

        return kafka_sink(
            export.kafka.bootstrap_servers,
            export.kafka.topic,
            key,
            encode=encode,
            seal=seal,
            security_protocol=export.kafka.security_protocol,
            sasl_mechanism=export.kafka.sasl_mechanism,
            ca_file=export.kafka.certificate,
            certificate_file=export.kafka.client_certificate,
            key_file=export.kafka.client_key,
        )
    from interceptors.spans.bus_rabbitmq import rabbitmq_sink  # noqa: PLC0415 - of an extra

    rabbitmq = export.rabbitmq
    url = rabbitmq and (rabbitmq.url or os.environ.get(BUS_URL))
    if rabbitmq is None or not url:
        msg = f"export.bus.rabbitmq: no broker; give its `url`, or set {BUS_URL}"
        raise ConfigurationError(msg)
    return rabbitmq_sink(url, rabbitmq.queue, key, encode=encode, seal=seal)
