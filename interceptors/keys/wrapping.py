"""Wrapping keys: what a key management service does for the keys in a file.

Messages are sealed with sender keys, here; the service that manages keys never sees one. What it does is to
wrap those keys where they lie, so that a stolen file opens nothing. Each driver is in a module of its own,
and of an extra: `aws_kms`, `vault_transit`, `pkcs11`; `wrapping_uri` knows them, and this one doesn't.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from interceptors.envelope.binding import lp
from interceptors.errors import KeyProblem, KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

_CONTEXT = "interceptors/v1/wrap"
_REMEDIES = {
    KeyProblem.UNKNOWN: "check the wrapping key's name, and that it is neither disabled nor deleted",
    KeyProblem.DENIED: "check this service's permissions and credentials",
    KeyProblem.EXHAUSTED: "it is asked too often; raise the limit, or the `cache` of the keys",
    KeyProblem.UNREACHABLE: "check that it runs, and can be reached from here",
}


class KeyWrapper(Protocol):
    """Encrypts keys under a key that doesn't leave the service, or device, that holds it.

    Both methods may block. Users name a wrapper by its URI (`key_wrapper`); this is for whoever connects
    another service.
    """

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt a key.

        Args:
            key: 32 bytes.
            context: what the key is (`wrapping_context`); authenticated, not encrypted, and may be logged.

        Returns:
            The wrapped key, with all that unwrapping needs but the context.

        Raises:
            KeyProviderError: unknown, denied, exhausted or unreachable.
        """
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt a key.

        Args:
            wrapped: what `wrap` has given.
            context: the one that it was wrapped with.

        Returns:
            The key.

        Raises:
            KeyProviderError: unknown, exhausted or unreachable; denied, also where the wrapped key is not
                authentic: altered, or wrapped with another context or key.
        """
        ...


def wrapping_context(kind: str, tenant: str, **names: str | int) -> dict[str, str]:
    """Say what a key is, so that no wrapped key can be put in the place of another.

    Args:
        kind: such as `root` or `sender key`.
        tenant: the tenant's name.
        names: what else tells the key apart from others of its kind: sender, epoch, domain, version.
    """
    return {"kind": kind, "tenant": tenant} | {name: str(value) for name, value in names.items()}


def associated_context(context: Mapping[str, str]) -> bytes:
    """Give a context as associated data, for a driver whose service takes bytes.

    Args:
        context: as `wrapping_context` gives it.

    Returns:
        Names and values, sorted by name, each with its length before it.
    """
    return lp(_CONTEXT) + b"".join(lp(name) + lp(value) for name, value in sorted(context.items()))


class PerProcess(Generic[T]):
    """A thing that a forked child must not share with its parent, such as a connection: each makes its own.

    Two threads that come first at once may make one each, of which one is kept.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """Make nothing yet.

        Args:
            make: makes one.
        """
        self._make = make
        self._made: tuple[int, T] | None = None

    def __call__(self) -> T:
        """Give this process's."""
        made = self._made
        if made is None or made[0] != os.getpid():
            made = self._made = (os.getpid(), self._make())
        return made[1]


def refused(text: str, problem: KeyProblem) -> KeyProviderError:
    """Make the error of a wrapper, with the remedy that goes with the problem.

    Args:
        text: which wrapper, what it was asked for, and in a word what came of it; nothing of the key.
        problem: which.
    """
    return KeyProviderError(f"{text}; {_REMEDIES[problem]}", problem=problem)
