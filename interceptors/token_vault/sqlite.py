"""SQLite: the vault of one host, for as many of its processes as there are."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interceptors.errors import ConfigurationError
from interceptors.token_vault.database import Dialect, OneConnection, reached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.token_vault.database import Execute

_BUSY_S = 30
"""How long a transaction waits for another one to end."""


class SQLite(OneConnection[sqlite3.Connection]):
    """A file, with one connection a process. Its owner alone can read it."""

    dialect = Dialect(blob="BLOB", exclusive="SELECT 1")  # a transaction that may write is alone in the file

    def __init__(self, path: Path | str) -> None:
        """Keep where it is.

        Args:
            path: of the file, which is made with the first transaction.

        Raises:
            ConfigurationError: there is no such folder.
        """
        super().__init__()
        self._path = Path(path)
        if not self._path.parent.is_dir():
            msg = f"{self._path}: there is no such folder; give another place"
            raise ConfigurationError(msg)

    @contextlib.contextmanager
    def transaction(self, *, write: bool) -> Iterator[Execute]:
        """Begin a transaction: see `Database`."""
        self._after_fork()
        with self._lock:
            connection = reached(self._connected, sqlite3.Error, OSError)

            def execute(sql: str, /, *values: str | int | bytes) -> list[tuple[Any, ...]]:
                return reached(lambda: connection.execute(sql, values).fetchall(), sqlite3.Error)

            execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield execute
                execute("COMMIT")
            except BaseException:
                self._undo(connection)
                raise

    def scrub(self) -> None:
        """Empty the log of changes: see `Database`. The file itself has deleted rows overwritten already.

        Where another connection reads for longer than a transaction waits, the log stays until it is full, or
        this is called again.
        """
        self._after_fork()
        with self._lock:
            connection = reached(self._connected, sqlite3.Error, OSError)
            reached(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), sqlite3.Error)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            # The other files get its mode. One that is there is not opened: to close it would drop the locks
            # that another connection of this process has on it (sqlite.org/howtocorrupt.html, section 2.2).
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")  # a token that was given out is not lost
                connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @staticmethod
    def _undo(connection: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
