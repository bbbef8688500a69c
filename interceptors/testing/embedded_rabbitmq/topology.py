"""The methods of the protocol that make and unmake exchanges, queues and bindings.

One method each of `Topology`, by the name that the protocol gives it, which returns the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pamqp import commands

from interceptors.testing.embedded_rabbitmq.exchange import Binding, Exchange
from interceptors.testing.embedded_rabbitmq.fault import Code, Fault

if TYPE_CHECKING:
    from interceptors.testing.embedded_rabbitmq.host import Host
    from interceptors.testing.embedded_rabbitmq.queue import Queue

DIRECT_REPLY = "amq.rabbitmq.reply-to"
"""The queue by which a client consumes replies; it is there for each, and for who looks."""


class Topology:
    """What one channel sees of a virtual host's exchanges and queues."""

    def __init__(self, host: Host, user: object) -> None:
        """Start without a current queue.

        Args:
            host: the virtual host.
            user: the connection, which may have queues for itself.
        """
        self._host = host
        self._user = user
        self._current = ""

    def queue(self, name: str) -> Queue:
        """A queue by its name; without one, that which the channel declared last.

        Raises:
            Fault: there is none, or it is another connection's own.
        """
        if not name and not self._current:
            raise Fault(Code.NOT_FOUND, "no previously declared queue")
        return self._host.queue(name or self._current, user=self._user)

    def queue_declare(self, method: commands.Queue.Declare) -> commands.Queue.DeclareOk:
        """Make a queue, or look whether it is there."""
        _check_name(method)
        if method.passive and method.queue == DIRECT_REPLY:
            return commands.Queue.DeclareOk(DIRECT_REPLY, 0, 0)
        if method.passive:
            queue = self.queue(method.queue)
        else:
            queue = self._host.add_queue(
                method.queue,
                durable=method.durable,
                auto_delete=method.auto_delete,
                owner=self._user if method.exclusive else None,
                arguments=method.arguments or {},
            )
        self._current = queue.name
        return commands.Queue.DeclareOk(queue.name, len(queue.ready), len(queue.consumers))

    def queue_bind(self, method: commands.Queue.Bind) -> commands.Queue.BindOk:
        """Lead an exchange to a queue."""
        binding = self._queue_binding(method)
        self._host.bind(self._host.exchange(method.exchange), binding)
        return commands.Queue.BindOk()

    def queue_unbind(self, method: commands.Queue.Unbind) -> commands.Queue.UnbindOk:
        """Undo a bind; there need be none."""
        if method.exchange in self._host.exchanges and (method.queue or self._current) in self._host.queues:
            self._host.unbind(self._host.exchange(method.exchange), self._queue_binding(method))
        return commands.Queue.UnbindOk()

    def queue_purge(self, method: commands.Queue.Purge) -> commands.Queue.PurgeOk:
        """Drop what waits in a queue."""
        return commands.Queue.PurgeOk(self.queue(method.queue).purge())

    def queue_delete(self, method: commands.Queue.Delete) -> commands.Queue.DeleteOk:
        """Delete a queue; there need be none."""
        if (method.queue or self._current) not in self._host.queues:
            return commands.Queue.DeleteOk(0)
        queue = self.queue(method.queue)
        if method.if_unused and queue.consumers:
            self._refuse(f"queue '{queue.name}'", "in use")
        if method.if_empty and queue.ready:
            self._refuse(f"queue '{queue.name}'", "not empty")
        return commands.Queue.DeleteOk(self._host.remove_queue(queue))

    def exchange_declare(self, method: commands.Exchange.Declare) -> commands.Exchange.DeclareOk:
        """Make an exchange, or look whether it is there."""
        _check_name(method)
        known = method.passive or not method.exchange  # the default one is refused by its look-up
        if known:
            self._host.exchange(method.exchange)
        else:
            self._host.add_exchange(
                Exchange(
                    method.exchange,
                    method.exchange_type,
                    durable=method.durable,
                    auto_delete=method.auto_delete,
                    internal=method.internal,
                    arguments=method.arguments or {},
                )
            )
        return commands.Exchange.DeclareOk()

    def exchange_bind(self, method: commands.Exchange.Bind) -> commands.Exchange.BindOk:
        """Lead an exchange to another."""
        destination = self._host.exchange(method.destination)
        binding = Binding(destination, method.routing_key, method.arguments or {})
        self._host.bind(self._host.exchange(method.source), binding)
        return commands.Exchange.BindOk()

    def exchange_unbind(self, method: commands.Exchange.Unbind) -> commands.Exchange.UnbindOk:
        """Undo a bind; there need be none."""
        if {method.source, method.destination} <= self._host.exchanges.keys():
            destination = self._host.exchange(method.destination)
            binding = Binding(destination, method.routing_key, method.arguments or {})
            self._host.unbind(self._host.exchange(method.source), binding)
        return commands.Exchange.UnbindOk()

    def exchange_delete(self, method: commands.Exchange.Delete) -> commands.Exchange.DeleteOk:
        """Delete an exchange; there need be none."""
        if not method.exchange or method.exchange in self._host.exchanges:
            exchange = self._host.exchange(method.exchange)
            if method.if_unused and exchange.bindings:
                self._refuse(f"exchange '{exchange.name}'", "in use")
            self._host.remove_exchange(exchange)
        return commands.Exchange.DeleteOk()

    def _queue_binding(self, method: commands.Queue.Bind | commands.Queue.Unbind) -> Binding:
        queue = self.queue(method.queue)
        unnamed = not method.queue and not method.routing_key
        return Binding(queue, queue.name if unnamed else method.routing_key, method.arguments or {})

    def _refuse(self, what: str, why: str) -> None:
        raise Fault(Code.PRECONDITION_FAILED, f"{what} in vhost '{self._host.name}' {why}")


def _check_name(method: commands.Queue.Declare | commands.Exchange.Declare) -> None:
    try:
        method.validate()
    except ValueError as error:
        raise Fault(Code.PRECONDITION_FAILED, str(error)) from None
