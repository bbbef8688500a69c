"""The roots of token keys: made, rotated and destroyed, apart from those that envelopes are sealed under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError
from interceptors.keys.root_file import TokenRoot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from interceptors.keys.root_store import RootStore


class TokenRoots:
    """The token roots of the tenants of one administration."""

    def __init__(self, store: RootStore) -> None:
        """Work on the administration's file.

        Args:
            store: the file.
        """
        self._store = store

    def root(self, tenant: str) -> None:
        """Make the first token root of a tenant.

        Raises:
            AuditError: it can't be recorded, so it is not done; so for all that follow.
            ConfigurationError: the tenant has no root, or has a token root; rotate that instead.
            KeyProviderError: the root can't be wrapped.
        """
        with self._store.locked():
            self._store.need(tenant)
            if self._store.file.token_versions(tenant):
                msg = (
                    f"{self._store.path}: the tenant {tenant!r} has a token root; "
                    f"run: interceptors keys rotate-tokens {tenant}"
                )
                raise ConfigurationError(msg)
            with self._store.act("keys.tokens.root", tenant=tenant, version=1):
                self._add(tenant, 1)

    def rotate(self, tenant: str) -> int:
        """Make a new version current. The former ones stay, so that their tokens can be told to be aliases.

        Returns:
            The new version.

        Raises:
            ConfigurationError: the tenant has no token root, or a key file can't be written.
            KeyProviderError: a root can't be wrapped or unwrapped.
        """
        with self._store.locked():
            version = self._need(tenant)[-1].version + 1
            with self._store.act("keys.tokens.rotate", tenant=tenant, version=version):
                files = self._store.files([tenant])
                self._add(tenant, version, files)
                self._store.write(files)
            return version

    def destroy(self, tenant: str, version: int) -> None:
        """Destroy a former version: its root, and every key out of it in every key file.

        Raises:
            ConfigurationError: there is no such version, or it is the current one; or a key file can't be
                written.
        """
        with self._store.locked():
            roots = self._need(tenant)
            found = [root for root in roots if root.version == version]
            if not found:
                known = ", ".join(str(root.version) for root in roots)
                msg = f"{self._store.path}: {tenant!r} has no token version {version}; it has {known}"
                raise ConfigurationError(msg)
            if found[0] is roots[-1]:
                msg = (
                    f"{self._store.path}: token version {version} of {tenant!r} is the current one; "
                    f"rotate first: interceptors keys rotate-tokens {tenant}"
                )
                raise ConfigurationError(msg)
            with self._store.act("keys.tokens.destroy", tenant=tenant, version=version):
                self._store.save(
                    self._store.files([tenant]),
                    token_roots=tuple(root for root in self._store.file.token_roots if root is not found[0]),
                )
                self._store.write(self._store.files([tenant]))

    def versions(self) -> list[tuple[str, int, str, int | None]]:
        """List tenant, version, use (`current` or `former`) and age in seconds of every token root."""
        tenants = {root.tenant for root in self._store.file.token_roots}
        return [
            (tenant, root.version, "current" if root is roots[-1] else "former", self._store.age(root))
            for tenant in sorted(tenants)
            for roots in [self._store.file.token_versions(tenant)]
            for root in roots
        ]

    def secret(self, tenant: str, version: int) -> bytes:
        """Give a token root itself, for whoever seals a vault under it.

        Raises:
            ConfigurationError: there is no such version.
            KeyProviderError: it can't be unwrapped.
        """
        for root in self._need(tenant):
            if root.version == version:
                return self._store.secret(root)
        msg = f"{self._store.path}: {tenant!r} has no token version {version}"
        raise ConfigurationError(msg)

    def _add(self, tenant: str, version: int, files: Mapping[str, Path] | None = None) -> None:
        root = self._store.new(TokenRoot, tenant=tenant, version=version)
        self._store.save(files, token_roots=(*self._store.file.token_roots, root))

    def _need(self, tenant: str) -> list[TokenRoot]:
        roots = self._store.file.token_versions(tenant)
        if not roots:
            raise self._store.lacks(tenant, "token root")
        return roots
