"""Fetching keys, and looking for changes, without making an event loop wait."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def off_loop(wanted: Callable[[], object]) -> None:
    """Fetch keys, or look for changes, in a thread. Where none is to be had, the message goes on without.

    Args:
        wanted: what `Tracing.sealing_key_wanted` or `Tracing.opening_keys_wanted` gave.
    """
    with contextlib.suppress(RuntimeError):
        await asyncio.to_thread(wanted)
