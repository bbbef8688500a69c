"""Kafka, by aiokafka.

```python
producer = kafka.TracedProducer(AIOKafkaProducer(...), tracing)
consumer = kafka.TracedConsumer(AIOKafkaConsumer(...), tracing)
async for record in consumer: ...
```

What belongs here: translation between aiokafka's types and the core's. What does not: any rule about
envelopes, verdicts or spans.
"""

from interceptors.errors import MissingExtraError

try:
    import aiokafka as _  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "aiokafka":
        raise
    raise MissingExtraError("kafka", "aiokafka") from None

from interceptors.kafka.batch import TracedBatch
from interceptors.kafka.consumer import TracedConsumer
from interceptors.kafka.handler import traced
from interceptors.kafka.instrumentation import instrument, uninstrument
from interceptors.kafka.producer import TracedProducer
from interceptors.kafka.record import TracedRecord

__all__ = [
    "TracedBatch",
    "TracedConsumer",
    "TracedProducer",
    "TracedRecord",
    "instrument",
    "traced",
    "uninstrument",
]
