"""The administration's file in use: locked, recorded, and written out to the key files of its grants."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from interceptors.errors import ConfigurationError, KeyProviderError
from interceptors.files import followed
from interceptors.keys.derivation import hidden, keyring_of, list_keys
from interceptors.keys.key_file import hold_to, opened, read_key_file, write_key_file
from interceptors.keys.root_file import RootEntry, RootFile, TokenRoot
from interceptors.keys.schedule import noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from interceptors.audit import AuditLog
    from interceptors.keys.derivation import KeyLine
    from interceptors.keys.key_file import KeyringFile
    from interceptors.keys.root_file import Grant
    from interceptors.keys.wrapping import KeyWrapper

RootT = TypeVar("RootT", RootEntry, TokenRoot)

ROOT_SIZE = 32


class RootStore:
    """Reads and writes the roots' file, and the key files of its grants.

    Attributes:
        path: where the roots lie.
        file: what was read or written last.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        wrappers: Callable[[str], KeyWrapper],
        audit: AuditLog | None,
        clock: Callable[[], float],
    ) -> None:
        """Read the file, where there is one.

        Args:
            path: where the roots lie, or are to lie. Of a symbolic link, or one on the way, all that follows
                is about the file that it leads to: what grants say of places, and the folder that is locked.
            wrappers: gives what wraps keys, by its URI.
            audit: where each change is recorded before it is made.
            clock: seconds since the epoch.

        Raises:
            ConfigurationError: the file is readable by others, or does not hold.
        """
        try:
            self.path = _unlinked(followed(Path(path)))
        except OSError as error:
            msg = f"{path}: not used ({error.strerror}); name the file itself"
            raise ConfigurationError(msg) from None
        self._clock = clock
        self._wrappers = wrappers
        self._audit = audit
        self._made: dict[str, KeyWrapper] = {}
        self._unwrapped: dict[str, bytes] = {}
        self._locked = False
        self.file = self._read()

    def place(self, file: Path) -> str:
        """Give where a key file lies as the roots' file notes it, so that it goes where that file goes."""
        return os.path.relpath(_unlinked(file), self.path.parent)

    def now(self) -> int:
        """Give the time, in seconds since the epoch."""
        return int(self._clock())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other administration of this file waiting, and take its changes up first."""
        if self._locked or not self.path.parent.exists():  # then there is none
            yield
            return
        try:
            handle = os.open(self.path.parent, os.O_RDONLY)  # the folder: a lock file would be left behind
        except OSError as error:
            msg = f"{self.path}: can't be read ({error.strerror}); give another place"
            raise ConfigurationError(msg) from None
        try:
            _lock(handle, self.path)
            self._locked = True
            self.file = self._read()
            yield
        finally:
            self._locked = False
            os.close(handle)

    def act(self, action: str, **details: str | int | bool | list[str]) -> AbstractContextManager[object]:
        """Record what is done in the body before it is done; see `AuditLog.act`.

        Raises:
            AuditError: it can't be recorded, so it must not be done.
        """
        return contextlib.nullcontext() if self._audit is None else self._audit.act(action, **details)

    def save(self, files: Mapping[str, Path] | None = None, **changes: object) -> None:
        """Write the file with some of its fields changed.

        Args:
            files: the key files, by service, that are to be written next: `make_up` does so if anything comes
                between.
            changes: the fields.

        Raises:
            ConfigurationError: it can't be written; then nothing has changed.
        """
        if files:
            places = {service: self.place(file) for service, file in files.items()}
            changes["unwritten"] = self.file.unwritten | places
        self.put(self.file.model_copy(update=changes))

    def put(self, file: RootFile) -> None:
        """Write the file.

        Raises:
            ConfigurationError: it can't be written; then nothing has changed.
        """
        write_key_file(self.path, file)
        self.file = file

    def hand_out(self, service: str, file: Path, grants: Iterable[Grant], ended: Iterable[Grant]) -> None:
        """Write the file with other grants, and then the key file of the service that they are about.

        In this order, so that no key is out that the administration doesn't know of: should anything come
        between the two, the grant stands, can be revoked, and `make_up` writes the key file.

        Args:
            service: the service.
            file: its key file.
            grants: all grants, from now on.
            ended: those that were withdrawn.

        Raises:
            ConfigurationError: one of the two can't be written; then nothing has changed.
            KeyProviderError: a key can't be wrapped or unwrapped; likewise.
        """
        former = self.file
        changed = former.model_copy(update={"grants": tuple(grants), "ended": tuple(ended)})
        keyring = self.keyring(service, changed)
        self.save({service: file}, grants=changed.grants, ended=changed.ended)
        try:
            write_key_file(file, keyring)
        except ConfigurationError:
            self.put(former)
            raise
        self.save(unwritten={other: place for other, place in former.unwritten.items() if other != service})

    def wrapper(self, uri: str | None) -> KeyWrapper | None:
        """Give what wraps keys under a URI; None where they stand in clear.

        Raises:
            ConfigurationError: the URI is none, or what it names can't be used here.
        """
        if uri is None:
            return None
        if uri not in self._made:
            self._made[uri] = self._wrappers(uri)
        return self._made[uri]

    def secret(self, root: RootEntry | TokenRoot) -> bytes:
        """Give a root itself.

        Raises:
            ConfigurationError: it is wrapped, and the file doesn't say by what.
            KeyProviderError: it can't be unwrapped.
        """
        known = self._unwrapped.get(root.wrapped_root or "")
        if known is None:
            wrapper = self.wrapper(self.file.wrapping)
            unwrap = None if wrapper is None else wrapper.unwrap
            known = opened(root.root, root.wrapped_root, root.context(), unwrap)
            if root.wrapped_root is not None:
                self._unwrapped[root.wrapped_root] = known
        return known

    def new(self, form: type[RootT], **names: object) -> RootT:
        """Draw a root, and wrap it where the file's roots are wrapped.

        Raises:
            ConfigurationError: a name can't be one.
            KeyProviderError: it can't be wrapped.
        """
        drawn = os.urandom(ROOT_SIZE)
        values = {"root": drawn.hex(), "created": self.now()} | names
        root = hold_to(form, values, f"{self.path}: root", "give another name")
        return self.hide(root, drawn, self.file.wrapping)

    def hide(self, root: RootT, secret: bytes, wrapping: str | None) -> RootT:
        """Give a root as it stands in a file whose roots are wrapped by `wrapping`, or by nothing.

        Raises:
            KeyProviderError: it can't be wrapped.
        """
        fields = hidden("root", "wrapped_root", secret, root.context(), self.wrapper(wrapping))
        return root.model_copy(update=fields)

    def age(self, root: RootEntry | TokenRoot) -> int | None:
        """Give the age of a root in seconds; None where it is not known."""
        return None if root.created is None else self.now() - root.created

    def need(self, tenant: str) -> list[RootEntry]:
        """Give the roots of a tenant, the newest one last.

        Raises:
            ConfigurationError: it has none.
        """
        roots = self.file.epochs(tenant)
        if not roots:
            raise self.lacks(tenant, "root")
        return roots

    def lacks(self, tenant: str, what: str) -> ConfigurationError:
        """Make the error about a tenant without a `root` or a `token root`, or a file that is missing."""
        if not self._there():
            problem, what = "there is no such file; name the administration's with --roots, or", "root"
        else:
            problem = f"the tenant {tenant!r} has no {what};"
        verb = what.replace(" ", "-")
        return ConfigurationError(f"{self.path}: {problem} make one: interceptors keys {verb} {tenant}")

    def keyring(self, service: str, roots: RootFile | None = None, *, wrap: bool = True) -> KeyringFile:
        """Derive what a service's key file holds.

        Args:
            service: the service.
            roots: another state of the administration's file than the present one.
            wrap: whether to wrap the keys where the service's are; without it they stand in clear.

        Raises:
            KeyProviderError: a key can't be wrapped, or its root not unwrapped.
        """
        roots = roots or self.file
        grants = roots.grants_of(service)
        wrapper = self.wrapper(grants[0].wrapping) if wrap and grants else None
        return keyring_of(roots, service, self.secret, wrapper)

    def lines(self) -> list[KeyLine]:
        """List every key of every grant, without key material.

        Raises:
            KeyProviderError: a root can't be unwrapped.
        """
        return sorted(
            line for service in self.files() for line in list_keys(self.keyring(service, wrap=False))
        )

    def files(self, tenants: Iterable[str] | None = None) -> dict[str, Path]:
        """Give the key file of each service, or of those with a grant for one of some tenants."""
        chosen = None if tenants is None else set(tenants)
        return {
            grant.service: self.path.parent / grant.file
            for grant in self.file.grants
            if chosen is None or grant.tenant in chosen
        }

    def write(self, files: Mapping[str, Path]) -> None:
        """Write key files, each whole and at once.

        Args:
            files: by service.

        Raises:
            ConfigurationError: some of them can't be written; all others are.
        """
        failed: dict[str, str] = {}
        for service, file in sorted(files.items()):
            try:
                write_key_file(file, self.keyring(service))
            except (ConfigurationError, KeyProviderError) as error:
                failed[service] = str(error)
        left = {
            service: file
            for service, file in self.file.unwritten.items()
            if service not in files or service in failed
        }
        if left != self.file.unwritten:
            self.save(unwritten=left)
        if failed:
            msg = (
                f"{'; '.join(failed.values())}. The other key files are written, and {self.path} knows of "
                f"the change; once these can be written, run: interceptors keys write"
            )
            raise ConfigurationError(msg)

    def unwritten(self) -> dict[str, Path]:
        """Give the key file of each service that a change has not reached: of a crash, or a full disk."""
        granted = {grant.file for grant in self.file.grants}
        gone = {
            service: self.path.parent / file
            for service, file in self.file.unwritten.items()
            if file not in granted  # else it is another service's by now, or another one of its own
        }
        return gone | {s: f for s, f in self.files().items() if s in self.file.unwritten}

    def make_up(self) -> None:
        """Write the key files that a change has not reached.

        Raises:
            AuditError: that can't be recorded, so it is not done.
            ConfigurationError: as `write` does.
        """
        files = self.unwritten()
        if files:
            with self.act("keys.write", services=sorted(files)):
                self.write(files)

    def settle(self, *tenants: str) -> None:
        """Write the key files of some tenants' grants, and note since when these hold the epochs as they are.

        Raises:
            ConfigurationError: as `write` does; then nothing is noted.
        """
        self.write(self.files(tenants))
        changed: dict[tuple[str, int], RootEntry] = {
            (root.tenant, root.epoch): root
            for tenant in tenants
            for root in noted(self.file.epochs(tenant), self.now())
        }
        roots = tuple(changed.get((root.tenant, root.epoch), root) for root in self.file.roots)
        if roots != self.file.roots:
            self.save(roots=roots)

    def _read(self) -> RootFile:
        return read_key_file(self.path, RootFile) if self._there() else RootFile()

    def _there(self) -> bool:
        try:
            return self.path.exists()
        except OSError:  # its folder can't be looked into: not to be taken for a file that is not there
            return True


def _unlinked(path: Path) -> Path:
    """Give a path without links on the way to it: what `..` leads out of behind a link is another folder."""
    folder = os.path.realpath(path.parent)
    return path if folder == os.path.abspath(path.parent) else Path(folder, path.name)  # noqa: PTH100 - no link is to be followed


def _lock(folder: int, path: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
    except OSError as error:
        msg = f"{path}: its folder can't be locked ({error.strerror}); keep it on a local disk"
        raise ConfigurationError(msg) from None
