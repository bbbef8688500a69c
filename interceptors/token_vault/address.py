"""The choice of a database, by its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.token_vault.sqlite import SQLite

if TYPE_CHECKING:
    from interceptors.token_vault.database import Database


def open_database(address: str) -> Database:
    """Give the database at an address. Nothing is asked of it yet.

    Args:
        address: a URL that begins with `postgresql://`, or the path of an SQLite file.

    Raises:
        MissingExtraError: it is PostgreSQL, and its client is not installed.
        ConfigurationError: it can't be a path.
    """
    if address.startswith(("postgresql://", "postgres://")):
        from interceptors.token_vault.postgresql import PostgreSQL  # noqa: PLC0415 - of an extra

        return PostgreSQL(address)
    return SQLite(address)
