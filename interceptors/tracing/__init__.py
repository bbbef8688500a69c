"""`Tracing`: configuration wired to the core, and what the adapters are given.

What belongs here: the configuration, the one object that a program passes around, the scopes of sending and
processing a message, and the helper that adapters delegate through. What does not: a bus, and the order of
the steps (`pipeline`).
"""

from interceptors.tracing.configuration import Configuration
from interceptors.tracing.delegate import Delegate
from interceptors.tracing.scopes import Processing, Sending
from interceptors.tracing.tracing import Tracing

__all__ = ["Configuration", "Delegate", "Processing", "Sending", "Tracing"]
