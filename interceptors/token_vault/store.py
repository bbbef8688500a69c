"""What is kept of identifiers and callers, in SQL that both databases understand.

Nothing here knows a key: lookups and sealed values come ready-made.

That one identifier has one token rests on two things: the unique index over (tenant, domain, version,
lookup), and that a transaction that adds to a tenant shares a lock on the version that the tenant is indexed
under, which a rotation has to wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError
from interceptors.token_vault.schema import check_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.token_vault.database import Database, Execute


class Kept(NamedTuple):
    """What is kept of an identifier."""

    token: bytes
    tenant: str
    domain: str
    version: int
    """Of the key that it is indexed and sealed under."""
    sealed: bytes

    def __repr__(self) -> str:
        """Show what is public."""
        return f"Kept(tenant={self.tenant!r}, domain={self.domain!r}, version={self.version})"


class Count(NamedTuple):
    """How many tokens there are."""

    tenant: str
    domain: str
    version: int
    tokens: int


class Taken(NamedTuple):
    """What came of taking one from an allowance."""

    allowed: bool
    refused: int
    """How many were refused since that was last noted (`VaultStore.noted`), this one included."""


class VaultStore:
    """The tables of a vault."""

    def __init__(self, database: Database) -> None:
        """Take a database.

        Args:
            database: with its tables made.

        Raises:
            ConfigurationError: its tables are not there, or of another version.
            TokenError: unreachable.
        """
        self._database = database
        check_schema(database)

    def find(self, tenant: str, domain: str, lookups: Mapping[int, bytes]) -> bytes | None:
        """Give the token of an identifier, if it has one.

        Args:
            tenant: whose it is.
            domain: what it is.
            lookups: its lookup by version, for each key that is held.
        """
        with self._database.transaction(write=False) as execute:
            return _found(execute, tenant, domain, lookups)

    def add(
        self,
        tenant: str,
        domain: str,
        token: bytes,
        lookups: Mapping[int, bytes],
        seal: Callable[[int], bytes],
        *,
        form: str,
    ) -> bytes:
        """Give the token of an identifier, a new one where it has none.

        Args:
            tenant: whose it is.
            domain: what it is.
            token: the new one.
            lookups: its lookup by version, for each key that is held.
            seal: gives its sealed value under the key of a version.
            form: which normal form it is looked up in; the same for all of a domain, from the first one on.

        Returns:
            The token that the identifier has: the new one, or somebody else's.

        Raises:
            KeyProviderError: the tenant is indexed under a key that is not held.
            ConfigurationError: the domain has another form.
        """
        with self._database.transaction(write=True) as execute:
            version = self._version(execute, tenant, max(lookups))
            if version not in lookups:
                raise missing_key(tenant, version)
            check_form(domain, self._form(execute, domain, form), form)
            while True:
                found = _found(execute, tenant, domain, lookups)
                if found is not None:
                    return found
                added = execute(
                    "INSERT INTO vault_tokens (token, tenant, domain, version, lookup, sealed)"
                    " VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (tenant, domain, version, lookup) DO NOTHING RETURNING token",
                    token,
                    tenant,
                    domain,
                    version,
                    lookups[version],
                    seal(version),
                )
                if added:
                    return token
                # Somebody was faster; what they have committed is seen by the next statement.

    def get(self, token: bytes) -> Kept | None:
        """Give what is kept of the identifier that a token stands for."""
        with self._database.transaction(write=False) as execute:
            rows = execute(
                "SELECT token, tenant, domain, version, sealed FROM vault_tokens WHERE token = ?", token
            )
        return Kept(*rows[0]) if rows else None

    def delete(self, token: bytes) -> bool:
        """Delete what is kept of an identifier, and say whether there was anything."""
        with self._database.transaction(write=True) as execute:
            deleted = bool(execute("DELETE FROM vault_tokens WHERE token = ? RETURNING token", token))
        self._database.scrub()
        return deleted

    def begin_rotation(self, tenant: str, version: int) -> None:
        """Index a tenant under another key from now on.

        Args:
            tenant: whose identifiers.
            version: of the key; an older one than the present one changes nothing.
        """
        with self._database.transaction(write=True) as execute:
            # Without a shared lock first: two rotations that hold one would wait for one another.
            execute(
                "INSERT INTO vault_tenants (tenant, version) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE"
                " SET version = excluded.version WHERE vault_tenants.version < excluded.version",
                tenant,
                version,
            )

    def rotate_some(
        self, tenant: str, version: int, most: int, redo: Callable[[Kept], tuple[bytes, bytes]]
    ) -> int:
        """Index and seal anew some of what is not under a key yet.

        Args:
            tenant: whose identifiers.
            version: of the key.
            most: how many at once.
            redo: gives the new lookup and the new sealed value.

        Returns:
            How many were done; 0 when there are none left that nobody else is at.
        """
        with self._database.transaction(write=True) as execute:
            rows = execute(
                "SELECT token, tenant, domain, version, sealed FROM vault_tokens"  # noqa: S608 - ours
                " WHERE tenant = ? AND version < ? LIMIT ?" + self._database.dialect.claim,
                tenant,
                version,
                most,
            )
            for row in rows:
                lookup, sealed = redo(Kept(*row))
                execute(
                    "UPDATE vault_tokens SET version = ?, lookup = ?, sealed = ? WHERE token = ?",
                    version,
                    lookup,
                    sealed,
                    row[0],
                )
        return len(rows)

    def forms(self) -> dict[str, str]:
        """Give the normal form of each domain that something was tokenized in."""
        with self._database.transaction(write=False) as execute:
            return dict(execute("SELECT domain, form FROM vault_domains"))

    def take(self, caller: str, *, interval: int, burst: int, now: int) -> Taken:
        """Take one from a caller's allowance where there is one; else count the attempt.

        The token bucket as one number, the time when it is full again (the generic cell rate algorithm of
        ITU-T I.371), so that one statement does it for all processes.

        Args:
            caller: whose allowance.
            interval: in which time one is added.
            burst: how many there are at the most.
            now: the time, in the unit of `interval`.
        """
        with self._database.transaction(write=True) as execute:
            taken = execute(
                "INSERT INTO vault_rates (caller, due) VALUES (?, ?) ON CONFLICT (caller) DO UPDATE SET"
                " due = (CASE WHEN vault_rates.due > ? THEN vault_rates.due ELSE ? END) + ?"
                " WHERE vault_rates.due <= ? RETURNING refused",
                caller,
                now + interval,
                now,
                now,
                interval,
                now + (burst - 1) * interval,
            )
            counted = taken or execute(
                "UPDATE vault_rates SET refused = refused + 1 WHERE caller = ? RETURNING refused", caller
            )
            return Taken(bool(taken), counted[0][0])

    def noted(self, caller: str, refused: int) -> None:
        """Count anew what is refused a caller, since it is on record how many there were.

        Args:
            caller: whose attempts.
            refused: how many are on record.
        """
        with self._database.transaction(write=True) as execute:
            execute(
                "UPDATE vault_rates SET refused = refused - ? WHERE caller = ? AND refused >= ?",
                refused,
                caller,
                refused,
            )

    def counts(self) -> list[Count]:
        """Count the tokens."""
        with self._database.transaction(write=False) as execute:
            rows = execute(
                "SELECT tenant, domain, version, count(*) FROM vault_tokens"
                " GROUP BY tenant, domain, version ORDER BY tenant, domain, version"
            )
        return [Count(*row) for row in rows]

    @staticmethod
    def _form(execute: Execute, domain: str, otherwise: str) -> str:
        """Give the normal form of a domain, which does not change once it is there."""
        ask = "SELECT form FROM vault_domains WHERE domain = ?"
        rows = execute(ask, domain)
        if not rows:
            execute(
                "INSERT INTO vault_domains (domain, form) VALUES (?, ?) ON CONFLICT (domain) DO NOTHING",
                domain,
                otherwise,
            )
            rows = execute(ask, domain)
        form: str = rows[0][0]
        return form

    def _version(self, execute: Execute, tenant: str, otherwise: int) -> int:
        """Give the version that a tenant is indexed under, and keep it from changing."""
        ask = "SELECT version FROM vault_tenants WHERE tenant = ?" + self._database.dialect.share  # noqa: S608 - ours
        rows = execute(ask, tenant)
        if not rows:
            execute(
                "INSERT INTO vault_tenants (tenant, version) VALUES (?, ?) ON CONFLICT (tenant) DO NOTHING",
                tenant,
                otherwise,
            )
            rows = execute(ask, tenant)
        version: int = rows[0][0]
        return version


def check_form(domain: str, kept: str, wanted: str) -> None:
    """Check that the identifiers of a domain are looked up in the form that they are indexed in.

    Args:
        domain: which.
        kept: the class whose normal form they are indexed in; empty for as they are.
        wanted: the same, by the access document.

    Raises:
        ConfigurationError: they are not: one identifier would get a second token.
    """
    if kept != wanted:
        msg = (
            f"the vault's domain {domain!r} was begun with {_said(kept)}, and the access document gives it "
            f"{_said(wanted)} now: one identifier would get a second token; put back what it was, and begin "
            "another domain"
        )
        raise ConfigurationError(msg)


def _said(form: str) -> str:
    return f"the class {form!r}" if form else "no class that has a normal form"


def missing_key(tenant: str, version: int) -> KeyProviderError:
    """Give the error for a key that is not held."""
    return KeyProviderError(
        f"the vault holds identifiers of {tenant!r} under version {version} of its key, which is not held"
        " here; bring this process the vault's present key file",
        problem=KeyProblem.UNKNOWN,
    )


def _found(execute: Execute, tenant: str, domain: str, lookups: Mapping[int, bytes]) -> bytes | None:
    # In one statement, so that no rotation moves the row from one version to another between two looks.
    wanted = " OR ".join(["(version = ? AND lookup = ?)"] * len(lookups))
    rows = execute(
        f"SELECT token FROM vault_tokens WHERE tenant = ? AND domain = ? AND ({wanted})",  # noqa: S608 - question marks alone
        tenant,
        domain,
        *(value for pair in lookups.items() for value in pair),
    )
    return bytes(rows[0][0]) if rows else None
