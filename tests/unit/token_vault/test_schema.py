from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.errors import ConfigurationError, TokenError
from interceptors.token_vault import schema
from interceptors.token_vault.schema import check_schema, migrate
from interceptors.token_vault.sqlite import SQLite

if TYPE_CHECKING:
    from pathlib import Path


def test_tables_are_made_once_and_stay(database: SQLite) -> None:
    with database.transaction(write=True) as execute:
        execute("INSERT INTO vault_tenants VALUES ('acme', 1)")
    migrate(database)
    check_schema(database)

    with database.transaction(write=False) as execute:
        assert execute("SELECT version FROM vault_schema") == [(1,), (2,)]
        assert execute("SELECT tenant FROM vault_tenants") == [("acme",)]


def test_a_database_without_tables_says_what_to_do(tmp_path: Path) -> None:
    database = SQLite(tmp_path / "empty.db")
    with pytest.raises(ConfigurationError, match="interceptors tokens init"):
        check_schema(database)
    with database.transaction(write=True) as execute:
        execute("CREATE TABLE vault_schema (version INTEGER NOT NULL)")
    with pytest.raises(ConfigurationError, match="interceptors tokens init"):
        check_schema(database)
    migrate(database)
    check_schema(database)
    database.close()


def test_tables_of_a_later_version_are_not_touched(database: SQLite) -> None:
    with database.transaction(write=True) as execute:
        execute("INSERT INTO vault_schema VALUES (3)")

    for call in (check_schema, migrate):
        with pytest.raises(ConfigurationError, match="update the library"):
            call(database)


def test_an_unreachable_database_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(TokenError):
        check_schema(SQLite(tmp_path / "text.db"))


def test_tables_of_the_first_version_become_those_of_now_with_what_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = SQLite(tmp_path / "old.db")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_STEPS", schema._STEPS[:1])
        migrate(database)
    with database.transaction(write=True) as execute:
        execute("INSERT INTO vault_rates VALUES ('somebody@example.com', 7)")
        execute("INSERT INTO vault_tenants VALUES ('acme', 1)")
    with pytest.raises(ConfigurationError, match="older version; run: interceptors tokens init"):
        check_schema(database)

    migrate(database)

    check_schema(database)
    with database.transaction(write=False) as execute:
        # Anybody who had asked had a row, under whatever name.
        assert execute("SELECT caller, due, refused FROM vault_rates") == []
        assert execute("SELECT tenant, version FROM vault_tenants") == [("acme", 1)]
        assert execute("SELECT * FROM vault_domains") == []
    database.close()
