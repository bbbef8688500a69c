from __future__ import annotations

import csv
import json
import stat
from typing import TYPE_CHECKING

import pytest

from interceptors.audit import AuditLog
from interceptors.audit.checkpoint import read_checkpoint
from interceptors.keys.signing_key import read_signing_key, read_verification_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

DAY_MS = 86_400_000
NOON_MS = 1_790_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2
"""Noon of 2026-09-21; each record of the log is a day after the one before it."""


@pytest.fixture
def log(invoke: Callable[..., Result], folder: Path) -> AuditLog:
    """A log of four records with checkpoints, and the pair of keys that goes with it."""
    assert invoke("keys", "signing-key", "audit.key").exit_code == 0
    times = iter([(NOON_MS + day * DAY_MS) * 1_000_000 for day in range(10)])
    log = AuditLog(
        folder / "audit.jsonl", actor="=ops", key=read_signing_key("audit.key"), clock=lambda: next(times)
    )
    log.record("keys.rotate", tenant="acme")
    log.record("policy.change", file="policy.yaml")
    with pytest.raises(LookupError), log.act("token.resolve", tenant="acme"):
        raise LookupError
    return log


def altered(log: AuditLog) -> None:
    log.path.write_bytes(log.path.read_bytes().replace(b"policy.change", b"policy.forget"))


def test_a_pair_of_keys_is_made_once(invoke: Callable[..., Result], folder: Path) -> None:
    result = invoke("keys", "signing-key", "audit.key")
    assert result.stdout.splitlines()[:2] == ["wrote audit.key", "wrote audit.pub"]
    public = read_verification_key(folder / "audit.pub")
    assert read_signing_key(folder / "audit.key").public == public
    again = invoke("keys", "signing-key", "audit.key")
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    assert read_verification_key(folder / "audit.pub") == public


def test_a_log_that_holds(invoke: Callable[..., Result], log: AuditLog) -> None:
    result = invoke("audit", "verify", log.path, "--key", "audit.pub")
    assert (result.exit_code, result.stdout) == (0, "holds: 4 records, 4 of them under a signed checkpoint\n")
    result = invoke("audit", "verify", log.path)
    assert result.exit_code == 0
    assert "0 of them under a signed checkpoint\nnote: without --key" in result.stdout


def test_a_log_that_does_not_hold(invoke: Callable[..., Result], log: AuditLog) -> None:
    altered(log)
    result = invoke("audit", "verify", log.path, "--key", "audit.pub")
    assert result.exit_code == 1
    chain, root = result.stdout.splitlines()
    assert chain.startswith("chain: line 3, at byte ")
    assert root.startswith(f"root: {log.path}.checkpoint: of records 0 to 3")


def test_a_checkpoint_that_was_kept_elsewhere(
    invoke: Callable[..., Result], log: AuditLog, folder: Path
) -> None:
    result = invoke("audit", "checkpoint", log.path, "--key", "audit.key")
    assert result.exit_code == 0
    assert result.stdout_bytes == (folder / "audit.jsonl.checkpoint").read_bytes()
    (folder / "kept").write_bytes(result.stdout_bytes)
    verify = ("audit", "verify", log.path, "--key", "audit.pub", "--checkpoint", "kept")
    log.record("keys.rotate", tenant="acme")
    assert invoke(*verify).exit_code == 0
    for path in folder.glob("audit.jsonl*"):
        path.unlink()
    AuditLog(log.path, actor="=ops", key=read_signing_key("audit.key")).record("keys.rotate")
    result = invoke(*verify)
    assert (result.exit_code, result.stdout.split(":")[0]) == (1, "origin")


def test_a_checkpoint_is_made_of_a_log_without_any(
    invoke: Callable[..., Result], log: AuditLog, folder: Path
) -> None:
    AuditLog(log.path, actor="a").record("keys.rotate")
    for expected in range(2):
        result = invoke("audit", "checkpoint", log.path, "--key", "audit.key")
        assert result.exit_code == 0
        found, signed = read_checkpoint(result.stdout_bytes, [read_verification_key("audit.pub")])
        assert (found.size, signed) == (5, True)
        (folder / "audit.jsonl.checkpoint").unlink(missing_ok=bool(expected))


def test_no_checkpoint_is_made_of_a_log_that_does_not_hold(
    invoke: Callable[..., Result], log: AuditLog, folder: Path
) -> None:
    altered(log)
    result = invoke("audit", "checkpoint", log.path, "--key", "audit.key")
    assert result.exit_code == 1
    assert "interceptors-audit/" not in result.stdout
    (folder / "empty").touch()
    result = invoke("audit", "checkpoint", "empty", "--key", "audit.key")
    assert (result.exit_code, "has no records" in result.stderr) == (2, True)


def test_records_are_shown(invoke: Callable[..., Result], log: AuditLog) -> None:
    result = invoke("audit", "show", log.path)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        '0  2026-09-21T12:00:00.000Z  keys.rotate  -  "=ops"  {"tenant": "acme"}',
        '1  2026-09-22T12:00:00.000Z  policy.change  -  "=ops"  {"file": "policy.yaml"}',
        '2  2026-09-23T12:00:00.000Z  token.resolve  -  "=ops"  {"tenant": "acme"}',
        '3  2026-09-24T12:00:00.000Z  token.resolve  failed  "=ops"  {"error": "LookupError", "record": 2}',
    ]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--action", "keys"], "0"),
        (["--action", "token.resolve"], "23"),
        (["--action", "token.res"], ""),
        (["--actor", "=ops"], "0123"),
        (["--actor", "ops"], ""),
        (["--since", "2026-09-23"], "23"),
        (["--since", "2026-09-23T12:00:00"], "23"),
        (["--since", "2026-09-23T14:00:01+02:00"], "3"),
        (["--since", "2026-09-23T12:00:00Z"], "23"),
        (["--limit", "2"], "23"),
        (["--action", "token", "--limit", "1"], "3"),
    ],
)
def test_some_records_are_shown(
    invoke: Callable[..., Result], log: AuditLog, options: list[str], shown: str
) -> None:
    result = invoke("audit", "show", log.path, *options)
    assert result.exit_code == 0
    assert "".join(line[0] for line in result.stdout.splitlines()) == shown


def test_what_is_shown_does_not_steer_a_terminal(invoke: Callable[..., Result], folder: Path) -> None:
    AuditLog(folder / "log", actor="\x1b]0;\u202e\x9b").record("a", text=["\x1b[2J\u2028"])
    result = invoke("audit", "show", "log")
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout


def test_what_does_not_hold_is_said_beside_what_is_shown(
    invoke: Callable[..., Result], log: AuditLog
) -> None:
    log.path.write_bytes(log.path.read_bytes() + b"no record\n")
    result = invoke("audit", "show", log.path)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 4)
    assert result.stderr.startswith("form: line 5, at byte ")


def test_records_are_exported_as_they_are(invoke: Callable[..., Result], log: AuditLog, folder: Path) -> None:
    assert invoke("audit", "export", log.path, "--out", "copy.jsonl").exit_code == 0
    assert (folder / "copy.jsonl").read_bytes() == log.path.read_bytes()
    assert stat.S_IMODE((folder / "copy.jsonl").stat().st_mode) == 0o600


def test_records_are_exported_for_a_spreadsheet(
    invoke: Callable[..., Result], log: AuditLog, folder: Path
) -> None:
    assert invoke("audit", "export", log.path, "--out", "copy.csv", "--format", "csv").exit_code == 0
    with (folder / "copy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["action"] for row in rows] == [
        "keys.rotate",
        "policy.change",
        "token.resolve",
        "token.resolve",
    ]
    assert {row["actor"] for row in rows} == {"'=ops"}
    assert json.loads(rows[3]["details"]) == {"error": "LookupError", "record": 2}


def test_an_export_overwrites_nothing_and_says_what_does_not_hold(
    invoke: Callable[..., Result], log: AuditLog, folder: Path
) -> None:
    (folder / "there").touch()
    result = invoke("audit", "export", log.path, "--out", "there")
    assert (result.exit_code, "there: can't be written (File exists)" in result.stderr) == (2, True)
    altered(log)
    result = invoke("audit", "export", log.path, "--out", "copy")
    assert (result.exit_code, result.stderr.split(",")[0]) == (1, "chain: line 3")


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "none"],
        ["verify", "audit.jsonl", "--key", "none.pub"],
        ["verify", "audit.jsonl", "--key", "audit.key"],
        ["verify", "audit.jsonl", "--checkpoint", "audit.jsonl.checkpoint"],
        ["verify", "audit.jsonl", "--key", "audit.pub", "--checkpoint", "none"],
        ["show", "audit.jsonl", "--since", "yesterday"],
        ["show", "audit.jsonl", "--limit", "0"],
        ["export", "audit.jsonl", "--out", "x", "--format", "xml"],
        ["checkpoint", "audit.jsonl", "--key", "audit.pub"],
        ["checkpoint", "audit.jsonl"],
    ],
)
@pytest.mark.usefixtures("log")
def test_wrong_use(invoke: Callable[..., Result], words: list[str]) -> None:
    result = invoke("audit", *words)
    assert result.exit_code == 2
    assert result.stderr
