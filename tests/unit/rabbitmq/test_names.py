"""Which names are worth remembering."""

from __future__ import annotations

import pytest

from interceptors.rabbitmq.names import lasting_name


@pytest.mark.parametrize(
    "name", ["", "orders", "amq.topic", "amq_orders", "amq.rabbitmq.reply-to", "amq.gen"]
)
def test_a_name_that_somebody_gave_stays(name: str) -> None:
    assert lasting_name(name) == name


@pytest.mark.parametrize(
    ("name", "lasting"),
    [
        ("amq.gen-3xkq_-Zb0tXvYo3Yl1J2Qg", "amq.gen"),
        ("amq_0123456789abcdef0123456789abcdef", "amq.gen"),
        ("amq.rabbitmq.reply-to.g1h2AAAPcmVwbHk=.Zm9v", "amq.rabbitmq.reply-to"),
    ],
)
def test_a_name_that_was_made_up_is_one_for_all_of_its_kind(name: str, lasting: str) -> None:
    assert lasting_name(name) == lasting
