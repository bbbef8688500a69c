"""A channel: messages in and out, and who still owes an answer for them.

A method of the protocol is handled by the method of `Channel` or `Topology` that has its name. It returns
the answer, if there is one that it did not send itself.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pamqp import commands

from interceptors.testing.embedded_rabbitmq.content import (
    join_properties,
    short_string,
    split_properties,
    split_table,
)
from interceptors.testing.embedded_rabbitmq.fault import Code, Fault
from interceptors.testing.embedded_rabbitmq.ledger import Delivery, Ledger, Verdict
from interceptors.testing.embedded_rabbitmq.queue import Message
from interceptors.testing.embedded_rabbitmq.topology import DIRECT_REPLY, Topology

if TYPE_CHECKING:
    from pamqp.base import Frame

    from interceptors.testing.embedded_rabbitmq.connection import Connection
    from interceptors.testing.embedded_rabbitmq.host import Host
    from interceptors.testing.embedded_rabbitmq.queue import Entry, Queue


@dataclass(eq=False, slots=True)
class Subscription:
    """A consumer of this channel. See `queue.Consumer`.

    Attributes:
        channel: the channel.
        tag: its name on the channel.
        queue: what it takes from.
        no_ack: whether a message is settled as soon as it is sent.
        exclusive: whether it has the queue for itself.
        limit: how many unsettled messages it takes at a time; 0 for any number.
    """

    channel: Channel
    tag: str
    queue: Queue
    no_ack: bool
    exclusive: bool
    limit: int

    def has_credit(self) -> bool:
        """Whether neither its own limit nor that of the channel is reached."""
        return self.no_ack or self.channel.has_credit(self)

    def deliver(self, entry: Entry) -> None:
        """Send a message to the client."""
        message = entry.message
        delivery_tag = self.channel.hand_out(Delivery(entry, self.queue, self), no_ack=self.no_ack)
        method = commands.Basic.Deliver(
            self.tag, delivery_tag, entry.returns > 0, message.exchange, message.routing_key
        )
        self.channel.send(method, self.queue.properties_of(entry), message.body)

    def cancelled(self) -> None:
        """Tell the client that there is nothing more to come."""
        self.channel.forget(self)


class Channel:
    """One channel of a connection, while it is open."""

    def __init__(self, number: int, connection: Connection, host: Host) -> None:
        """Open the channel.

        Args:
            number: its number on the connection.
            connection: where answers and messages go.
            host: the virtual host that the connection is on.
        """
        self._number = number
        self._connection = connection
        self._host = host
        self._topology = Topology(host, connection)
        self._subscriptions: dict[str, Subscription] = {}
        self._reply_queue: Queue | None = None
        self._ledger = Ledger(host)
        self._delivery_tags = 0
        self._consumer_limit = 0
        self._channel_limit = 0
        self._confirmed: int | None = None
        self._unpublished: list[tuple[commands.Basic.Publish, Message]] | None = None

    def handle(self, method: Frame) -> None:
        """Do what a method without content asks for, and answer.

        Raises:
            Fault: it can't be done.
        """
        name = method.name.lower().replace(".", "_")
        handler = getattr(self, name, None) or getattr(self._topology, name, None)
        if handler is None:
            raise Fault(Code.NOT_IMPLEMENTED, method.name)
        answer = handler(method)
        if answer is not None:
            self._answer(method, answer)

    def publish(self, method: commands.Basic.Publish, properties: bytes, body: bytes) -> None:
        """Take in a message that came whole.

        Raises:
            Fault: it can't go where it should, or is none.
        """
        if method.immediate:
            raise Fault(Code.NOT_IMPLEMENTED, "immediate=true")
        if method.exchange and self._host.exchange(method.exchange).internal:
            raise Fault(Code.ACCESS_REFUSED, f"cannot publish to internal exchange '{method.exchange}'")
        message = self._read_message(method, properties, body)
        if self._unpublished is None:
            self._route(method, message)
        else:
            self._unpublished.append((method, message))

    def send(self, method: Frame, properties: bytes | None = None, body: bytes = b"") -> None:
        """Send a method to the client, with a message if it carries one."""
        self._connection.send(self._number, method, properties, body)

    def has_credit(self, subscription: Subscription) -> bool:
        """Whether a consumer takes one more message: neither its limit nor that of the channel is reached."""
        if self._channel_limit and len(self._ledger) >= self._channel_limit:
            return False
        return not subscription.limit or self._ledger.owed_by(subscription) < subscription.limit

    def hand_out(self, delivery: Delivery, *, no_ack: bool) -> int:
        """Give a delivery its tag, and note who owes a verdict on it."""
        self._delivery_tags += 1
        if not no_ack:
            self._ledger.add(self._delivery_tags, delivery)
        return self._delivery_tags

    def forget(self, subscription: Subscription) -> None:
        """Tell the client that a consumer's queue is gone."""
        del self._subscriptions[subscription.tag]
        if self._connection.told_of_cancels:
            self.send(commands.Basic.Cancel(subscription.tag, nowait=True))

    def stop(self) -> None:
        """Take no more messages for the client."""
        for tag in list(self._subscriptions):
            self._unsubscribe(tag)

    def give_back(self) -> None:
        """Requeue what the client did not settle. After `stop`, so that it doesn't get that again."""
        self._ledger.give_back()

    def channel_flow(self, method: commands.Channel.Flow) -> commands.Channel.FlowOk:
        """Agree, and do nothing."""
        return commands.Channel.FlowOk(method.active)

    def basic_qos(self, method: commands.Basic.Qos) -> commands.Basic.QosOk:
        """Limit how many messages the consumers to come have at a time, or all of the channel together."""
        if method.prefetch_size:
            raise Fault(Code.NOT_IMPLEMENTED, f"prefetch_size!=0 ({method.prefetch_size})")
        if method.global_:
            self._channel_limit = method.prefetch_count
            self._dispatch()
        else:
            self._consumer_limit = method.prefetch_count
        return commands.Basic.QosOk()

    def basic_consume(self, method: commands.Basic.Consume) -> None:
        """Begin to send the messages of a queue."""
        tag = method.consumer_tag or f"amq.ctag-{uuid.uuid4()}"
        if tag in self._subscriptions:
            raise Fault(Code.NOT_ALLOWED, f"attempt to reuse consumer tag '{tag}'")
        if method.queue == DIRECT_REPLY:
            queue = self._add_reply_queue(method)
        else:
            queue = self._topology.queue(method.queue or "")
        if not queue.may_join(exclusive=method.exclusive):
            raise Fault(
                Code.ACCESS_REFUSED, f"queue '{queue.name}' in vhost '{self._host.name}' in exclusive use"
            )
        subscription = Subscription(
            self, tag, queue, no_ack=method.no_ack, exclusive=method.exclusive, limit=self._consumer_limit
        )
        self._subscriptions[tag] = subscription
        self._answer(method, commands.Basic.ConsumeOk(tag))  # before the first message
        queue.add(subscription)

    def basic_cancel(self, method: commands.Basic.Cancel) -> commands.Basic.CancelOk:
        """Stop sending the messages of a queue; what was sent may still be settled."""
        if method.consumer_tag in self._subscriptions:
            self._unsubscribe(method.consumer_tag)
        return commands.Basic.CancelOk(method.consumer_tag)

    def basic_get(self, method: commands.Basic.Get) -> commands.Basic.GetEmpty | None:
        """Send one message of a queue, if it has any."""
        queue = self._topology.queue(method.queue or "")
        entry = queue.pop()
        if entry is None:
            return commands.Basic.GetEmpty()
        tag = self.hand_out(Delivery(entry, queue, None), no_ack=method.no_ack)
        message = entry.message
        answer = commands.Basic.GetOk(
            tag, entry.returns > 0, message.exchange, message.routing_key, len(queue.ready)
        )
        self.send(answer, queue.properties_of(entry), message.body)
        return None

    def basic_ack(self, method: commands.Basic.Ack) -> None:
        """A message is done."""
        self._judge(method.delivery_tag, Verdict.ACK, multiple=method.multiple)

    def basic_nack(self, method: commands.Basic.Nack) -> None:
        """A message is to be tried again, or to die."""
        verdict = Verdict.REQUEUE if method.requeue else Verdict.REJECT
        self._judge(method.delivery_tag, verdict, multiple=method.multiple)

    def basic_reject(self, method: commands.Basic.Reject) -> None:
        """As `basic_nack`, of one message."""
        verdict = Verdict.REQUEUE if method.requeue else Verdict.REJECT
        self._judge(method.delivery_tag or 0, verdict)

    def basic_recover(self, method: commands.Basic.Recover) -> commands.Basic.RecoverOk:
        """Requeue all that is not settled."""
        self.basic_recoverasync(method)
        return commands.Basic.RecoverOk()

    def basic_recoverasync(self, method: commands.Basic.Recover | commands.Basic.RecoverAsync) -> None:
        """As `basic_recover`, without an answer."""
        if not method.requeue:
            raise Fault(Code.NOT_IMPLEMENTED, "requeue=false")
        self._judge(0, Verdict.REQUEUE, multiple=True)

    def confirm_select(self, _: commands.Confirm.Select) -> commands.Confirm.SelectOk:
        """Tell the client of each message from now on that it was taken in."""
        if self._unpublished is not None:
            raise Fault(Code.PRECONDITION_FAILED, "cannot switch from tx to confirm mode")
        self._confirmed = self._confirmed or 0
        return commands.Confirm.SelectOk()

    def tx_select(self, _: commands.Tx.Select) -> commands.Tx.SelectOk:
        """Let messages and verdicts wait for a commit from now on."""
        if self._confirmed is not None:
            raise Fault(Code.PRECONDITION_FAILED, "cannot switch from confirm to tx mode")
        if self._unpublished is None:
            self._unpublished = []
            self._ledger.hold()
        return commands.Tx.SelectOk()

    def tx_commit(self, _: commands.Tx.Commit) -> commands.Tx.CommitOk:
        """Publish and settle what waited."""
        for method, message in self._end_transaction():
            self._route(method, message)
        self._ledger.commit()
        self._dispatch()
        return commands.Tx.CommitOk()

    def tx_rollback(self, _: commands.Tx.Rollback) -> commands.Tx.RollbackOk:
        """Drop the messages that waited, and ask again for the verdicts that did."""
        self._end_transaction()
        self._ledger.roll_back()
        return commands.Tx.RollbackOk()

    def _answer(self, method: Frame, answer: Frame) -> None:
        if not getattr(method, "nowait", False):
            self.send(answer)

    def _read_message(self, method: commands.Basic.Publish, properties: bytes, body: bytes) -> Message:
        try:
            fields = split_properties(properties)
            split_table(fields.get("headers", bytes(4)))
            expiration = fields["expiration"][1:].decode() if "expiration" in fields else None
        except ValueError as error:
            raise Fault(Code.SYNTAX_ERROR, str(error)) from None
        if expiration is not None and not (expiration.isascii() and expiration.isdecimal()):
            raise Fault(Code.PRECONDITION_FAILED, f"invalid expiration '{expiration}'")
        if fields.get("reply_to") == short_string(DIRECT_REPLY):
            if self._reply_queue is None:
                raise Fault(Code.PRECONDITION_FAILED, "fast reply consumer does not exist")
            properties = join_properties(fields | {"reply_to": short_string(self._reply_queue.name)})
        lifetime = None if expiration is None else int(expiration)
        return Message(method.exchange, method.routing_key, properties, body, lifetime)

    def _route(self, method: commands.Basic.Publish, message: Message) -> None:
        queues = self._host.route(message)
        if not queues and method.mandatory:
            code = Code.NO_ROUTE
            returned = commands.Basic.Return(code, code.name, message.exchange, message.routing_key)
            self.send(returned, message.properties, message.body)
        for queue in queues:
            queue.push(message)
        if self._confirmed is not None:
            self._confirmed += 1
            self.send(commands.Basic.Ack(self._confirmed))

    def _add_reply_queue(self, method: commands.Basic.Consume) -> Queue:
        if not method.no_ack:
            raise Fault(Code.PRECONDITION_FAILED, "reply consumer cannot acknowledge")
        self._reply_queue = self._host.add_queue(
            "", durable=False, auto_delete=True, owner=self._connection, arguments={}
        )
        return self._reply_queue

    def _unsubscribe(self, tag: str) -> None:
        subscription = self._subscriptions.pop(tag)
        self._host.leave(subscription.queue, subscription)

    def _judge(self, tag: int, verdict: Verdict, *, multiple: bool = False) -> None:
        self._ledger.judge(tag, verdict, multiple=multiple)
        self._dispatch()

    def _dispatch(self) -> None:
        """Use the credit that there is again."""
        for subscription in list(self._subscriptions.values()):
            subscription.queue.dispatch()

    def _end_transaction(self) -> list[tuple[commands.Basic.Publish, Message]]:
        """The messages that waited; a new transaction begins."""
        if self._unpublished is None:
            raise Fault(Code.PRECONDITION_FAILED, "channel is not transactional")
        waited, self._unpublished = self._unpublished, []
        return waited
