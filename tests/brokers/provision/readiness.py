"""When a server can be used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kind import Kind

_PAUSE = 0.05


def wait_ready(kind: Kind, address: str, *, timeout: float, check: Callable[[], None] = lambda: None) -> None:
    """Wait until a client can use the server.

    Args:
        kind: of what kind it is.
        address: where.
        timeout: for how many seconds.
        check: called again and again meanwhile; raises when there is nothing left to wait for.

    Raises:
        TimeoutError: it was not ready in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        check()
        try:
            kind.probe(address)
        except ConnectionError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{kind.name} is not ready after {timeout} s") from error
            time.sleep(_PAUSE)  # a server that doesn't listen yet has no event to wait for
        else:
            return
