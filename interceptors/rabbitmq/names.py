"""The names that RabbitMQ's messages go by."""

from __future__ import annotations

import re

SYSTEM = "rabbitmq"

_GENERATED = re.compile(r"amq\.gen-.*|amq_[0-9a-f]{32}", re.DOTALL)
_REPLY_TO = "amq.rabbitmq.reply-to"


def lasting_name(name: str) -> str:
    """Give the name by which policy, envelope and spans know an exchange or queue.

    Args:
        name: as the broker knows it.

    Returns:
        The name, but one for all of a kind where the server (`amq.gen-…`, `amq.rabbitmq.reply-to.…`) or
        aio-pika's robust channel (`amq_…`) made it up: such a name identifies nobody, and never comes again.
    """
    if _GENERATED.fullmatch(name):
        return "amq.gen"
    return _REPLY_TO if name.startswith(f"{_REPLY_TO}.") else name
