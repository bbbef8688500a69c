"""What is shown of names that no channel lists."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interceptors.policy.templates import TEMPORARY, template_of


@pytest.mark.parametrize(
    "name",
    [
        "",
        "orders",
        "orders.eu-west-1.v2",
        "orders.retry.5m",
        "checkout/orders:created",
        "amq.topic",
        "year2024",
        "deadbeef",
        "decade",
        "facade.dead.beef.cafe.decade",
        "größer",
        "a b\nc",
    ],
)
def test_a_plain_name_is_shown_as_it_is(name: str) -> None:
    assert template_of(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("orders.12345", "orders.{id}"),
        ("orders.12345.67890", "orders.{id}.{id}"),
        ("sms.+4915112345678", "sms.{id}"),
        ("inbox.buyer@example.com", "{id}"),
        ("inbox/buyer@example.com/new", "inbox/{id}/new"),
        ("reply-3f2504e0-4f89-11d3-9a0c-0305e82c3301", "reply-{id}"),
        ("reply-3F2504E04F8911D39A0C0305E82C3301", "reply-{id}"),
        ("session.0a1b2c3d4e5f", "session.{id}"),
        ("cart_0a1b2c3d4e5f60718293", "cart_{id}"),
        ("x12345abcdef1abcdef", "x{id}{id}"),
    ],
)
def test_what_seems_to_be_an_identifier_is_not_shown(name: str, shown: str) -> None:
    assert template_of(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
        "amq.rabbitmq.reply-to",
        "amq.rabbitmq.reply-to.g2dkABByYWJiaXRAbG9jYWxob3N0",
        "amq_0123456789abcdef0123456789abcdef",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301.reply.celery.pidbox",
    ],
)
def test_a_name_that_a_broker_or_client_has_made_up_is_temporary(name: str) -> None:
    assert template_of(name) == TEMPORARY


@pytest.mark.parametrize("name", ["x" * 256, "x" * 1_000_000, "ab1-" * 250_000, "a@" * 500_000])
def test_a_name_longer_than_any_brokers_is_not_looked_through(name: str) -> None:
    """That would take minutes."""
    assert template_of(name) == "{id}"
    assert template_of("x" * 255) == "x" * 255


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(max_size=300),
        st.text("01234567890abcdefABCDEF@.-_+/:{}gx ", max_size=300),
        st.builds("{}.reply.celery.pidbox".format, st.text(max_size=20)),
    )
)
@example("buyer@example@com")
@example("12345@example.com@example.com")
@example("abcdef1abcdefa12345g")
def test_every_name_has_a_template_and_a_template_is_its_own(name: str) -> None:
    shown = template_of(name)

    assert template_of(shown) == shown
    assert len(shown) <= max(len(name), len(TEMPORARY), len("{id}"))


@settings(deadline=None)
@given(st.text("ab./-_", max_size=20), st.integers(min_value=10**4), st.text("ab./-_", max_size=20))
def test_no_number_of_five_digits_is_shown(before: str, number: int, after: str) -> None:
    assert str(number) not in template_of(f"{before}{number}{after}")
