"""The vault: identifiers in, random tokens out, and back for those who may."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError, TokenError, TokenProblem
from interceptors.scan import Token, parse_token
from interceptors.token_vault.access import is_purpose
from interceptors.token_vault.aliases import AliasStore
from interceptors.token_vault.store import VaultStore, check_form
from interceptors.tokens import normal_form
from interceptors.tokens.normal_form import form_of

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
_LONGEST_NAME = 255
_STRANGERS = ""
"""Who is not in the access document shares one allowance, under a name that nobody there can have."""


class _Place(NamedTuple):
    """Where a token belongs."""

    token: Token
    tenant: str
    domain: str


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
            ConfigurationError: the tables are not there, or of another version; or a domain was begun with
                another class than it has by now, of another normal form.
            TokenError: the database is unreachable.
        """
        self._store = VaultStore(database)
        self._aliases = AliasStore(database)
        forms = self._store.forms()
        for domain in access.domains():
            wanted = form_of(access.class_of(domain))
            check_form(domain, forms.get(domain, wanted), wanted)
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
            ConfigurationError: there is no such domain, or it was begun with another class meanwhile, or the
                identifier is empty or longer than 4096 bytes.
            KeyProviderError: a key of the tenant is not held here.
            TokenError: unreachable.
        """
        text = _encoded(identifier)
        class_ = self._access.class_of(domain)
        normal = normal_form(class_, text)
        keys = self._keys.of(tenant)
        lookups = {version: key.lookup(domain, normal) for version, key in keys.items()}
        found = self._store.find(tenant, domain, lookups)
        if found is None:
            token = os.urandom(_TOKEN_SIZE)
            found = self._store.add(
                tenant,
                domain,
                token,
                lookups,
                lambda version: keys[version].seal(domain, token, text),
                form=form_of(class_),
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
        place = self._admitted("token.resolve", token, caller, purpose)
        with self._audit.act("token.resolve", **_details(place, caller, purpose)):
            # Once more: it may have been forgotten while the log was waited for.
            now = self._store.get(place.token.value)
            if now is None:
                raise _unknown()
            return self._keys.that_sealed(now).open(now).decode()

    def forget(self, token: str, *, caller: str, purpose: str) -> None:
        """Delete what is known of the identifier that a token stands for. The token is never given again.

        Of a derived token, that is its aliases. The vault can't tell that one stands for the same identifier
        as a token of its own, so who has both has both forgotten.

        Args:
            token: as it is written.
            caller: who asks; with a role that may erase.
            purpose: what for.

        Raises:
            TokenError: denied, limited, unknown or unreachable.
            AuditError: it can't be recorded, so that it is not done.
        """
        place = self._admitted("token.forget", token, caller, purpose)
        with self._audit.act("token.forget", **_details(place, caller, purpose)):
            if place.token.version:
                self._aliases.forget(place.tenant, place.domain, place.token)
            else:
                self._store.delete(place.token.value)

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

    def _admitted(self, action: str, token: str, caller: str, purpose: str) -> _Place:
        """Give where a token belongs, to who may ask, and not too often; else record the attempt."""
        try:
            value = parse_token(token)
        except ValueError:
            value = None
        known = self._access.knows(caller)
        # What is no token or no purpose may be anything, an identifier as well, and is not recorded.
        asked = {"caller": caller if known else caller[:_LONGEST_NAME]}
        if is_purpose(purpose):
            asked["purpose"] = purpose
        if value is not None:
            asked["token"] = str(value)
        allowed = self._allowance(action, caller if known else _STRANGERS, asked)
        if not known:
            if allowed:
                self._audit.record(f"{action}.denied", **asked)
            raise _refusal("this caller has no role", TokenProblem.DENIED)
        if not allowed:
            raise _refusal(
                f"more than {self._access.limit.per_minute} a minute; ask later", TokenProblem.LIMITED
            )
        place = None if value is None else self._place(action, value)
        if place is None:
            self._audit.record(f"{action}.unknown", **asked)
            raise _unknown()
        erase = action == "token.forget"
        if not self._access.allows(caller, purpose, place.tenant, place.domain, erase=erase):
            self._audit.record(f"{action}.denied", **asked, tenant=place.tenant, domain=place.domain)
            # Not whose it is, nor of which domain: that may say something of the person.
            raise _refusal("none of the caller's roles allows this for this purpose", TokenProblem.DENIED)
        return place

    def _allowance(self, action: str, whose: str, asked: dict[str, str]) -> bool:
        """Take one from an allowance, and say whether there was one.

        Of the attempts that there was none for, the first is recorded, and the others are counted, so that
        nobody fills the log. How many there were is recorded with the next one that there is one for.
        """
        limit = self._access.limit
        now = self._clock() // 1000
        taken = self._store.take(whose, interval=limit.interval_us, burst=limit.burst, now=now)
        if taken.allowed and taken.refused:
            by = {"caller": whose} if whose else {}
            self._audit.record("token.limited", attempts=taken.refused, **by)
            self._store.noted(whose, taken.refused)
        elif taken.refused == 1:
            self._audit.record(f"{action}.limited", further="counted", **asked)
        return taken.allowed

    def _place(self, action: str, token: Token) -> _Place | None:
        """Give where a token belongs: one of the vault, or, to be forgotten, one that has aliases."""
        if token.version:
            found = self._aliases.domain_of(token) if action == "token.forget" else None
            return None if found is None else _Place(token, *found)
        kept = self._store.get(token.value)
        return None if kept is None else _Place(token, kept.tenant, kept.domain)


def _encoded(identifier: str) -> bytes:
    try:
        text = identifier.encode()
    except UnicodeEncodeError:
        text = b""  # refused out here: this exception holds the identifier
    if not 0 < len(text) <= _LONGEST:
        msg = f"an identifier has 1 to {_LONGEST} bytes of UTF-8"
        raise ConfigurationError(msg)
    return text


def _details(place: _Place, caller: str, purpose: str) -> dict[str, str]:
    return {
        "token": str(place.token),
        "tenant": place.tenant,
        "domain": place.domain,
        "caller": caller,
        "purpose": purpose,
    }


def _unknown() -> TokenError:
    return _refusal("the vault knows no such token", TokenProblem.UNKNOWN)


def _refusal(reason: str, problem: TokenProblem) -> TokenError:
    return TokenError(f"not done: {reason}", problem=problem)
