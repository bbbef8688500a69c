"""Revocation: of one key, of a sender, and of all that a service has held."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from interceptors.envelope import derive_sender_key
from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from interceptors.keys.root_store import RootStore

_KIDS_A_RECORD = 1000
"""A record holds 64 KiB."""


class Revocation:
    """Revokes keys, in the roots' file and in every key file at once."""

    def __init__(self, store: RootStore) -> None:
        """Work on the administration's file.

        Args:
            store: the file.
        """
        self._store = store

    def key(self, kid: str, *, reason: str = "") -> None:
        """Let nothing open under a key, or be sealed under it, from now on.

        Args:
            kid: 32 hex digits, as `keys list` shows them.
            reason: why, for the audit log.

        Raises:
            AuditError: it can't be recorded, so it is not done; so for all that follow.
            ConfigurationError: no grant has such a key, or a key file can't be written; all others are.
            KeyProviderError: a root can't be unwrapped.
        """
        kid = kid.lower()
        with self._store.locked():
            line = next((line for line in self._store.lines() if line.kid == kid), None)
            if line is None:
                msg = (
                    f"{self._store.path}: no grant has a key with the kid {kid!r}; "
                    f"see: interceptors keys list"
                )
                raise ConfigurationError(msg)
            self._revoke([kid], reason, tenant=line.tenant, sender=line.sender)

    def sender(self, sender: str, tenant: str, *, reason: str) -> list[str]:
        """Revoke every key of a sender for a tenant: of all epochs, those that are yet to seal included.

        Args:
            sender: whose.
            tenant: whose messages.
            reason: why, for the audit log.

        Returns:
            The kids.

        Raises:
            ConfigurationError: no reason is given, or no grant has a key of the sender.
        """
        reason = self._need(reason)
        with self._store.locked():
            names = (
                {grant.service, *grant.reads} for grant in self._store.file.grants if grant.tenant == tenant
            )
            if not any(sender in known for known in names):
                msg = (
                    f"{self._store.path}: no grant has a key of {sender!r} for {tenant!r}; "
                    f"see: interceptors keys list"
                )
                raise ConfigurationError(msg)
            return self._revoke(self._kids(sender, tenant), reason, tenant=tenant, sender=sender)

    def service(self, service: str, *, reason: str) -> list[str]:
        """Revoke every key that a service holds or was ever granted, and end its grants.

        Its own keys, and those of the senders that it reads: whoever has them could seal in their names.

        Args:
            service: whose.
            reason: why, for the audit log.

        Returns:
            The kids.

        Raises:
            ConfigurationError: no reason is given, or the service has no grant, and had none that is not
                revoked.
        """
        reason = self._need(reason)
        with self._store.locked():
            grants = self._store.file.ever_granted(service)
            if not grants:
                msg = (
                    f"{self._store.path}: {service!r} has no grant, and had none that is not revoked; "
                    f"see: interceptors keys list"
                )
                raise ConfigurationError(msg)
            kids = [
                kid
                for grant in grants
                for sender in (service, *grant.reads, *grant.read_before)
                for kid in self._kids(sender, grant.tenant, grant.last_epoch)
            ]
            return self._revoke(kids, reason, service=service)

    def _revoke(self, kids: list[str], reason: str, *, service: str = "", **whose: str) -> list[str]:
        """Revoke, and end the grants of `service`."""
        store = self._store
        kids = list(dict.fromkeys(kids))
        details = whose | ({"service": service} if service else {}) | {"reason": reason}
        with contextlib.ExitStack() as acts:
            for first in range(0, len(kids), _KIDS_A_RECORD):
                some = kids[first : first + _KIDS_A_RECORD]
                acts.enter_context(store.act("keys.revoke", kids=some, **details))
            files = store.files()  # of the service that is to have no grant, too
            store.save(
                files,
                revoked=tuple(dict.fromkeys((*store.file.revoked, *kids))),
                grants=tuple(grant for grant in store.file.grants if grant.service != service),
                ended=tuple(grant for grant in store.file.ended if grant.service != service),
            )
            store.write(files)
        return kids

    def _kids(self, sender: str, tenant: str, last: int | None = None) -> list[str]:
        return [
            derive_sender_key(self._store.secret(root), tenant, sender).kid.hex()
            for root in self._store.file.epochs(tenant)
            if last is None or root.epoch <= last
        ]

    @staticmethod
    def _need(reason: str) -> str:
        if not reason.strip():
            msg = "a sender or a service is revoked for a reason; give it, for the audit log"
            raise ConfigurationError(msg)
        return reason
