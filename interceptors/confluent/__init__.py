"""Kafka, by confluent-kafka.

```python
producer = confluent.TracedProducer(Producer({...}), tracing)
consumer = confluent.TracedConsumer(Consumer({...}), tracing)
message = consumer.poll(1.0)
```

What belongs here: translation between confluent-kafka's types and the core's. What does not: any rule about
envelopes, verdicts or spans.
"""

from interceptors.errors import MissingExtraError

try:
    import confluent_kafka as _  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "confluent_kafka":
        raise
    raise MissingExtraError("confluent", "confluent_kafka") from None

from interceptors.confluent.aio import TracedAIOConsumer, TracedAIOProducer
from interceptors.confluent.consumer import TracedConsumer
from interceptors.confluent.handler import traced
from interceptors.confluent.instrumentation import instrument, uninstrument
from interceptors.confluent.message import TracedMessage
from interceptors.confluent.producer import TracedProducer

__all__ = [
    "TracedAIOConsumer",
    "TracedAIOProducer",
    "TracedConsumer",
    "TracedMessage",
    "TracedProducer",
    "instrument",
    "traced",
    "uninstrument",
]
