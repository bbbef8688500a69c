"""Aliases: which tokens of before and after a rotation stand for one identifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan import parse_token
from interceptors.token_vault.schema import check_schema

if TYPE_CHECKING:
    from collections.abc import Collection

    from interceptors.audit import AuditLog
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

    def domain_of(self, token: Token) -> tuple[str, str] | None:
        """Give the tenant and domain of a token that has an alias, or is one; None of any other."""
        with self._database.transaction(write=False) as execute:
            rows = execute(
                "SELECT tenant, domain FROM vault_aliases WHERE former = ? OR latest = ? LIMIT 1",
                str(token),
                str(token),
            )
        return tuple(rows[0]) if rows else None

    def forget(self, tenant: str, domain: str, token: Token) -> int:
        """Delete every alias of the identifier that a token stands for.

        Args:
            tenant: whose it is.
            domain: of which domain.
            token: of any version.

        Returns:
            How many there were.

        Raises:
            TokenError: unreachable.
        """
        deleted = 0
        with self._database.transaction(write=True) as execute:
            left, met = [str(token)], {str(token)}
            while left:
                each = left.pop()
                rows = execute(
                    "DELETE FROM vault_aliases WHERE tenant = ? AND domain = ? AND (former = ? OR latest = ?)"
                    " RETURNING former, latest",
                    tenant,
                    domain,
                    each,
                    each,
                )
                deleted += len(rows)
                joined = {text for row in rows for text in row} - met
                left.extend(sorted(joined))
                met |= joined
        self._database.scrub()
        return deleted

    def keep(self, tenant: str, versions: Collection[int], audit: AuditLog) -> int:
        """Delete a tenant's aliases of all versions of its token keys but some: of those that were destroyed.

        Args:
            tenant: whose they are.
            versions: those that there are still. Their tokens stay joined, also where the one between them
                goes.
            audit: where it is recorded before it is done; nothing, where there is nothing to do.

        Returns:
            How many were deleted.

        Raises:
            AuditError: it can't be recorded, so that it is not done.
            TokenError: unreachable.
        """
        kept = [str(version) for version in sorted(versions)]
        former, values = _of_others("vault_aliases.former", kept)
        latest, _ = _of_others("vault_aliases.latest", kept)
        with self._database.transaction(write=False) as execute:
            wanted = execute(
                f"SELECT 1 FROM vault_aliases WHERE tenant = ? AND ({former} OR {latest}) LIMIT 1",  # noqa: S608 - question marks alone
                tenant,
                *values,
                *values,
            )
        if not wanted:
            return 0
        with audit.act("token.aliases", tenant=tenant, kept=kept):
            with self._database.transaction(write=True) as execute:
                while execute(
                    "UPDATE vault_aliases SET latest = later.latest, version = later.version"  # noqa: S608 - as above
                    " FROM vault_aliases AS later WHERE vault_aliases.tenant = ? AND later.tenant = ?"
                    " AND later.domain = vault_aliases.domain AND later.former = vault_aliases.latest"
                    f" AND later.version > vault_aliases.version AND {latest}"
                    " RETURNING 1",
                    tenant,
                    tenant,
                    *values,
                ):
                    pass
                rows = execute(
                    f"DELETE FROM vault_aliases WHERE tenant = ? AND ({former} OR {latest}) RETURNING 1",  # noqa: S608 - as above
                    tenant,
                    *values,
                    *values,
                )
            self._database.scrub()
        return len(rows)


def _of_others(column: str, kept: list[str]) -> tuple[str, list[str | int]]:
    """Give a condition for tokens of other versions than some, and what stands for its question marks."""
    beginnings = [f"tok{version}_" for version in kept]
    same = " OR ".join([f"substr({column}, 1, ?) = ?"] * len(kept))
    return f"NOT ({same or '1 = 0'})", [value for each in beginnings for value in (len(each), each)]
