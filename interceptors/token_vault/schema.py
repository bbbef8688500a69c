"""The vault's tables, and how they become what this version of the library expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError, TokenError

if TYPE_CHECKING:
    from interceptors.token_vault.database import Database

_STEPS = (
    (
        "CREATE TABLE vault_tenants (tenant TEXT PRIMARY KEY, version INTEGER NOT NULL)",
        """CREATE TABLE vault_tokens (
            token {blob} PRIMARY KEY, tenant TEXT NOT NULL, domain TEXT NOT NULL,
            version INTEGER NOT NULL, lookup {blob} NOT NULL, sealed {blob} NOT NULL,
            UNIQUE (tenant, domain, version, lookup)
        )""",
        "CREATE INDEX vault_tokens_version ON vault_tokens (tenant, version)",
        """CREATE TABLE vault_aliases (
            tenant TEXT NOT NULL, domain TEXT NOT NULL, former TEXT NOT NULL,
            latest TEXT NOT NULL, version INTEGER NOT NULL,
            PRIMARY KEY (tenant, domain, former)
        )""",
        "CREATE TABLE vault_rates (caller TEXT PRIMARY KEY, due BIGINT NOT NULL)",
    ),
    (
        "DELETE FROM vault_rates",  # anybody who had ever asked, under whatever name
        "ALTER TABLE vault_rates ADD COLUMN refused BIGINT NOT NULL DEFAULT 0",
        "CREATE TABLE vault_domains (domain TEXT PRIMARY KEY, form TEXT NOT NULL)",
        "CREATE INDEX vault_aliases_former ON vault_aliases (former)",
        "CREATE INDEX vault_aliases_latest ON vault_aliases (latest)",
    ),
)
"""What each version of the tables adds to the one before."""


def migrate(database: Database) -> None:
    """Make the tables, or bring them up to date. The only call that needs the right to change them.

    Args:
        database: where.

    Raises:
        TokenError: unreachable.
        ConfigurationError: a later version of the library has made them.
    """
    dialect = database.dialect
    with database.transaction(write=True) as execute:
        execute(dialect.exclusive)
        execute("CREATE TABLE IF NOT EXISTS vault_schema (version INTEGER NOT NULL)")
        done = execute("SELECT max(version) FROM vault_schema")[0][0] or 0
        _check(done, len(_STEPS))
        for version, statements in enumerate(_STEPS[done:], done + 1):
            for statement in statements:
                execute(statement.format(blob=dialect.blob))
            execute("INSERT INTO vault_schema (version) VALUES (?)", version)


def check_schema(database: Database) -> None:
    """See that the tables are those of this version.

    Raises:
        ConfigurationError: they are not there, or of another version.
        TokenError: unreachable.
    """
    try:
        with database.transaction(write=False) as execute:
            done = execute("SELECT max(version) FROM vault_schema")[0][0] or 0
    except TokenError:
        with database.transaction(write=False):  # raises where it is the database that is to blame
            done = 0
    _check(done, len(_STEPS))
    if done < len(_STEPS):
        msg = (
            "the vault's database has no tables, or those of an older version; run: interceptors tokens init"
        )
        raise ConfigurationError(msg)


def _check(done: int, known: int) -> None:
    if done > known:
        msg = f"the vault's tables are of version {done}, and this library knows {known}; update the library"
        raise ConfigurationError(msg)
