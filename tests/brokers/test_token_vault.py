"""A token vault outlives the server that its database is on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interceptors.audit import AuditLog
from interceptors.errors import TokenError, TokenProblem
from interceptors.token_vault import TokenVault, VaultKeys, migrate, open_database, parse_access
from interceptors.token_vault.vault_keys import VaultKey

if TYPE_CHECKING:
    from pathlib import Path

    from .provision import Server


def test_while_the_server_is_gone_it_says_so_and_then_goes_on(
    owned_postgresql: Server, tmp_path: Path
) -> None:
    database = open_database(owned_postgresql.address)
    migrate(database)
    vault = TokenVault(
        database,
        VaultKeys([VaultKey("acme", 1, bytes(32))]),
        audit=AuditLog(tmp_path / "audit.log", actor="test"),
        access=parse_access(json.dumps({"version": 1, "domains": {"customer": {}}}), "vault.yaml"),
    )
    token = vault.tokenize("acme", "customer", "7")

    owned_postgresql.kill()
    with pytest.raises(TokenError, match=r"can't be used \(OperationalError\)") as caught:
        vault.tokenize("acme", "customer", "7")
    assert caught.value.problem is TokenProblem.UNREACHABLE
    assert caught.value.retryable
    owned_postgresql.start()
    assert vault.tokenize("acme", "customer", "7") == token
    owned_postgresql.kill()
    owned_postgresql.start()
    assert vault.tokenize("acme", "customer", "7") == token
    database.close()
