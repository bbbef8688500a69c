"""PostgreSQL: the vault of more than one host."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from interceptors.errors import MissingExtraError
from interceptors.token_vault.database import Dialect, OneConnection, reached

try:
    import psycopg
except ImportError:
    raise MissingExtraError("postgresql", "psycopg") from None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.token_vault.database import Execute

_CONNECT_S = 10
_SETTINGS = (
    "SET default_transaction_isolation = 'read committed'",  # what the locks of `store` are made for
    "SET lock_timeout = '30s'",
    "SET statement_timeout = '60s'",
)


def _rows(
    connection: psycopg.Connection[tuple[Any, ...]], sql: str, values: tuple[str | int | bytes, ...]
) -> list[tuple[Any, ...]]:
    done = connection.execute(sql.replace("?", "%s").encode(), values)
    return [] if done.description is None else done.fetchall()


class PostgreSQL(OneConnection["psycopg.Connection[tuple[Any, ...]]"]):
    """A database on a server, with one connection a process."""

    dialect = Dialect(
        blob="BYTEA",
        exclusive="SELECT pg_advisory_xact_lock(7310579604033170224)",  # "interceptors" has no number
        share=" FOR SHARE",
        claim=" FOR UPDATE SKIP LOCKED",
    )

    def __init__(self, url: str) -> None:
        """Keep where it is.

        Args:
            url: as PostgreSQL's clients take it. A password is better left to `PGPASSFILE`.
        """
        super().__init__()
        self._url = url

    @contextlib.contextmanager
    def transaction(self, *, write: bool) -> Iterator[Execute]:  # noqa: ARG002 - rows are locked one by one
        """Begin a transaction: see `Database`."""
        self._after_fork()
        with self._lock, contextlib.ExitStack() as ending:
            connection = reached(lambda: self._begun(ending), psycopg.Error)

            def execute(sql: str, /, *values: str | int | bytes) -> list[tuple[Any, ...]]:
                return reached(lambda: _rows(connection, sql, values), psycopg.Error)

            yield execute
            reached(ending.close, psycopg.Error)  # which commits

    def scrub(self) -> None:
        """Do nothing: see `Database`.

        Only `VACUUM FULL` writes tables anew without what was deleted. It locks them meanwhile, and is for
        their owner, who need not be this client.
        """

    def _begun(self, ending: contextlib.ExitStack) -> psycopg.Connection[tuple[Any, ...]]:
        """Begin a transaction, on a new connection where the one of before is gone."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.OperationalError):
                ending.enter_context(self._connection.transaction())
                return self._connection
            self._connection.close()
            self._connection = None
        connection = psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_S)
        try:
            for setting in _SETTINGS:
                connection.execute(setting.encode())
            ending.enter_context(connection.transaction())
        except psycopg.Error:
            connection.close()
            raise
        self._connection = connection
        return connection
