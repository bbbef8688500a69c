"""What wraps keys in memory, for tests of what would have a KMS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interceptors.errors import KeyProblem, KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping


class MemoryWrapping:
    """Wraps keys by remembering them. Called with a URI, it gives the `KeyWrapper` under that URI.

    ```python
    wrapping = MemoryWrapping()
    administration = KeyAdministration("roots.json", wrappers=wrapping)
    keys = LocalKeys("checkout.json", wrappers=wrapping)
    ```

    Attributes:
        uris: those that it was called with.
        unwraps: how often a key was asked to be unwrapped.
        away: what tests set while it is not to be reached.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.uris: list[str] = []
        self.unwraps = 0
        self.away = False
        self._wrapped: dict[tuple[str, bytes], tuple[bytes, dict[str, str]]] = {}

    def __call__(self, uri: str) -> MemoryWrapper:
        """Give what wraps keys under a URI."""
        self.uris.append(uri)
        return MemoryWrapper(self, uri)


class MemoryWrapper:
    """A `KeyWrapper` that unwraps only what was wrapped under its URI, with the context that it had."""

    def __init__(self, wrapping: MemoryWrapping, uri: str) -> None:
        """Be one of a wrapping's.

        Args:
            wrapping: what remembers the keys.
            uri: which wrapping key this is.
        """
        self._wrapping = wrapping
        self._uri = uri

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Remember a key, and give what stands for it."""
        self._reach()
        wrapped = os.urandom(40)
        self._wrapping._wrapped[self._uri, wrapped] = key, dict(context)  # noqa: SLF001 - its own
        return wrapped

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Give the key that something stands for."""
        self._reach()
        self._wrapping.unwraps += 1
        key, known = self._wrapping._wrapped.get((self._uri, wrapped), (b"", {}))  # noqa: SLF001 - its own
        if not key or known != dict(context):
            msg = "not wrapped by this key with this context"
            raise KeyProviderError(msg, problem=KeyProblem.DENIED)
        return key

    def _reach(self) -> None:
        if self._wrapping.away:
            msg = "the wrapping key can't be reached"
            raise KeyProviderError(msg, problem=KeyProblem.UNREACHABLE)
