"""`instrument`: aiokafka's classes traced, for programs that are not to be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from interceptors.kafka.consumer import TracedConsumer
from interceptors.kafka.producer import TracedProducer
from interceptors.tracing.patching import Instrumentation, Patches

if TYPE_CHECKING:
    from interceptors.tracing import Tracing

_SENDING = ("send", "create_batch", "send_batch", "flush", "stop")
_RECEIVING = ("getone", "getmany", "stop", "__aexit__", "process")
"""`async for` asks `getone`; `process` is there after `instrument` only."""


def instrument(tracing: Tracing) -> None:
    """Trace every `AIOKafkaProducer` and `AIOKafkaConsumer` of this process, those that are there included.

    Each does what a `TracedProducer` or `TracedConsumer` around it would; one that has such a wrapper is left
    to it. Serializers stay the client's, so where a channel's binding is `message`, wrap the client instead.
    A second call with the same tracing does nothing.

    Args:
        tracing: the service's tracing.

    Raises:
        ConfigurationError: they are traced with another tracing.
    """
    _instrumentation.instrument(tracing)


def uninstrument() -> None:
    """Put the methods back that `instrument` has replaced; without it, do nothing."""
    _instrumentation.uninstrument()


def patch(
    patches: Patches,
    tracing: Tracing,
    *,
    producer: type = AIOKafkaProducer,
    consumer: type = AIOKafkaConsumer,
) -> None:
    """Replace the methods of a producer's and a consumer's class.

    Args:
        patches: what puts them back.
        tracing: the service's tracing.
        producer: aiokafka's class, or one below it.
        consumer: likewise.
    """

    def traced_consumer(client: Any) -> TracedConsumer:
        # Private, but nothing depends on it: without it, the consumer shares its memory with no other.
        traced = TracedConsumer(client, tracing, group_id=getattr(client, "_group_id", None))
        patches.ends(traced._following)  # noqa: SLF001 - of this room
        return traced

    patches.methods(producer, _SENDING, lambda client: TracedProducer(client, tracing))
    patches.methods(consumer, _RECEIVING, traced_consumer)


_instrumentation = Instrumentation(patch)
