"""Names that are shown in the place of those of temporary or identifying destinations."""

from __future__ import annotations

import re

TEMPORARY = "(temporary)"
"""Stands for a destination that lives as long as a connection (messaging conventions 1.44)."""

_TEMPORARY = re.compile(
    r"amq\.gen-.*|amq\.rabbitmq\.reply-to.*|amq_[0-9a-f]{32}|.*\.reply\.celery\.pidbox", re.DOTALL
)
_IDENTIFYING = re.compile(
    r"[^\s/:@]+@[^\s/:@]{2,}"  # an address
    r"|[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"  # a UUID
    r"|(?<![0-9A-Za-z])(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{12,}(?![0-9A-Za-z])"  # a digest, or a random id
    r"|\+?[0-9]{5,}"  # a number of an account, an order, a person
)
_ID = "{id}"
_LONGEST = 255
"""As long as a name of AMQP's; Kafka's are shorter. A publisher of Celery's may make longer ones up, and to
look through them takes time that grows with the square of their length."""


def template_of(name: str) -> str:
    """Give what is shown of a physical name that the policy does not list.

    Args:
        name: of a topic, an exchange or a queue.

    Returns:
        The name with `{id}` where it seems to hold an identifier, and in place of one that is longer than any
        broker's; `(temporary)` for the names that a broker or a client makes up. What only its owner could
        know for one, such as a person's name, is not told apart: list such destinations in the policy.
    """
    if len(name) > _LONGEST:
        return _ID
    if _TEMPORARY.fullmatch(name):
        return TEMPORARY
    # Again, since what stood beside an identifier may be one itself. It ends: each round takes out an `@`, or
    # makes the name shorter.
    while (shown := _IDENTIFYING.sub(_ID, name)) != name:
        name = shown
    return name
