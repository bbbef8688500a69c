from __future__ import annotations

import itertools
import json
import re
import shlex
import stat
from typing import TYPE_CHECKING, Any

import boto3
import moto
import pytest

from interceptors.keys import LocalKeys
from interceptors.keys.signing_key import read_signing_key, read_verification_key

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
        ["tenant", "epoch", "root", "age", "due"],
        ["acme", "1", "seal", "0d", "-"],
        ["globex", "1", "seal", "0d", "-"],
        ["globex", "2", "open", "0d", "-"],
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

    verbs = ["root", "grant", "withdraw", "rotate", "promote", "revoke", "destroy", "schedule", "tick"]
    verbs += ["token-root", "rotate-tokens", "destroy-tokens", "rewrap", "write", "list"]
    for verb, *rest in itertools.chain(
        ([verb, "--help"] for verb in verbs),
        ([verb, "nobody"] for verb in verbs),
        [
            ["root", "acme"],
            ["grant", "checkout", "--tenant", "nobody"],
            ["grant", "checkout", "--tenant", "acme", "--out", "roots.json"],
            ["token-root", "acme"],
            ["grant", "audit", "--tenant", "acme", "--reads", "checkout", "--tokens", "customer", "--signs"],
            ["rotate-tokens", "acme"],
            ["list"],
            ["list", "audit-keys.json"],
            ["schedule", "acme", "--every", "9d", "--overlap", "2d", "--retire", "5d"],
            ["tick"],
            ["list", "roots.json"],
            ["list", "checkout-keys.json"],
            ["rotate", "acme"],
            ["rotate", "acme"],
            ["promote", "acme"],
            ["revoke", kid],
            ["destroy", "acme", "--epoch", "7", "--yes"],
            ["destroy", "acme", "--epoch", "1", "--yes"],
            ["destroy-tokens", "acme", "--version", "1", "--yes"],
            ["revoke", "--service", "audit", "--reason", "a test"],
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
    shown += (granted / "audit.jsonl").read_text(encoding="utf-8").replace('"previous":"', "")
    assert [secret for secret in secrets if secret in shown.lower()] == []


def secrets_in(folder: Path) -> set[str]:
    """All 32-byte values in the files of a folder: roots and sender keys, which no output may hold."""
    found: set[str] = set()
    public: set[str] = set()
    for file in folder.rglob("*.json"):
        text = file.read_text(encoding="utf-8")
        found.update(re.findall(r"[0-9a-f]{64}", text))
        public.update(re.findall(r'"verify_key": "([0-9a-f]{64})', text))
    return found - public


# --- grants of tokens and signatures ------------------------------------------------------------------------


def recorded(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_grant_of_tokens_and_of_a_signing_key_is_what_the_service_can_use(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    refused = invoke("keys", "grant", "checkout", "--tenant", "acme", "--tokens", "customer")
    assert refused.exit_code == 2
    assert "interceptors keys token-root acme" in refused.stderr
    assert invoke("keys", "token-root", "acme").exit_code == 0
    words = ["grant", "checkout", "--tenant", "acme", "--tokens", "customer", "--tokens", "order", "--signs"]
    result = invoke("keys", *words)
    assert result.stdout.splitlines()[:2] == [
        "granted: 'checkout' seals and signs for 'acme'",
        "granted: 'checkout' tokenizes in 'customer', 'order'",
    ]
    key = LocalKeys("checkout-keys.json").sealing_key("acme")
    assert key.signing is not None
    assert set(key.tokens) == {"customer", "order"}


def test_token_keys_are_rotated_listed_and_destroyed(granted: Path, invoke: Callable[..., Result]) -> None:
    invoke("keys", "token-root", "acme")
    invoke("keys", "grant", "checkout", "--tenant", "acme", "--tokens", "customer")
    first = LocalKeys("checkout-keys.json").sealing_key("acme").tokens["customer"]
    rotated = invoke("keys", "rotate-tokens", "acme")
    assert "wrote checkout-keys.json" in rotated.stdout.splitlines()
    second = LocalKeys("checkout-keys.json").sealing_key("acme").tokens["customer"]
    assert (first.version, second.version) == (1, 2)
    listing = rows(invoke("keys", "list").stdout)
    assert ["acme", "1", "former", "0d"] in listing
    assert ["acme", "2", "current", "0d"] in listing
    assert invoke("keys", "destroy-tokens", "acme", "--version", 1, stdin="n\n").exit_code == 1
    assert ["acme", "1", "former", "0d"] in rows(invoke("keys", "list").stdout)
    assert invoke("keys", "destroy-tokens", "acme", "--version", 1, stdin="y\n").exit_code == 0
    assert ["acme", "1", "former", "0d"] not in rows(invoke("keys", "list").stdout)


# --- emergencies --------------------------------------------------------------------------------------------


def test_a_sender_is_revoked_and_seals_again_at_once(granted: Path, invoke: Callable[..., Result]) -> None:
    old = LocalKeys("checkout-keys.json").sealing_key("acme")
    invoke("keys", "rotate", "acme")
    result = invoke("keys", "revoke", "--sender", "checkout", "--tenant", "acme", "--reason", "a lost disk")
    assert len(LocalKeys("keys/billing.json").revoked()) == 2
    assert f"revoked {old.kid.hex()}: nothing opens or is sealed under it" in result.stdout.splitlines()
    assert "interceptors keys rotate TENANT --now" in result.stdout
    assert "seals at once" in invoke("keys", "rotate", "acme", "--now").stdout
    new = LocalKeys("checkout-keys.json").sealing_key("acme")
    assert LocalKeys("keys/billing.json").opening_key(new.kid) == new
    (record,) = [record for record in recorded(granted) if record["action"] == "keys.revoke"]
    assert record["details"]["reason"] == "a lost disk"
    assert old.kid.hex() in record["details"]["kids"]


def test_a_revoked_service_is_given_keys_again_by_the_command_that_is_named(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    invoke("keys", "token-root", "acme")
    words = ["grant", "billing", "--tenant", "acme", "--reads", "checkout", "--tokens", "customer", "--signs"]
    invoke("keys", *words)
    result = invoke("keys", "revoke", "--service", "billing", "--reason", "a shell was found")
    assert keys_in(granted / "keys" / "billing.json") == []
    assert "wrote keys/billing.json" in result.stdout.splitlines()
    assert "interceptors keys rotate-tokens acme" in result.stdout
    invoke("keys", "rotate", "acme", "--now")
    assert keys_in(granted / "keys" / "billing.json") == []
    (again,) = [line for line in result.stdout.splitlines() if "may have keys again" in line]
    command = shlex.split(again.partition("after that: ")[2])
    assert invoke(*command[1:]).exit_code == 0
    key = LocalKeys("keys/billing.json").sealing_key("acme")
    assert (key.signing is not None, set(key.tokens)) == (True, {"customer"})
    sealing = LocalKeys("checkout-keys.json").sealing_key("acme")
    assert LocalKeys("keys/billing.json").opening_key(sealing.kid) == sealing


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--sender", "checkout"],
        ["--tenant", "acme"],
        ["00", "--service", "checkout"],
        ["--sender", "checkout", "--tenant", "acme", "--service", "checkout"],
    ],
    ids=["nothing", "no tenant", "no sender", "two", "three"],
)
def test_what_is_to_be_revoked_is_said_in_one_way(
    granted: Path, invoke: Callable[..., Result], words: list[str]
) -> None:
    result = invoke("keys", "revoke", *words, "--reason", "a test")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "say what to revoke" in result.stderr


def test_a_sender_is_not_revoked_without_a_reason(granted: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("keys", "revoke", "--sender", "checkout", "--tenant", "acme")
    assert (result.exit_code, result.stdout) == (2, "")
    assert LocalKeys("keys/billing.json").revoked() == frozenset()


def test_a_withdrawn_service_has_no_keys(granted: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("keys", "withdraw", "checkout", "--tenant", "globex")
    assert "withdrawn: 'checkout' has no grant any more for 'globex'" in result.stdout.splitlines()
    assert {key["tenant"] for key in keys_in(granted / "checkout-keys.json")} == {"acme"}
    assert "wrote checkout-keys.json" in invoke("keys", "withdraw", "checkout").stdout.splitlines()
    assert keys_in(granted / "checkout-keys.json") == []


# --- schedules ----------------------------------------------------------------------------------------------


def age(roots: Path, days: int) -> None:
    """Have everything in the roots' file have happened so many days earlier."""
    content = json.loads(roots.read_text(encoding="utf-8"))
    for root in content["roots"]:
        for time in root.keys() & {"created", "written", "sealing", "retired"}:
            root[time] -= days * 86400
    roots.write_text(json.dumps(content), encoding="utf-8")


def test_a_job_rotates_promotes_and_destroys_when_each_is_due(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    words = ["schedule", "acme", "--every", "90d", "--overlap", "7d", "--retire", "60d"]
    scheduled = invoke("keys", *words)
    assert scheduled.exit_code == 0
    assert "due: rotate epoch 2 of 'acme' at " in scheduled.stdout
    found = []
    for days in (0, 83, 7, 60):
        age(granted / "roots.json", days)
        ticked = invoke("keys", "tick")
        assert ticked.exit_code == 0
        found.append(ticked.stdout.splitlines())
    assert [lines[0] for lines in found] == [
        "nothing was due",
        "added epoch 2 of 'acme', which opens only",
        "epoch 2 of 'acme' seals now",
        "destroyed epoch 1 of 'acme'",
    ]
    assert [lines[-1][:30] for lines in found] == [
        "due: rotate epoch 2 of 'acme' ",
        "due: promote epoch 2 of 'acme'",
        "due: rotate epoch 3 of 'acme' ",
        "due: rotate epoch 3 of 'acme' ",
    ]
    assert "wrote keys/billing.json" in found[1]
    assert {key["epoch"] for key in keys_in(granted / "keys" / "billing.json")} == {2}
    acme = next(row for row in rows(invoke("keys", "list").stdout) if row[:2] == ["acme", "2"])
    assert acme[2:5] == ["seal", "67d", "rotate"]


def test_what_a_job_could_not_do_is_said_beside_what_it_did(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    for tenant in ("acme", "globex"):
        invoke("keys", "schedule", tenant, "--every", "9d", "--overlap", "2d", "--retire", "5d")
    age(granted / "roots.json", 10)
    (granted / "keys" / "billing.json").unlink()
    (granted / "keys" / "billing.json").mkdir()
    ticked = invoke("keys", "tick")
    assert ticked.exit_code == 2
    assert "keys/billing.json: can't be written" in ticked.stderr
    assert "added epoch 2 of 'globex', which opens only" in ticked.stdout.splitlines()


def test_a_schedule_may_be_ended(granted: Path, invoke: Callable[..., Result]) -> None:
    invoke("keys", "schedule", "acme", "--every", "9d", "--overlap", "2d", "--retire", "5d")
    assert invoke("keys", "schedule", "acme", "--off").exit_code == 0
    age(granted / "roots.json", 1000)
    assert invoke("keys", "tick").stdout == "nothing was due\n"


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ([], "--every: write a time"),
        (["--every", "9d", "--overlap", "soon", "--retire", "1d"], "--overlap: write a time"),
        (["--every", "9d", "--overlap", "10d", "--retire", "1d"], "make `overlap` shorter than `every`"),
        (["--every", "9d", "--overlap", "1d", "--retire", "1ms"], "retire: not as it should be"),
    ],
)
def test_a_schedule_that_can_not_be_kept_is_refused(
    granted: Path, invoke: Callable[..., Result], times: list[str], problem: str
) -> None:
    result = invoke("keys", "schedule", "acme", *times)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


# --- the audit log ------------------------------------------------------------------------------------------


def test_each_verb_is_recorded_beside_the_roots_or_where_it_says(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    assert [record["action"] for record in recorded(granted)] == ["keys.root"] * 2 + ["keys.grant"] * 3
    assert len({record["actor"] for record in recorded(granted)}) == 1
    invoke("keys", "signing-key", "audit.key")
    result = invoke("keys", "rotate", "acme", "--audit", "elsewhere/log.jsonl", "--audit-key", "audit.key")
    assert result.exit_code == 0
    (record,) = (granted / "elsewhere" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(record)["details"] == {"epoch": 2, "tenant": "acme"}
    assert list((granted / "elsewhere").glob("*checkpoint*"))
    assert [record["action"] for record in recorded(granted)[5:]] == ["keys.signing-key"]


def test_roots_behind_a_link_have_one_log_and_name_key_files_as_they_are_reached_from_here(
    granted: Path, invoke: Callable[..., Result]
) -> None:
    (granted / "far" / "desk").mkdir(parents=True)
    (granted / "far" / "desk" / "mine.json").symlink_to(granted / "roots.json")
    link = ["--roots", "far/desk/mine.json"]
    assert invoke("keys", "rotate", "acme", *link).exit_code == 0
    assert [record["action"] for record in recorded(granted)[5:]] == ["keys.rotate"]
    assert not list((granted / "far").rglob("audit.jsonl"))

    result = invoke("keys", "revoke", "--service", "billing", "--reason", "a shell was found", *link)
    (again,) = [line for line in result.stdout.splitlines() if "may have keys again" in line]
    assert invoke(*shlex.split(again.partition("after that: ")[2])[1:]).exit_code == 0
    assert keys_in(granted / "keys" / "billing.json") != []


def test_a_signing_key_is_recorded_by_its_id_where_there_is_a_log(
    folder: Path, invoke: Callable[..., Result]
) -> None:
    assert invoke("keys", "signing-key", "privacy.key").exit_code == 0
    assert not (folder / "audit.jsonl").exists()

    assert invoke("keys", "signing-key", "place/audit.key", "--audit", "audit.jsonl").exit_code == 0
    (record,) = recorded(folder)
    public = read_verification_key("place/audit.pub")
    assert (record["action"], record["details"]) == (
        "keys.signing-key",
        {"kid": public.id, "file": "audit.key"},
    )
    assert read_signing_key("place/audit.key").public == public

    (folder / "there.key").touch()
    assert invoke("keys", "signing-key", "there.key", "--audit", "audit.jsonl").exit_code == 2
    assert [record.get("outcome") for record in recorded(folder)[1:]] == [None, "failed"]


def test_a_signing_key_that_can_not_be_recorded_is_not_made(
    folder: Path, invoke: Callable[..., Result]
) -> None:
    (folder / "audit.jsonl").mkdir()
    (folder / "roots.json").touch()
    result = invoke("keys", "signing-key", "privacy.key")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "audit.jsonl" in result.stderr
    assert not list(folder.glob("privacy*"))

    (folder / "roots.json").unlink()
    assert invoke("keys", "signing-key", "privacy.key").exit_code == 0
    refused = invoke("keys", "signing-key", "more.key", "--audit-key", "privacy.key")
    assert refused.exit_code == 2
    assert "name one with --audit" in refused.stderr
    assert not list(folder.glob("more*"))


def test_what_can_not_be_recorded_is_not_done(granted: Path, invoke: Callable[..., Result]) -> None:
    (granted / "audit.jsonl").unlink()
    (granted / "audit.jsonl").mkdir()
    before = (granted / "roots.json").read_bytes()
    result = invoke("keys", "rotate", "acme")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "audit.jsonl" in result.stderr
    assert (granted / "roots.json").read_bytes() == before
    assert invoke("keys", "rotate", "acme", "--audit", "roots.json/log").exit_code == 2


def test_an_account_without_a_name_acts_by_its_number(
    granted: Path, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    invoke("keys", "rotate", "acme")
    assert recorded(granted)[-1]["actor"] == "uid 4000000000"


def test_a_wrapping_that_is_none_is_refused(granted: Path, invoke: Callable[..., Result]) -> None:
    before = (granted / "roots.json").read_bytes()
    for words in (
        ["rewrap", "--wrapping", "safe:key"],
        ["rewrap", "--wrapping", "x", "--service", "checkout"],
    ):
        result = invoke("keys", *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "names no wrapping" in result.stderr
    assert (granted / "roots.json").read_bytes() == before


def test_roots_and_a_key_file_are_wrapped_by_a_kms(
    granted: Path, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with moto.mock_aws():
        uri = "aws-kms:" + boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
        before = LocalKeys("checkout-keys.json").sealing_key("acme")
        rewrapped = invoke("keys", "rewrap", "--wrapping", uri)
        assert rewrapped.stdout.splitlines()[:2] == [f"the roots are wrapped by {uri}", "wrote roots.json"]
        assert (
            "wrote checkout-keys.json"
            in invoke("keys", "rewrap", "--wrapping", uri, "--service", "checkout").stdout.splitlines()
        )
        assert invoke("keys", "rotate", "acme").exit_code == 0
        after = LocalKeys("checkout-keys.json").sealing_key("acme")
        assert after == before
        for file in ("roots.json", "checkout-keys.json"):
            assert before.key.hex() not in (granted / file).read_text(encoding="utf-8")
        assert secrets_in(granted / "keys") != set()  # who is not moved stays as it is
        assert not re.search(r'"(root|sender_key)":', (granted / "roots.json").read_text(encoding="utf-8"))
