"""Processings that nobody closes by a `with`."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interceptors.tracing.scopes import Processing

Owner = asyncio.Task[Any] | threading.Thread


class Following:
    """The processings that a consumer has opened by itself, for the message that it handed out last.

    Each stays current until the task (or, outside of one, the thread) that it was opened in asks for the next
    message, or until the consumer is closed.
    """

    def __init__(self) -> None:
        """Start with none."""
        # Between threads: each adds under its own id, and takes out in one step what is over. A task is not
        # kept alive: its result may be large.
        self._open: dict[int, tuple[weakref.ref[Owner], list[Processing]]] = {}

    def open(self, processing: Processing, owner: Owner | None = None) -> None:
        """Make a processing current in this task or thread.

        Args:
            processing: of the message that is handed out.
            owner: this task or thread, for whoever has it from `end_finished`: it costs to find out.
        """
        owner = owner or _this()
        processing.__enter__()
        found = self._open.get(id(owner))
        if found is None or found[0]() is not owner:
            self._end(id(owner), None)  # of one that is gone, whose id this one has now
            self._open[id(owner)] = (weakref.ref(owner), [processing])
        else:
            found[1].append(processing)

    def end_finished(self) -> Owner:
        """End the processings that this task, or a task that is done, has moved on from.

        Returns:
            This task or thread.
        """
        this = _this()
        if self._open:
            for key, (owner, _) in list(self._open.items()):
                alive = owner()
                if alive is this or alive is None or _is_done(alive):
                    self._end(key, None)
        return this

    def end_all(self, error: BaseException | None = None) -> None:
        """End all of them.

        Args:
            error: what went wrong, if anything did.
        """
        for key in list(self._open):
            self._end(key, error)

    def _end(self, key: int, error: BaseException | None) -> None:
        _, processings = self._open.pop(key, (None, ()))
        for processing in processings:
            processing.end(error)


def _this() -> Owner:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        task = None
    return task or threading.current_thread()


def _is_done(owner: Owner) -> bool:
    return owner.done() if isinstance(owner, asyncio.Task) else not owner.is_alive()
