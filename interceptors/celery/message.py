"""A task's message, and how it becomes the core's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from interceptors.envelope import HEADER_NAME
from interceptors.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM = "celery"

_DELAY = re.compile(r"^(?:[01]\.){28}")
"""How Celery writes a countdown before a routing key, for RabbitMQ's queues of type quorum."""


def lasting_name(exchange: object, routing_key: object) -> str:
    """Give the name that a task is routed by: its routing key; to a fanout, which has none, the exchange.

    Args:
        exchange: a name, or kombu's Exchange, or nothing.
        routing_key: a name or nothing. A countdown that Celery has written before it is left off.
    """
    return _DELAY.sub("", _text(routing_key)) or _text(getattr(exchange, "name", exchange))


def sent(headers: Mapping[str, Any], exchange: object, routing_key: object, declare: object) -> Message:
    """Give the core's view of a task that is about to be published.

    Args:
        headers: of task protocol 2.
        exchange: where to.
        routing_key: likewise.
        declare: what is declared for it: the queue, where it is known.
    """
    name = lasting_name(exchange, routing_key)
    queue = _text(getattr(declare[0], "name", "")) if isinstance(declare, list) and len(declare) == 1 else ""
    return Message(SYSTEM, queue or name, None, _text(headers["task"]), _text(headers.get("id")), via=name)


def received(headers: Mapping[str, Any], delivery_info: Mapping[str, Any], queue: str = "") -> Message:
    """Give the core's view of a task that a worker has received.

    Args:
        headers: as they came; of any type each.
        delivery_info: the broker's word; on a transport that keeps it in the message, such as Redis's, the
            publisher's.
        queue: where it was taken from, where that is known.
    """
    task_id = _text(headers.get("id"))
    retries = headers.get("retries")
    redelivered = delivery_info.get("redelivered")
    name = lasting_name(delivery_info.get("exchange"), delivery_info.get("routing_key"))
    return Message(
        SYSTEM,
        queue or name,
        None,
        _text(headers.get("task")),
        task_id,
        (headers[HEADER_NAME],) if HEADER_NAME in headers else (),
        (task_id, retries if isinstance(retries, int) else 0),
        name,
        # Not there, where a transport doesn't say it of a message that comes for the first time.
        redelivered if isinstance(redelivered, bool) else None,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
