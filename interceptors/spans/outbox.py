"""The outbox: where ended spans wait, bounded, until a thread takes them to the sink."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

from interceptors.spans.sinks import RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.spans.sinks import SpanSink
    from interceptors.spans.span import Span

logger = logging.getLogger("interceptors.spans")

CAPACITY = 8192
BATCH = 512
INTERVAL_S = 1.0
EXPORT_S = 10.0
"""How long a sink may take for a batch: OTLP's default timeout."""
KEPT_S = 300.0
"""How long a batch is offered again to a sink that can't take it."""


class Outbox:
    """Takes ended spans without ever making their thread wait; what does not fit is dropped and counted.

    A daemon thread starts with the first span, or with `start`, and anew in a child after a fork; spans that
    wait in the parent at a fork are the parent's to export.

    Attributes:
        dropped: how many spans were lost: the outbox was full, or the sink failed or gave them up.
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
        self._over = False
        self._said = False
        self._begin()
        os.register_at_fork(after_in_child=weakly(self._in_child))

    def _begin(self) -> None:
        self.dropped = 0
        # What a flush waits for lies among the spans: when it comes out, those before it have.
        self._waiting: deque[Span | threading.Event] = deque()
        self._refused_since: float | None = None
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
        if waiting >= BATCH and self._refused_since is None and not self._wake.is_set():
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
        """Have what waits now exported.

        Args:
            timeout: how many seconds to wait for that.

        Returns:
            Whether everything that waited has left the outbox.
        """
        thread = self._thread
        if self._closed or thread is None or thread is threading.current_thread() or not thread.is_alive():
            return self._flush_here(timeout)
        # By the thread, so that a batch is not cut off in the midst by a short timeout.
        exported = threading.Event()
        self._waiting.append(exported)
        self.hurry()
        if exported.wait(timeout):
            return True
        # Nobody waits for it any more, and who flushes again and again must not fill the outbox with them.
        with contextlib.suppress(ValueError, IndexError):  # the thread has it, or spans come and go meanwhile
            self._waiting.remove(exported)
        return False

    def hurry(self) -> None:
        """Have the thread export what waits without waiting for the interval; returns at once."""
        self._wake.set()

    def _flush_here(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        if not self._draining.acquire(timeout=max(timeout, 0)):
            return False
        try:
            return self._drain(deadline)
        finally:
            self._draining.release()

    def end(self) -> None:
        """Take nothing more, and have the thread export what waits and end."""
        self._closed = True
        self.hurry()

    def close(self, timeout: float) -> bool:
        """Export what waits, and take nothing more. What has not left by then is dropped.

        Args:
            timeout: how many seconds to wait.

        Returns:
            Whether everything that waited has left the outbox.
        """
        self.end()
        flushed = self._flush_here(timeout)
        if not self._over:
            self._over = True  # for a batch that is under way, and comes back
            self._sink.close()
        self._discard()
        return flushed

    def _discard(self) -> None:
        while self._waiting:
            with contextlib.suppress(IndexError):  # another thread is at it, too
                waiting = self._waiting.popleft()
                if isinstance(waiting, threading.Event):
                    waiting.set()
                else:
                    self.dropped += 1

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
            # Not for longer than this, since the chore has its turn after it.
            self._drain(time.monotonic() + EXPORT_S, EXPORT_S)
        return not self._closed

    def _drain(self, deadline: float, timeout: float | None = None) -> bool:
        """Export what waits now; what comes meanwhile has its turn later.

        Args:
            deadline: when to begin no further batch, by the monotonic clock.
            timeout: how many seconds a batch may take; without it, what is left until the deadline.

        Returns:
            Whether all of it has left.
        """
        left = len(self._waiting)
        while left > 0 and not self._over:
            remaining = deadline - time.monotonic()
            if remaining < 0:
                return False
            batch, flush = self._next_batch(left)
            if batch and not self._export(batch, remaining if timeout is None else timeout):
                self._put_back(batch, flush)
                return False
            if flush is not None:
                flush.set()
            # At least 1, since it may be that what waited a moment ago was given up meanwhile.
            left -= max(len(batch) + (flush is not None), 1)
        return left <= 0

    def _next_batch(self, left: int) -> tuple[list[Span], threading.Event | None]:
        """Take the next spans out, up to a flush that waits for them."""
        batch: list[Span] = []
        with contextlib.suppress(IndexError):  # a flush has given up, or a close has discarded them
            for _ in range(min(left, BATCH)):
                waiting = self._waiting.popleft()
                if isinstance(waiting, threading.Event):
                    return batch, waiting
                batch.append(waiting)
        return batch, None

    def _put_back(self, batch: list[Span], flush: threading.Event | None) -> None:
        if flush is not None:
            self._waiting.appendleft(flush)
        self._waiting.extendleft(reversed(batch))
        if self._over:  # a close came meanwhile
            self._discard()

    def _export(self, batch: list[Span], timeout: float) -> bool:
        """Offer a batch to the sink.

        Returns:
            Whether it has left the outbox: it was taken, or is lost.
        """
        try:
            lost = self._sink.export(batch, timeout)
            self.dropped += lost  # read only now: spans may have been dropped meanwhile
        except RetryLater:
            now = time.monotonic()
            if self._refused_since is None:
                self._refused_since = now
            if now - self._refused_since < KEPT_S:
                return False
            self.dropped += len(batch)
            logger.warning("%d spans were lost: the sink has not taken them for too long", len(batch))
        except Exception as error:  # noqa: BLE001 - a sink's fault costs its spans and nothing else
            self.dropped += len(batch)
            logger.warning("%d spans were lost: the sink failed with %s", len(batch), type(error).__name__)
        self._refused_since = None
        return True


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
