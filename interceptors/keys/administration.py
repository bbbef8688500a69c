"""The administration of keys: roots, grants and their life, in a file that only the administration holds."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, TypeVar

from interceptors.envelope import derive_sender_key
from interceptors.errors import ConfigurationError
from interceptors.keys.key_file import (
    Grant,
    KeyEntry,
    KeyringFile,
    RootEntry,
    RootFile,
    hold_to,
    read_key_file,
    write_key_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

P = ParamSpec("P")
T = TypeVar("T")


class KeyLine(NamedTuple):
    """One line of a listing: everything about a key but the key."""

    tenant: str
    sender: str
    epoch: int
    kid: str
    use: str
    """`seal`, `open` or `revoked`."""
    held_by: str
    """The service in whose key file it is."""


def _exclusive(
    method: Callable[Concatenate[KeyAdministration, P], T],
) -> Callable[Concatenate[KeyAdministration, P], T]:
    """Change the file as it is by now, and let nobody else change it meanwhile."""

    @functools.wraps(method)
    def locked(self: KeyAdministration, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.locked():
            return method(self, *args, **kwargs)

    return locked


class KeyAdministration:
    """Makes roots and grants, and moves them through their life.

    Every change is written to the roots' file, and then to the key file of each grant that it touches, whole
    and at once; running services take a changed key file up by themselves.

    Rotation: `rotate` adds an epoch that opens only; once every key file is where its service reads it,
    `promote` lets it seal; `destroy` ends the old one when no envelope under it is left to open.
    """

    def __init__(self, path: Path | str) -> None:
        """Open the administration's file, or start one where there is none.

        Args:
            path: where the roots lie, or are to lie.

        Raises:
            ConfigurationError: the file is readable by others, or does not hold.
        """
        self._path = Path(path)
        self._file = self._read()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other administration of this file waiting, and take its changes up first."""
        if not self._path.parent.exists():  # then there is none
            yield
            return
        try:
            handle = os.open(self._path.parent, os.O_RDONLY)  # the folder: a lock file would be left behind
        except OSError as error:
            msg = f"{self._path}: can't be read ({error.strerror}); give another place"
            raise ConfigurationError(msg) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._file = self._read()
            yield
        finally:
            os.close(handle)

    @_exclusive
    def root(self, tenant: str) -> None:
        """Make the first root of a tenant.

        Raises:
            ConfigurationError: the tenant has one; rotate it instead.
        """
        if self._epochs(tenant):
            msg = f"{self._path}: the tenant {tenant!r} has a root; run: interceptors keys rotate {tenant}"
            raise ConfigurationError(msg)
        self._add_root(tenant, epoch=1, use="seal")

    @_exclusive
    def grant(self, service: str, tenant: str, reads: Sequence[str], file: Path) -> Path | None:
        """Give a service its own sender key, and the keys of the senders that it may read; nothing else.

        A grant replaces the service's earlier one for the tenant. Grants of one service for several tenants
        share a file.

        Args:
            service: the service.
            tenant: whose messages.
            reads: the senders.
            file: the key file to write, for the service to read.

        Returns:
            The service's former key file, where this is another one: it is not kept up to date any more.

        Raises:
            ConfigurationError: the tenant has no root, or the file is another service's, or can't be
                written; then nothing has changed.
        """
        self._need(tenant)
        former = self.file_of(service)
        where = os.path.relpath(file, self._path.parent)
        if Path(file).resolve() == self._path.resolve():
            msg = f"{file}: holds the roots, which a service must not have; give the service another file"
            raise ConfigurationError(msg)
        for other in self._file.grants:
            if other.file == where and other.service != service:
                msg = f"{file}: holds the keys of {other.service!r}; give each service a file of its own"
                raise ConfigurationError(msg)
        new = hold_to(
            Grant,
            {"service": service, "tenant": tenant, "reads": tuple(dict.fromkeys(reads)), "file": where},
            f"{self._path}: grant",
            "give another name",
        )
        others = [g for g in self._file.grants if (g.service, g.tenant) != (service, tenant)]
        moved = [g.model_copy(update={"file": where}) if g.service == service else g for g in others]
        granted = self._file.model_copy(update={"grants": (*moved, new)})
        # The service's file first: where that can't be written, there is no grant.
        write_key_file(file, _keyring(granted, service))
        self._save(granted)
        return former if former is not None and former.resolve() != file.resolve() else None

    @_exclusive
    def rotate(self, tenant: str) -> int:
        """Add an epoch that opens only, until it is promoted.

        Returns:
            The new epoch.

        Raises:
            ConfigurationError: the tenant has no root, or an epoch that still waits for promotion.
        """
        roots = self._need(tenant)
        newest = max(roots, key=lambda root: root.epoch)
        if newest.use != "seal":
            msg = (
                f"{self._path}: epoch {newest.epoch} of {tenant!r} opens only; promote it first: "
                f"interceptors keys promote {tenant}"
            )
            raise ConfigurationError(msg)
        self._add_root(tenant, epoch=newest.epoch + 1, use="open")
        self._write(self.services(tenant))
        return newest.epoch + 1

    @_exclusive
    def promote(self, tenant: str) -> int:
        """Let the newest epoch seal; the others open only.

        Returns:
            The epoch that seals now.

        Raises:
            ConfigurationError: the tenant has no root, or none that waits for promotion.
        """
        last = max(self._need(tenant), key=lambda root: root.epoch)
        if last.use == "seal":
            msg = (
                f"{self._path}: epoch {last.epoch} of {tenant!r} seals already; add one first: "
                f"interceptors keys rotate {tenant}"
            )
            raise ConfigurationError(msg)
        newest = last.epoch
        roots = [
            root.model_copy(update={"use": "seal" if root.epoch == newest else "open"})
            if root.tenant == tenant
            else root
            for root in self._file.roots
        ]
        self._save(self._file.model_copy(update={"roots": tuple(roots)}))
        self._write(self.services(tenant))
        return newest

    @_exclusive
    def revoke(self, kid: str) -> None:
        """Let nothing open under a key, or be sealed under it, from now on.

        Args:
            kid: 32 hex digits, as `keys list` shows them.

        Raises:
            ConfigurationError: no grant has such a key.
        """
        kid = kid.lower()
        if all(line.kid != kid for line in self.keys()):
            msg = f"{self._path}: no grant has a key with the kid {kid!r}; see: interceptors keys list"
            raise ConfigurationError(msg)
        revoked = tuple(dict.fromkeys((*self._file.revoked, kid)))
        self._save(self._file.model_copy(update={"revoked": revoked}))
        self._write({grant.service for grant in self._file.grants})

    @_exclusive
    def destroy(self, tenant: str, epoch: int) -> None:
        """Destroy an epoch: its root, and every key out of it in every key file.

        What was sealed under it can't be opened any more, by anybody.

        Raises:
            ConfigurationError: there is no such epoch, or it is the one that seals.
        """
        found = [root for root in self._need(tenant) if root.epoch == epoch]
        if not found:
            known = ", ".join(str(root.epoch) for root in self._epochs(tenant))
            msg = f"{self._path}: {tenant!r} has no epoch {epoch}; it has {known}"
            raise ConfigurationError(msg)
        if found[0].use == "seal":
            msg = f"{self._path}: epoch {epoch} of {tenant!r} seals; rotate and promote another one first"
            raise ConfigurationError(msg)
        roots = tuple(root for root in self._file.roots if root is not found[0])
        self._save(self._file.model_copy(update={"roots": roots}))
        self._write(self.services(tenant))

    @_exclusive
    def write(self) -> None:
        """Write the key file of every grant anew, as where one of them could not be written before.

        Raises:
            ConfigurationError: files that can't be written; all others are.
        """
        self._write({grant.service for grant in self._file.grants})

    def keys(self) -> list[KeyLine]:
        """List every key of every grant, without key material."""
        services = dict.fromkeys(grant.service for grant in self._file.grants)
        lines = [line for service in services for line in list_keys(_keyring(self._file, service))]
        return sorted(lines)

    def roots(self) -> list[tuple[str, int, str]]:
        """List tenant, epoch and use of every root, without key material."""
        return sorted((root.tenant, root.epoch, root.use) for root in self._file.roots)

    def services(self, tenant: str) -> set[str]:
        """List the services that have a grant for a tenant, and so may seal for it."""
        return {grant.service for grant in self._file.grants if grant.tenant == tenant}

    def file_of(self, service: str) -> Path | None:
        """Give the key file of a service's grants, or None where it has none yet."""
        return next((self._path.parent / g.file for g in self._file.grants if g.service == service), None)

    def files(self, tenant: str | None = None) -> list[Path]:
        """List the key files of all grants, or of those for one tenant."""
        grants = (grant for grant in self._file.grants if tenant in (None, grant.tenant))
        return sorted({self._path.parent / grant.file for grant in grants})

    def _epochs(self, tenant: str) -> list[RootEntry]:
        return [root for root in self._file.roots if root.tenant == tenant]

    def _need(self, tenant: str) -> list[RootEntry]:
        roots = self._epochs(tenant)
        if not roots:
            msg = (
                f"{self._path}: the tenant {tenant!r} has no root; make one: interceptors keys root {tenant}"
            )
            raise ConfigurationError(msg)
        return roots

    def _add_root(self, tenant: str, *, epoch: int, use: str) -> None:
        root = hold_to(
            RootEntry,
            {
                "tenant": tenant,
                "epoch": epoch,
                "root": os.urandom(32).hex(),
                "use": use,
                "created": int(time.time()),
            },
            f"{self._path}: root",
            "give another name",
        )
        self._save(self._file.model_copy(update={"roots": (*self._file.roots, root)}))

    def _read(self) -> RootFile:
        return read_key_file(self._path, RootFile) if self._path.exists() else RootFile()

    def _save(self, file: RootFile) -> None:
        write_key_file(self._path, file)
        self._file = file

    def _write(self, services: Iterable[str]) -> None:
        failed: list[str] = []
        for service in sorted(services):
            file = next(grant.file for grant in self._file.grants if grant.service == service)
            try:
                write_key_file(self._path.parent / file, _keyring(self._file, service))
            except ConfigurationError as error:
                failed.append(str(error))
        if failed:
            msg = (
                f"{'; '.join(failed)}. The other key files are written, and {self._path} knows of the "
                f"change; once these can be written, run: interceptors keys write"
            )
            raise ConfigurationError(msg)


def _keyring(roots: RootFile, service: str) -> KeyringFile:
    entries: dict[tuple[str, str, int], KeyEntry] = {}
    for grant in roots.grants:
        if grant.service != service:
            continue
        for root in (root for root in roots.roots if root.tenant == grant.tenant):
            for sender in (service, *grant.reads):
                key = derive_sender_key(bytes.fromhex(root.root), grant.tenant, sender)
                entries[grant.tenant, sender, root.epoch] = KeyEntry(
                    tenant=grant.tenant,
                    sender=sender,
                    epoch=root.epoch,
                    kid=key.kid.hex(),
                    sender_key=key.key.hex(),
                    use=root.use if sender == service else "open",
                    revoked=key.kid.hex() in roots.revoked,
                    created=root.created,
                )
    return KeyringFile(service=service, keys=tuple(entries.values()))


def list_keys(file: KeyringFile) -> list[KeyLine]:
    """List the keys of a key file, without key material."""
    return [
        KeyLine(
            entry.tenant,
            entry.sender,
            entry.epoch,
            entry.load().kid.hex(),
            "revoked" if entry.revoked else entry.use,
            file.service,
        )
        for entry in file.keys
    ]
