"""A vault on SQLite, its keys and its audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.audit import AuditLog
from interceptors.token_vault import TokenVault, VaultKeys, migrate, parse_access
from interceptors.token_vault.sqlite import SQLite
from interceptors.token_vault.vault_keys import VaultKey, derive_vault_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interceptors.token_vault import VaultAccess

ROLES = {
    "support": {"tenants": ["acme"], "domains": ["customer"], "purposes": ["customer-request"]},
    "privacy-office": {
        "tenants": ["acme", "globex"],
        "domains": ["customer", "employee"],
        "purposes": ["erasure-request"],
        "erase": True,
    },
}
DOCUMENT = {
    "version": 1,
    "domains": {"customer": {"class": "personal.email"}, "employee": {}},
    "roles": ROLES,
    "callers": {"support-desk": ["support"], "privacy-desk": ["privacy-office"], "intern": []},
    "limit": {"per_minute": 60, "burst": 3},
}


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_790_000_000.0

    def __call__(self) -> int:
        return int(self.now_s * 1e9)


@pytest.fixture
def clock() -> Clock:
    """The vault's time."""
    return Clock()


@pytest.fixture
def access() -> VaultAccess:
    """Who may resolve what."""
    return parse_access(json.dumps(DOCUMENT), "vault.yaml")


@pytest.fixture
def keys() -> Callable[..., VaultKeys]:
    """Makes the keys of both tenants, of given versions."""

    def make(*versions: int) -> VaultKeys:
        return VaultKeys(
            VaultKey(tenant, version, derive_vault_key(bytes([version]) * 32, tenant, version))
            for tenant in ("acme", "globex")
            for version in versions or (1,)
        )

    return make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLite]:
    """A database with its tables made."""
    made = SQLite(tmp_path / "vault.db")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    """The audit log."""
    return AuditLog(tmp_path / "audit.log", actor="vault")


@pytest.fixture
def recorded(audit: AuditLog) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """Gives the actions and details that are on the audit log."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        if not audit.path.exists():
            return []
        lines = [json.loads(line) for line in audit.path.read_text().splitlines()]
        return [(line["action"], line["details"]) for line in lines]

    return read


@pytest.fixture
def vault(
    database: SQLite, keys: Callable[..., VaultKeys], audit: AuditLog, access: VaultAccess, clock: Clock
) -> TokenVault:
    """A vault with nothing in it."""
    return TokenVault(database, keys(), audit=audit, access=access, clock=clock)
