from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import interceptors
from interceptors.errors import TokenError, TokenProblem
from interceptors.token_vault.address import open_database
from interceptors.token_vault.postgresql import PostgreSQL


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_address_says_which_database_it_is(scheme: str) -> None:
    assert isinstance(open_database(f"{scheme}://127.0.0.1:1/vault"), PostgreSQL)


def test_a_server_that_is_not_there_is_said_so_without_its_address() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and not listened on
        database = PostgreSQL(f"postgresql://someone:secret@127.0.0.1:{closed.getsockname()[1]}/vault")
        with (
            pytest.raises(TokenError, match=r"can't be used \(OperationalError\)") as caught,
            database.transaction(write=False),
        ):
            pass
    assert caught.value.problem is TokenProblem.UNREACHABLE
    assert caught.value.__context__ is None
    assert "secret" not in str(caught.value)
    database.close()


def test_an_address_that_is_none_is_not_behind_the_error() -> None:
    """The client's own error says the address as it stands, password included."""
    database = PostgreSQL("postgresql://someone:secret@[::1/vault")
    with pytest.raises(TokenError, match="ProgrammingError") as caught, database.transaction(write=False):
        pass
    assert caught.value.__context__ is None
    database.close()


def test_without_its_client_it_says_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from interceptors.errors import MissingExtraError\n"
        "from interceptors.token_vault import open_database\n"
        "try:\n"
        "    open_database('postgresql://127.0.0.1/vault')\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(Path(interceptors.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert (
        done.stdout == "psycopg is not installed; install it with: pip install 'interceptors[postgresql]'\n"
    )
