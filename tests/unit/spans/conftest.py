"""Spans to record and export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.context import TraceContext
from interceptors.spans import Operation, Span

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_790_000_000_000_000_000


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
