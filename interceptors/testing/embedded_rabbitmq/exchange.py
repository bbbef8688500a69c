"""An exchange: where a message that is published to it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interceptors.testing.embedded_rabbitmq.content import decoded_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from interceptors.testing.embedded_rabbitmq.queue import Message, Queue

KINDS = ("direct", "fanout", "headers", "topic")


@dataclass(frozen=True, slots=True)
class Binding:
    """A way from an exchange to a queue or to another exchange."""

    destination: Queue | Exchange
    key: str
    arguments: Mapping[str, Any]


@dataclass(eq=False, slots=True)
class Exchange:
    """A set of bindings, and the rule that chooses among them."""

    name: str
    kind: str
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    bindings: list[Binding] = field(default_factory=list)

    def matches(self, message: Message) -> Iterator[Queue | Exchange]:
        """What its bindings lead to for a message."""
        key = message.routing_key
        headers = decoded_headers(message.properties) if self.kind == "headers" else {}
        for binding in self.bindings:
            match self.kind:
                case "direct":
                    leads = binding.key == key
                case "topic":
                    leads = matches_topic(binding.key.split("."), key.split("."))
                case "headers":
                    leads = matches_headers(binding.arguments, headers)
                case _:
                    leads = True
            if leads:
                yield binding.destination


def matches_topic(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a binding's words fit a routing key's: `*` is one word, `#` any number of them."""
    match pattern:
        case []:
            return not words
        case ["#", *rest]:
            return any(matches_topic(rest, words[skipped:]) for skipped in range(len(words) + 1))
        case [first, *rest]:
            return bool(words) and first in {"*", words[0]} and matches_topic(rest, words[1:])
        case _:
            return False


def matches_headers(arguments: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """Whether all headers are there that a binding names, or any where it says so; `None` is any value."""
    named = {name: value for name, value in arguments.items() if not name.startswith("x-")}
    found = (name in headers and (value is None or value == headers[name]) for name, value in named.items())
    return any(found) if arguments.get("x-match") == "any" else all(found)
