"""The vault: identifiers in, random tokens out, and back for those who may."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError, TokenError, TokenProblem
from interceptors.scan import Token, parse_token
from interceptors.token_vault.access import is_purpose
from interceptors.token_vault.store import VaultStore
from interceptors.tokens import normal_form

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.audit import AuditLog
    from interceptors.token_vault.access import VaultAccess
    from interceptors.token_vault.database import Database
    from interceptors.token_vault.store import Count, Kept
    from interceptors.token_vault.vault_keys import VaultKey, VaultKeys

_TOKEN_SIZE = 16
_LONGEST = 4096
_BATCH = 200


class TokenVault:
    """Gives identifiers random tokens, and resolves them for callers with the role and a stated purpose.

    Safe between threads and processes. Every call waits for the database, and `resolve` and `forget` for the
    audit log, too: in asyncio, call it in a thread; in the path of a message, use derived tokens.
    """

    def __init__(
        self,
        database: Database,
        keys: VaultKeys,
        *,
        audit: AuditLog,
        access: VaultAccess,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Take what it works with.

        Args:
            database: with its tables made (`migrate`).
            keys: the vault's.
            audit: where resolutions are recorded before they are answered.
            access: who may resolve what.
            clock: gives the time, in nanoseconds since the epoch.

        Raises:
            ConfigurationError: the tables are not there, or of another version.
            TokenError: the database is unreachable.
        """
        self._store = VaultStore(database)
        self._keys = keys
        self._audit = audit
        self._access = access
        self._clock = clock

    def tokenize(self, tenant: str, domain: str, identifier: str) -> Token:
        """Give the token of an identifier, which never changes.

        Args:
            tenant: whose identifier it is.
            domain: what it is; the same in another domain has another token.
            identifier: its text. Resolved, it is as it was when it was first tokenized.

        Raises:
            ConfigurationError: there is no such domain, or the identifier is empty or longer than 4096 bytes.
            KeyProviderError: a key of the tenant is not held here.
            TokenError: unreachable.
        """
        text = _encoded(identifier)
        normal = normal_form(self._access.class_of(domain), text)
        keys = self._keys.of(tenant)
        lookups = {version: key.lookup(domain, normal) for version, key in keys.items()}
        found = self._store.find(tenant, domain, lookups)
        if found is None:
            token = os.urandom(_TOKEN_SIZE)
            found = self._store.add(
                tenant, domain, token, lookups, lambda version: keys[version].seal(domain, token, text)
            )
        return Token(found)

    def resolve(self, token: str, *, caller: str, purpose: str) -> str:
        """Give the identifier that a token stands for.

        Args:
            token: as it is written.
            caller: who asks, as whoever has authenticated them says.
            purpose: what for.

        Raises:
            TokenError: denied, limited, unknown or unreachable.
            AuditError: it can't be recorded, so that it is not answered.
            KeyProviderError: the key that it is sealed under is not held here.
        """
        kept = self._admitted("token.resolve", token, caller, purpose)
        with self._audit.act("token.resolve", **_details(kept, caller, purpose)):
            # Once more: it may have been forgotten while the log was waited for.
            now = self._store.get(kept.token)
            if now is None:
                raise _unknown()
            return self._keys.that_sealed(now).open(now).decode()

    def forget(self, token: str, *, caller: str, purpose: str) -> None:
        """Delete what is known of the identifier that a token stands for. The token is never given again.

        Args:
            token: as it is written.
            caller: who asks; with a role that may erase.
            purpose: what for.

        Raises:
            TokenError: denied, limited, unknown or unreachable.
            AuditError: it can't be recorded, so that it is not done.
        """
        kept = self._admitted("token.forget", token, caller, purpose)
        with self._audit.act("token.forget", **_details(kept, caller, purpose)):
            self._store.delete(kept.token)

    def rotate(self, tenant: str) -> int:
        """Index and seal all identifiers of a tenant under the newest key that is held here.

        Tokens stay as they are, and others tokenize and resolve meanwhile, once every process has the new
        key. What was interrupted is gone on with by calling it again.

        Args:
            tenant: whose identifiers.

        Returns:
            How many were done.

        Raises:
            KeyProviderError: a key that something is sealed under is not held here.
            AuditError: it can't be recorded, so that it is not done.
            TokenError: unreachable.
        """
        newest = max(self._keys.of(tenant).values(), key=lambda key: key.version)
        with self._audit.act("token.rotate", tenant=tenant, version=newest.version):
            self._store.begin_rotation(tenant, newest.version)
            done = 0
            while some := self._store.rotate_some(tenant, newest.version, _BATCH, self._redone(newest)):
                done += some
        return done

    def counts(self) -> list[Count]:
        """Count the tokens by tenant, domain and version of the key.

        Raises:
            TokenError: unreachable.
        """
        return self._store.counts()

    def _redone(self, key: VaultKey) -> Callable[[Kept], tuple[bytes, bytes]]:
        def redo(kept: Kept) -> tuple[bytes, bytes]:
            text = self._keys.that_sealed(kept).open(kept)
            normal = normal_form(self._access.class_of(kept.domain), text)
            return key.lookup(kept.domain, normal), key.seal(kept.domain, kept.token, text)

        return redo

    def _admitted(self, action: str, token: str, caller: str, purpose: str) -> Kept:
        """Give what a token stands for, to who may ask, and not too often; else record the attempt."""
        try:
            value = parse_token(token)
        except ValueError:
            value = None
        # What is no token or no purpose may be anything, an identifier as well, and is not recorded.
        asked = {"caller": caller}
        if is_purpose(purpose):
            asked["purpose"] = purpose
        if value is not None:
            asked["token"] = str(value)
        if not self._access.knows(caller):
            self._audit.record(f"{action}.denied", **asked)
            raise _refusal("this caller has no role", TokenProblem.DENIED)
        limit = self._access.limit
        now = self._clock() // 1000
        if not self._store.take(caller, interval=limit.interval_us, burst=limit.burst, now=now):
            self._audit.record(f"{action}.limited", **asked)
            raise _refusal(f"more than {limit.per_minute} a minute; ask later", TokenProblem.LIMITED)
        kept = None if value is None or value.version else self._store.get(value.value)
        if kept is None:
            self._audit.record(f"{action}.unknown", **asked)
            raise _unknown()
        erase = action == "token.forget"
        if not self._access.allows(caller, purpose, kept.tenant, kept.domain, erase=erase):
            self._audit.record(f"{action}.denied", **asked, tenant=kept.tenant, domain=kept.domain)
            # Not whose it is, nor of which domain: that may say something of the person.
            raise _refusal("none of the caller's roles allows this for this purpose", TokenProblem.DENIED)
        return kept


def _encoded(identifier: str) -> bytes:
    try:
        text = identifier.encode()
    except UnicodeEncodeError:
        text = b""  # refused out here: this exception holds the identifier
    if not 0 < len(text) <= _LONGEST:
        msg = f"an identifier has 1 to {_LONGEST} bytes of UTF-8"
        raise ConfigurationError(msg)
    return text


def _details(kept: Kept, caller: str, purpose: str) -> dict[str, str]:
    return {
        "token": str(Token(kept.token)),
        "tenant": kept.tenant,
        "domain": kept.domain,
        "caller": caller,
        "purpose": purpose,
    }


def _unknown() -> TokenError:
    return _refusal("the vault knows no such token", TokenProblem.UNKNOWN)


def _refusal(reason: str, problem: TokenProblem) -> TokenError:
    return TokenError(f"not done: {reason}", problem=problem)
