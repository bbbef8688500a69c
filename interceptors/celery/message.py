"""A task's message, and how it becomes the core's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kombu.transport.virtual.exchange import TopicExchange

from interceptors.envelope import HEADER_NAME
from interceptors.headers import died_in
from interceptors.message import Message, bounded_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SYSTEM = "celery"
QUOTES = ("argsrepr", "kwargsrepr")
"""The headers in which Celery quotes the arguments of a task."""

_FIXED = frozenset(
    {
        *("id", "task", "lang", "root_id", "parent_id", "group", "group_index", "retries"),
        *("eta", "expires", "timelimit", "ignore_result", "replaced_task_nesting", "stamped_headers"),
    }
)
"""The headers of a task that Celery itself goes by."""
_METADATA = frozenset({*QUOTES, "origin"})
"""What it tells of a task besides: of its arguments, and of the host that sends it."""
_topic = TopicExchange(None)
_DELAY = re.compile(r"^(?:[01]\.){28}")
"""How Celery writes a countdown before a routing key, for RabbitMQ's queues of type quorum."""


def lasting_name(exchange: object, routing_key: object) -> str:
    """Give the name that a task is routed by: its routing key; to a fanout, which has none, the exchange.

    Args:
        exchange: a name, or kombu's Exchange, or nothing.
        routing_key: a name or nothing. A countdown that Celery has written before it is left off.
    """
    return _DELAY.sub("", _text(routing_key)) or _text(getattr(exchange, "name", exchange))


def sent(headers: Mapping[str, Any], exchange: object, routing_key: object, body: bytes | None) -> Message:
    """Give the core's view of a task that is about to be published.

    Args:
        headers: of task protocol 2, without an envelope.
        exchange: where to.
        routing_key: likewise.
        body: serialized, and not compressed.
    """
    return Message(
        system=SYSTEM,
        destination=lasting_name(exchange, routing_key),
        body=body,
        type=_text(headers["task"]),
        id=_text(headers.get("id")),
        headers=list(headers.items()),
        fixed=_FIXED,
        task_metadata=_METADATA,
    )


def received(
    headers: Mapping[str, Any],
    delivery_info: Mapping[str, Any],
    body: object = None,
    queues: Iterable[Any] = (),
) -> Message:
    """Give the core's view of a task that a worker has received.

    Args:
        headers: as they came; of any type each.
        delivery_info: the broker's word; on a transport that keeps it in the message, such as Redis's, the
            publisher's.
        body: serialized, and not compressed.
        queues: those of the worker, kombu's.
    """
    task_id = _text(headers.get("id"))
    retries = headers.get("retries")
    name = lasting_name(delivery_info.get("exchange"), delivery_info.get("routing_key"))
    guards = tuple(_guards(name, queues))
    # The flag is not there, where a transport doesn't say it of a message that comes for the first time.
    flag = delivery_info.get("redelivered")
    again = died_in(guards, headers.items())
    return Message(
        system=SYSTEM,
        destination=name,
        body=body.encode() if isinstance(body, str) else body,
        type=_text(headers.get("task")),
        id=task_id,
        envelopes=(headers[HEADER_NAME],) if HEADER_NAME in headers else (),
        coordinate=(bounded_id(task_id), retries if isinstance(retries, int) else 0),
        guards=guards,
        redelivered=True if again else flag if isinstance(flag, bool) else None,
        headers=tuple(header for header in headers.items() if header[0] != HEADER_NAME),
    )


def _guards(name: str, queues: Iterable[Any]) -> Iterator[str]:
    """Give the names of the queues that a message may have been taken from, as far as can be told.

    It is those that it may have been routed to by its name. Where it can't have been to any, the publisher
    may have made the name up, and it may be any of the worker's queues.
    """
    names = {queue.name: [queue.name, *map(_binding, (queue, *queue.bindings))] for queue in queues}
    routed = [known for known in names.values() if any(_routes(key, name) for key in known)]
    for known in routed or names.values():
        yield from dict.fromkeys(known)


def _binding(bound: Any) -> str:
    """Give the name that a queue, or a binding of one, is routed to by."""
    return lasting_name(bound.exchange, bound.routing_key)


def _routes(key: str, name: str) -> bool:
    """Tell whether a binding's key, of a topic exchange maybe, leads there."""
    return key == name or (
        ("*" in key or "#" in key) and re.match(_topic.key_to_pattern(key), name) is not None
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
