"""A mapping that cannot grow without end.

What belongs here: the one bounded mapping that caches and windows are made of. What does not: what any of
them means.
"""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedMap(Generic[K, V]):
    """A mapping in two generations: when the young one is full, it becomes the old one, and the old one goes.

    It holds at least the last `capacity // 2` keys that were set and never more than `capacity`. Every
    operation is a constant number of dict operations, so it is as safe between threads as a dict is; a
    thread that meets a change of generation may at worst miss a key.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, capacity: int) -> None:
        """Start empty.

        Args:
            capacity: the most keys to hold, at least 2.
        """
        self._half = max(1, capacity // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Give the value of a key, or None where it is not held (any more)."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def set(self, key: K, value: V) -> None:
        """Hold a value; the oldest generation goes when the young one is full."""
        self._room(key)[key] = value

    def setdefault(self, key: K, value: V) -> V:
        """Give what is held for a key, or hold the value and give it."""
        held = self._old.get(key)
        if held is not None and key not in self._young:
            return held
        return self._room(key).setdefault(key, value)

    def clear(self) -> None:
        """Forget everything."""
        self._young = {}
        self._old = {}

    def _room(self, key: K) -> dict[K, V]:
        young = self._young
        if len(young) >= self._half and key not in young:
            self._old = young
            self._young = young = {}
        return young

    def __len__(self) -> int:
        """Count what is held; a key that stands in both generations counts twice."""
        return len(self._young) + len(self._old)
