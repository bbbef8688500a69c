"""The one helper by which an adapter passes on what it does not trace."""

from __future__ import annotations

from typing import Any


class Delegate:
    """Gives every attribute that it does not have itself from the object that it wraps."""

    def __init__(self, wrapped: Any) -> None:  # noqa: ANN401 - a client of whatever library
        """Wrap a client.

        Args:
            wrapped: the client; it stays the caller's, and may be used beside this one.
        """
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has there
        """Give the client's attribute."""
        if name == "_wrapped":  # not made yet: while being copied or unpickled
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    def __dir__(self) -> list[str]:
        """List the client's attributes, too."""
        return sorted({*super().__dir__(), *dir(self._wrapped)})

    def __repr__(self) -> str:
        """Name the client's class; its own repr may show its configuration."""
        return f"{type(self).__name__}({type(self._wrapped).__name__})"
