"""The socket that clients connect to, and the virtual hosts behind it."""

from __future__ import annotations

import asyncio

from interceptors.testing.embedded_rabbitmq.connection import Connection
from interceptors.testing.embedded_rabbitmq.host import Host

GOODBYE = 1.0
"""Seconds that a client has for taking the last that it was sent when the broker stops."""


class Server:
    """Serves clients. Touched only from the thread of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make a broker that nobody can reach yet.

        Args:
            loop: what it runs on.
        """
        self._loop = loop
        self._hosts: dict[str, Host] = {}
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._listener: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on the loopback interface, and return the port.

        Raises:
            OSError: it is in use.
        """
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", port)
        chosen: int = self._listener.sockets[0].getsockname()[1]
        return chosen

    async def stop(self) -> None:
        """Free the port and end all connections."""
        if self._listener is not None:
            self._listener.close()
        connections = dict(self._connections)
        for connection in connections.values():
            connection.shut_down()
        if connections:
            _, stalled = await asyncio.wait(connections, timeout=GOODBYE)
            for task in stalled:
                connections[task].abort()
            await asyncio.gather(*connections)
        for host in self._hosts.values():
            host.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, find_host=self._find_host)
        task = self._loop.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    def _find_host(self, name: str) -> Host:
        """The virtual host of a name, made when first asked for."""
        return self._hosts.setdefault(name, Host(name, self._loop))
