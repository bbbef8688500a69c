"""What every test of a view does with it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from interceptors.scan.formats.view import Edit, View, spliced
from interceptors.scan.token import Token

TOKEN = Token(bytes(range(1, 17)), 1)
Path = Callable[[View, bytes], str]
Replaced = Callable[..., bytes]


def span(view: View, text: bytes) -> tuple[int, int]:
    """Where a text is first shown."""
    match = re.search(re.escape(text), view.data)
    assert match is not None
    return match.span()


@pytest.fixture(scope="session")
def path() -> Path:
    """Gives the path of a text that a view shows."""

    def of(view: View, text: bytes) -> str:
        (path,) = view.paths([span(view, text)])
        return path

    return of


@pytest.fixture(scope="session")
def replaced() -> Replaced:
    """Gives a record in which texts that its view shows are replaced."""

    def of(view: View, body: bytes, *texts: bytes, token: bool = False) -> bytes:
        edits = [
            Edit(*place, view.replacement(*place, TOKEN if token else None))
            for place in sorted(span(view, text) for text in texts)
        ]
        return spliced(body, view.edits(edits))

    return of
