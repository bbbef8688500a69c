"""A token vault holds what it says on every database, with as many processes as there are."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.audit import AuditLog
from interceptors.envelope import derive_token_key
from interceptors.errors import ConfigurationError, TokenError, TokenProblem
from interceptors.scan import Token
from interceptors.token_vault import AliasStore, TokenVault, VaultKeys, migrate, open_database, parse_access
from interceptors.token_vault.store import VaultStore
from interceptors.token_vault.vault_keys import VaultKey, derive_vault_key
from interceptors.tokens import Tokenized, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from interceptors.token_vault import Database

WORKER = Path(__file__).with_name("token_worker.py")
DEADLINE = 120
ROOTS = {version: hashlib.sha256(b"%d" % version).digest() for version in (1, 2)}
ACCESS = {
    "version": 1,
    "domains": {"customer": {"class": "personal.email"}},
    "roles": {
        "support": {"tenants": ["acme"], "domains": ["customer"], "purposes": ["fraud"], "erase": True}
    },
    "callers": {"support-desk": ["support"], "privacy-desk": ["support"]},
    "limit": {"per_minute": 60000, "burst": 60000},
}
ASKED = {"caller": "support-desk", "purpose": "fraud"}
IDENTIFIERS = [f"customer-{number}@example.com" for number in range(120)]


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with nothing in it."""
    if request.param == "sqlite":
        yield str(tmp_path / "vault.db")
        return
    import psycopg  # noqa: PLC0415 - of one parameter

    server = request.getfixturevalue("real_postgresql")
    name = f"vault_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield server.rpartition("/")[0] + f"/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    """The same, with its tables made."""
    made = open_database(address)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def vault(database: Database, tmp_path: Path) -> Callable[..., TokenVault]:
    """Makes vaults that hold the keys of given versions."""

    def make(*versions: int, **access: Any) -> TokenVault:
        held = (
            VaultKey("acme", each, derive_vault_key(ROOTS[each], "acme", each)) for each in versions or (1,)
        )
        return TokenVault(
            database,
            VaultKeys(held),
            audit=AuditLog(tmp_path / "audit.log", actor="test"),
            access=parse_access(json.dumps({**ACCESS, **access}), "vault.yaml"),
        )

    return make


class Workers:
    """Processes of a vault, which begin together."""

    def __init__(self, address: str, folder: Path, ending: contextlib.ExitStack) -> None:
        self._address = address
        self._folder = folder
        self._ending = ending
        self._started: list[subprocess.Popen[str]] = []

    def add(self, act: str, *versions: int, identifiers: Iterable[str] = ()) -> None:
        seed = len(self._started)
        asked = {
            "act": act,
            "address": self._address,
            "roots": {version: ROOTS[version].hex() for version in versions},
            "audit": str(self._folder / "audit.log"),
            "access": ACCESS,
            "identifiers": list(identifiers),
            "seed": seed,
        }
        process = subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, str(WORKER), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        self._ending.callback(process.wait)
        self._ending.callback(process.kill)

    def done(self) -> list[dict[str, Any]]:
        for process in self._started:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == "ready\n", process.communicate()[1]
        for process in self._started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers: list[dict[str, Any]] = []
        for process in self._started:
            answer, errors = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, errors
            answers.append(json.loads(answer))
        return answers


@pytest.fixture
def workers(address: str, database: Database, tmp_path: Path) -> Iterator[Workers]:
    """Processes of the vault, none yet."""
    with contextlib.ExitStack() as ending:
        yield Workers(address, tmp_path, ending)


def test_processes_that_tokenize_at_once_agree_and_lose_nothing(
    workers: Workers, vault: Callable[..., TokenVault]
) -> None:
    for _ in range(3):
        workers.add("tokenize", 1, identifiers=IDENTIFIERS)
    workers.add("resolve", 1, identifiers=IDENTIFIERS)
    first, *others = workers.done()

    assert all(other == first for other in others)
    assert len(set(first.values())) == len(IDENTIFIERS)
    assert [count.tokens for count in vault().counts()] == [len(IDENTIFIERS)]
    for identifier, token in first.items():
        assert vault().resolve(token, **ASKED) == identifier


def test_a_rotation_while_others_tokenize_makes_no_second_token(
    workers: Workers, vault: Callable[..., TokenVault]
) -> None:
    before = {each: str(vault(1).tokenize("acme", "customer", each)) for each in IDENTIFIERS[::2]}
    for _ in range(2):
        workers.add("rotate", 1, 2)
        workers.add("tokenize", 1, 2, identifiers=IDENTIFIERS)
    _, first, _, second = workers.done()

    assert first == second
    assert first | before == first
    vault(1, 2).rotate("acme")  # what another rotation was at when these two looked
    assert [(count.version, count.tokens) for count in vault(2).counts()] == [(2, len(IDENTIFIERS))]
    for identifier, token in first.items():
        assert vault(2).resolve(token, **ASKED) == identifier


def test_a_callers_allowance_is_one_for_all(database: Database) -> None:
    stores = [VaultStore(database) for _ in range(3)]
    taken = [
        stores[turn % 3].take("support-desk", interval=1_000_000, burst=5, now=1_790_000_000_000_000)
        for turn in range(8)
    ]

    assert taken == [(True, 0)] * 5 + [(False, 1), (False, 2), (False, 3)]
    later = {"interval": 1_000_000, "burst": 5, "now": 1_790_000_001_000_000}
    assert stores[0].take("privacy-desk", **later) == (True, 0)
    assert stores[0].take("support-desk", **later) == (True, 3)
    stores[2].noted("support-desk", 3)
    stores[1].noted("support-desk", 3)  # by two at once
    assert stores[1].take("support-desk", **later) == (False, 1)


def test_what_is_forgotten_is_gone(vault: Callable[..., TokenVault]) -> None:
    token = str(vault().tokenize("acme", "customer", IDENTIFIERS[0]))
    vault().forget(token, **ASKED)

    with pytest.raises(TokenError) as caught:
        vault().resolve(token, **ASKED)
    assert caught.value.problem is TokenProblem.UNKNOWN
    with pytest.raises(TokenError):
        vault().forget(token, **ASKED)


def test_aliases_join_versions(database: Database) -> None:
    keys = [derive_token_key(ROOTS[version], "acme", "customer", version) for version in (1, 2)]
    found = Tokenizer(keys[1], keys[:1]).tokens("7")
    aliases = AliasStore(database)
    for _ in range(2):
        aliases.record("acme", "customer", found)

    assert aliases.canonical("acme", "customer", found.former[0]) == found.current
    assert aliases.canonical("acme", "customer", Token(bytes(16), 1)) == Token(bytes(16), 1)


def test_aliases_go_with_their_identifier_and_with_their_version(database: Database, tmp_path: Path) -> None:
    keys = [derive_token_key(ROOTS[1], "acme", "customer", version) for version in (1, 2, 3)]
    aliases, audit = AliasStore(database), AuditLog(tmp_path / "audit.log", actor="test")
    for identifier in ("7", "8", "9"):
        for current in (1, 2):
            aliases.record(
                "acme", "customer", Tokenizer(keys[current], [keys[current - 1]]).tokens(identifier)
            )
    first, second, third = ([Tokenizer(key).tokens(each).current for each in "789"] for key in keys)

    assert aliases.domain_of(third[0]) == ("acme", "customer")
    assert aliases.forget("acme", "customer", third[0]) == 2
    assert [aliases.domain_of(each) for each in (first[0], second[0], third[0])] == [None] * 3
    assert aliases.keep("acme", [1, 3], audit) == 2
    assert [aliases.canonical("acme", "customer", each) for each in first] == [first[0], *third[1:]]
    assert aliases.keep("acme", [3], audit) == 2
    assert aliases.keep("acme", [3], audit) == 0


def test_a_domain_has_one_normal_form_whoever_begins_it(vault: Callable[..., TokenVault]) -> None:
    late = vault(domains={"customer": {"class": "payment.card"}})
    vault().tokenize("acme", "customer", IDENTIFIERS[0])

    with pytest.raises(ConfigurationError, match="begin another domain"):
        late.tokenize("acme", "customer", IDENTIFIERS[1])
    with pytest.raises(ConfigurationError, match="begin another domain"):
        vault(domains={"customer": {}})


def test_tables_are_made_once_however_often_they_are_asked_for(address: str) -> None:
    database = open_database(address)
    with pytest.raises(ConfigurationError, match="interceptors tokens init"):
        VaultStore(database)
    migrate(database)
    migrate(database)
    assert VaultStore(database).counts() == []
    database.close()
    assert VaultStore(database).counts() == []
    database.close()


def test_what_raises_changes_nothing(database: Database) -> None:
    with contextlib.suppress(TokenError), database.transaction(write=True) as execute:
        execute("INSERT INTO vault_tenants (tenant, version) VALUES ('acme', 1)")
        raise TokenError("", problem=TokenProblem.DENIED)

    with database.transaction(write=False) as execute:
        assert execute("SELECT count(*) FROM vault_tenants") == [(0,)]


def test_a_stolen_database_says_nothing(
    address: str, database: Database, vault: Callable[..., TokenVault], tmp_path: Path
) -> None:
    tokens = [vault(1).tokenize("acme", "customer", each) for each in IDENTIFIERS[:8]]
    vault(1, 2).rotate("acme")
    vault(1, 2).resolve(str(tokens[0]), **ASKED)
    stolen = b"".join(_files(address, tmp_path))

    assert tokens[7].value in stolen  # so what is looked for would be found
    names = [part for each in IDENTIFIERS[:8] for part in (each, each.partition("@")[0])]
    for form in _forms([name.encode() for name in names]):
        assert form not in stolen
    secret = [
        key for version, root in ROOTS.items() for key in (root, derive_vault_key(root, "acme", version))
    ]
    for form in _forms(secret):
        assert form not in stolen


def test_what_is_forgotten_is_in_no_file_of_the_database(
    address: str, database: Database, vault: Callable[..., TokenVault], tmp_path: Path
) -> None:
    """On PostgreSQL, once its owner has written the tables anew; its log is reused in its own time."""
    tokens = [vault().tokenize("acme", "customer", each) for each in IDENTIFIERS]
    aliases = [Tokenized(Token(bytes([n]) * 16, 2), (Token(bytes([n + 9]) * 16, 1),)) for n in range(1, 3)]
    for each in aliases:
        AliasStore(database).record("acme", "customer", each)
    with database.transaction(write=False) as execute:
        rows = execute("SELECT token, lookup, sealed FROM vault_tokens WHERE token = ?", tokens[7].value)
    kept = [bytes(value) for value in rows[0]]
    joined = [text.encode() for each in aliases for text in (str(each.current), str(each.former[0]))]
    stored = b"".join(_tables(address, tmp_path))
    assert [value for value in (*kept, *joined) if value not in stored] == []

    vault().forget(str(tokens[7]), **ASKED)
    vault().forget(str(aliases[0].former[0]), **ASKED)

    stored = b"".join(_tables(address, tmp_path))
    assert [value for value in (*kept, *joined[:2]) if value in stored] == []
    assert [value for value in (tokens[8].value, *joined[2:]) if value not in stored] == []


def _tables(address: str, folder: Path) -> Iterator[bytes]:
    """The bytes of the files that the tables are in; those of SQLite all, its log included."""
    if not address.startswith("postgresql"):
        yield from _files(address, folder)
        return
    import psycopg  # noqa: PLC0415 - of one parameter

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("VACUUM FULL vault_tokens, vault_aliases")
        connection.execute("CHECKPOINT")
        names = connection.execute(
            "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relname LIKE 'vault%'"
        ).fetchall()
        for (name,) in names:
            rows = connection.execute("SELECT pg_read_binary_file(%s)", [name]).fetchall()
            yield from (bytes(row[0]) for row in rows)


def _files(address: str, folder: Path) -> Iterator[bytes]:
    """The bytes of every file that the database has written."""
    if not address.startswith("postgresql"):
        files = list(folder.glob("vault.db*"))
        assert {file.suffix for file in files} == {".db", ".db-wal", ".db-shm"}
        yield from (file.read_bytes() for file in files)
        return
    import psycopg  # noqa: PLC0415 - of one parameter

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT pg_relation_filepath('vault_tokens')").fetchone()
        assert found is not None
        mine = found[0].rpartition("/")[0]
        for place in (mine, "pg_wal", "pg_xact"):
            names = connection.execute("SELECT pg_ls_dir(%s)", [place]).fetchall()
            for (name,) in names:
                path = f"{place}/{name}"
                rows = connection.execute(
                    "SELECT pg_read_binary_file(%s) WHERE NOT (pg_stat_file(%s)).isdir", [path, path]
                ).fetchall()
                yield from (bytes(row[0]) for row in rows)


def _forms(values: Iterable[bytes]) -> Iterator[bytes]:
    """What a value may be written as."""
    for value in values:
        yield value
        yield value.hex().encode()
        yield value.hex().upper().encode()
        # In base64 a text looks different at each of three offsets; what its neighbours change is cut off.
        for offset in range(3):
            written = base64.b64encode(bytes(offset) + value)
            yield written[4 if offset else 0 : -4]
        with contextlib.suppress(UnicodeDecodeError):
            text = value.decode()
            yield text.encode("utf-16-le")
            yield text.encode("utf-16-be")
