"""Verifying a task's message is total: any header of any type gives a receipt."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interceptors import Tracing, Verdict
from interceptors.celery.message import lasting_name, received, sent
from interceptors.celery.working import receive
from interceptors.envelope import HEADER_NAME, to_text
from interceptors.keys import MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)  # surrogates that stand alone included
    | st.binary(max_size=200)
    | st.binary(max_size=200).map(bytearray)
    | st.just(Decimal("1.5"))
    | st.just(datetime(2026, 1, 1, tzinfo=UTC))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
telling = st.sampled_from(["id", "task", "retries", "lang", "root_id", "headers", "eta", HEADER_NAME])
names = telling | st.text(max_size=8)
infos = st.dictionaries(
    st.sampled_from(["exchange", "routing_key", "priority", "redelivered"]), values, max_size=4
)


@pytest.fixture(scope="module")
def tracings() -> Iterator[list[Tracing]]:
    """Of three policies."""
    keys = MemoryKeys("store")
    with contextlib.ExitStack() as closing:
        yield [
            closing.enter_context(
                Tracing.for_development(
                    "shop", keys=keys, policy={"default": {"accept": accept, "binding": binding}}
                )
            )
            for accept, binding in (("optional", "type"), ("required", "message"), ("reject", "channel"))
        ]


class Exchange:
    """One of kombu's, which has its name as an attribute."""

    def __init__(self, name: object) -> None:
        self.name = name


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(headers=st.dictionaries(names, values, max_size=6), info=infos, body=values, which=st.integers(0, 2))
def test_any_headers_give_a_receipt(
    tracings: list[Tracing], headers: dict[str, Any], info: dict[str, Any], body: object, which: int
) -> None:
    receipt = receive(tracings[which], received(headers, info, body))
    assert receipt.opened is None
    assert receipt.verdict in {None, Verdict.MISSING, Verdict.INVALID}
    assert (receipt.verdict is Verdict.INVALID) is (HEADER_NAME in headers)
    assert receipt.rejected is (which == 2)


@settings(deadline=None)
@given(headers=st.dictionaries(names, values, max_size=6), info=infos)
def test_whatever_stands_beside_it_an_envelope_opens_where_it_belongs(
    tracings: list[Tracing], headers: dict[str, Any], info: dict[str, Any]
) -> None:
    own = {"task": "place", "id": "1"}
    tracing = tracings[0]
    envelope = tracing.send(sent(own, "", "orders", b"[]")).envelope
    assert envelope is not None
    given_headers = headers | own | {HEADER_NAME: to_text(envelope)}
    receipt = receive(tracing, received(given_headers, info | {"exchange": "", "routing_key": "orders"}))
    assert receipt.verdict is Verdict.FRESH


@pytest.mark.parametrize(
    ("exchange", "routing_key", "name"),
    [
        ("", "orders", "orders"),
        ("direct", "orders", "orders"),
        ("fanout", "", "fanout"),
        (Exchange("fanout"), None, "fanout"),
        (Exchange(None), None, ""),
        (None, None, ""),
        ("celery_delayed_27", "0." * 27 + "1.orders", "orders"),
        ("celery_delayed_27", "0.1.orders", "0.1.orders"),
        (7, b"orders", ""),
    ],
)
def test_a_queue_is_named_by_its_routing_key(exchange: object, routing_key: object, name: str) -> None:
    assert lasting_name(exchange, routing_key) == name
