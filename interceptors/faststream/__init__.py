"""FastStream, over Kafka and over RabbitMQ.

```python
from interceptors.faststream.kafka import TracedMiddleware
broker = KafkaBroker(..., middlewares=[TracedMiddleware(tracing)])
```

What belongs here: translation between FastStream's commands and messages and those of the client below it,
which `interceptors.kafka` and `interceptors.rabbitmq` trace; a module for each bus, since a program has the
client of its own bus only. What does not: any rule about envelopes, verdicts or spans, and anything that a
bus's adapter does already.
"""

from interceptors.errors import MissingExtraError

try:
    import faststream as _  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "faststream":
        raise
    raise MissingExtraError("faststream", "faststream") from None
