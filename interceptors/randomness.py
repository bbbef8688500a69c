"""Random bytes from the operating system, drawn many at a time: a system call each costs more than its use.

What belongs here: that, and nothing else. What does not: any other source of randomness, and any use in which
one of them given twice would do harm, such as in a nonce: clones of a virtual machine share what was drawn.
"""

from __future__ import annotations

import os

_DRAWN = 256


class Draws:
    """Gives random bytes of one length, each of them once.

    Safe between threads; a child after a fork begins with none of what its parent has drawn.
    """

    __slots__ = ("_left", "_size")

    def __init__(self, size: int) -> None:
        """Start with none.

        Args:
            size: bytes of a draw.
        """
        self._size = size
        self._left: list[bytes] = []
        os.register_at_fork(after_in_child=self._left.clear)

    def __call__(self) -> bytes:
        """Give the next."""
        try:
            return self._left.pop()
        except IndexError:
            pass
        size, drawn = self._size, os.urandom(self._size * _DRAWN)
        first, *rest = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        self._left += rest
        return first
