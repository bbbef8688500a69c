"""The bus sink: batches of spans, sealed to the collector, as messages on a broker.

For places where a service reaches the broker and nothing else. What is on the wire is in
`docs/reference/span-batch-v1.md`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

from interceptors.spans.sinks import RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.envelope.batch import CollectorKey
    from interceptors.spans.span import Span

    Encode = Callable[[Sequence[Span]], bytes]
    Seal = Callable[[bytes], bytes | None]

logger = logging.getLogger("interceptors.spans")

CLOSE_S = 2.0
"""How many seconds a client may take to close."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class TooLargeError(Exception):
    """The broker takes no message of this size. Stays within this room."""


class BusClient(Protocol):
    """The client of a broker. Made for one process, and used on one loop."""

    async def send(self, body: bytes, envelope: bytes) -> None:
        """Send a message, connecting first where that is needed; returns when the broker has it.

        Raises:
            TooLargeError: smaller ones may be taken.
            Exception: anything else: it was not sent, or nobody knows.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class BusSink:
    """A sink that sends each batch as one message; as several, where it is too large for the broker.

    The client runs on a loop in a daemon thread, which starts with the first batch, and anew in a child after
    a fork. Where none can be started, as when the interpreter is ending (from Python 3.12 on), a client is
    made for the batch, and runs in the thread that exports.
    """

    def __init__(
        self,
        new_client: Callable[[], BusClient],
        collector_key: CollectorKey,
        *,
        encode: Encode,
        seal: Seal,
    ) -> None:
        """Take the parts.

        Args:
            new_client: makes the broker's client; connects to nothing yet.
            collector_key: whom the batches are sealed to.
            encode: writes spans as an OTLP `ExportTraceServiceRequest`.
            seal: makes the envelope for a sealed batch, bound to `batch_binding` of it; None where no sealing
                key can be had: such a batch is not sent.
        """
        self._new_client = new_client
        self._collector_key = collector_key
        self._encode = encode
        self._seal = seal
        self._worker: _Worker | None = None
        self._inherited: list[_Worker] = []
        self._closed = False
        self._failing = False

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        """Send a batch.

        Args:
            spans: ended spans.
            timeout: seconds after which to give up.

        Returns:
            How many of them were not sent: no key to seal with, a single span too large for the broker, or a
            broker that went away after a part of the batch.

        Raises:
            RetryLater: the broker took none of it in time. It may have all the same: then it gets the spans
                twice.
        """
        deadline = time.monotonic() + timeout
        try:
            worker = self._working()
        except RuntimeError:  # no thread can be started
            if _on_a_loop():
                raise
            if self._closed:
                raise RetryLater from None
            with contextlib.closing(_Here(self._new_client())) as here:
                return self._export(here, spans, deadline)
        return self._export(worker, spans, deadline)

    def _export(self, worker: _Worker | _Here, spans: Sequence[Span], deadline: float) -> int:
        lost = 0
        waiting = [spans]
        while waiting:
            part = waiting.pop()
            body = self._collector_key.seal(self._encode(part))
            envelope = self._seal(body)
            if envelope is None:
                lost += len(part)
                continue
            try:
                worker.send(body, envelope, deadline - time.monotonic())
            except TooLargeError:
                half = len(part) // 2
                waiting += [part[half:], part[:half]] if half else []
                lost += 0 if half else 1
            except Exception as error:  # noqa: BLE001 - a fault of the broker's or the client's ends no thread
                self._note_failure(type(error).__name__)
                rest = len(part) + sum(map(len, waiting))
                if lost + rest == len(spans):  # nothing of it was sent
                    raise RetryLater from None
                return lost + rest
            else:
                self._failing = False
        return lost

    def close(self) -> None:
        """Give up what is under way, and end connection and thread, within `CLOSE_S` and a little."""
        self._closed = True
        worker = self._worker
        if worker is not None and worker.pid == os.getpid():
            worker.close()

    def _working(self) -> _Worker:
        worker = self._worker
        if worker is not None and worker.pid != os.getpid():
            # The parent's. Kept: what its destructors do, they would do to the parent's connection.
            self._inherited.append(worker)
            worker = None
        if worker is None:
            worker = self._worker = _Worker(self._new_client())
        if self._closed:  # asked last, so that a close meanwhile has seen the worker, or is seen here
            worker.close()
        return worker

    def _note_failure(self, name: str) -> None:
        if not self._failing and not self._closed:
            logger.warning("the bus takes no spans: %s", name)
        self._failing = True


class _Loop(asyncio.SelectorEventLoop):
    """A loop that does at once what others hand to a pool of threads, such as the look-up of a host's name.

    Nothing else waits for it, and when the interpreter is about to end there are no pools any more: the spans
    of a short program are sent then.
    """

    def run_in_executor(self, _: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            done.set_exception(error)
        return done


class _Worker:
    """A client on a loop in a thread of its own."""

    def __init__(self, client: BusClient) -> None:
        """Start the thread.

        Raises:
            RuntimeError: there can be no more threads.
        """
        self.pid = os.getpid()
        self._client = client
        self._loop = _Loop()
        self._stop = asyncio.Event()
        self._turn = asyncio.Lock()
        self._submitting = threading.Lock()
        self._under_way: concurrent.futures.Future[None] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="interceptors-bus", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._loop.close()
            raise

    def send(self, body: bytes, envelope: bytes, timeout: float) -> None:
        """Have the client send a message.

        Raises:
            TimeoutError: not in time.
            Exception: whatever the client does; or the worker is closed.
        """
        with self._submitting:
            if self._closed:
                raise concurrent.futures.CancelledError
            sending = asyncio.run_coroutine_threadsafe(self._send(body, envelope), self._loop)
            self._under_way = sending
        try:
            sending.result(max(timeout, 0))
        finally:
            sending.cancel()

    def close(self) -> None:
        """Give up what is under way, close the client and end the thread. A second call changes nothing."""
        with self._submitting:
            if self._closed:
                return
            self._closed = True
            if self._under_way is not None:
                self._under_way.cancel()
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CLOSE_S + 1)

    async def _send(self, body: bytes, envelope: bytes) -> None:
        async with self._turn:  # one that was given up cleans up first
            await self._client.send(body, envelope)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self._stop.wait()
        await close_client(self._client)


class _Here:
    """A client on a loop that runs in the thread that sends, and only then."""

    def __init__(self, client: BusClient) -> None:
        self._client = client
        self._runner = asyncio.Runner(loop_factory=_Loop)

    def send(self, body: bytes, envelope: bytes, timeout: float) -> None:
        """Have the client send a message; as `_Worker.send`."""
        self._runner.run(self._send(body, envelope, timeout))

    def close(self) -> None:
        """Close the client and the loop."""
        with self._runner:
            self._runner.run(close_client(self._client))

    async def _send(self, body: bytes, envelope: bytes, timeout: float) -> None:  # noqa: ASYNC109 - of `send`
        async with asyncio.timeout(timeout):
            await self._client.send(body, envelope)


async def close_client(client: BusClient) -> None:
    """Close a client, within `CLOSE_S` and whatever it raises.

    Args:
        client: the client.
    """
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


def _on_a_loop() -> bool:
    """Tell whether a loop runs in this thread already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def unwrapped(client: object, name: str) -> Callable[..., Any]:
    """Give a method as the client's class defines it, without what any tracer has wrapped around it.

    What carries spans makes none itself, and gets no header in clear.

    Args:
        client: whose method.
        name: the method's name.

    Returns:
        The bound method.
    """
    bound: Callable[..., Any] = inspect.unwrap(getattr(type(client), name)).__get__(client)
    return bound
