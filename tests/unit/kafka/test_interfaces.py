"""The wrappers have the whole interface of what they wrap, argument for argument."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from interceptors.kafka import TracedBatch, TracedConsumer, TracedProducer

if TYPE_CHECKING:
    from interceptors import Tracing

WRAPPED: list[tuple[Any, Any]] = [
    (TracedProducer, AIOKafkaProducer),
    (TracedConsumer, AIOKafkaConsumer),
    (TracedBatch, BatchBuilder),
]


def public(kind: Any) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(function: Any) -> list[tuple[str, object, bool]]:
    return [
        (found.name, found.kind, found.default is found.empty)
        for found in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(("traced", "wrapped"), WRAPPED)
def test_what_is_traced_is_called_as_before(traced: Any, wrapped: Any) -> None:
    both = public(traced) & public(wrapped)

    assert both
    assert {name: parameters(getattr(traced, name)) for name in both} == {
        name: parameters(getattr(wrapped, name)) for name in both
    }


@pytest.mark.parametrize(("traced", "wrapped"), WRAPPED[:2])
async def test_the_rest_is_there_too_before_it_is_started(
    billing: Tracing, traced: Any, wrapped: Any
) -> None:
    bare = wrapped(bootstrap_servers="127.0.0.1:9")
    wrapper = traced(bare, billing)
    try:
        assert public(wrapped) - set(dir(wrapper)) == set()
        assert {name for name in public(wrapped) if not callable(getattr(wrapper, name, None))} == set()
        assert repr(wrapper) == f"{traced.__name__}({wrapped.__name__})"
    finally:
        await wrapper.stop()

    assert bare._closed


def test_a_batch_has_all_of_a_batch() -> None:
    assert public(BatchBuilder) - public(TracedBatch) == set()
