"""A task's message, and how it becomes the core's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interceptors.envelope import HEADER_NAME
from interceptors.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM = "celery"


def destination(exchange: object, routing_key: object) -> str:
    """Give the queue that a task goes to, by its routing key; of a fanout, which has none, the exchange.

    Args:
        exchange: a name, or kombu's Exchange, or nothing.
        routing_key: a name or nothing.
    """
    return _text(routing_key) or _text(getattr(exchange, "name", exchange))


def sent(headers: Mapping[str, Any], exchange: object, routing_key: object) -> Message:
    """Give the core's view of a task that is about to be published.

    Args:
        headers: of task protocol 2.
        exchange: where to.
        routing_key: likewise.
    """
    return Message(
        SYSTEM, destination(exchange, routing_key), None, _text(headers["task"]), _text(headers.get("id"))
    )


def received(headers: Mapping[str, Any], delivery_info: Mapping[str, Any]) -> Message:
    """Give the core's view of a task that a worker has received.

    Args:
        headers: as they came; of any type each.
        delivery_info: the broker's word; on a transport that keeps it in the message, such as Redis's, the
            publisher's.
    """
    task_id = _text(headers.get("id"))
    retries = headers.get("retries")
    return Message(
        SYSTEM,
        destination(delivery_info.get("exchange"), delivery_info.get("routing_key")),
        None,
        _text(headers.get("task")),
        task_id,
        (headers[HEADER_NAME],) if HEADER_NAME in headers else (),
        (task_id, retries if isinstance(retries, int) else 0),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
