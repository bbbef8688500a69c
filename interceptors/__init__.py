"""Sealed, privacy-preserving tracing for message buses.

```python
from interceptors import Tracing, kafka

tracing = Tracing.from_file("interceptors.yaml")
producer = kafka.TracedProducer(AIOKafkaProducer(...), tracing)
consumer = kafka.TracedConsumer(AIOKafkaConsumer(...), tracing)
```

What belongs here: the few names that most users need. What does not: an adapter; each is imported by its
own name, and asks for its extra.
"""

from interceptors.errors import (
    AuditError,
    ConfigurationError,
    EnvelopeError,
    InterceptorError,
    KeyProviderError,
    LeakError,
    MissingExtraError,
    PolicyError,
    RejectedError,
    SignatureError,
    TokenError,
    TrustError,
)
from interceptors.replay import Verdict
from interceptors.tracing import Tracing

__all__ = [
    "AuditError",
    "ConfigurationError",
    "EnvelopeError",
    "InterceptorError",
    "KeyProviderError",
    "LeakError",
    "MissingExtraError",
    "PolicyError",
    "RejectedError",
    "SignatureError",
    "TokenError",
    "Tracing",
    "TrustError",
    "Verdict",
]
