"""The cases of confluent-kafka: OpenTelemetry's instrumentation of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from robustness_sides import TRACE_HEADERS, Case, Recorded, Sealed, arrived
from robustness_stranger import PATIENCE, Stranger

from interceptors.confluent import TracedConsumer, TracedProducer

if TYPE_CHECKING:
    from robustness_sides import Scenario

LAST = b"last"


class Theirs(Recorded):
    """OpenTelemetry's instrumentation. It puts other classes into the module, or a proxy before an object."""

    def __init__(self) -> None:
        super().__init__()
        ConfluentKafkaInstrumentor().instrument(tracer_provider=self.provider, skip_dep_check=True)

    def consumer(self, settings: Any) -> Any:
        return confluent_kafka.Consumer(settings)

    def proxy(self, consumer: Any) -> Any:
        return ConfluentKafkaInstrumentor.instrument_consumer(consumer, self.provider)

    def producer_imported_before(self, settings: Any) -> Any:
        return Producer(settings)


class Ours(Sealed):
    def consumer(self, settings: Any) -> Any:
        return self.proxy(Consumer(settings))

    def proxy(self, consumer: Any) -> Any:
        return TracedConsumer(consumer, self.tracing)

    def producer_imported_before(self, settings: Any) -> Any:
        return TracedProducer(Producer(settings), self.tracing)


def reading(stranger: Stranger) -> dict[str, Any]:
    return {
        **stranger.settings,
        "group.id": stranger.topic,
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 100,
    }


def hostile(side: Theirs | Ours, address: str, *, count: int, at_once: int) -> str:
    stranger = Stranger(address)
    stranger.put_hostile(count, 1, "traceparent")
    consumer = side.consumer(reading(stranger))
    consumer.assign([TopicPartition(stranger.topic, 0, 0)])
    fetch = partial(consumer.consume, at_once) if at_once > 1 else lambda timeout: [consumer.poll(timeout)]
    received: list[bytes] = []
    raised: list[str] = []
    for _ in range(count // at_once):
        try:
            received += [message.value() for message in fetch(timeout=PATIENCE)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what happened
            raised.append(type(error).__name__)
    stranger.put((LAST, []))  # what comes next shows that nothing comes again
    received.append(fetch(timeout=PATIENCE)[0].value())
    assert received[-1] == LAST
    consumer.close()
    return arrived(received, count, raised)


def imported_before(side: Theirs | Ours, address: str) -> str:
    stranger = Stranger(address)
    producer = side.producer_imported_before(stranger.settings)
    producer.produce(stranger.topic, b"value", partition=0)
    producer.flush(PATIENCE)
    ((_, headers),) = stranger.wire(1)
    traced = sum(name in TRACE_HEADERS for name, _ in headers)
    return f"{traced} of 1 message carries a trace"


def proxied(side: Theirs | Ours, address: str, *, method: str) -> str:
    stranger = Stranger(address)
    stranger.put((b"value", []))
    client = Consumer(reading(stranger))
    place = [TopicPartition(stranger.topic, 0, 0)]
    client.assign(place)
    consumer = side.proxy(client)
    try:
        getattr(consumer, method)(place)
    except Exception as error:  # noqa: BLE001 - as above
        return f"raised {type(error).__name__}"
    client.close()
    return "worked"


SCENARIOS: dict[str, Scenario] = {
    "one of 3 messages has a `traceparent` that is not UTF-8; `poll`": partial(hostile, count=3, at_once=1),
    "one of 5 messages has a `traceparent` that is not UTF-8; `consume`": partial(
        hostile, count=5, at_once=5
    ),
    "`from confluent_kafka import Producer` came first": imported_before,
    "a consumer that is wrapped: `assign`": partial(proxied, method="assign"),
    "a consumer that is wrapped: `pause`": partial(proxied, method="pause"),
}
CASES = [
    Case("OpenTelemetry, confluent-kafka", what, scenario, Theirs, Ours)
    for what, scenario in SCENARIOS.items()
]
