"""Other scanners, on the same data.

What belongs here: how each is called, and which of our classes its own names stand for. What does not:
scores. None of them is a dependency; each is used where it is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.evaluation.peers import datafog, detect_secrets, presidio

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.evaluation.peers.peer import Peer

PEERS: dict[str, Callable[[], Peer]] = {
    presidio.NAME: presidio.load,
    detect_secrets.NAME: detect_secrets.load,
    datafog.NAME: datafog.load,
}
"""What each is called, and what loads it."""


def load_peers() -> tuple[list[Peer], list[str]]:
    """Load the peers that are installed.

    Returns:
        Those that are, and the names of those that aren't.
    """
    loaded: list[Peer] = []
    missing: list[str] = []
    for name, load in PEERS.items():
        try:
            loaded.append(load())
        except ImportError:
            missing.append(name)
    return loaded, missing
