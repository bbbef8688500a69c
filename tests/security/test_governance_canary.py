"""A marker for an identifier, key or password is only where it has to be: vault, audit log and command."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from interceptors.audit import AuditLog, check_proof, parse_entry, verify
from interceptors.audit.checkpoint import read_checkpoint
from interceptors.audit.signed_tree import checkpoint_path
from interceptors.cli import app
from interceptors.envelope import SenderKey, derive_token_key
from interceptors.errors import InterceptorError
from interceptors.keys import KeyAdministration
from interceptors.keys.signing_key import read_signing_key, read_verification_key, write_signing_key
from interceptors.scan import Token
from interceptors.signatures import Signed, SigningKey, parse_signed
from interceptors.testing.canary import Canary
from interceptors.token_vault import (
    AliasStore,
    TokenVault,
    VaultKeys,
    migrate,
    open_database,
    parse_access,
    read_vault_keys,
)
from interceptors.token_vault.sqlite import SQLite
from interceptors.token_vault.vault_keys import VaultKey, derive_vault_key
from interceptors.tokens import Tokenizer
from interceptors.tracing.trusting import read_trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.testing import Result

ACCESS = {
    "version": 1,
    "domains": {"customer": {"class": "personal.email"}, "employee": {}},
    "roles": {
        "support": {"tenants": ["acme"], "domains": ["customer"], "purposes": ["fraud"]},
        "office": {"tenants": ["acme"], "domains": ["customer"], "purposes": ["erasure"], "erase": True},
    },
    "callers": {"desk": ["support"], "clerk": ["office"], "second-desk": ["support"]},
    "limit": {"per_minute": 1, "burst": 5},
}


@pytest.fixture
def canary(caplog: pytest.LogCaptureFixture) -> Canary:
    """Markers, and a log in which everything is."""
    caplog.set_level(logging.DEBUG)
    return Canary()


@pytest.fixture
def secret(canary: Canary) -> bytes:
    """A key of 32 bytes with a marker in it."""
    return canary.text.encode().ljust(32, b".")


def raised(call: Callable[..., object], *arguments: Any, **named: Any) -> Exception:
    """What a call raises."""
    with pytest.raises((InterceptorError, ValueError, TypeError)) as caught:
        call(*arguments, **named)
    return caught.value


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLite]:
    made = SQLite(tmp_path / "vault.db")
    migrate(made)
    yield made
    made.close()


def test_an_identifier_is_in_nothing_that_the_vault_writes_or_says(
    canary: Canary, secret: bytes, database: SQLite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    identifier = canary.email
    access = parse_access(json.dumps(ACCESS), "vault.yaml")
    audit = AuditLog(tmp_path / "audit.jsonl", actor="vault", key=SigningKey(bytes(32)))
    held = [VaultKey("acme", each, derive_vault_key(secret, "acme", each)) for each in (1, 2)]
    vault = TokenVault(database, VaultKeys(held[:1]), audit=audit, access=access)
    both = TokenVault(database, VaultKeys(held), audit=audit, access=access)

    token = str(vault.tokenize("acme", "customer", identifier))
    employee = str(vault.tokenize("acme", "employee", identifier))
    assert canary.leaks(answer=vault.resolve(token, caller="desk", purpose="fraud"))
    errors = [
        raised(vault.resolve, identifier, caller="desk", purpose="fraud"),
        raised(vault.resolve, str(Token(bytes(16))), caller="desk", purpose="fraud"),
        raised(vault.resolve, token, caller="desk", purpose=identifier),
        raised(vault.resolve, employee, caller="desk", purpose="fraud"),
        raised(vault.resolve, token, caller="desk", purpose=identifier),
        raised(vault.resolve, identifier, caller="stranger", purpose=identifier),
        raised(vault.forget, token, caller="clerk", purpose=identifier),
        raised(vault.forget, identifier, caller="clerk", purpose="erasure"),
        raised(vault.tokenize, "acme", "customer", identifier * 200),
        raised(vault.tokenize, "acme", "customer", f"{identifier}\ud800"),
        raised(vault.tokenize, "globex", "customer", identifier),
        raised(vault.tokenize, "acme", "none", identifier),
    ]
    both.rotate("acme")
    errors += [
        raised(vault.tokenize, "acme", "customer", identifier),
        raised(vault.resolve, token, caller="second-desk", purpose="fraud"),
    ]
    kept = vault._store.get(Token(bytes(16)).value), both._store.find("acme", "customer", {2: bytes(32)})
    row = both._store.get(both.tokenize("acme", "customer", identifier).value)
    with database.transaction(write=True) as execute:
        execute("UPDATE vault_tokens SET tenant = 'globex' WHERE domain = 'employee'")
        execute("UPDATE vault_tokens SET version = 1 WHERE domain = 'customer'")
    errors.append(raised(both.resolve, token, caller="second-desk", purpose="fraud"))
    both.forget(token, caller="clerk", purpose="erasure")
    key = derive_token_key(secret, "acme", "customer", 2)
    tokenizer = Tokenizer(key, [derive_token_key(secret, "acme", "customer", 1)], class_="personal.email")
    AliasStore(database).record("acme", "customer", tokenizer.tokens(identifier))
    errors.append(raised(tokenizer.tokens, f"{identifier}\ud800"))
    with database.transaction(write=True) as execute:
        execute("DROP TABLE vault_tokens")
    errors += [
        raised(both.tokenize, "acme", "customer", identifier),
        raised(both.resolve, token, caller="second-desk", purpose="fraud"),
    ]

    shown = [vault, access, audit, database, *held, VaultKeys(held), kept, row, key, tokenizer]
    places = {"errors": errors, "shown": shown, "files": tmp_path, "log": caplog.records}
    assert {path.name for path in tmp_path.iterdir()} >= {"vault.db", "vault.db-wal", "audit.jsonl"}
    assert canary.leaks(**places) == []
    actions = [parse_entry(line).action for line in audit.path.read_bytes().splitlines()]
    assert {action.rpartition(".")[2] for action in actions} == {
        *("resolve", "forget", "rotate"),
        *("denied", "limited", "unknown"),
    }


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls the command in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, list(words), input=stdin, catch_exceptions=False)

    return call


def test_neither_an_identifier_nor_a_root_is_in_what_the_command_writes_or_says(
    canary: Canary, secret: bytes, invoke: Callable[..., Result], caplog: pytest.LogCaptureFixture
) -> None:
    administration = KeyAdministration("roots.json")
    administration.root("acme")
    administration.tokens.root("acme")
    roots = json.loads(Path("roots.json").read_text())
    roots["token_roots"][0]["root"] = secret.hex()
    Path("roots.json").write_text(json.dumps(roots))
    assert invoke("keys", "signing-key", "audit.key").exit_code == 0
    signed = ("--audit", "audit.jsonl", "--audit-key", "audit.key")
    assert invoke("tokens", "init", "acme", *signed).exit_code == 0
    Path("vault.yaml").write_text(json.dumps(ACCESS | {"limit": {"per_minute": 1, "burst": 20}}))
    customers = ("--tenant", "acme", "--domain", "customer")
    made = invoke("tokens", "tokenize", *customers, *signed, stdin=f"{canary.email}\n")
    token = made.stdout.strip()

    def ask(verb: str, what: str, caller: str, purpose: str) -> Result:
        return invoke("tokens", verb, what, "--caller", caller, "--purpose", purpose, *signed)

    answered = ask("resolve", token, "desk", "fraud")
    assert answered.stdout.strip() == canary.email
    done = [
        made,
        ask("resolve", canary.email, "desk", "fraud"),
        ask("resolve", token, "desk", canary.email),
        ask("resolve", token, "stranger", canary.email),
        ask("forget", token, "desk", canary.email),
        ask("forget", canary.email, "clerk", "erasure"),
        invoke("tokens", "tokenize", *customers, stdin=canary.email * 200),
        invoke("tokens", "tokenize", *customers, "--store", "none.db", stdin=canary.email),
        invoke("tokens", "stats"),
        invoke("tokens", "rotate", "acme", *signed),
        ask("forget", token, "clerk", "erasure"),
        invoke("audit", "verify", "audit.jsonl", "--key", "audit.pub"),
        invoke("audit", "show", "audit.jsonl"),
        invoke("audit", "export", "audit.jsonl", "--out", "audit.csv", "--format", "csv"),
        invoke("keys", "rotate-tokens", "acme", *signed),
        invoke("tokens", "init", "acme", *signed),
    ]

    keys = {"roots.json", "vault-keys.json"}
    assert canary.leaks(keys=[Path(name) for name in keys])
    files = [path for path in Path().iterdir() if path.name not in keys]
    said = [text for result in done for text in (result.stdout, result.stderr)]
    assert [result.exit_code for result in done] == [0, 2, 2, 2, 2, 2, 2, 2, *[0] * 8]
    assert canary.leaks(said=said, files=files, stderr=answered.stderr, log=caplog.records) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-3],
        lambda text: text.replace('"version": 1', '"version": "one"'),
        lambda text: text.replace('"vault"', '"vaults"'),
        lambda text: text.replace('"key": "', '"key": "0'),
        lambda text: text.replace('"key"', '"wrapped_key"'),
    ],
    ids=["cut off", "no version", "another name", "long key", "not wrapped"],
)
def test_no_error_about_a_vaults_key_file_shows_a_key(
    canary: Canary, secret: bytes, tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    path = tmp_path / "vault-keys.json"
    entry = {"tenant": "acme", "version": 1, "key": secret.hex()}
    text = json.dumps({"version": 1, "wrapping": None, "vault": [entry]})
    path.touch(0o600)
    path.write_text(text)
    read_vault_keys(path)
    path.write_text(spoil(text))

    assert canary.leaks(error=raised(read_vault_keys, path)) == []


def test_a_signing_key_is_in_nothing_that_is_signed_or_said(
    canary: Canary, secret: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = SigningKey(secret)
    log = AuditLog(tmp_path / "audit.jsonl", actor="ops", key=key)
    for _ in range(3):
        log.record("keys.rotate", tenant="acme")
    signed = Signed(b"{}", "application/json", ()).by(key)
    sender = SenderKey("acme", "checkout", bytes(32), signing=key)
    own, line = checkpoint_path(log.path).read_bytes(), log.path.read_bytes().splitlines()[0]
    errors = [
        raised(pickle.dumps, key),
        raised(copy.deepcopy, key),
        raised(SigningKey, secret * 2),
        raised(derive_token_key, secret * 2, "acme", "customer", 1),
        raised(parse_signed, signed.to_json().replace('"sig"', f'"{canary.text}"')),
        raised(key.public.verify, secret * 2, b"{}"),
        raised(parse_entry, secret),
        raised(read_checkpoint, own.replace(b"\n3\n", b"\n4\n"), [key.public]),
        raised(read_checkpoint, own + secret, [key.public]),
        raised(check_proof, secret, line, [key.public]),
    ]
    log.path.write_bytes(log.path.read_bytes()[:-1] + secret)
    errors.append(raised(log.record, "keys.rotate", tenant="acme"))
    log.path.write_bytes(line + b"\n" + secret + b"\n")
    errors.append(raised(log.record, "keys.rotate", tenant="acme"))
    findings = verify(log.path, keys=[key.public])
    log.path.unlink()

    shown = [key, key.public, log, signed, signed.to_json(), sender, findings]
    assert len(findings.findings) >= 2
    assert canary.leaks(errors=errors, shown=shown, files=tmp_path, log=caplog.records) == []


@pytest.mark.parametrize("read", [read_signing_key, read_verification_key])
@pytest.mark.parametrize("kind", ["PRIVATE KEY", "PUBLIC KEY", "SECRET"])
def test_no_error_about_a_signing_keys_file_shows_what_is_in_it(
    canary: Canary, secret: bytes, tmp_path: Path, read: Callable[[Path], object], kind: str
) -> None:
    path = tmp_path / "audit.key"
    path.touch(0o600)
    path.write_bytes(b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (kind.encode(), secret, kind.encode()))

    assert canary.leaks(error=raised(read, path)) == []


@pytest.mark.parametrize(
    "written",
    [
        lambda pem, _: pem,
        lambda pem, _: pem.splitlines()[0],
        lambda pem, _: pem.splitlines()[1],
        lambda _, seed: seed.hex()[:-2],
        lambda _, seed: base64.urlsafe_b64encode(seed + seed).decode(),
    ],
    ids=["PEM", "its first line", "its key", "cut off", "expanded"],
)
def test_a_private_key_in_a_trust_document_is_in_no_error(
    canary: Canary, secret: bytes, tmp_path: Path, written: Callable[[str, bytes], str]
) -> None:
    write_signing_key(tmp_path / "security.key", SigningKey(secret))
    public = written((tmp_path / "security.key").read_text(), secret)
    trust = {
        "version": 1,
        "roles": {"policy": {"threshold": 1, "keys": ["security"]}},
        "keys": {"security": {"public": public}},
    }
    path = tmp_path / "trust.yaml"
    path.write_text(json.dumps(trust))

    error = raised(read_trust, path)
    assert "keys.security.public" in str(error)
    assert public not in str(error)
    assert canary.leaks(error=error) == []


@pytest.mark.parametrize("host", ["127.0.0.1:1", "[::1", "127.0.0.1:port", "127.0.0.1/x?no=such"])
def test_the_password_of_a_database_is_nowhere(
    canary: Canary, invoke: Callable[..., Result], host: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"postgresql://vault:{canary.text}@{host}"
    database = open_database(address)
    said = invoke("tokens", "stats", "--store", address)

    assert said.exit_code == 2
    errors = [raised(migrate, database), raised(AliasStore, database)]
    places = [errors, repr(database), said.stdout, said.stderr, caplog.records]
    assert canary.leaks(places=places) == []
