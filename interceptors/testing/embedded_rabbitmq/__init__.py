"""A RabbitMQ broker inside this process, for tests and demonstrations.

It speaks AMQP 0-9-1 on a loopback socket, in a thread of its own: any client in any process of this machine
can connect, by aio-pika, kombu (Celery) or another library. It has direct, fanout, topic and headers
exchanges, alternate exchanges, prefetch, confirms, transactions, time-to-live, dead letters with `x-death`,
exclusive and auto-deleted queues, and direct reply-to. A real broker differs in this:

- It keeps durable queues and persistent messages when it stops; this one is memory only.
- It asks who a client is and what it may; here, every name and password is good, and a virtual host comes
  into being when a client first opens it.
- It heeds the `CC` and `BCC` headers, priorities of messages and consumers, limits of a queue's length and
  `x-expires`; here, they are ignored.
- A quorum queue there is replicated and has a delivery limit; here, it is like any other, except that it
  tells by `x-delivery-count` how often a message was tried.
- It cuts off a client that falls silent, and slows one down that publishes too fast; this one does neither.
- It lets a name of an exchange or queue have any letter; here, some are refused outside ASCII.

What belongs here: the broker. What does not: anything about envelopes or this library's headers, which pass
through it as any other bytes do.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Self

from interceptors.errors import MissingExtraError

if TYPE_CHECKING:
    from types import TracebackType

    from interceptors.testing.embedded_rabbitmq.server import Server

__all__ = ["EmbeddedRabbitMQ"]


class EmbeddedRabbitMQ:
    """A running broker, from construction until `close`. Also a context manager.

    Attributes:
        url: where it listens, as a client wants it: `amqp://…`.
    """

    url: str

    def __init__(self, *, port: int = 0, timeout: float = 10.0) -> None:
        """Start the broker.

        Args:
            port: where it is to listen; 0 for any port that is free.
            timeout: how many seconds it may take to listen, and to stop.

        Raises:
            MissingExtraError: pamqp, which aio-pika brings, is not installed.
            OSError: the port is in use.
        """
        try:
            from interceptors.testing.embedded_rabbitmq.server import Server  # noqa: PLC0415 - needs an extra
        except ModuleNotFoundError as error:
            if error.name != "pamqp":
                raise
            raise MissingExtraError("rabbitmq", "aio_pika") from None
        self._timeout = timeout
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="embedded-rabbitmq", daemon=True)
        self._thread.start()
        self._server: Server = Server(self._loop)
        try:
            listening = asyncio.run_coroutine_threadsafe(self._server.start(port), self._loop).result(timeout)
        except BaseException:
            self._stop_thread()
            raise
        self.url = f"amqp://guest:guest@127.0.0.1:{listening}/"

    def close(self) -> None:
        """End all connections, and free the port; what was queued is gone. Harmless when done twice."""
        if self._loop.is_closed():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(self._timeout)
        finally:
            self._stop_thread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stop_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
