"""Ports to listen on."""

from __future__ import annotations

import random
import socket

# Below the range that outgoing connections take theirs from. A client that keeps trying a killed broker's
# port inside that range may one day be given the same port for its own side, and is then connected to itself,
# and the broker cannot come back.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on now.

    Raises:
        RuntimeError: no luck in many tries.
    """
    found: list[int] = []
    for port in random.Random().sample(range(_LOWEST, _HIGHEST), 200):  # not the seed that tests share
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports between {_LOWEST} and {_HIGHEST}")
