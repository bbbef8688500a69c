"""What a vault needs of a database."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from interceptors.errors import TokenError, TokenProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class _Closable(Protocol):
    def close(self) -> None: ...


_T = TypeVar("_T")
_Connection = TypeVar("_Connection", bound=_Closable)


class Dialect(NamedTuple):
    """Where the SQL of databases differs."""

    blob: str
    """The type of bytes."""
    exclusive: str
    """A statement that lets no other transaction with the same statement run beside this one."""
    share: str = ""
    """What a SELECT ends with so that its row can't change before the transaction ends."""
    claim: str = ""
    """What a SELECT ends with so that nobody else gets the same rows to change."""


class Execute(Protocol):
    """Runs one statement of a transaction."""

    def __call__(self, sql: str, /, *values: str | int | bytes) -> list[tuple[Any, ...]]:
        """Run it.

        Args:
            sql: with a `?` for each value.
            values: what stands for them.

        Returns:
            The rows, if it gives any.
        """
        ...


class Database(Protocol):
    """A database. Safe between threads, and after a fork."""

    dialect: Dialect

    def transaction(self, *, write: bool) -> AbstractContextManager[Execute]:
        """Begin a transaction, committed where its body ends and undone where that raises.

        Args:
            write: whether it is going to change anything.

        Raises:
            TokenError: unreachable.
        """
        ...

    def scrub(self) -> None:
        """See that what was deleted is in none of the database's files any more, as far as a client can.

        Raises:
            TokenError: unreachable.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; the next transaction makes another one."""
        ...


class OneConnection(Generic[_Connection]):
    """A connection that the threads of one process share, and no two processes."""

    def __init__(self) -> None:
        """Begin without one."""
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._pid = os.getpid()
        self._inherited: list[_Connection | None] = []

    def close(self) -> None:
        """Close the connection: see `Database`."""
        self._after_fork()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _after_fork(self) -> None:
        """Leave the connection of before a fork to the parent.

        To close it here would end the parent's session with a server, and could drop the locks of its file
        (sqlite.org/howtocorrupt.html, section 2.6), so that it is kept and not used.
        """
        if self._pid != os.getpid():
            self._inherited.append(self._connection)
            self._connection, self._lock, self._pid = None, threading.Lock(), os.getpid()


def reached(call: Callable[[], _T], *errors: type[Exception]) -> _T:
    """Ask something of a database, whose errors become ours.

    Args:
        call: what is asked.
        errors: what the database raises. Its text may hold the address, password included, so that it is not
            even the context of what is raised instead.

    Returns:
        The answer.

    Raises:
        TokenError: unreachable; the text says the kind of the error alone.
    """
    try:
        return call()
    except errors as error:
        kind = type(error).__name__
    raise TokenError(
        f"the vault's database can't be used ({kind}); see that it is there, and answers",
        problem=TokenProblem.UNREACHABLE,
    )
