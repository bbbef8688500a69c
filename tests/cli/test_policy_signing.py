"""`interceptors policy sign`, `verify`, `diff` and `trust`."""

from __future__ import annotations

import json
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from interceptors.keys.signing_key import write_signing_key
from interceptors.signatures import SigningKey, parse_signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

POLICY = """version: 1
serial: 3
expires: 2099-01-01T00:00:00Z
channels: [{name: orders, match: {kafka: [orders]}, accept: reject}]
exceptions:
- id: EX-1
  reason: a migration
  requested_by: payments
  approved_by: security
  channels: [orders]
  environments: [staging]
  expires: 2098-01-01T00:00:00Z
  rules: {accept: optional}
- id: EX-0
  reason: another one
  requested_by: payments
  approved_by: security
  channels: [orders]
  expires: 2020-01-01T00:00:00Z
  rules: {accept: none}
"""


@pytest.fixture
def files(folder: Path) -> Path:
    """Keys of privacy, security and release, and a policy."""
    for number, name in enumerate(("privacy", "security", "release")):
        write_signing_key(folder / f"{name}.key", SigningKey(bytes([number]) * 32))
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def trust(files: Path, invoke: Callable[..., Result]) -> Path:
    """A trust document: privacy and security sign policies, and release configurations."""
    result = invoke(
        "policy",
        "trust",
        "--policy",
        "privacy.pub",
        "--policy",
        "security.pub",
        "--deployment",
        "release.pub",
    )
    assert (result.exit_code, result.stdout) == (0, "wrote trust.yaml: 2 of 2 keys sign a policy\n")
    return files / "trust.yaml"


def test_a_policy_is_signed_by_one_after_another_and_verified(
    trust: Path, invoke: Callable[..., Result]
) -> None:
    first = invoke("policy", "sign", "policy.yaml", "--key", "privacy.key")
    assert first.stdout == "wrote policy.yaml.dsse.json: policy, signatures: 1\n"
    few = invoke("policy", "verify", "policy.yaml.dsse.json", "--trust", trust)
    assert few.exit_code == 1
    assert few.stderr.startswith("refused (too few signatures): policy.yaml.dsse.json: 1 of the 2 signatures")

    invoke("policy", "sign", "policy.yaml.dsse.json", "--key", "security.key")
    found = invoke("policy", "verify", "policy.yaml.dsse.json", "--trust", trust)
    assert found.exit_code == 0
    signers, serial, expires, current, former = found.stdout.splitlines()
    assert signers == "signed by privacy, security"
    assert serial.startswith("serial 3, sha256 ")
    assert expires == "expires 2099-01-01T00:00:00Z"
    assert current == "exception EX-1: orders (staging), approved by security, ends 2098-01-01T00:00:00Z"
    assert former == "exception EX-0: orders (everywhere), approved by security, ended 2020-01-01T00:00:00Z"


def test_several_sign_at_once_into_a_file_that_services_can_read(
    files: Path, invoke: Callable[..., Result]
) -> None:
    invoke(
        "policy", "sign", "policy.yaml", "--key", "privacy.key", "--key", "security.key", "--out", "out.json"
    )
    signed = parse_signed((files / "out.json").read_text())
    assert (signed.payload.decode(), len(signed.signatures)) == (POLICY, 2)
    assert stat.S_IMODE((files / "out.json").stat().st_mode) == 0o644


@pytest.mark.parametrize("words", [(), ("--out", "policy.yaml.dsse.json")], ids=["default", "named"])
def test_signing_the_same_text_again_keeps_the_signatures_of_others(
    files: Path, invoke: Callable[..., Result], words: tuple[str, ...]
) -> None:
    for name in ("privacy", "security"):
        invoke("policy", "sign", "policy.yaml", "--key", f"{name}.key", *words)
    result = invoke("policy", "sign", "policy.yaml", "--key", "privacy.key", *words)
    assert result.stdout == "wrote policy.yaml.dsse.json: policy, signatures: 2\n"
    signed = parse_signed((files / "policy.yaml.dsse.json").read_text())
    keys = [SigningKey(bytes([number]) * 32).public for number in (0, 1)]
    assert signed.signers(keys) == frozenset(keys)


@pytest.mark.parametrize("there", ["another text", "no policy", "cut off"])
def test_what_holds_another_text_is_not_overwritten(
    files: Path, invoke: Callable[..., Result], there: str
) -> None:
    out = files / "policy.yaml.dsse.json"
    invoke("policy", "sign", "policy.yaml", "--key", "security.key")
    if there == "another text":
        (files / "policy.yaml").write_text(POLICY.replace("serial: 3", "serial: 4"))
    else:
        out.write_text("{}" if there == "no policy" else out.read_text()[:100])
    before = out.read_bytes()
    result = invoke("policy", "sign", "policy.yaml", "--key", "privacy.key")
    assert (result.exit_code, out.read_bytes()) == (2, before)
    assert result.stderr == (
        "error: policy.yaml.dsse.json: holds another text; move it away, or give another name with --out\n"
    )


def test_a_state_says_what_a_service_has_seen(trust: Path, invoke: Callable[..., Result]) -> None:
    invoke("policy", "sign", "policy.yaml", "--key", "privacy.key", "--key", "security.key")
    (trust.parent / "seen").write_text(json.dumps({"serial": 4, "digest": "0" * 64}))
    result = invoke("policy", "verify", "policy.yaml.dsse.json", "--trust", trust, "--state", "seen")
    assert result.exit_code == 1
    assert "refused (rolled back)" in result.stderr


def test_verifying_takes_nothing_up(trust: Path, invoke: Callable[..., Result]) -> None:
    invoke("policy", "sign", "policy.yaml", "--key", "privacy.key", "--key", "security.key")
    assert invoke("policy", "verify", "policy.yaml.dsse.json", "--trust", trust).exit_code == 0
    assert not (trust.parent / "policy.yaml.dsse.json.seen").exists()


def test_a_configuration_is_signed_as_one(files: Path, invoke: Callable[..., Result]) -> None:
    (files / "interceptors.yaml").write_text(
        "service: checkout\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n"
    )
    result = invoke("policy", "sign", "interceptors.yaml", "--key", "release.key", "--as", "configuration")
    assert result.stdout == "wrote interceptors.yaml.dsse.json: configuration, signatures: 1\n"
    signed = parse_signed((files / "interceptors.yaml.dsse.json").read_text())
    assert signed.payload_type == "application/vnd.interceptors.configuration.v1+yaml"
    again = invoke("policy", "sign", "interceptors.yaml.dsse.json", "--key", "privacy.key")
    assert again.exit_code == 2
    assert "signed as something else" in again.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\n", "serial: a policy that is signed has one"),
        ("version: 1\nserial: 1\nchanels: []\n", "did you mean 'channels'"),
        (
            "version: 1\nserial: 1\ndefault: {binding: tenant, lowest_level: message}\n",
            "every envelope would be refused",
        ),
    ],
    ids=["no-serial", "typo", "contradiction"],
)
def test_what_no_service_would_take_is_not_signed(
    files: Path, invoke: Callable[..., Result], text: str, problem: str
) -> None:
    (files / "policy.yaml").write_text(text)
    result = invoke("policy", "sign", "policy.yaml", "--key", "privacy.key")
    assert result.exit_code == 2
    assert problem in result.stderr
    assert not (files / "policy.yaml.dsse.json").exists()


def test_who_signs_what_is_recorded_before(files: Path, invoke: Callable[..., Result]) -> None:
    words = ["--key", "privacy.key", "--key", "security.key", "--audit", "log/audit.jsonl"]
    assert invoke("policy", "sign", "policy.yaml", *words, "--audit-key", "release.key").exit_code == 0
    (files / "interceptors.yaml").write_text(
        "service: checkout\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n"
    )
    release = ["--key", "release.key", "--as", "configuration", "--audit", "log/audit.jsonl"]
    assert invoke("policy", "sign", "interceptors.yaml", *release).exit_code == 0

    found = [json.loads(line) for line in (files / "log" / "audit.jsonl").read_text().splitlines()]
    kids = [SigningKey(bytes([number]) * 32).public.id for number in range(3)]
    assert [(record["action"], record["details"]) for record in found] == [
        (
            "policy.sign",
            {
                "file": "policy.yaml",
                "digest": sha256(POLICY.encode()).hexdigest(),
                "keys": kids[:2],
                "serial": 3,
                "exceptions": ["EX-1", "EX-0"],
            },
        ),
        (
            "configuration.sign",
            {
                "file": "interceptors.yaml",
                "digest": sha256((files / "interceptors.yaml").read_bytes()).hexdigest(),
                "keys": kids[2:],
            },
        ),
    ]
    assert (files / "log" / "audit.jsonl.checkpoint").exists()


def test_who_may_sign_is_recorded_before(files: Path, invoke: Callable[..., Result]) -> None:
    words = ["--policy", "privacy.pub", "--policy", "security.pub", "--deployment", "release.pub"]
    assert invoke("policy", "trust", *words, "--audit", "audit.jsonl").exit_code == 0

    (line,) = (files / "audit.jsonl").read_text().splitlines()
    kids = [SigningKey(bytes([number]) * 32).public.id for number in range(3)]
    record = json.loads(line)
    assert (record["action"], record["details"]) == (
        "policy.trust",
        {"file": "trust.yaml", "threshold": 2, "policy": kids[:2], "deployment": kids[2:]},
    )
    (files / "audit.jsonl").unlink()
    (files / "audit.jsonl").mkdir()
    refused = invoke("policy", "trust", *words, "--audit", "audit.jsonl", "--out", "other.yaml")
    assert "nothing is done without a record of it" in refused.stderr
    assert not (files / "other.yaml").exists()


@pytest.mark.parametrize("named", [True, False], ids=["named", "beside-the-roots"])
def test_what_can_not_be_recorded_is_not_signed(
    files: Path, invoke: Callable[..., Result], *, named: bool
) -> None:
    (files / "audit.jsonl").mkdir()
    if not named:
        (files / "roots.json").touch()
    words = ["--audit", "audit.jsonl"] if named else []
    result = invoke("policy", "sign", "policy.yaml", "--key", "privacy.key", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nothing is done without a record of it" in result.stderr
    assert not (files / "policy.yaml.dsse.json").exists()


def test_where_nothing_can_be_written_it_says_so(files: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("policy", "sign", "policy.yaml", "--key", "privacy.key", "--out", "missing/out.json")
    assert (result.exit_code, files.joinpath("missing").exists()) == (2, False)
    assert "missing/out.json: can't be written (No such file" in result.stderr


def test_a_trust_document_that_would_not_hold_is_not_made(files: Path, invoke: Callable[..., Result]) -> None:
    result = invoke("policy", "trust", "--policy", "privacy.pub")
    assert result.exit_code == 2
    assert "2 of 1 keys can never sign" in result.stderr
    assert not (files / "trust.yaml").exists()
    twice = invoke("policy", "trust", "--policy", "privacy.pub", "--policy", "privacy.pub")
    assert "two keys would have one name" in twice.stderr


def test_a_trust_document_is_not_overwritten(trust: Path, invoke: Callable[..., Result]) -> None:
    before = trust.read_text()
    result = invoke("policy", "trust", "--policy", "release.pub", "--threshold", "1")
    assert (result.exit_code, trust.read_text()) == (2, before)


def test_a_difference_is_shown_with_what_it_does(files: Path, invoke: Callable[..., Result]) -> None:
    (files / "new.yaml").write_text(
        POLICY.replace("serial: 3", "serial: 4").replace("accept: reject", "accept: required")
    )
    result = invoke("policy", "diff", "policy.yaml", "new.yaml")
    assert result.exit_code == 0
    head, *rows = [line.split() for line in result.stdout.splitlines()]
    assert head == ["EFFECT", "CHANNEL", "KEY", "OLD", "NEW", "ENVIRONMENTS"]
    assert rows == [
        ["neither", "(policy)", "serial", "3", "4", "all"],
        # In staging, the exception says otherwise before and after.
        ["laxer", "orders", "accept", "reject", "required", "(any", "other)"],
    ]
    assert invoke("policy", "diff", "policy.yaml", "new.yaml", "--fail-on-laxer").exit_code == 1
    assert invoke("policy", "diff", "new.yaml", "policy.yaml", "--fail-on-laxer").exit_code == 1  # the serial


def test_a_difference_of_signed_files_is_that_of_what_they_hold(
    files: Path, invoke: Callable[..., Result]
) -> None:
    invoke("policy", "sign", "policy.yaml", "--key", "privacy.key")
    result = invoke("policy", "diff", "policy.yaml", "policy.yaml.dsse.json", "--fail-on-laxer")
    assert (result.exit_code, result.stdout) == (0, "no difference\n")
    assert files.exists()


@pytest.mark.parametrize(("old", "new"), [("policy.yaml", "broken.yaml"), ("broken.yaml", "policy.yaml")])
def test_a_policy_that_does_not_hold_is_called_as_its_file_is(
    files: Path, invoke: Callable[..., Result], old: str, new: str
) -> None:
    twice = "channels: [{name: orders, match: {kafka: [a]}}, {name: orders, match: {kafka: [b]}}]\n"
    (files / "broken.yaml").write_text(f"version: 1\n{twice}")
    result = invoke("policy", "diff", old, new)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: broken.yaml: channels[1].name: ")


@pytest.mark.parametrize("verb", [("policy", "explain", "orders"), ("catalog",)])
def test_a_signed_policy_is_explained_and_drawn_as_what_it_holds(
    files: Path, invoke: Callable[..., Result], verb: tuple[str, ...]
) -> None:
    assert invoke("policy", "sign", "policy.yaml", "--key", "privacy.key").exit_code == 0
    plain, signed = (
        invoke(*verb, "--policy", file).stdout for file in ("policy.yaml", "policy.yaml.dsse.json")
    )
    # The lines that it names are those of the text that was signed.
    assert "orders" in plain
    # Columns are as wide as the file's name.
    assert signed.replace("policy.yaml.dsse.json", "policy.yaml").split() == plain.split()
    assert files.exists()


def test_a_difference_as_json(files: Path, invoke: Callable[..., Result]) -> None:
    (files / "new.yaml").write_text(POLICY.replace("serial: 3", "serial: 4"))
    result = invoke("policy", "diff", "policy.yaml", "new.yaml", "--format", "json")
    assert json.loads(result.stdout) == [
        {
            "channel": "",
            "key": "serial",
            "old": "3",
            "new": "4",
            "effect": "neither",
            "environments": [],
        }
    ]
