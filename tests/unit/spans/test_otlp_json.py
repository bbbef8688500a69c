from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from interceptors.context import TraceContext
from interceptors.spans import Link, Operation, to_otlp_json
from interceptors.spans.attributes import LINK_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.spans import Span

START = 1_790_000_000_000_000_000


def attributes(written: dict[str, Any]) -> dict[str, object]:
    return {attribute["key"]: next(iter(attribute["value"].values())) for attribute in written["attributes"]}


def test_the_least_that_a_span_says(make_span: Callable[..., Span]) -> None:
    assert to_otlp_json(make_span()) == {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "flags": 3,
        "name": "send orders",
        "kind": 4,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 5),
        "attributes": [
            {"key": "service.name", "value": {"stringValue": "checkout"}},
            {"key": "messaging.system", "value": {"stringValue": "kafka"}},
            {"key": "messaging.operation.name", "value": {"stringValue": "send"}},
            {"key": "messaging.operation.type", "value": {"stringValue": "send"}},
            {"key": "messaging.destination.name", "value": {"stringValue": "orders"}},
            {"key": "interceptors.tenant", "value": {"stringValue": "acme"}},
        ],
        "links": [],
        "status": {},
    }


def test_the_most_that_a_span_says(make_span: Callable[..., Span]) -> None:
    written = to_otlp_json(
        make_span(
            operation=Operation.PROCESS,
            parent_span_id=b"\x01" * 8,
            error_type="TimeoutError",
            sender="billing",
            verdict="invalid",
            answer="not authentic",
            links=(Link(b"\x02" * 16, b"\x03" * 8), Link(b"\x04" * 16, b"\x05" * 8)),
            partition=0,
            offset=0,
            consumer_group="workers",
            batch_size=7,
            tombstone=True,
            task_name="orders.charge",
            queue_time_ms=0,
        )
    )
    assert (written["name"], written["kind"]) == ("process orders", 5)
    assert written["parentSpanId"] == "01" * 8
    assert written["status"] == {"code": 2}
    assert written["links"] == [
        {"traceId": "02" * 16, "spanId": "03" * 8},
        {"traceId": "04" * 16, "spanId": "05" * 8},
    ]
    assert attributes(written) == {
        "service.name": "checkout",
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": "0",
        "messaging.kafka.message.tombstone": True,
        "messaging.consumer.group.name": "workers",
        "messaging.batch.message_count": "7",
        "celery.task_name": "orders.charge",
        "error.type": "TimeoutError",
        "interceptors.tenant": "acme",
        "interceptors.sender": "billing",
        "interceptors.verdict": "invalid",
        "interceptors.answer": "not authentic",
        "interceptors.queue_time_ms": "0",
    }


def test_a_settlement_is_named_for_what_was_done_and_is_of_one_type(make_span: Callable[..., Span]) -> None:
    written = to_otlp_json(make_span(operation=Operation.NACK))
    said = attributes(written)
    assert (written["name"], written["kind"]) == ("nack orders", 3)
    assert (said["messaging.operation.name"], said["messaging.operation.type"]) == ("nack", "settle")


def test_each_value_is_written_as_its_type(make_span: Callable[..., Span]) -> None:
    written: dict[str, Any] = to_otlp_json(make_span(partition=3, offset=4, tombstone=True))
    values = {attribute["key"]: attribute["value"] for attribute in written["attributes"]}
    assert values["messaging.destination.partition.id"] == {"stringValue": "3"}
    assert values["messaging.kafka.offset"] == {"intValue": "4"}
    assert values["messaging.kafka.message.tombstone"] == {"boolValue": True}
    written = to_otlp_json(make_span(queue_time_ms=1500))
    assert written["attributes"][-1] == {  # type: ignore[index]  # a list
        "key": "interceptors.queue_time_ms",
        "value": {"intValue": "1500"},
    }


def test_more_links_than_the_limit_are_counted(make_span: Callable[..., Span]) -> None:
    links = [Link(bytes(16), number.to_bytes(8)) for number in range(LINK_LIMIT + 1)]
    assert "droppedLinksCount" not in to_otlp_json(make_span(links=tuple(links[:-1])))
    written: dict[str, Any] = to_otlp_json(make_span(links=tuple(links)))
    assert [link["spanId"] for link in written["links"]] == [link.span_id.hex() for link in links[:-1]]
    assert written["droppedLinksCount"] == 1


def test_labels_of_the_envelope_stay_in_it(make_span: Callable[..., Span]) -> None:
    context = TraceContext(b"\xab" * 16, b"\xcd" * 8, labels={"region": "north"})
    assert "north" not in json.dumps(to_otlp_json(make_span(context=context)))
