"""Celery.

```python
app = Celery("shop", broker=...)
celery.connect(app, tracing)
```

What belongs here: translation between Celery's messages, events and requests and the core's. What does not:
any rule about envelopes, verdicts or spans.
"""

from interceptors.errors import MissingExtraError

try:
    import celery as _  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "celery":
        raise
    raise MissingExtraError("celery", "celery") from None

from interceptors.celery.connection import connect
from interceptors.celery.instrumentation import instrument, uninstrument

__all__ = ["connect", "instrument", "uninstrument"]
