"""A virtual host: its exchanges and queues, and the ways that messages take between them."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from interceptors.testing.embedded_rabbitmq.content import deaths, text_value, with_death
from interceptors.testing.embedded_rabbitmq.exchange import KINDS, Binding, Exchange
from interceptors.testing.embedded_rabbitmq.fault import Code, Fault
from interceptors.testing.embedded_rabbitmq.queue import Queue

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from interceptors.testing.embedded_rabbitmq.queue import Consumer, Entry, Message


class Host:
    """What clients of one virtual host share. Touched only from the thread of its loop."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        """Make a virtual host with nothing but the exchanges that every one has.

        Args:
            name: its name.
            loop: what its queues' clocks run on.
        """
        self.name = name
        self.queues: dict[str, Queue] = {}
        self.exchanges = {f"amq.{kind}": Exchange(f"amq.{kind}", kind) for kind in KINDS}
        self._loop = loop

    def queue(self, name: str, *, user: object) -> Queue:
        """A queue by its name.

        Raises:
            Fault: there is none, or it is another connection's own.
        """
        if name not in self.queues:
            self._missing("queue", name)
        queue = self.queues[name]
        if queue.owner not in {None, user}:
            raise Fault(
                Code.RESOURCE_LOCKED,
                f"cannot obtain exclusive access to locked queue '{name}' in vhost '{self.name}'",
            )
        return queue

    def exchange(self, name: str) -> Exchange:
        """An exchange by its name; the default one is none to name.

        Raises:
            Fault: there is none of this name.
        """
        if not name:
            raise Fault(Code.ACCESS_REFUSED, "operation not permitted on the default exchange")
        if name not in self.exchanges:
            self._missing("exchange", name)
        return self.exchanges[name]

    def add_queue(
        self,
        name: str,
        *,
        durable: bool,
        auto_delete: bool,
        owner: object | None,
        arguments: Mapping[str, Any],
    ) -> Queue:
        """Make a queue, unless one like it is there. Without a name, it is given one.

        Raises:
            Fault: there is one by that name that is not like it, or the name is the broker's to give.
        """
        self._refuse_reserved("queue", name)
        if name in self.queues:
            queue = self.queue(name, user=owner)
            declared = {
                "durable": durable,
                "auto_delete": auto_delete,
                "exclusive": owner is not None,
                "arguments": arguments,
            }
            has = {
                "durable": queue.durable,
                "auto_delete": queue.auto_delete,
                "exclusive": queue.owner is not None,
                "arguments": queue.arguments,
            }
            self._refuse_unlike("queue", name, declared, has)
            return queue
        name = name or f"amq.gen-{base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')}"
        queue = Queue(
            name,
            arguments=arguments,
            durable=durable,
            auto_delete=auto_delete,
            owner=owner,
            on_expired=lambda queue, entry: self.dead_letter(queue, entry, "expired"),
            loop=self._loop,
        )
        self.queues[name] = queue
        return queue

    def add_exchange(self, exchange: Exchange) -> None:
        """Take an exchange in, unless one like it is there.

        Raises:
            Fault: there is one by that name that is not like it, or the name is the broker's to give, or its
                kind is not known here.
        """
        if exchange.kind not in KINDS:
            raise Fault(Code.COMMAND_INVALID, f"unknown exchange type '{exchange.kind}'")
        if exchange.name not in self.exchanges:
            self._refuse_reserved("exchange", exchange.name)
            self.exchanges[exchange.name] = exchange
            return
        fields = ("kind", "durable", "auto_delete", "internal", "arguments")
        declared, has = (
            {name: getattr(one, name) for name in fields} for one in (exchange, self.exchange(exchange.name))
        )
        self._refuse_unlike("exchange", exchange.name, declared, has)

    def bind(self, source: Exchange, binding: Binding) -> None:
        """Add a way out of an exchange, unless it has the same one."""
        if binding not in source.bindings:
            source.bindings.append(binding)

    def unbind(self, source: Exchange, binding: Binding) -> None:
        """Take a way out of an exchange away, if it has it."""
        if binding in source.bindings:
            source.bindings.remove(binding)
            self._tidy(source)

    def remove_queue(self, queue: Queue) -> int:
        """Delete a queue, and say how many messages went with it."""
        dropped = len(queue.ready)
        if self.queues.pop(queue.name, None) is queue:
            self._unbind_all(queue)
            queue.close()
        return dropped

    def leave(self, queue: Queue, consumer: Consumer) -> None:
        """Stop giving messages of a queue to a consumer; what it deletes itself for, it does."""
        if consumer in queue.consumers:
            queue.consumers.remove(consumer)
            if queue.auto_delete and not queue.consumers:
                self.remove_queue(queue)

    def remove_exchange(self, exchange: Exchange) -> None:
        """Delete an exchange.

        Raises:
            Fault: it is one that every virtual host has.
        """
        if exchange.name.startswith("amq."):
            raise Fault(
                Code.ACCESS_REFUSED,
                f"deletion of system exchange '{exchange.name}' in vhost '{self.name}' not allowed",
            )
        if self.exchanges.pop(exchange.name, None) is exchange:
            self._unbind_all(exchange)

    def route(self, message: Message) -> list[Queue]:
        """The queues that a message goes to, each once.

        Raises:
            Fault: it names an exchange that is not there.
        """
        if not message.exchange:
            return [self.queues[message.routing_key]] if message.routing_key in self.queues else []
        found: dict[Queue, None] = {}  # a set that keeps its order
        seen: set[Exchange] = set()
        ways: list[Queue | Exchange] = [self.exchange(message.exchange)]
        while ways:
            match ways.pop():
                case Queue() as queue:
                    found[queue] = None
                case Exchange() as exchange if exchange not in seen:
                    seen.add(exchange)
                    leads = list(exchange.matches(message))
                    alternate = self.exchanges.get(exchange.arguments.get("alternate-exchange", ""))
                    ways += leads if leads or alternate is None else [alternate]
                case _:
                    pass
        return list(found)

    def dead_letter(self, queue: Queue, entry: Entry, reason: str) -> None:
        """Publish a message that died in a queue to where the queue's arguments say, if they do."""
        target = queue.arguments.get("x-dead-letter-exchange")
        if target is None or (target and target not in self.exchanges) or queue.name not in self.queues:
            return
        message = entry.message
        properties = with_death(
            message.properties,
            queue=queue.name,
            reason=reason,
            exchange=message.exchange,
            routing_key=message.routing_key,
        )
        key = queue.arguments.get("x-dead-letter-routing-key", message.routing_key)
        dead = replace(message, exchange=target, routing_key=key, properties=properties, expiration=None)
        for destination in self.route(dead):
            if reason == "rejected" or not died_unattended(destination.name, properties):
                destination.push(dead)

    def close(self) -> None:
        """Delete all queues, so that no clock runs on."""
        for queue in list(self.queues.values()):
            self.remove_queue(queue)

    def _unbind_all(self, destination: Queue | Exchange) -> None:
        for source in list(self.exchanges.values()):
            kept = [binding for binding in source.bindings if binding.destination is not destination]
            if len(kept) < len(source.bindings):
                source.bindings = kept
                self._tidy(source)

    def _tidy(self, exchange: Exchange) -> None:
        if exchange.auto_delete and not exchange.bindings:
            self.remove_exchange(exchange)

    def _missing(self, kind: str, name: str) -> NoReturn:
        raise Fault(Code.NOT_FOUND, f"no {kind} '{name}' in vhost '{self.name}'")

    def _refuse_reserved(self, kind: str, name: str) -> None:
        if name.startswith("amq."):
            raise Fault(Code.ACCESS_REFUSED, f"{kind} name '{name}' contains reserved prefix 'amq.*'")

    def _refuse_unlike(
        self, kind: str, name: str, declared: Mapping[str, Any], has: Mapping[str, Any]
    ) -> None:
        for field, value in declared.items():
            if value != has[field]:
                raise Fault(
                    Code.PRECONDITION_FAILED,
                    f"inequivalent arg '{field}' for {kind} '{name}' in vhost '{self.name}': "
                    f"received '{value}' but current is '{has[field]}'",
                )


def died_unattended(queue: str, properties: bytes) -> bool:
    """Whether a message comes round to a queue again without any consumer having rejected it on the way."""
    way: list[Mapping[str, bytes]] = []
    for death in deaths(properties):
        way.append(death)
        if death.get("queue") == text_value(queue):
            return all(death.get("reason") != text_value("rejected") for death in way)
    return False
