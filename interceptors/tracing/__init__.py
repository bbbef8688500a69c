"""`Tracing`: configuration wired to the core, and what the adapters are given.

What belongs here: the configuration, the one object that a program passes around, the scopes of sending,
processing and settling a message, and what more than one adapter needs: the helper that they delegate
through, the decorator of handlers, the processings that a consumer opens by itself, the detour by which keys
are fetched off the event loop. What does not: a bus, and the order of the steps (`pipeline`).
"""

from interceptors.tracing.configuration import Configuration
from interceptors.tracing.configured import configured
from interceptors.tracing.delegate import Delegate
from interceptors.tracing.following import Following
from interceptors.tracing.handler import Handling, handler
from interceptors.tracing.hooks import Hook, SpanView
from interceptors.tracing.off_loop import off_loop
from interceptors.tracing.options import Options
from interceptors.tracing.peers import without_peers
from interceptors.tracing.scopes import OpenSpan, Processing, Sending
from interceptors.tracing.tracing import Tracing

__all__ = [
    "Configuration",
    "Delegate",
    "Following",
    "Handling",
    "Hook",
    "OpenSpan",
    "Options",
    "Processing",
    "Sending",
    "SpanView",
    "Tracing",
    "configured",
    "handler",
    "off_loop",
    "without_peers",
]
