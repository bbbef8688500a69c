"""Spans to record and export."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.context import TraceContext
from interceptors.spans import Operation, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START = 1_790_000_000_000_000_000
DEADLINE = 30
"""Seconds after which a test fails rather than wait on."""


@pytest.fixture
def make_span() -> Callable[..., Span]:
    """Makes an ended span; what is not given is as little as a span can be."""

    def make(**fields: Any) -> Span:
        usual: dict[str, Any] = {
            "operation": Operation.SEND,
            "system": "kafka",
            "channel": "orders",
            "context": TraceContext(b"\xab" * 16, b"\xcd" * 8),
            "parent_span_id": None,
            "start": START,
            "service": "checkout",
            "tenant": "acme",
            "end": START + 5,
        }
        return Span(**(usual | fields))

    return make


class GatedSink:
    """Says that a batch has come, and keeps it until it is let through."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.gate = threading.Event()
        self.batches: list[int] = []
        self.timeouts: list[float] = []

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        self.came.set()
        assert self.gate.wait(DEADLINE)
        self.batches.append(len(spans))
        self.timeouts.append(timeout)
        return 0

    def close(self) -> None:
        pass


@pytest.fixture
def gated_sink() -> Callable[[], GatedSink]:
    """Makes sinks that keep what they are given until they are let go on."""
    return GatedSink
