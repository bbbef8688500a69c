from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from interceptors.errors import ConfigurationError, TokenError, TokenProblem
from interceptors.token_vault.address import open_database
from interceptors.token_vault.sqlite import SQLite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def table(tmp_path: Path) -> Iterator[SQLite]:
    """A database with a table of numbers."""
    database = SQLite(tmp_path / "some.db")
    with database.transaction(write=True) as execute:
        execute("CREATE TABLE numbers (n INTEGER)")
    yield database
    database.close()


def count(database: SQLite) -> int:
    with database.transaction(write=False) as execute:
        found: int = execute("SELECT count(*) FROM numbers")[0][0]
    return found


def add(database: SQLite, number: int = 1) -> None:
    with database.transaction(write=True) as execute:
        execute("INSERT INTO numbers VALUES (?)", number)


def add_and_fail(database: SQLite) -> None:
    with database.transaction(write=True) as execute:
        execute("INSERT INTO numbers VALUES (1)")
        raise ZeroDivisionError


def _add_and_leave(database: SQLite) -> None:
    add(database)
    os._exit(0 if count(database) == 2 else 1)


def test_the_address_says_which_database_it_is(tmp_path: Path) -> None:
    assert isinstance(open_database(str(tmp_path / "vault.db")), SQLite)


def test_what_raises_is_undone_and_the_next_transaction_works(table: SQLite) -> None:
    with pytest.raises(ZeroDivisionError):
        add_and_fail(table)
    assert count(table) == 0
    add(table)
    assert count(table) == 1


def test_an_error_of_the_database_is_ours_and_holds_no_value(table: SQLite) -> None:
    with (
        pytest.raises(TokenError, match=r"can't be used \(OperationalError\)") as caught,
        table.transaction(write=True) as execute,
    ):
        execute("INSERT INTO nothing VALUES (?)", "customer@example.com")
    assert caught.value.problem is TokenProblem.UNREACHABLE
    assert caught.value.retryable
    assert caught.value.__context__ is None
    add(table)
    assert count(table) == 1


def test_a_file_that_is_no_database_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all" * 100)
    database = SQLite(tmp_path / "text.db")
    with pytest.raises(TokenError, match="DatabaseError"), database.transaction(write=True):
        pass
    with pytest.raises(TokenError, match="OperationalError"), SQLite(tmp_path).transaction(write=False):
        pass


def test_there_has_to_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        SQLite(tmp_path / "none" / "vault.db")


def test_only_its_owner_can_read_any_of_its_files(table: SQLite, tmp_path: Path) -> None:
    add(table)

    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".db", ".db-shm", ".db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_it_is_used_again_after_it_was_closed(table: SQLite) -> None:
    table.close()
    table.close()
    add(table)
    assert count(table) == 1


def test_threads_take_turns(table: SQLite) -> None:
    threads = [threading.Thread(target=add, args=(table, number)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(table) == 16


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of threads in a fork, which is meant
def test_a_forked_child_has_a_connection_of_its_own(table: SQLite) -> None:
    add(table)
    child = multiprocessing.get_context("fork").Process(target=_add_and_leave, args=(table,))
    child.start()
    child.join(30)

    assert child.exitcode == 0
    add(table)
    assert count(table) == 3


def test_what_was_committed_is_seen_by_others_as_wal(table: SQLite, tmp_path: Path) -> None:
    add(table)
    other = sqlite3.connect(tmp_path / "some.db")
    try:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("SELECT count(*) FROM numbers").fetchone() == (1,)
    finally:
        other.close()


def test_a_second_connection_leaves_the_first_its_locks(table: SQLite, tmp_path: Path) -> None:
    """Another process would take a file without locks for one that nobody uses, and delete its log."""
    leave_wal = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode = DELETE')"
    )
    add(table)
    second = SQLite(tmp_path / "some.db")
    assert count(second) == 1

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", leave_wal, str(tmp_path / "some.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    second.close()

    assert "database is locked" in done.stderr
    add(table)
    assert count(table) == 2
