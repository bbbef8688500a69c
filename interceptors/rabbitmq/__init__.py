"""RabbitMQ, by aio-pika.

```python
channel = rabbitmq.TracedChannel(await connection.channel(), tracing)
queue = await channel.declare_queue("orders")
await channel.default_exchange.publish(aio_pika.Message(b"…"), "orders")
async with queue.iterator() as messages:
    async for message in messages: ...
```

What belongs here: translation between aio-pika's types and the core's. What does not: any rule about
envelopes, verdicts or spans.
"""

from interceptors.errors import MissingExtraError

try:
    import aio_pika as _  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "aio_pika":
        raise
    raise MissingExtraError("rabbitmq", "aio_pika") from None

from interceptors.rabbitmq.channel import TracedChannel
from interceptors.rabbitmq.exchange import TracedExchange
from interceptors.rabbitmq.handler import traced
from interceptors.rabbitmq.instrumentation import instrument, uninstrument
from interceptors.rabbitmq.iterator import TracedQueueIterator
from interceptors.rabbitmq.message import TracedMessage
from interceptors.rabbitmq.queue import TracedQueue

__all__ = [
    "TracedChannel",
    "TracedExchange",
    "TracedMessage",
    "TracedQueue",
    "TracedQueueIterator",
    "instrument",
    "traced",
    "uninstrument",
]
