"""What a received record becomes, whatever its headers hold."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import HEADER_NAME
from interceptors.kafka.record import process

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import ConsumerRecord

    from interceptors import Tracing
    from interceptors.context import TraceContext
    from interceptors.kafka import TracedRecord
    from interceptors.spans import MemorySink

    RawRecord = Callable[..., tuple[ConsumerRecord, TraceContext]]
    Received = Callable[[ConsumerRecord], TracedRecord]

HOSTILE: list[Any] = [None, "", "text", b"", b"\xff", bytearray(b"\x11"), memoryview(b"\x11"), 1, 1.5, [], {}]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", [HEADER_NAME, "traceparent", ""])
def test_no_header_raises_or_costs_the_record(
    received: Received, raw_record: RawRecord, name: str, value: Any
) -> None:
    raw, _ = raw_record()
    raw.headers = (("name", b"value"), (name, value))

    record = received(raw)

    assert record.value == b"value"
    assert record.headers == (raw.headers[:1] if name == HEADER_NAME else raw.headers)
    assert record.receipt.verdict == ("invalid" if name == HEADER_NAME else None)


@pytest.mark.parametrize("body", [None, b"", "text", {"a": 1}, object()])
def test_no_body_raises_or_costs_the_record(received: Received, raw_record: RawRecord, body: Any) -> None:
    raw, _ = raw_record()
    raw.value = body

    assert received(raw).value is body


def test_a_received_record_is_a_record_with_all_its_fields(received: Received, raw_record: RawRecord) -> None:
    raw, parent = raw_record()
    before = copy.copy(raw)

    record = received(raw)

    names = [field.name for field in dataclasses.fields(raw) if field.name != "headers"]
    assert isinstance(record, type(raw))
    assert [getattr(record, name) for name in names] == [getattr(raw, name) for name in names]
    assert raw == before
    assert record.receipt.parent == parent


def test_its_repr_shows_where_it_lies_and_nothing_that_it_holds(
    received: Received, raw_record: RawRecord
) -> None:
    record = received(raw_record(b"secret", offset=5)[0])

    assert repr(record) == "TracedRecord('orders', partition=0, offset=5)"


def test_a_record_is_processed_under_one_span_while_that_is_open(
    billing: Tracing, spans: MemorySink, received: Received, raw_record: RawRecord
) -> None:
    record = received(raw_record()[0])
    with process(billing, record) as outer, process(billing, record) as inner:
        assert inner is outer
    with process(billing, record) as again:
        assert again is not outer

    assert billing.flush()
    assert len(spans.spans) == 2


def pickled(record: TracedRecord) -> Any:
    return pickle.loads(pickle.dumps(record))  # noqa: S301 - what the line itself has pickled


@pytest.mark.parametrize("duplicate", [pickled, copy.deepcopy, copy.copy])
def test_a_record_is_copied_with_what_its_envelope_said_and_without_the_processing_that_is_open(
    billing: Tracing,
    received: Received,
    raw_record: RawRecord,
    duplicate: Callable[[TracedRecord], Any],
) -> None:
    record = received(raw_record(b"value", offset=5)[0])
    with process(billing, record) as processing:
        copied = duplicate(record)
        with process(billing, copied) as another:
            assert another is not processing

    assert type(copied) is type(record)
    assert copied == record
    assert copied.receipt == record.receipt
    assert (copied.receipt.verdict, copied.receipt.tenant, copied.receipt.sender) == (
        "fresh",
        "acme",
        "checkout",
    )
    assert copied.group == "invoices"
    assert record.processing is processing


def test_a_record_that_was_made_anew_can_not_be_processed_and_says_which_can(
    billing: Tracing, received: Received, raw_record: RawRecord
) -> None:
    anew = dataclasses.replace(received(raw_record()[0]), value=b"another")

    with pytest.raises(TypeError, match="only a record that a TracedConsumer or `traced` has handed out"):
        process(billing, anew)
