"""A connection of a client: the handshake, and frames to and from its channels."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pamqp import commands, constants
from pamqp.header import ProtocolHeader
from pamqp.heartbeat import Heartbeat

from interceptors.testing.embedded_rabbitmq.channel import Channel
from interceptors.testing.embedded_rabbitmq.fault import Code, Fault
from interceptors.testing.embedded_rabbitmq.frames import (
    RawFrame,
    decode_content_header,
    decode_method,
    encode_content,
    encode_method,
    read_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pamqp.base import Frame
    from pamqp.common import FieldTable

    from interceptors.testing.embedded_rabbitmq.host import Host

CHANNEL_MAX = 2047
FRAME_MAX = 131072
HEARTBEAT = 60
SHORT_STRING_MAX = 255
SERVER: FieldTable = {
    # Clients ask for the product to know which reading of the specification this is.
    "product": "RabbitMQ",
    "version": "3.10.0",
    "information": "embedded, for tests",
    "capabilities": {
        "authentication_failure_close": True,
        "basic.nack": True,
        "consumer_cancel_notify": True,
        "direct_reply_to": True,
        "exchange_exchange_bindings": True,
        "per_consumer_qos": True,
        "publisher_confirms": True,
    },
}


@dataclass(slots=True)
class Incoming:
    """A message that is still coming in."""

    method: commands.Basic.Publish
    size: int | None = None
    properties: bytes = b""
    body: bytearray = field(default_factory=bytearray)


class Connection:
    """One client, from its first byte to its last.

    Attributes:
        told_of_cancels: whether the client wants to know when a consumer's queue is gone.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        find_host: Callable[[str], Host],
    ) -> None:
        """Take a connection over.

        Args:
            reader: what the client sends.
            writer: what it is sent.
            find_host: gives the virtual host of a name.
        """
        self.told_of_cancels = False
        self._reader = reader
        self._writer = writer
        self._find_host = find_host
        self._host: Host | None = None
        self._frame_max = FRAME_MAX
        self._heartbeat: asyncio.TimerHandle | None = None
        self._channels: dict[int, Channel] = {}
        self._closing_channels: set[int] = set()
        self._incoming: dict[int, Incoming] = {}
        self._closing = False

    async def run(self) -> None:
        """Serve the client until it or the broker ends the connection."""
        try:
            await self._serve()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            self._release()
            self._writer.close()

    def send(self, channel: int, method: Frame, properties: bytes | None = None, body: bytes = b"") -> None:
        """Send a method, with a message if it carries one."""
        parts = [encode_method(channel, method)]
        if properties is not None:
            parts += encode_content(channel, properties, body, self._frame_max)
        self._write(b"".join(parts))

    def shut_down(self) -> None:
        """End the connection, as a broker does that stops."""
        self._fail(Fault(Code.CONNECTION_FORCED, "broker forced connection closure with reason 'shutdown'"))
        self._writer.close()

    def abort(self) -> None:
        """End the connection without waiting until the client took what was sent."""
        self._writer.transport.abort()

    async def _serve(self) -> None:
        greeting = ProtocolHeader().marshal()
        if await self._reader.readexactly(len(greeting)) != greeting:
            self._write(greeting)  # what is spoken here
            return
        self.send(0, commands.Connection.Start(server_properties=SERVER))
        while not self._writer.is_closing():
            try:
                raw = await read_frame(self._reader, self._frame_max)
            except Fault as fault:
                self._fail(fault)
                return  # where the next frame would begin is not known
            try:
                self._take(raw)
            except Fault as fault:
                self._fail(fault)

    def _take(self, raw: RawFrame) -> None:
        """Handle a frame.

        Raises:
            Fault: the connection has to end.
        """
        if raw.kind == constants.FRAME_HEARTBEAT:
            return
        method = decode_method(raw) if raw.kind == constants.FRAME_METHOD else None
        if self._closing:
            if isinstance(method, commands.Connection.Close | commands.Connection.CloseOk):
                self._writer.close()
        elif raw.channel == 0:
            self._handle(method)
        elif raw.channel in self._closing_channels:
            self._finish_closing(raw.channel, method)
        else:
            self._take_on_channel(raw, method)

    def _handle(self, method: Frame | None) -> None:
        """Handle a method that is about the connection."""
        match method:
            case commands.Connection.StartOk():
                capabilities = (method.client_properties or {}).get("capabilities")
                if isinstance(capabilities, dict):
                    self.told_of_cancels = bool(capabilities.get("consumer_cancel_notify"))
                self.send(0, commands.Connection.Tune(CHANNEL_MAX, FRAME_MAX, HEARTBEAT))
            case commands.Connection.TuneOk():
                asked = method.frame_max or FRAME_MAX
                self._frame_max = max(constants.FRAME_MIN_SIZE, min(asked, FRAME_MAX))
                if method.heartbeat:
                    self._schedule_beat(method.heartbeat / 2)
            case commands.Connection.Open():
                self._host = self._find_host(method.virtual_host)
                self.send(0, commands.Connection.OpenOk())
            case commands.Connection.UpdateSecret():
                self.send(0, commands.Connection.UpdateSecretOk())
            case commands.Connection.Close():
                self._release()
                self.send(0, commands.Connection.CloseOk())
                self._writer.close()
            case _:
                raise Fault(Code.COMMAND_INVALID, "not to be sent on channel 0 now")

    def _take_on_channel(self, raw: RawFrame, method: Frame | None) -> None:
        """Handle a frame of a channel.

        Raises:
            Fault: the connection has to end.
        """
        number = raw.channel
        incoming = self._incoming.get(number)
        try:
            if method is None:
                self._take_content(raw, incoming)
            else:
                self._take_method(number, method)
        except Fault as fault:
            fault.cause = incoming.method if incoming is not None else method
            if fault.code.closes_connection:
                raise
            self.send(number, commands.Channel.Close(*_reason(fault)))
            self._close_channel(number)
            self._closing_channels.add(number)

    def _take_method(self, number: int, method: Frame) -> None:
        if number in self._incoming:
            raise Fault(Code.UNEXPECTED_FRAME, "a method amid the content of another")
        if isinstance(method, commands.Channel.Open):
            if number in self._channels or self._host is None:
                raise Fault(Code.CHANNEL_ERROR, "a channel can't be opened now")
            self._channels[number] = Channel(number, self, self._host)
            self.send(number, commands.Channel.OpenOk())
        elif number not in self._channels:
            raise Fault(Code.CHANNEL_ERROR, "expected 'channel.open'")
        elif isinstance(method, commands.Channel.Close):
            self._close_channel(number)
            self.send(number, commands.Channel.CloseOk())
        elif isinstance(method, commands.Basic.Publish):
            self._incoming[number] = Incoming(method)
        else:
            self._channels[number].handle(method)

    def _take_content(self, raw: RawFrame, incoming: Incoming | None) -> None:
        if incoming is None:
            raise Fault(Code.UNEXPECTED_FRAME, "content without a method")
        if (incoming.size is None) != (raw.kind == constants.FRAME_HEADER):
            raise Fault(Code.UNEXPECTED_FRAME, "content in another order")
        if incoming.size is None:
            incoming.size, incoming.properties = decode_content_header(raw)
        else:
            incoming.body += raw.payload
        if len(incoming.body) >= incoming.size:
            del self._incoming[raw.channel]
            channel = self._channels[raw.channel]
            channel.publish(incoming.method, incoming.properties, bytes(incoming.body))

    def _close_channel(self, number: int) -> None:
        channel = self._channels.pop(number)
        self._incoming.pop(number, None)
        channel.stop()
        channel.give_back()

    def _finish_closing(self, number: int, method: Frame | None) -> None:
        """Wait, after a fault of a channel, until the client agrees that it is closed."""
        if isinstance(method, commands.Channel.Close):
            self.send(number, commands.Channel.CloseOk())
        elif isinstance(method, commands.Channel.CloseOk):
            self._closing_channels.discard(number)

    def _fail(self, fault: Fault) -> None:
        """Tell the client why the connection ends."""
        if not self._closing:
            self._closing = True
            self.send(0, commands.Connection.Close(*_reason(fault)))
            self._release()

    def _release(self) -> None:
        """Give back all that the client has."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.stop()
        for channel in channels.values():
            channel.give_back()
        if self._host is not None:
            for queue in [queue for queue in self._host.queues.values() if queue.owner is self]:
                self._host.remove_queue(queue)

    def _schedule_beat(self, period: float) -> None:
        """Say now and then that the broker is there."""

        def beat() -> None:
            self._write(Heartbeat().marshal())
            self._schedule_beat(period)

        self._heartbeat = asyncio.get_running_loop().call_later(period, beat)

    def _write(self, data: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(data)


def _reason(fault: Fault) -> tuple[int, str, int, int]:
    """What a `Close` says: the code, the text, and the class and method that caused it."""
    text = str(fault).encode()[:SHORT_STRING_MAX].decode(errors="ignore")
    if fault.cause is None:
        return fault.code, text, 0, 0
    return fault.code, text, fault.cause.index >> 16, fault.cause.frame_id
