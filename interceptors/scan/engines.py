"""Which engine is used: Hyperscan where the extra `scan` is installed, else the stdlib's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan.engine import StdlibEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.scan.engine import Engine


def best_engine() -> Callable[[Sequence[str]], Engine]:
    """Give the fastest engine that is installed: what makes one of some triggers."""
    try:
        from interceptors.scan.hyperscan_engine import HyperscanEngine  # noqa: PLC0415 - an extra
    except ImportError:
        return StdlibEngine
    return HyperscanEngine
