"""Aliases: which tokens of before and after a rotation stand for one identifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan import parse_token
from interceptors.token_vault.schema import check_schema

if TYPE_CHECKING:
    from interceptors.scan import Token
    from interceptors.token_vault.database import Database
    from interceptors.tokens import Tokenized


class AliasStore:
    """Joins the derived tokens of a domain across the rotations of its key.

    Whoever meets an identifier and holds the former key, too, records what its token was; whoever meets a
    token of before asks for the one of now. It knows tokens alone, and no identifier.
    """

    def __init__(self, database: Database) -> None:
        """Take a database.

        Args:
            database: the vault's, or one of its own, with its tables made.

        Raises:
            ConfigurationError: its tables are not there, or of another version.
            TokenError: unreachable.
        """
        self._database = database
        check_schema(database)

    def record(self, tenant: str, domain: str, tokenized: Tokenized) -> None:
        """Record what an identifier's tokens were. Does nothing where there are none of before.

        Args:
            tenant: whose they are.
            domain: of which domain.
            tokenized: what a `Tokenizer` gave.

        Raises:
            TokenError: unreachable.
        """
        if not tokenized.former:
            return
        latest = tokenized.current
        with self._database.transaction(write=True) as execute:
            # In one order for all, so that no two wait for one another.
            for former in sorted(tokenized.former):
                execute(
                    "INSERT INTO vault_aliases (tenant, domain, former, latest, version)"
                    " VALUES (?, ?, ?, ?, ?)"
                    " ON CONFLICT (tenant, domain, former) DO UPDATE"
                    " SET latest = excluded.latest, version = excluded.version"
                    " WHERE vault_aliases.version < excluded.version",
                    tenant,
                    domain,
                    str(former),
                    str(latest),
                    latest.version,
                )

    def canonical(self, tenant: str, domain: str, token: Token) -> Token:
        """Give the latest token that is known of the identifier that a token stands for.

        Args:
            tenant: whose it is.
            domain: of which domain.
            token: of any version.

        Returns:
            The latest; the same where nothing later is known.

        Raises:
            TokenError: unreachable.
        """
        with self._database.transaction(write=False) as execute:
            while True:
                rows = execute(
                    "SELECT latest FROM vault_aliases WHERE tenant = ? AND domain = ? AND former = ?"
                    " AND version > ?",  # so that it ends
                    tenant,
                    domain,
                    str(token),
                    token.version,
                )
                if not rows:
                    return token
                token = parse_token(rows[0][0])
