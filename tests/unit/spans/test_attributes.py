from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.policy.templates import template_of
from interceptors.spans import Operation
from interceptors.spans.attributes import attributes, name_of, repeating, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.spans import Span


def test_what_is_not_set_is_not_said(make_span: Callable[..., Span]) -> None:
    assert attributes(make_span()) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "interceptors.tenant": "acme",
    }


def test_a_number_that_is_zero_is_said(make_span: Callable[..., Span]) -> None:
    said = attributes(make_span(partition=0, offset=0, batch_size=0, queue_time_ms=0))
    assert {name: value for name, value in said.items() if value in (0, "0")} == {
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.batch.message_count": 0,
        "interceptors.queue_time_ms": 0,
    }


def test_labels_are_said_under_their_own_names(make_span: Callable[..., Span]) -> None:
    assert attributes(make_span(labels={"region": "north"}))["region"] == "north"


def test_a_name_in_the_place_of_an_identifying_one_is_a_template(make_span: Callable[..., Span]) -> None:
    said = attributes(make_span(channel="mail.{id}"))
    assert said["messaging.destination.name"] == said["messaging.destination.template"] == "mail.{id}"
    assert "messaging.destination.temporary" not in said


def test_a_destination_is_said_to_be_temporary(make_span: Callable[..., Span]) -> None:
    said = attributes(make_span(channel=template_of("amq.gen-JzTY20BRgKO")))
    assert said["messaging.destination.temporary"] is True
    assert "messaging.destination.template" not in said


@pytest.mark.parametrize("name", ["service.name", "error.type", "messaging.kafka.offset"])
def test_a_label_takes_no_place_of_ours(make_span: Callable[..., Span], name: str) -> None:
    plain = attributes(make_span(offset=7))
    assert attributes(make_span(offset=7, labels={name: "mine"})) == plain


def test_operations_of_one_name_and_different_kinds_have_different_things_in_common(
    make_span: Callable[..., Span],
) -> None:
    one, batch = make_span(operation=Operation.SEND), make_span(operation=Operation.SEND_BATCH)
    assert attributes(one) == attributes(batch)
    assert repeating(one) != repeating(batch)


def test_a_span_is_named_for_its_operation_and_channel(make_span: Callable[..., Span]) -> None:
    assert name_of(make_span(operation=Operation.ACK, channel="\ud800rders")) == "ack ?rders"


@pytest.mark.parametrize(("given", "said"), [("größe", "größe"), ("a\ud800b", "a?b"), ("", "")])
def test_a_text_is_what_utf8_can_say(given: str, said: str) -> None:
    assert text(given) == said
