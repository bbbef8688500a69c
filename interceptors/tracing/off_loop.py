"""Fetching keys without making an event loop wait."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def off_loop(wanted: Callable[[], object]) -> None:
    """Fetch keys in a thread. Where no thread is to be had, the message goes on, and so does its verdict.

    Args:
        wanted: what `Tracing.sealing_key_wanted` or `Tracing.opening_keys_wanted` gave.
    """
    with contextlib.suppress(RuntimeError):
        await asyncio.to_thread(wanted)
