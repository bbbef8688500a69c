from __future__ import annotations

import itertools
import json
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.keys import LocalKeys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from typer.testing import Result


@pytest.fixture
def granted(invoke: Callable[..., Result], folder: Path) -> Path:
    """A folder in which `checkout` seals for two tenants, and `billing` reads it for one of them."""
    for words in (
        ["root", "acme"],
        ["root", "globex"],
        ["grant", "checkout", "--tenant", "acme"],
        ["grant", "checkout", "--tenant", "globex"],
        ["grant", "billing", "--tenant", "acme", "--reads", "checkout", "--out", "keys/billing.json"],
    ):
        assert invoke("keys", *words).exit_code == 0
    return folder


def keys_in(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["keys"]
    return found


def rows(listing: str) -> list[list[str]]:
    return [line.split() for line in listing.splitlines()]


def test_a_root_is_written_for_its_owner_alone(invoke: Callable[..., Result], folder: Path) -> None:
    result = invoke("keys", "root", "acme", "--roots", "admin/roots.json")
    assert result.exit_code == 0
    assert "wrote admin/roots.json" in result.stdout.splitlines()
    assert "interceptors keys grant SERVICE --tenant acme" in result.stdout
    assert stat.S_IMODE((folder / "admin" / "roots.json").stat().st_mode) == 0o600


def test_a_grant_is_what_the_service_can_use(granted: Path) -> None:
    checkout, billing = LocalKeys("checkout-keys.json"), LocalKeys("keys/billing.json")
    kid = checkout.sealing_key("acme").kid
    assert billing.opening_key(kid).sender == "checkout"
    assert checkout.sealing_key("globex").tenant == "globex"


def test_a_former_key_file_and_a_sender_that_nobody_is_are_pointed_out(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    result = invoke(
        "keys", "grant", "billing", "--tenant", "acme", "--reads", "chekout", "--out", "moved.json"
    )
    assert "note: keys/billing.json is not kept up to date any more" in result.stdout
    assert "note: 'chekout' has no grant for 'acme' yet" in result.stdout
    assert "note" not in invoke("keys", "grant", "billing", "--tenant", "acme", "--reads", "checkout").stdout


def test_a_listing_of_nothing_names_the_file_that_is_missing(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    result = invoke("keys", "list", "--roots", "elsewhere.json")
    assert result.exit_code == 2
    assert "elsewhere.json: there is no such file" in result.stderr


def test_what_could_not_be_written_is_written_later(granted: Path, invoke: Callable[..., Result]) -> None:
    (granted / "keys" / "billing.json").unlink()
    (granted / "keys").rmdir()
    (granted / "keys").touch()
    failed = invoke("keys", "rotate", "acme")
    assert failed.exit_code == 2
    assert "keys/billing.json: can't be written" in failed.stderr
    assert {key["epoch"] for key in keys_in(granted / "checkout-keys.json")} == {1, 2}
    (granted / "keys").unlink()
    assert invoke("keys", "write").exit_code == 0
    assert {key["epoch"] for key in keys_in(granted / "keys" / "billing.json")} == {1, 2}


def test_a_further_grant_goes_to_the_file_that_the_service_reads(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    result = invoke("keys", "grant", "billing", "--tenant", "globex", "--reads", "checkout")
    assert "wrote keys/billing.json" in result.stdout.splitlines()
    assert not (granted / "billing-keys.json").exists()
    assert LocalKeys("keys/billing.json").sealing_key("globex").tenant == "globex"


def test_a_grant_says_what_it_wrote(granted: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("keys", "grant", "audit", "--tenant", "acme", "--reads", "checkout", "--reads", "billing")
    assert result.stdout.splitlines()[:3] == [
        "granted: 'audit' seals for 'acme' and may read 'checkout', 'billing'",
        "wrote roots.json",
        "wrote audit-keys.json",
    ]


@pytest.mark.parametrize("service", ["spiffe://example.com/checkout", "../checkout", ""])
def test_a_service_whose_name_is_no_file_name_needs_a_file(
    granted: Path, invoke: Callable[..., Result], service: str
) -> None:
    before = (granted / "roots.json").read_bytes()
    result = invoke("keys", "grant", service, "--tenant", "acme")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --out" in result.stderr
    assert (granted / "roots.json").read_bytes() == before


def test_a_spiffe_id_is_granted_keys_in_a_named_file(granted: Path, invoke: Callable[..., Result]) -> None:
    service = "spiffe://example.com/checkout"
    assert invoke("keys", "grant", service, "--tenant", "acme", "--out", "spiffe.json").exit_code == 0
    assert LocalKeys("spiffe.json").service == service


def test_a_rotation_seals_under_the_new_epoch_once_promoted(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    old = LocalKeys("checkout-keys.json").sealing_key("acme")
    rotated = invoke("keys", "rotate", "acme")
    assert "wrote keys/billing.json" in rotated.stdout.splitlines()
    assert "interceptors keys promote acme" in rotated.stdout
    assert LocalKeys("checkout-keys.json").sealing_key("acme") == old
    promoted = invoke("keys", "promote", "acme")
    assert "interceptors keys destroy acme --epoch N" in promoted.stdout
    new = LocalKeys("checkout-keys.json").sealing_key("acme")
    assert new != old
    assert LocalKeys("keys/billing.json").opening_key(new.kid) == new
    assert LocalKeys("keys/billing.json").opening_key(old.kid) == old


def test_only_the_files_of_the_tenant_are_named(granted: Path, invoke: Callable[..., Result]) -> None:
    wrote = [line for line in invoke("keys", "rotate", "globex").stdout.splitlines() if "wrote" in line]
    assert wrote == ["wrote roots.json", "wrote checkout-keys.json"]


def test_a_revoked_key_opens_nothing(granted: Path, invoke: Callable[..., Result]) -> None:
    kid = LocalKeys("checkout-keys.json").sealing_key("acme").kid
    result = invoke("keys", "revoke", kid.hex().upper())
    assert {"wrote roots.json", "wrote checkout-keys.json", "wrote keys/billing.json"} < set(
        result.stdout.splitlines()
    )
    assert LocalKeys("keys/billing.json").revoked() == {kid}
    assert [row[4] for row in rows(invoke("keys", "list", "keys/billing.json").stdout)].count("revoked") == 1


def test_destroying_asks_first(granted: Path, invoke: Callable[..., Result]) -> None:
    invoke("keys", "rotate", "acme")
    invoke("keys", "promote", "acme")
    for answer in ("n\n", ""):
        refused = invoke("keys", "destroy", "acme", "--epoch", 1, stdin=answer)
        assert refused.exit_code == 1
        assert {key["epoch"] for key in keys_in(granted / "keys" / "billing.json")} == {1, 2}
    assert invoke("keys", "destroy", "acme", "--epoch", 1, stdin="y\n").exit_code == 0
    assert {key["epoch"] for key in keys_in(granted / "keys" / "billing.json")} == {2}


def test_destroying_with_yes_does_not_ask(
    granted: Path, invoke: Callable[..., Result], spawn: Callable[..., CompletedProcess[str]]
) -> None:
    invoke("keys", "rotate", "acme")
    result = spawn("keys", "destroy", "acme", "--epoch", 2, "--yes")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("destroyed epoch 2 of 'acme'\n")
    assert {key["epoch"] for key in keys_in(granted / "keys" / "billing.json")} == {1}


def test_the_epoch_that_seals_is_not_destroyed(granted: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("keys", "destroy", "acme", "--epoch", 1, "--yes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: roots.json: epoch 1 of 'acme' seals")


def test_the_list_shows_all_roots_and_grants(granted: Path, invoke: Callable[..., Result]) -> None:
    invoke("keys", "rotate", "globex")
    found = rows(invoke("keys", "list").stdout)
    split = found.index([])
    assert found[:split] == [
        ["tenant", "epoch", "root"],
        ["acme", "1", "seal"],
        ["globex", "1", "seal"],
        ["globex", "2", "open"],
    ]
    kids = {
        key["kid"] for file in granted.rglob("*.json") for key in json.loads(file.read_text()).get("keys", ())
    }
    assert {row[3] for row in found[split + 2 :]} == kids
    assert len(kids) == 4


def test_the_list_of_a_key_file_shows_what_is_in_it(granted: Path, invoke: Callable[..., Result]) -> None:
    billing = {key["sender"]: key["kid"] for key in keys_in(granted / "keys" / "billing.json")}
    assert rows(invoke("keys", "list", "keys/billing.json").stdout) == [
        ["tenant", "sender", "epoch", "kid", "use", "held", "by"],
        ["acme", "billing", "1", billing["billing"], "seal", "billing"],
        ["acme", "checkout", "1", billing["checkout"], "open", "billing"],
    ]


def test_a_kid_that_is_not_its_keys_is_named_with_its_file(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    file = granted / "keys" / "billing.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(keys_in(file)[0]["kid"], "0" * 32), encoding="utf-8")
    result = invoke("keys", "list", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {file}: the kid {'0' * 32} is not that of its key")


def test_no_output_holds_a_key_or_a_root(
    granted: Path, invoke: Callable[..., Result], spawn: Callable[..., CompletedProcess[str]]
) -> None:
    kid = keys_in(granted / "keys" / "billing.json")[0]["kid"]
    secrets: set[str] = set()
    shown = ""

    def call(*words: str) -> None:
        nonlocal shown
        secrets.update(secrets_in(granted))
        result = invoke(*words)
        shown += result.output
        secrets.update(secrets_in(granted))

    verbs = ["root", "grant", "rotate", "promote", "revoke", "destroy", "list"]
    for verb, *rest in itertools.chain(
        ([verb, "--help"] for verb in verbs),
        ([verb, "nobody"] for verb in verbs),
        [
            ["root", "acme"],
            ["grant", "checkout", "--tenant", "nobody"],
            ["grant", "checkout", "--tenant", "acme", "--out", "roots.json"],
            ["grant", "audit", "--tenant", "acme", "--reads", "checkout"],
            ["list"],
            ["list", "roots.json"],
            ["list", "checkout-keys.json"],
            ["rotate", "acme"],
            ["rotate", "acme"],
            ["promote", "acme"],
            ["revoke", kid],
            ["destroy", "acme", "--epoch", "7", "--yes"],
            ["destroy", "acme", "--epoch", "1", "--yes"],
        ],
    ):
        call("keys", verb, *rest)
    # Files that don't hold: a root and a key that are one digit too long.
    for file in (granted / "roots.json", granted / "checkout-keys.json"):
        file.write_text(
            re.sub(r"([0-9a-f]{64})", r"\g<1>0", file.read_text(encoding="utf-8")), encoding="utf-8"
        )
        call("keys", "list", "--roots", str(file))
        call("keys", "list", str(file))
        call("doctor", str(file))
    shown += (process := spawn("keys", "list", "keys/billing.json")).stdout + process.stderr
    assert len(secrets) > 8
    assert kid in shown
    assert [secret for secret in secrets if secret in shown.lower()] == []


def secrets_in(folder: Path) -> set[str]:
    """All 32-byte values in the files of a folder: roots and sender keys, which no output may hold."""
    found: set[str] = set()
    for file in folder.rglob("*.json"):
        found.update(re.findall(r"[0-9a-f]{64}", file.read_text(encoding="utf-8")))
    return found
