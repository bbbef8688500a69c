"""Processings that nobody closes by a `with`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interceptors.tracing.scopes import Processing

_Owner = asyncio.Task[Any] | threading.Thread


class Following:
    """The processings that a consumer has opened by itself, for the message that it handed out last.

    Each stays current until the task (or, outside of one, the thread) that it was opened in asks for the next
    message, or until the consumer is closed.
    """

    def __init__(self) -> None:
        """Start with none."""
        # Between threads: each adds under its own name, and takes out in one step what is over.
        self._open: dict[_Owner, list[Processing]] = {}

    def open(self, processing: Processing) -> None:
        """Make a processing current in this task or thread."""
        processing.__enter__()
        self._open.setdefault(_this(), []).append(processing)

    def end_finished(self) -> None:
        """End the processings that this task, or a task that is done, has moved on from."""
        if not self._open:
            return
        this = _this()
        for owner in list(self._open):
            if owner is this or _is_done(owner):
                self._end(owner, None)

    def end_all(self, error: BaseException | None = None) -> None:
        """End all of them.

        Args:
            error: what went wrong, if anything did.
        """
        for owner in list(self._open):
            self._end(owner, error)

    def _end(self, owner: _Owner, error: BaseException | None) -> None:
        for processing in self._open.pop(owner, ()):
            processing.end(error)


def _this() -> _Owner:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        task = None
    return task or threading.current_thread()


def _is_done(owner: _Owner) -> bool:
    return owner.done() if isinstance(owner, asyncio.Task) else not owner.is_alive()
