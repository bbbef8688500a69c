"""Batches whose messages no longer fit once they are sealed: none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from interceptors import Tracing
from interceptors.envelope import HEADER_NAME
from interceptors.headers import envelopes
from interceptors.kafka.batch import TOO_LARGE, TracedBatch
from interceptors.spans import MemorySink, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.keys import MemoryKeys

SIZE = 2_000
POLICY = {"default": {"payload": {"on_leak": "tokenize"}}}


def batch_of(value: bytes, tracing: Tracing) -> TracedBatch:
    """As many messages as a batch takes."""
    batch = TracedBatch(tracing, lambda: BatchBuilder(SIZE, 0), lambda key, value: (key, value))
    while batch.append(timestamp=1_000, key=None, value=value) is not None:
        pass
    return batch


@pytest.fixture
def spans() -> MemorySink:
    return MemorySink()


@pytest.fixture
def tracing(keys: MemoryKeys, spans: MemorySink) -> Iterator[Tracing]:
    with Tracing.for_development("checkout", keys=keys, sink=spans, policy=POLICY) as made:
        yield made


def test_messages_that_tokens_make_larger_go_without_their_envelopes(tracing: Tracing) -> None:
    batch = batch_of(b'{"to": "a@b.io"}' * 3, tracing)
    _, built = batch.seal("orders")

    records = list(DefaultRecordBatch(bytes(built._build())))

    assert len(records) == batch.record_count()
    assert not batch.has_envelopes
    assert [envelopes(record.headers) for record in records] == [()] * len(records)
    assert all(b"a@b.io" not in record.value for record in records)
    assert tracing.counts[TOO_LARGE] == 1


def test_the_policy_is_asked_once_for_a_batch(tracing: Tracing, swapped_policies: list[str]) -> None:
    names = []
    for _ in range(2):
        batch = TracedBatch(tracing, lambda: BatchBuilder(SIZE, 0), lambda key, value: (key, value))
        for value in (b"1", b"2"):
            batch.append(timestamp=1, key=None, value=value, headers=[("traceparent", b"00-in-clear")])
        _, built = batch.seal("orders")
        records = DefaultRecordBatch(bytes(built._build()))
        names.append((batch.seals, [[name for name, _ in record.headers] for record in records]))

    assert swapped_policies == ["sealed", "none"]
    assert names == [(True, [[HEADER_NAME]] * 2), (False, [["traceparent"]] * 2)]


def test_messages_that_tokens_make_too_large_are_refused_and_not_lost(
    tracing: Tracing, spans: MemorySink
) -> None:
    batch = batch_of(b'{"to": "a@b.io"}' * 30, tracing)

    with pytest.raises(MessageSizeTooLargeError):
        batch.seal("orders")

    assert tracing.flush()
    *created, sent = spans.spans
    assert {(span.operation, span.error_type) for span in created} == {(Operation.CREATE, None)}
    assert (sent.operation, sent.error_type) == (Operation.SEND_BATCH, "MessageSizeTooLargeError")
