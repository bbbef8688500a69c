from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from interceptors.spans import Kind, Link, Operation, Span

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("operation", "name", "type_", "kind"),
    [
        (Operation.CREATE, "create", "create", Kind.PRODUCER),
        (Operation.SEND, "send", "send", Kind.PRODUCER),
        (Operation.SEND_BATCH, "send", "send", Kind.CLIENT),
        (Operation.RECEIVE, "receive", "receive", Kind.CLIENT),
        (Operation.PROCESS, "process", "process", Kind.CONSUMER),
        (Operation.ACK, "ack", "settle", Kind.CLIENT),
        (Operation.NACK, "nack", "settle", Kind.CLIENT),
        (Operation.REJECT, "reject", "settle", Kind.CLIENT),
    ],
)
def test_an_operation_has_its_name_type_and_kind_of_the_conventions(
    operation: Operation, name: str, type_: str, kind: Kind
) -> None:
    assert (operation.operation, operation.type, operation.kind) == (name, type_, kind)


def test_each_operation_is_one_of_its_own() -> None:
    # Members of an Enum whose values are equal would be one.
    assert len(Operation) == len({(operation.operation, operation.kind) for operation in Operation}) == 8


def test_the_kinds_have_otlps_numbers() -> None:
    assert (Kind.CLIENT, Kind.PRODUCER, Kind.CONSUMER) == (3, 4, 5)


def test_a_span_has_no_place_for_anything_else(make_span: Callable[..., Span]) -> None:
    with pytest.raises(AttributeError):
        make_span().body = b"body"  # type: ignore[attr-defined]  # that there is none is the test


def test_no_field_of_a_span_takes_text_that_a_message_could_bring() -> None:
    # A new field is a decision: it is added here when it has been thought about.
    assert {field.name for field in dataclasses.fields(Span) if "str" in str(field.type)} == {
        "system",
        "channel",
        "service",
        "tenant",
        "error_type",
        "sender",
        "verdict",
        "answer",
        "consumer_group",
        "labels",  # the policy says which, and which values
        "task_name",  # the program's own: a worker runs no task that it has not registered
    }


def test_the_repr_shows_neither_ids_nor_whose_it_is(make_span: Callable[..., Span]) -> None:
    span = make_span(links=(Link(b"\xab" * 16, b"\xcd" * 8),), error_type="TimeoutError")
    assert repr(span) == "Span(send 'orders', error_type='TimeoutError')"
    assert repr(span.links) == "(Link(),)"
