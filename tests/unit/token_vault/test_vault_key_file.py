from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from interceptors.audit import AuditLog
from interceptors.errors import AuditError, ConfigurationError
from interceptors.keys import KeyAdministration
from interceptors.token_vault.store import Count, Kept
from interceptors.token_vault.vault_key_file import read_vault_keys, write_vault_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from interceptors.token_vault import VaultKeys
    from interceptors.token_vault.vault_keys import VaultKey

    Write = Callable[..., VaultKeys]


@pytest.fixture
def administration(tmp_path: Path) -> KeyAdministration:
    made = KeyAdministration(tmp_path / "roots.json")
    for tenant in ("acme", "globex"):
        made.root(tenant)
        made.tokens.root(tenant)
    return made


@pytest.fixture
def write(administration: KeyAdministration, tmp_path: Path) -> Write:
    """Writes the keys of tenants, and reads them."""

    def keys(*tenants: str, counts: tuple[Count, ...] = ()) -> VaultKeys:
        write_vault_keys(tmp_path / "vault-keys.json", administration.tokens, tenants, counts=counts)
        return read_vault_keys(tmp_path / "vault-keys.json")

    return keys


def lookup(key: VaultKey) -> bytes:
    return key.lookup("customer", b"7")


def versions(keys: VaultKeys) -> list[int]:
    return sorted(keys.of("acme"))


def test_the_keys_are_those_of_the_administration(
    write: Write, administration: KeyAdministration, tmp_path: Path
) -> None:
    first = lookup(write("acme").of("acme")[1])
    administration.tokens.rotate("acme")
    found = write("acme").of("acme")

    assert sorted(found) == [1, 2]
    assert lookup(found[1]) == first != lookup(found[2])
    file = tmp_path / "vault-keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for version in (1, 2):
        assert administration.tokens.secret("acme", version).hex() not in file.read_text()


def test_keys_of_other_tenants_and_those_that_are_in_use_stay(
    write: Write, administration: KeyAdministration
) -> None:
    write("globex")
    former = lookup(write("acme").of("acme")[1])
    administration.tokens.rotate("acme")
    administration.tokens.destroy("acme", 1)
    used = write("acme", counts=(Count("acme", "customer", 1, 7),))

    assert versions(used) == [1, 2]
    assert lookup(used.of("acme")[1]) == former
    unused = write("acme", counts=(Count("globex", "customer", 1, 7),))
    assert versions(unused) == [2]
    assert sorted(unused.of("globex")) == [1]


def test_what_a_key_sealed_the_same_key_opens_again(write: Write) -> None:
    sealed = write("acme").of("acme")[1].seal("customer", bytes(16), b"7")
    kept = Kept(bytes(16), "acme", "customer", 1, sealed)

    assert write("acme").that_sealed(kept).open(kept) == b"7"


def test_a_tenant_without_a_token_root_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'initech' has no token root"):
        write("acme", "initech")
    assert not (tmp_path / "vault-keys.json").exists()


def test_a_file_that_does_not_hold_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "vault-keys.json"
    path.touch(mode=0o600)
    entry = {"tenant": "acme", "version": 1}
    for vault in ([entry], [entry | {"key": "ab" * 31}], [entry | {"key": "ab" * 32, "wrapped_key": "abcd"}]):
        path.write_text(json.dumps({"vault": vault}))
        with pytest.raises(ConfigurationError, match=r"vault-keys.json: vault.0") as caught:
            read_vault_keys(path)
        assert "abab" not in str(caught.value)
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="vault: missing"):
        read_vault_keys(path)


class Turned:
    """Wraps a key by turning it round; gives it back for the same context alone."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        return key[::-1] + self._told(context)

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        assert wrapped[32:] == self._told(context)
        return wrapped[31::-1]

    def _told(self, context: Mapping[str, str]) -> bytes:
        return json.dumps([self.uri, *sorted(context.items())]).encode()


def test_wrapped_keys_are_the_same_and_stay_wrapped(
    write: Write, administration: KeyAdministration, tmp_path: Path
) -> None:
    clear = lookup(write("acme").of("acme")[1])
    path = tmp_path / "vault-keys.json"
    for wrapping, tenant in (("aws-kms:one", "acme"), (None, "globex"), ("aws-kms:two", "acme")):
        write_vault_keys(path, administration.tokens, [tenant], counts=(), wrapping=wrapping, wrappers=Turned)

    file = json.loads(path.read_text())
    assert file["wrapping"] == "aws-kms:two"
    assert [set(entry) for entry in file["vault"]] == [{"tenant", "version", "wrapped_key"}] * 2
    assert lookup(read_vault_keys(path, Turned).of("acme")[1]) == clear


def test_whose_keys_a_vault_gets_is_recorded_before_or_not_done(
    administration: KeyAdministration, tmp_path: Path
) -> None:
    path, log = tmp_path / "vault-keys.json", AuditLog(tmp_path / "audit.jsonl", actor="ops")

    def write(*tenants: str) -> None:
        write_vault_keys(path, administration.tokens, tenants, counts=(), audit=log)

    log.path.mkdir()
    with pytest.raises(AuditError):
        write("acme")
    assert not path.exists()
    log.path.rmdir()
    write("acme", "globex", "acme")
    with pytest.raises(ConfigurationError):
        write("initech")

    records = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(record["action"], record["details"], record.get("outcome")) for record in records] == [
        ("keys.tokens.vault", {"tenants": ["acme", "globex"]}, None),
        ("keys.tokens.vault", {"tenants": ["initech"]}, None),
        ("keys.tokens.vault", {"record": 1, "error": "ConfigurationError"}, "failed"),
    ]
