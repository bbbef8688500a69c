"""The administration of keys: roots, grants and their life, in a file that only the administration holds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from interceptors.envelope import check_sender_name
from interceptors.errors import ConfigurationError
from interceptors.keys.key_file import hold_to
from interceptors.keys.revocation import Revocation
from interceptors.keys.root_file import Grant, RootEntry
from interceptors.keys.root_store import RootStore
from interceptors.keys.rotation import Rotation
from interceptors.keys.token_roots import TokenRoots
from interceptors.keys.wrapping_uri import key_wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.audit import AuditLog
    from interceptors.keys.derivation import KeyLine
    from interceptors.keys.wrapping import KeyWrapper


class KeyAdministration:
    """Makes roots and grants, and moves them through their life.

    Every change is recorded where there is an audit log, then written to the roots' file, and then to the
    key file of each grant that it touches, whole and at once; running services take a changed key file up
    by themselves.

    Rotation: `rotate` adds an epoch that opens only; once every key file is where its service reads it,
    `promote` lets it seal; `destroy` ends the old one when no envelope under it is left to open. `rotation`
    does all three by a schedule.

    Every method that changes something raises `AuditError`, and changes nothing, where that can't be
    recorded; and `KeyProviderError` where a root or a key can't be wrapped or unwrapped.

    Attributes:
        rotation: what is done by a schedule.
        tokens: the roots of token keys.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        audit: AuditLog | None = None,
        wrappers: Callable[[str], KeyWrapper] = key_wrapper,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the administration's file, or start one where there is none.

        Args:
            path: where the roots lie, or are to lie.
            audit: where each change is recorded before it is made.
            wrappers: gives what wraps keys, by its URI.
            clock: seconds since the epoch.

        Raises:
            ConfigurationError: the file is readable by others, or does not hold.
        """
        self._store = RootStore(path, audit=audit, wrappers=wrappers, clock=clock)
        self._revocation = Revocation(self._store)
        self.rotation = Rotation(self._store, self)
        self.tokens = TokenRoots(self._store)

    def root(self, tenant: str, wrapping: str | None = None) -> None:
        """Make the first root of a tenant.

        Args:
            tenant: the tenant.
            wrapping: what is to wrap the roots of this file, by its URI; by default, what does already.

        Raises:
            ConfigurationError: the tenant has a root; rotate it instead. Or the file's roots are wrapped
                otherwise; `rewrap` them.
        """
        store = self._store
        with store.locked():
            if store.file.epochs(tenant):
                msg = (
                    f"{store.path}: the tenant {tenant!r} has a root; run: interceptors keys rotate {tenant}"
                )
                raise ConfigurationError(msg)
            if store.file.roots and wrapping not in (None, store.file.wrapping):
                msg = (
                    f"{store.path}: its roots are wrapped by {store.file.wrapping or 'nothing'}; "
                    f"run: interceptors keys rewrap --wrapping {wrapping}"
                )
                raise ConfigurationError(msg)
            wrapping = wrapping or store.file.wrapping
            with store.act("keys.root", tenant=tenant, epoch=1, wrapping=wrapping or "none"):
                store.file = store.file.model_copy(update={"wrapping": wrapping})
                self._add_root(tenant, epoch=1, use="seal", sealing=store.now())

    def grant(
        self,
        service: str,
        tenant: str,
        reads: Sequence[str],
        file: Path,
        *,
        tokens: Sequence[str] = (),
        signs: bool = False,
        wrapping: str | None = None,
    ) -> Path | None:
        """Give a service its own sender key, and the keys of the senders that it may read; nothing else.

        A grant replaces the service's earlier one for the tenant. Grants of one service for several tenants
        share a file.

        Args:
            service: the service.
            tenant: whose messages.
            reads: the senders.
            file: the key file to write, for the service to read.
            tokens: the domains that it may tokenize identifiers in.
            signs: whether it is given what suite 2 signs with.
            wrapping: what wraps the keys in the file, by its URI; by default, what does already.

        Returns:
            The service's former key file, where this is another one: it is not kept up to date any more.

        Raises:
            ConfigurationError: the tenant has no root, or no token root; or the file is another service's, or
                can't be written; then nothing has changed.
        """
        store = self._store
        with store.locked():
            store.need(tenant)
            if tokens and not store.file.token_versions(tenant):
                raise store.lacks(tenant, "token root")
            # Else the one that could not be emptied as its grants ended.
            former = self.file_of(service) or store.unwritten().get(service)
            where = self._place(service, file)
            mine = store.file.grants_of(service)
            values = {
                "service": service,
                "tenant": tenant,
                "reads": tuple(dict.fromkeys(reads)),
                "read_before": _read_before(store.file.ever_granted(service), tenant, reads),
                "tokens": tuple(dict.fromkeys(tokens)),
                "signs": signs,
                "file": where,
                "wrapping": wrapping or (mine[0].wrapping if mine else None),
            }
            new = hold_to(Grant, values, f"{store.path}: grant", "give another name")
            for name in (service, *reads):
                check_sender_name(name)
            shared = {"file": where, "wrapping": new.wrapping}
            others = [g for g in store.file.grants if (g.service, g.tenant) != (service, tenant)]
            moved = [g.model_copy(update=shared) if g.service == service else g for g in others]
            ended = tuple(g for g in store.file.ended if (g.service, g.tenant) != (service, tenant))
            lists = {"reads": [*new.reads], "tokens": [*new.tokens]}
            wrapped = new.wrapping or "none"
            with store.act(
                "keys.grant", service=service, tenant=tenant, signs=signs, wrapping=wrapped, **lists
            ):
                store.hand_out(service, file, (*moved, new), ended)
            return former if former is not None and former.resolve() != file.resolve() else None

    def withdraw(self, service: str, tenant: str | None = None) -> Path:
        """End the grants of a service, and empty its key file.

        What it has read and copied it keeps: where that matters, revoke what it held (`revoke_service`).

        Args:
            service: the service.
            tenant: whose grant to end; all of them by default.

        Returns:
            The service's key file.

        Raises:
            ConfigurationError: there is no such grant; or the file can't be written, though the grant has
                ended.
        """
        store = self._store
        with store.locked():
            ended = [g for g in store.file.grants_of(service) if tenant in (None, g.tenant)]
            if not ended:
                msg = f"{store.path}: {service!r} has no such grant; see: interceptors keys list"
                raise ConfigurationError(msg)
            file = store.path.parent / ended[0].file
            with store.act("keys.withdraw", service=service, tenants=[g.tenant for g in ended]):
                left = tuple(g for g in store.file.grants if g not in ended)
                past = [g.model_copy(update={"last_epoch": store.need(g.tenant)[-1].epoch}) for g in ended]
                store.save({service: file}, grants=left, ended=(*store.file.ended, *past))
                store.write({service: file})
            return file

    def rotate(self, tenant: str, *, now: bool = False) -> int:
        """Add an epoch that opens only, until it is promoted.

        Args:
            tenant: the tenant.
            now: let it seal at once, as after a revocation, and pass over one that waits: who gets a key file
                late opens nothing that is sealed meanwhile.

        Returns:
            The new epoch.

        Raises:
            ConfigurationError: the tenant has no root, or an epoch that still waits for promotion.
        """
        store = self._store
        with store.locked():
            newest = store.need(tenant)[-1]
            if newest.use != "seal" and not now:
                msg = (
                    f"{store.path}: epoch {newest.epoch} of {tenant!r} opens only; promote it first: "
                    f"interceptors keys promote {tenant}"
                )
                raise ConfigurationError(msg)
            epoch = newest.epoch + 1
            with store.act("keys.rotate", tenant=tenant, epoch=epoch):
                self._add_root(tenant, epoch=epoch, use="open")
                if not now:
                    store.settle(tenant)
            if now:
                self.promote(tenant)
            return epoch

    def promote(self, tenant: str) -> int:
        """Let the newest epoch seal; the others open only.

        Returns:
            The epoch that seals now.

        Raises:
            ConfigurationError: the tenant has no root, or none that waits for promotion.
        """
        store = self._store
        with store.locked():
            newest = store.need(tenant)[-1]
            if newest.use == "seal":
                msg = (
                    f"{store.path}: epoch {newest.epoch} of {tenant!r} seals already; add one first: "
                    f"interceptors keys rotate {tenant}"
                )
                raise ConfigurationError(msg)
            seals = newest.model_copy(update={"use": "seal", "sealing": store.now()})

            def moved(root: RootEntry) -> RootEntry:
                if root.tenant != tenant:
                    return root
                return seals if root is newest else root.model_copy(update={"use": "open"})

            with store.act("keys.promote", tenant=tenant, epoch=newest.epoch):
                store.save(store.files([tenant]), roots=tuple(map(moved, store.file.roots)))
                store.settle(tenant)
            return newest.epoch

    def destroy(self, tenant: str, epoch: int) -> None:
        """Destroy an epoch: its root, and every key out of it in every key file.

        What was sealed under it can't be opened any more, by anybody.

        Raises:
            ConfigurationError: there is no such epoch, or it is the one that seals.
        """
        store = self._store
        with store.locked():
            roots = store.need(tenant)
            found = next((root for root in roots if root.epoch == epoch), None)
            if found is None:
                known = ", ".join(str(root.epoch) for root in roots)
                msg = f"{store.path}: {tenant!r} has no epoch {epoch}; it has {known}"
                raise ConfigurationError(msg)
            if found.use == "seal":
                msg = f"{store.path}: epoch {epoch} of {tenant!r} seals; rotate and promote another one first"
                raise ConfigurationError(msg)
            with store.act("keys.destroy", tenant=tenant, epoch=epoch):
                others = tuple(root for root in store.file.roots if root is not found)
                store.save(store.files([tenant]), roots=others)
                store.settle(tenant)

    def revoke(self, kid: str, *, reason: str = "") -> None:
        """Let nothing open under a key, or be sealed under it, from now on; see `Revocation.key`."""
        self._revocation.key(kid, reason=reason)

    def revoke_sender(self, sender: str, tenant: str, *, reason: str) -> list[str]:
        """Revoke every key of a sender; see `Revocation.sender`."""
        return self._revocation.sender(sender, tenant, reason=reason)

    def revoke_service(self, service: str, *, reason: str) -> list[str]:
        """Revoke every key that a service has held, and end its grants; see `Revocation.service`."""
        return self._revocation.service(service, reason=reason)

    def write(self) -> None:
        """Write the key file of every grant anew, as where one of them could not be written before.

        So is the one of a service whose grants have ended, where it could not be emptied.

        Raises:
            ConfigurationError: files that can't be written; all others are.
        """
        store = self._store
        with store.locked():
            store.make_up()
            with store.act("keys.write", services=sorted(store.files())):
                store.settle(*{grant.tenant for grant in store.file.grants})

    def rewrap(self, wrapping: str, service: str | None = None) -> None:
        """Wrap the roots by another wrapping key than at present, or by one for the first time.

        Args:
            wrapping: what is to wrap them from now on, by its URI.
            service: wrap the keys in this service's key file instead.

        Raises:
            ConfigurationError: the URI is none, or the service has no grant.
        """
        store = self._store
        with store.locked():
            if service is None:
                with store.act("keys.rewrap", wrapping=wrapping):
                    store.save(
                        wrapping=wrapping,
                        roots=tuple(store.hide(r, store.secret(r), wrapping) for r in store.file.roots),
                        token_roots=tuple(
                            store.hide(r, store.secret(r), wrapping) for r in store.file.token_roots
                        ),
                    )
                return
            if not store.file.grants_of(service):
                msg = f"{store.path}: {service!r} has no grant; see: interceptors keys list"
                raise ConfigurationError(msg)
            grants = [
                g.model_copy(update={"wrapping": wrapping}) if g.service == service else g
                for g in store.file.grants
            ]
            with store.act("keys.rewrap", service=service, wrapping=wrapping):
                store.hand_out(service, store.files()[service], grants, store.file.ended)

    def keys(self) -> list[KeyLine]:
        """List every key of every grant, without key material."""
        return self._store.lines()

    def roots(self) -> list[tuple[str, int, str]]:
        """List tenant, epoch and use of every root, without key material."""
        return sorted((root.tenant, root.epoch, root.use) for root in self._store.file.roots)

    def ages(self) -> dict[tuple[str, int], int | None]:
        """Give the age of every root in seconds, by tenant and epoch; None where it is not known."""
        roots = self._store.file.roots
        return {(root.tenant, root.epoch): self._store.age(root) for root in roots}

    def grants(self, service: str) -> list[Grant]:
        """List the grants of a service."""
        return self._store.file.grants_of(service)

    def services(self, tenant: str) -> set[str]:
        """List the services that have a grant for a tenant, and so may seal for it."""
        return set(self._store.files([tenant]))

    def file_of(self, service: str) -> Path | None:
        """Give the key file of a service's grants, or None where it has none yet."""
        return self._store.files().get(service)

    def files(self, tenant: str | None = None) -> list[Path]:
        """List the key files of all grants, or of those for one tenant."""
        return sorted(set(self._store.files(None if tenant is None else [tenant]).values()))

    def _place(self, service: str, file: Path) -> str:
        """Give a service's key file as a grant notes it."""
        store = self._store
        target = Path(file).resolve()
        if target == store.path.resolve():
            msg = f"{file}: holds the roots, which a service must not have; give the service another file"
            raise ConfigurationError(msg)
        for other in store.file.grants:
            # What a link leads to is what is written.
            if other.service != service and (store.path.parent / other.file).resolve() == target:
                msg = f"{file}: holds the keys of {other.service!r}; give each service a file of its own"
                raise ConfigurationError(msg)
        return store.place(file)

    def _add_root(self, tenant: str, **fields: object) -> None:
        root = self._store.new(RootEntry, tenant=tenant, **fields)
        self._store.save(roots=(*self._store.file.roots, root))


def _read_before(grants: Sequence[Grant], tenant: str, reads: Sequence[str]) -> tuple[str, ...]:
    """Give the senders whose keys a service has had for a tenant, and is granted no more."""
    once = [name for grant in grants if grant.tenant == tenant for name in (*grant.reads, *grant.read_before)]
    return tuple(name for name in dict.fromkeys(once) if name not in reads)
