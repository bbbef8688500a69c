"""What is looked for in these tests: one identifier that no other detector knows of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from interceptors.scan import Detector, Inspector, Limits, Rule, Validation

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG = Detector(
    name="tag",
    class_="internal.tag",
    # A value that counts only with its name before it, and may run over lines.
    rules=(Rule(("tag=",), r"tag=(?P<id>[a-z0-9\n]{3,40};)"),),
    validation=Validation.PATTERN,
    reason="a tag",
)


@pytest.fixture(scope="session")
def inspector() -> Inspector:
    """Finds `tag=…;`: what is behind the sign, the semicolon included."""
    return Inspector([TAG], limits=Limits(bytes=1 << 26))


class Trickle(io.RawIOBase):
    """A stream that gives what it is asked for, and keeps how much that was at most."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0
        self.most = max(self.most, size)
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@pytest.fixture
def trickle() -> type[Trickle]:
    """Makes a stream of pieces."""
    return Trickle
