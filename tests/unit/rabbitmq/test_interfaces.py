"""The wrappers have the whole interface of what they wrap, argument for argument."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from aio_pika.queue import QueueIterator

from interceptors.rabbitmq import TracedExchange, TracedMessage, TracedQueue, TracedQueueIterator
from interceptors.rabbitmq.message import receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from aio_pika import IncomingMessage
    from aio_pika.abc import AbstractChannel

    from interceptors import Tracing
    from interceptors.rabbitmq import TracedChannel

WRAPPED: list[tuple[Any, Any]] = [
    (TracedExchange, aio_pika.Exchange),
    (TracedQueue, aio_pika.Queue),
    (TracedQueueIterator, QueueIterator),
    (TracedMessage, aio_pika.IncomingMessage),
]


def public(kind: Any) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(function: Any) -> list[tuple[str, object, bool]] | None:
    if not callable(function):
        return None
    return [
        (found.name, found.kind, found.default is found.empty)
        for found in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(("traced", "wrapped"), WRAPPED)
def test_what_is_traced_is_called_as_before(traced: Any, wrapped: Any) -> None:
    both = (public(traced) & public(wrapped)) - {"consume"}  # whose last arguments depend on the channel

    assert both
    assert {name: parameters(getattr(traced, name)) for name in both} == {
        name: parameters(getattr(wrapped, name)) for name in both
    }


async def test_the_rest_is_there_too(sending: TracedChannel, raw: AbstractChannel) -> None:
    queue = await sending.declare_queue("orders")
    untraced = await raw.get_queue("orders")
    pairs: list[tuple[Any, Any]] = [
        (sending, raw),
        (queue, untraced),
        (sending.default_exchange, raw.default_exchange),
        (queue.iterator(), untraced.iterator()),
    ]

    for traced, wrapped in pairs:
        assert public(wrapped) - set(dir(traced)) == set()
        assert repr(traced) == f"{type(traced).__name__}({type(wrapped).__name__})"


def test_a_message_has_all_of_a_message(billing: Tracing, sealed: Callable[[], IncomingMessage]) -> None:
    wrapped = sealed()

    assert public(wrapped) - set(dir(receive(billing, wrapped, "orders", "consumer"))) == set()
