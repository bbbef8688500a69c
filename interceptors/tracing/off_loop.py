"""Fetching keys, and looking for changes, without making an event loop wait."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS = 8


class _Threads:
    """Threads for this alone: a program may fill those of its event loop, for as long as it likes."""

    def __init__(self) -> None:
        self.begin()
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        """Begin without a thread, as in a child after a fork."""
        self.pool = ThreadPoolExecutor(_THREADS, "interceptors-off-loop")


_threads = _Threads()


async def off_loop(wanted: Callable[[], object]) -> None:
    """Fetch keys, or look for changes, in a thread. Where none is to be had, the message goes on without.

    Args:
        wanted: what `Tracing.sealing_key_wanted` or `Tracing.opening_keys_wanted` gave.
    """
    run = contextvars.copy_context().run
    with contextlib.suppress(RuntimeError):
        await asyncio.get_running_loop().run_in_executor(_threads.pool, run, wanted)
