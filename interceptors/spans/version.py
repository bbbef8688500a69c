"""The version that spans and metrics name as their maker's."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """Give the version of this library; `unknown` where it runs without being installed."""
    try:
        return importlib.metadata.version("interceptors")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
