from __future__ import annotations

from array import array

import pytest

from interceptors.message import Message, size_of


def test_the_repr_shows_where_a_message_goes_and_nothing_else() -> None:
    message = Message(
        "kafka",
        "orders",
        body=b"customer 4711",
        type="customer-4711",
        id="customer-4711",
        envelopes=(b"4711",),
        coordinate=("orders", 0, 4711),
        via="customer-4711",
        redelivered=True,
    )

    assert repr(message) == "Message(system='kafka', destination='orders')"


def test_a_message_is_what_its_bus_has_and_else_empty() -> None:
    message = Message("kafka", "orders")

    assert (message.body, message.type, message.id) == (None, "", "")
    assert (message.envelopes, message.coordinate) == ((), None)
    assert (message.via, message.redelivered) == ("", None)


def test_a_message_does_not_change() -> None:
    message = Message("kafka", "orders")

    with pytest.raises(AttributeError):
        message.destination = "refunds"  # type: ignore[misc]  # that it can't be is what is tested


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (b"", 0),
        (b"2 apples", 8),
        (bytearray(3), 3),
        (memoryview(array("I", [1, 2])), 2 * array("I").itemsize),
        (None, None),
        ("text", None),
        ({"not": "bytes"}, None),
    ],
)
def test_the_size_of_a_body_is_that_of_its_bytes(body: object, size: int | None) -> None:
    assert size_of(body) == size


def test_a_view_that_was_released_has_no_size() -> None:
    view = memoryview(b"2 apples")
    view.release()
    assert size_of(view) is None
