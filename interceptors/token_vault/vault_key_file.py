"""The vault's key file: like a service's, and as private."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from interceptors.keys.derivation import hidden
from interceptors.keys.key_file import (
    Epoch,
    Hex32,
    KeyName,
    KeyUri,
    Part,
    Wrapped,
    need_one,
    opened,
    read_key_file,
    write_key_file,
)
from interceptors.keys.wrapping import wrapping_context
from interceptors.keys.wrapping_uri import key_wrapper
from interceptors.token_vault.vault_keys import VaultKey, VaultKeys, derive_vault_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from interceptors.audit import AuditLog
    from interceptors.keys.token_roots import TokenRoots
    from interceptors.keys.wrapping import KeyWrapper
    from interceptors.token_vault.store import Count


class VaultKeyEntry(Part):
    """A vault's key for one tenant and version."""

    tenant: KeyName
    version: Epoch
    key: Hex32 | None = Field(default=None, repr=False)
    wrapped_key: Wrapped | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _holds(self) -> VaultKeyEntry:
        need_one(self.key, self.wrapped_key)
        return self


class VaultKeyFile(Part):
    """A vault's keys: the file that `interceptors tokens init` writes."""

    version: Literal[1] = 1
    wrapping: KeyUri | None = None
    """What has wrapped the keys; None where they stand in clear."""
    vault: tuple[VaultKeyEntry, ...]


def read_vault_keys(path: Path, wrappers: Callable[[str], KeyWrapper] = key_wrapper) -> VaultKeys:
    """Read a vault's key file.

    Args:
        path: where it lies.
        wrappers: gives what has wrapped the keys, by its URI.

    Raises:
        ConfigurationError: it is missing, can be read by others, or does not hold.
        KeyProviderError: a key can't be unwrapped.
    """
    secrets = _secrets(read_key_file(path, VaultKeyFile), wrappers)
    return VaultKeys(VaultKey(tenant, version, key) for (tenant, version), key in secrets.items())


def write_vault_keys(
    path: Path,
    roots: TokenRoots,
    tenants: Iterable[str],
    *,
    counts: Iterable[Count],
    wrapping: str | None = None,
    wrappers: Callable[[str], KeyWrapper] = key_wrapper,
    audit: AuditLog | None = None,
) -> None:
    """Write a vault's key file, or bring it up to date.

    What is in it stays there: keys of other tenants, and those that something is sealed under still.

    Args:
        path: where it lies, or is to lie.
        roots: the administration's.
        tenants: whose keys are to be those of the administration.
        counts: what the vault holds.
        wrapping: the URI of what wraps the keys; None to leave them as they are: at first, in clear.
        wrappers: gives what wraps keys, by its URI.
        audit: where it is recorded whose keys the vault gets, before it gets them.

    Raises:
        AuditError: it can't be recorded, so that it is not done.
        ConfigurationError: a tenant has no token root, or a file can't be read or written.
        KeyProviderError: a key can't be wrapped or unwrapped.
    """
    wanted = list(dict.fromkeys(tenants))
    with contextlib.ExitStack() as acting:
        if audit is not None:
            acting.enter_context(audit.act("keys.tokens.vault", tenants=wanted))
        needed = {(count.tenant, count.version) for count in counts}
        former = read_key_file(path, VaultKeyFile) if path.exists() else VaultKeyFile(vault=())
        wrapping = wrapping or former.wrapping
        secrets = {
            place: key
            for place, key in _secrets(former, wrappers).items()
            if place[0] not in wanted or place in needed
        }
        for tenant in wanted:
            # One that is not there is asked for as well, since that error says what to do.
            for version in [version for owner, version, *_ in roots.versions() if owner == tenant] or [1]:
                secrets[tenant, version] = derive_vault_key(roots.secret(tenant, version), tenant, version)
        wrapper = None if wrapping is None else wrappers(wrapping)
        entries = [
            VaultKeyEntry(
                tenant=tenant,
                version=version,
                **hidden("key", "wrapped_key", key, _context(tenant, version), wrapper),
            )
            for (tenant, version), key in sorted(secrets.items())
        ]
        write_key_file(path, VaultKeyFile(wrapping=wrapping, vault=tuple(entries)))


def _secrets(file: VaultKeyFile, wrappers: Callable[[str], KeyWrapper]) -> dict[tuple[str, int], bytes]:
    unwrap = None if file.wrapping is None else wrappers(file.wrapping).unwrap
    return {
        (entry.tenant, entry.version): opened(
            entry.key, entry.wrapped_key, _context(entry.tenant, entry.version), unwrap
        )
        for entry in file.vault
    }


def _context(tenant: str, version: int) -> dict[str, str]:
    return wrapping_context("vault key", tenant, version=version)
