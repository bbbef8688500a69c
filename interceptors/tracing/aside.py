"""Work that may hang, done in a thread of its own, so that whoever wants it done waits for it no longer."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("interceptors")


class Aside:
    """Does one thing again and again, and never twice at a time."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        """Take the work.

        Args:
            work: what is to be done; a fault of it is logged, by its type alone.
            name: of the threads.
        """
        self._work = work
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether it is still being done. In a child after a fork it is not."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def here(self) -> bool:
        """Whether it is this thread that does it, so that to wait for it would be in vain."""
        return self._thread is threading.current_thread()

    def start(self, patience: float = 0.0) -> bool:
        """Have it done, where it is not under way.

        Args:
            patience: how many seconds to wait for it.

        Returns:
            Whether it was begun: no thread may be had, or it is under way.
        """
        if self.busy:
            return False
        self._thread = thread = threading.Thread(target=self._do, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter is ending
            return False
        if patience:
            thread.join(patience)
        return True

    def wait(self, timeout: float) -> None:
        """Wait until it is done, where it is under way.

        Args:
            timeout: for how many seconds at the most.
        """
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(max(timeout, 0))

    def claim(self) -> None:
        """Count as busy, for `do` in this thread: where no other is to be had."""
        self._thread = threading.current_thread()

    def do(self) -> None:
        """Do it in this thread, which has claimed it."""
        try:
            self._do()
        finally:
            self._thread = None

    def _do(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - the next time may be better
            logger.warning("a background chore failed with %s", type(error).__name__)
