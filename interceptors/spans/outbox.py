"""The outbox: where ended spans wait, bounded, until a thread takes them to the sink."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.spans.sinks import SpanSink
    from interceptors.spans.span import Span

logger = logging.getLogger("interceptors.spans")

CAPACITY = 8192
BATCH = 512
INTERVAL_S = 1.0


class Outbox:
    """Takes ended spans without ever making their thread wait; what does not fit is dropped and counted.

    A daemon thread starts with the first span, or with `start`, and anew in a child after a fork; spans that
    wait in the parent at a fork are the parent's to export.

    Attributes:
        dropped: how many spans were lost: the outbox was full, or the sink failed.
    """

    def __init__(
        self, sink: SpanSink, *, capacity: int = CAPACITY, chore: Callable[[], None] | None = None
    ) -> None:
        """Take a sink.

        Args:
            sink: where the spans go.
            capacity: how many may wait.
            chore: something else for the thread to do, once an interval.
        """
        self._sink = sink
        self._capacity = capacity
        self._chore = chore
        self._closed = False
        self._said = False
        self._begin()
        os.register_at_fork(after_in_child=weakly(self._in_child))

    def _begin(self) -> None:
        self.dropped = 0
        self._waiting: deque[Span] = deque()
        self._draining = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def _in_child(self) -> None:
        was_working = self._thread is not None
        self._begin()
        if was_working:  # closed stays closed
            self.start()

    def put(self, span: Span) -> None:
        """Take an ended span; returns at once."""
        waiting = len(self._waiting)
        if waiting >= self._capacity or self._closed:
            self.dropped += 1
            return
        self._waiting.append(span)
        if waiting >= BATCH and not self._wake.is_set():
            self._wake.set()
        self.start()

    def start(self) -> None:
        """Start the thread, where it is not running yet; costs nothing where it is."""
        if self._thread is None and not self._closed:
            self._start()

    def _start(self) -> None:
        # Without waiting: it may be this thread that holds it, in whose midst the garbage collector ended a
        # span. Then whoever holds it starts the thread.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is not None or self._closed:
                return
            # The thread must not keep alive what it works for.
            work = (weakref.ref(self), self._wake)
            thread = threading.Thread(target=_work, args=work, name="interceptors-outbox", daemon=True)
            try:
                thread.start()
            except (
                RuntimeError
            ):  # too many threads, or the interpreter is ending: a message goes on all the same
                if not self._said:
                    logger.warning("no thread could be started to export spans and refresh keys")
                self._said = True
                return
            self._thread = thread
        finally:
            self._starting.release()

    def flush(self, timeout: float) -> bool:
        """Export what waits now, in the calling thread.

        Args:
            timeout: how many seconds to wait for an export that is already under way.

        Returns:
            Whether everything that waited has been handed to the sink.
        """
        if not self._draining.acquire(timeout=timeout):
            return False
        try:
            self._drain()
        finally:
            self._draining.release()
        return True

    def close(self, timeout: float) -> bool:
        """Export what waits, and take nothing more."""
        self._closed = True
        self._wake.set()
        return self.flush(timeout)

    def work_once(self) -> bool:
        """Do what the thread does each interval.

        Returns:
            Whether to go on.
        """
        self._wake.clear()
        if self._chore is not None:  # before the spans: a sink may be slow
            try:
                self._chore()
            except Exception as error:  # noqa: BLE001 - the thread outlives a fault of its chore
                logger.warning("a background chore failed with %s", type(error).__name__)
        with self._draining:
            self._drain()
        return not self._closed

    def _batches(self) -> list[int]:
        """Cut what waits now into batches; what comes meanwhile has its turn later."""
        whole, rest = divmod(len(self._waiting), BATCH)
        return [BATCH] * whole + [rest] * bool(rest)

    def _drain(self) -> None:
        for size in self._batches():
            batch = [self._waiting.popleft() for _ in range(size)]
            try:
                self._sink.export(batch)
            except Exception as error:  # noqa: BLE001 - a sink's fault costs its spans and nothing else
                self.dropped += len(batch)
                logger.warning(
                    "%d spans were lost: the sink failed with %s", len(batch), type(error).__name__
                )


def weakly(method: Callable[[], object]) -> Callable[[], None]:
    """Give a function that calls a method for as long as its object lives, and does not keep it alive.

    Args:
        method: a bound method, to be registered with something that never forgets: at exit, after a fork.
    """
    dead_or_alive = weakref.WeakMethod(method)

    def call() -> None:
        alive = dead_or_alive()
        if alive is not None:
            alive()

    return call


def _work(outbox: weakref.ref[Outbox], wake: threading.Event) -> None:
    going = True
    while going:
        wake.wait(INTERVAL_S)
        alive = outbox()
        going = alive is not None and alive.work_once()
        del alive
