from __future__ import annotations

import json
import os
import pwd
import re
import stat
from typing import TYPE_CHECKING

import pytest
import yaml

from interceptors.audit import verify
from interceptors.keys import KeyAdministration
from interceptors.keys.signing_key import read_verification_key
from interceptors.scan import Token
from interceptors.token_vault import AliasStore, open_database
from interceptors.token_vault.store import VaultStore
from interceptors.tokens import Tokenized

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

EMAIL = "customer@example.com"


@pytest.fixture
def vault(invoke: Run, tmp_path: Path) -> Run:
    """Runs `interceptors tokens` on a vault for acme, in which the support desk may do everything."""
    administration = KeyAdministration("roots.json")
    administration.root("acme")
    administration.tokens.root("acme")
    made = invoke("tokens", "init", "acme")
    assert made.exit_code == 0, made.output
    document = yaml.safe_load((tmp_path / "vault.yaml").read_text())
    document["callers"] = {"support-desk": ["support", "privacy-office"]}
    (tmp_path / "vault.yaml").write_text(json.dumps(document))

    def tokens(*arguments: str, stdin: str = "") -> Result:
        return invoke("tokens", *arguments, stdin=stdin)

    return tokens


def tokenized(vault: Run, *identifiers: str) -> list[str]:
    done = vault("tokenize", "--tenant", "acme", "--domain", "customer", stdin="\n".join(identifiers))
    assert done.exit_code == 0, done.output
    return done.stdout.split()


def asked(token: str, *, caller: str = "support-desk", purpose: str = "customer-request") -> list[str]:
    return [token, "--caller", caller, "--purpose", purpose]


def test_what_goes_in_comes_out_and_is_on_the_audit_log(vault: Run, tmp_path: Path) -> None:
    first, second, again = tokenized(vault, EMAIL, "b@example.com", EMAIL)
    assert first == again != second
    assert re.fullmatch(r"tokv_[a-z2-7]{26}", first)

    resolved = vault("resolve", *asked(first))

    assert (resolved.exit_code, resolved.stdout) == (0, f"{EMAIL}\n")
    text = (tmp_path / "vault-audit.log").read_text()
    made, record = map(json.loads, text.splitlines())
    assert (made["action"], made["details"]) == ("keys.tokens.vault", {"tenants": ["acme"]})
    # Who runs it, by the system; and in whose name, by their word.
    assert record["actor"] == made["actor"] == pwd.getpwuid(os.getuid()).pw_name
    assert record["action"] == "token.resolve"
    assert {"caller": "support-desk", "purpose": "customer-request"}.items() <= record["details"].items()
    assert EMAIL not in text


def test_the_audit_log_is_signed_where_there_is_a_key(vault: Run, invoke: Run, tmp_path: Path) -> None:
    assert invoke("keys", "signing-key", "audit.key").exit_code == 0
    (token,) = tokenized(vault, EMAIL)
    signed = ("--audit", "signed.log", "--audit-key", "audit.key")
    for verb in (["resolve", *asked(token)], ["rotate", "acme"], ["init", "acme"]):
        assert vault(*verb, *signed).exit_code == 0

    key = read_verification_key(tmp_path / "audit.pub")
    found = verify(tmp_path / "signed.log", keys=[key])
    assert (found.findings, found.signed) == ((), 3)


def test_identifiers_come_from_a_file_too(vault: Run, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text(f"{EMAIL}\n\nb@example.com\n")
    read = vault("tokenize", "ids.txt", "--tenant", "acme", "--domain", "customer")

    assert read.stdout.split() == tokenized(vault, EMAIL, "b@example.com")


def test_an_identifier_ends_with_its_line(vault: Run) -> None:
    assert len(tokenized(vault, "a\N{LINE SEPARATOR}b\x1cc\N{NEXT LINE}d", "e\r")) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("resolve", *asked("tokv_" + "a" * 26)), "knows no such token"),
        (("resolve", *asked("tokv_" + "a" * 26, caller="intern")), "no role"),
        (("tokenize", "none.txt", "--tenant", "acme", "--domain", "customer"), "none.txt: can't be read"),
        (("tokenize", "binary", "--tenant", "acme", "--domain", "customer"), "not text in UTF-8"),
        (("tokenize", "one.txt", "--tenant", "acme", "--domain", "x"), "no domain 'x'"),
        (("init", "acme", "--roots", "none.json"), "none.json: there is no such file"),
        (("init", "initech"), "'initech' has no token root"),
        (("stats", "--store", "empty.db"), "interceptors tokens init"),
    ],
    ids=str,
)
def test_what_can_not_be_done_is_one_line(
    vault: Run, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "one.txt").write_text(EMAIL)
    found = vault(*arguments)

    assert found.exit_code == 2
    assert found.stderr.startswith("error: ")
    assert problem in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert EMAIL not in found.output


def test_what_is_forgotten_does_not_resolve(vault: Run) -> None:
    (token,) = tokenized(vault, EMAIL)

    assert vault("forget", *asked(token)).exit_code == 2
    forgotten = vault("forget", *asked(token, purpose="erasure-request"))
    assert (forgotten.exit_code, forgotten.stdout) == (0, f"forgot what {token} stands for\n")
    assert vault("resolve", *asked(token)).exit_code == 2


def test_a_rotation_is_seen_in_the_counts_and_keeps_tokens(vault: Run) -> None:
    before = tokenized(vault, EMAIL, "b@example.com")
    KeyAdministration("roots.json").tokens.rotate("acme")
    assert vault("init", "acme").exit_code == 0
    assert vault("stats").stdout.splitlines()[1].split() == ["acme", "customer", "1", "2"]

    assert "2 identifiers of 'acme'" in vault("rotate", "acme").stdout
    again = vault("rotate", "acme")
    assert again.exit_code == 0
    assert again.stdout.startswith("nothing to do: no identifier of 'acme' is under an older key")

    assert vault("stats").stdout.splitlines()[1].split() == ["acme", "customer", "2", "2"]
    assert tokenized(vault, EMAIL, "b@example.com") == before


def test_what_is_there_is_not_overwritten_and_keys_are_private(vault: Run, tmp_path: Path) -> None:
    (token,) = tokenized(vault, EMAIL)
    document = (tmp_path / "vault.yaml").read_text()
    again = vault("init", "acme")

    assert "wrote vault.yaml" not in again.stdout
    assert (tmp_path / "vault.yaml").read_text() == document
    assert tokenized(vault, EMAIL) == [token]
    for file in ("vault-keys.json", "vault.db"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600


def test_the_environment_may_name_the_database(
    vault: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERCEPTORS_VAULT", str(tmp_path / "other.db"))
    assert vault("init", "acme").exit_code == 0
    tokenized(vault, EMAIL)

    assert [count.tokens for count in VaultStore(open_database(str(tmp_path / "other.db"))).counts()] == [1]


def test_aliases_of_a_destroyed_version_go_when_the_vault_gets_its_keys(vault: Run, tmp_path: Path) -> None:
    administration = KeyAdministration("roots.json")
    for _ in range(2):
        administration.tokens.rotate("acme")
    database = open_database("vault.db")
    aliases = AliasStore(database)
    tokens = [Token(bytes(16), version) for version in (1, 2, 3)]
    for former, latest in ((0, 1), (1, 2)):
        aliases.record("acme", "customer", Tokenized(tokens[latest], (tokens[former],)))
    assert "aliases" not in vault("init", "acme").stdout

    administration.tokens.destroy("acme", 2)
    assert "deleted 1 aliases of 'acme' that were of destroyed versions" in vault("init", "acme").stdout

    assert [aliases.canonical("acme", "customer", token) for token in tokens] == [
        tokens[2],
        tokens[1],
        tokens[2],
    ]
    database.close()
    forgotten = vault("forget", *asked(str(tokens[0]), purpose="erasure-request"))
    assert forgotten.stdout == f"forgot what {tokens[0]} stands for\n"
    records = [json.loads(line) for line in (tmp_path / "vault-audit.log").read_text().splitlines()]
    assert [record["action"] for record in records[-2:]] == ["token.aliases", "token.forget"]


def test_the_class_of_a_domain_is_for_good(vault: Run, tmp_path: Path) -> None:
    tokenized(vault, EMAIL)
    document = yaml.safe_load((tmp_path / "vault.yaml").read_text())
    document["domains"]["customer"]["class"] = "personal.phone"
    (tmp_path / "vault.yaml").write_text(json.dumps(document))

    found = vault("tokenize", "--tenant", "acme", "--domain", "customer", stdin=EMAIL)

    assert (found.exit_code, found.stdout) == (2, "")
    assert "put back what it was, and begin another domain" in found.stderr
    assert EMAIL not in found.stderr
