"""A marker that is put wherever a task can hold something is found nowhere that it should not be."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.celery.publishing import TracedProducer
from interceptors.envelope import HEADER_NAME
from interceptors.spans import to_otlp_json

if TYPE_CHECKING:
    from .conftest import Shop, Shops

MARK = "canary-58c1f0e7"


class Seen:
    """What there is to see of tasks that hold the marker."""

    def __init__(self, orders: Shop) -> None:
        self.reprs: list[str] = []

        @orders.task(bind=True)
        def place(self_: Any, *_: object, **__: object) -> str:
            request = self_.request
            self.reprs += [repr(request.receipt), repr(request.processing), repr(request.receipt.opened)]
            if request.headers["x-way"] == "fail":
                raise ValueError(MARK)
            if request.headers["x-way"] == "retry" and not request.retries:
                raise self_.retry(exc=ValueError(MARK), countdown=0)
            return MARK

        for way in ("return", "fail", "retry"):
            pending = place.apply_async((MARK,), {"key": MARK}, headers={"x-way": way, "x-name": MARK})
            with orders.worker():
                orders.result(pending)
        with orders.app.producer_or_acquire(None) as producer:
            self.reprs.append(repr(TracedProducer(producer, orders.tracing)))
        self.reprs.append(repr(orders.app.send_task.__self__))
        self.spans = [json.dumps(to_otlp_json(one)) for one in orders.spans("send") + orders.spans("process")]


@pytest.mark.parametrize("accept", ["required", "reject"])
def test_what_a_task_holds_is_seen_nowhere(
    shop: Shops, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="interceptors")
    orders = shop(policy={"default": {"accept": accept}})
    seen = Seen(orders)
    place = orders.app.tasks["place"]
    place.apply_async((MARK,), {"key": MARK}, headers={"x-way": "return", "x-name": MARK})
    message = orders.sent()
    headers = {name: value for name, value in message.headers.items() if name != "x-name"}
    orders.put(message, message.headers | {HEADER_NAME: MARK, "id": "another"})  # invalid
    orders.work_off()

    log = [
        text
        for one in caplog.records
        if one.name.startswith("interceptors")
        for text in (one.getMessage(), repr(vars(one)))
    ]
    assert len(seen.spans) == 8
    assert len(seen.reprs) >= 14
    assert log  # what does not open, or is refused, is said
    assert [text for text in [*seen.spans, *seen.reprs, *log, json.dumps(headers)] if MARK in text] == []
