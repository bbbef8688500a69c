"""The same clients, whose classes are patched and not wrapped.

`instrument` patches the classes that everybody uses, for one tracing. Here several services, and others that
are not traced, are in one process, so that each service has classes of its own below those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import aio_pika
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer

from interceptors.confluent.instrumentation import patch_consumer, patch_producer
from interceptors.kafka import instrumentation as kafka
from interceptors.rabbitmq import instrumentation as rabbitmq
from interceptors.tracing.patching import Patches

from .confluent import Confluent
from .kafka import Kafka
from .rabbitmq import RabbitMQ, RabbitMQLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Service


def _below(owner: Any) -> Any:
    return type(owner.__name__, (owner,), {})


class _Instrumented:
    """Has classes for each service, until the bus is stopped."""

    stopping: Any

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._classes: dict[Service, tuple[Any, ...]] = {}

    def classes(
        self, service: Service, make: Callable[[Patches, Service], tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        """The classes of a service, made when they are first asked for."""
        if service not in self._classes:
            patches = Patches()
            self._classes[service] = make(patches, service)
            self.stopping.callback(patches.undo)
        return self._classes[service]


class KafkaInstrumented(_Instrumented, Kafka):
    name: ClassVar[str] = "kafka_instrumented"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_kafka",)

    def _producer(self, service: Service | None) -> Any:
        if service is None:
            return super()._producer(None)
        return self.classes(service, _kafka)[0](bootstrap_servers=self.address)

    def _consumer(self, service: Service | None) -> Any:
        if service is None:
            return super()._consumer(None)
        return self.classes(service, _kafka)[1](
            bootstrap_servers=self.address,
            group_id=self.place,
            enable_auto_commit=False,
            fetch_max_wait_ms=10,
        )


def _kafka(patches: Patches, service: Service) -> tuple[Any, ...]:
    producer, consumer = _below(AIOKafkaProducer), _below(AIOKafkaConsumer)
    kafka.patch(patches, service.tracing, producer=producer, consumer=consumer)
    return producer, consumer


class ConfluentInstrumented(_Instrumented, Confluent):
    name: ClassVar[str] = "confluent_instrumented"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_kafka",)

    def _producer(self, service: Service | None) -> Any:
        if service is None:
            return super()._producer(None)
        return self.classes(service, _confluent)[0](self._settings())

    def _consumer(self, service: Service | None) -> Any:
        if service is None:
            return super()._consumer(None)
        return self.classes(service, _confluent)[1](self._receiving())


def _confluent(patches: Patches, service: Service) -> tuple[Any, ...]:
    producer, consumer = _below(Producer), _below(Consumer)
    patch_producer(patches, service.tracing, producer)
    patch_consumer(patches, service.tracing, consumer)
    return producer, consumer


class RabbitMQInstrumented(_Instrumented, RabbitMQ):
    name: ClassVar[str] = "rabbitmq_instrumented"
    brokers: ClassVar[tuple[str, ...]] = ("embedded_rabbitmq",)

    async def _opened(self, service: Service | None) -> Any:
        if service is None:
            return await super()._opened(None)
        (channel,) = self.classes(service, _rabbitmq)
        self._connection.CHANNEL_CLASS = channel
        opening = self._connection.channel()
        del self._connection.CHANNEL_CLASS
        return await opening


class RabbitMQLoopInstrumented(RabbitMQInstrumented, RabbitMQLoop):
    name: ClassVar[str] = "rabbitmq_loop_instrumented"


def _rabbitmq(patches: Patches, service: Service) -> tuple[Any, ...]:
    channel, exchange, queue = map(_below, (aio_pika.Channel, aio_pika.Exchange, aio_pika.Queue))
    channel.EXCHANGE_CLASS, channel.QUEUE_CLASS = exchange, queue
    rabbitmq.patch(patches, service.tracing, exchange=exchange, queue=queue, robust_queue=_below(queue))
    return (channel,)
