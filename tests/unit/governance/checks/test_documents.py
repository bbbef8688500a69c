"""The edges of the rules on policies, configurations and key files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from interceptors.errors import TrustError
from interceptors.governance.checks import check_paths
from interceptors.policy.signed import PAYLOAD_TYPES
from interceptors.policy.trust import RoleName
from interceptors.signatures import Signed, SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.governance.checks import Finding

NOW_MS = 1_795_392_000_000
LOCAL = "network.private_ip"
"""A class that is looked for where a policy includes it."""
DIGITS = {"prefix": "C-", "pattern": "[0-9]{4}"}
BESIDE = {"words": ["customer number"], "pattern": "[0-9]{4}"}
BROKER = {"bootstrap_servers": "k:9092", "topic": "s"}
CHANNEL = {
    "owner": "shop",
    "purpose": "to sell",
    "senders": ["shop"],
    "consumers": ["billing"],
    "accept": "required",
    "retention": "1d",
    "lawful_basis": "contract",
    "payload": {"on_leak": "redact"},
}


@pytest.fixture
def policy(check_text: Callable[..., list[Finding]]) -> Callable[..., list[str]]:
    """Checks a policy of channels that are well but for what is given; gives the ids of the rules."""

    def check(*channels: dict[str, object], **rest: object) -> list[str]:
        entries = []
        for number, entry in enumerate(channels):
            name = f"c{number}"
            entries.append({"name": name, "match": {"kafka": [name]}, **CHANNEL, **entry})
        document = {"version": 1, "channels": entries, "default": {"accept": "required"}, **rest}
        return [finding.rule.id for finding in check_text(yaml.safe_dump(document), "policy.yaml")]

    return check


def test_a_channel_that_says_all_is_well(policy: Callable[..., list[str]]) -> None:
    assert policy({}) == []


@pytest.mark.parametrize("key", ["owner", "purpose", "lawful_basis", "retention", "senders"])
def test_what_the_default_says_need_not_be_said_again(policy: Callable[..., list[str]], key: str) -> None:
    default = {"accept": "required", key: CHANNEL[key]}
    assert policy({key: CHANNEL[key]}) == []
    rest = {name: value for name, value in CHANNEL.items() if name != key}
    channels = [{"name": "a", "match": {"kafka": ["a"]}, **rest}]
    assert policy(default=default, channels=channels) == []
    expected = f"channel-without-{key.replace('_', '-')}"
    assert policy(channels=channels) == [expected]


def test_a_channel_that_is_not_traced_needs_none(policy: Callable[..., list[str]]) -> None:
    channel = {"name": "a", "match": {"kafka": ["a"]}, "emit": "none", "accept": "none"}
    assert policy(channels=[channel]) == []


@pytest.mark.parametrize(
    ("first", "second", "rules"),
    [
        (["a"], ["a"], ["channel-shadowed"]),
        (["a"], ["a", "b"], []),
        (["a-*"], ["a-b-*"], ["channel-shadowed"]),
        (["a-b-*"], ["a-*"], []),
        (["a-*"], ["a-b"], []),
        (["a?"], ["a[bc]"], []),
    ],
)
def test_which_names_are_taken(
    policy: Callable[..., list[str]], first: list[str], second: list[str], rules: list[str]
) -> None:
    assert policy({"match": {"kafka": first}}, {"match": {"kafka": second}}) == rules


def test_names_on_another_bus_are_others(policy: Callable[..., list[str]]) -> None:
    assert policy({"match": {"kafka": ["a"]}}, {"match": {"rabbitmq": ["a"]}}) == []


@pytest.mark.parametrize(
    ("first", "second"), [("a-*", "*-b"), ("a-*", "a-b"), ("a?", "a[bc]"), ("a", "a"), ("*", "a.b")]
)
def test_rules_of_the_same_names_are_compared(
    policy: Callable[..., list[str]], first: str, second: str
) -> None:
    rules = policy({"match": {"kafka": [first]}}, {"match": {"kafka": [second, "other"]}, "accept": "reject"})
    assert rules == ["channels-contradict"]


def test_names_apart_are_not_compared(policy: Callable[..., list[str]]) -> None:
    assert policy({"match": {"kafka": ["a-*"]}}, {"match": {"kafka": ["b-*"]}, "accept": "reject"}) == []


@pytest.mark.parametrize(
    ("channel", "rules"),
    [
        ({"accept": "optional"}, ["senders-not-enforced"]),
        ({"match": {"taskiq": ["a"]}, "binding": "channel"}, ["binding-loose-for-tasks"]),
        ({"match": {"celery": ["a"]}, "binding": "type"}, []),
        ({"binding": "tenant"}, ["binding-tenant-wide"]),
        ({"payload": {"actions": {"personal": "observe", "personal.email": "redact"}}}, []),
        ({"payload": {"actions": {"personal": "redact", "email": "observe"}}}, ["action-without-effect"]),
        ({"payload": {"allow": [{"class": LOCAL, "path": "$.a"}], "include": [LOCAL]}}, []),
        ({"payload": {"on_leak": "block", "on_unscanned": "block"}}, []),
        ({"labels": {"tier": {"class": "operational", "pattern": "[a-z]{1,20}"}}}, []),
        ({"labels": {"tier": {"class": "operational", "pattern": "[0-9]{1,20}"}}}, ["label-pattern-wide"]),
        ({"labels": {"tier": {"class": "operational", "pattern": "[0-9a-f-]{36}"}}}, ["label-pattern-wide"]),
        ({"labels": {"tier": {"class": "operational", "pattern": "[0-9.]{7,15}"}}}, ["label-pattern-wide"]),
        ({"labels": {"email": {"class": "personal.email", "pattern": "[a-z]{1,9}"}}}, ["label-sensitive"]),
        ({"labels": {"email": {"class": "personal.email", "handling": "tokenize"}}}, []),
        ({"labels": {"email": {"class": "personal.email", "handling": "redact"}}}, []),
    ],
)
def test_one_channel(policy: Callable[..., list[str]], channel: dict[str, object], rules: list[str]) -> None:
    assert policy(channel) == rules


@pytest.mark.parametrize(
    ("identifier", "rules"),
    [
        ({**DIGITS, "examples": ["no C-1234 here"], "counterexamples": ["C-12"]}, []),
        ({**BESIDE, "examples": ["customer number: 1234"]}, []),
        ({**BESIDE, "examples": ["1234"]}, ["identifier-example-fails"]),
        ({**DIGITS, "check": "luhn", "examples": ["C-1230"]}, []),
        ({**DIGITS, "check": "luhn", "examples": ["C-1231"]}, ["identifier-example-fails"]),
    ],
)
def test_examples_of_identifiers(
    policy: Callable[..., list[str]], identifier: dict[str, object], rules: list[str]
) -> None:
    assert policy({}, identifiers=[{"name": "customer", **identifier}]) == rules


@pytest.mark.parametrize("tokenizes", [{"on_leak": "tokenize"}, {"actions": {"personal": "tokenize"}}])
def test_a_domain_that_is_used(policy: Callable[..., list[str]], tokenizes: dict[str, object]) -> None:
    domains = {"people": {"classes": ["personal.email"]}}
    assert policy({"payload": tokenizes}, tokens={"domains": domains}) == []
    field = {"path": "$.a", "class": "personal.email", "handling": "tokenize"}
    assert policy({"fields": [field]}, tokens={"domains": domains}) == []
    assert policy({}, tokens={"domains": domains}) == ["token-domain-unused"]


def test_an_exception_that_is_well(policy: Callable[..., list[str]]) -> None:
    exception = {
        "id": "EX-1",
        "reason": "while it is moved",
        "requested_by": "shop",
        "approved_by": "privacy",
        "channels": ["c0"],
        "expires": "2026-12-24T00:00:00Z",
        "rules": {"accept": "optional"},
    }
    assert policy({}, exceptions=[exception]) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 1\nchannels:\n  - name: a\n    match: {kafka: [a]}\n    acept: none\n", 5),
        ("version: 1\nchannels:\n" + "  - name: a\n    match: {kafka: [a]}\n" * 2, 5),
        ("version: 1\ndefault:\n  payload:\n    actions:\n      personal.emial: block\n", 4),
        ("version: 1\n\tdefault: {}\n", 2),
        ("", 1),
        ("- a\n", 1),
        ("&a [*a]\n", 1),
    ],
)
def test_a_policy_that_does_not_hold_is_a_finding_at_its_line(
    check_text: Callable[..., list[Finding]], text: str, line: int
) -> None:
    (finding,) = check_text(text, "policy.yaml")
    assert (finding.rule.id, finding.line) == ("policy-invalid", line)
    assert "policy.yaml" not in finding.what


CONFIGURATION = {"service": "shop", "tenant": "acme", "keys": "k.json", "policy": "policy.yaml"}


@pytest.mark.parametrize(
    ("said", "rules"),
    [
        ({}, []),
        ({"environment": "production"}, []),
        ({"environment": "Prod-eu", "keys": "keys/dev/shop.json"}, ["development-in-production"]),
        ({"environment": "production", "service": "developer-portal"}, []),
        ({"export": {"otlp": {"endpoint": "http://localhost:4318"}}}, []),
        ({"export": {"otlp": {"endpoint": "http://[::1]:4318"}}}, []),
        ({"export": {"otlp": {"endpoint": "HTTP://10.0.0.1:4318"}}}, ["otlp-in-clear"]),
        ({"export": {"otlp": {"endpoint": "https://a:b@c.example.com"}}}, ["credential-in-configuration"]),
        ({"export": {"otlp": {"endpoint": "http://[collector"}}}, ["otlp-in-clear"]),
        ({"export": {"bus": {"collector_key": "c", "kafka": BROKER}}}, ["bus-export-in-clear"]),
        ({"export": {"bus": {"collector_key": "c", "kafka": {**BROKER, "security_protocol": "SSL"}}}}, []),
        ({"export": {"bus": {"collector_key": "c", "rabbitmq": {"queue": "s"}}}}, []),
    ],
)
def test_configurations(
    check_text: Callable[..., list[Finding]], said: dict[str, object], rules: list[str]
) -> None:
    found = check_text(yaml.safe_dump({**CONFIGURATION, **said}), "interceptors.yaml")
    assert [finding.rule.id for finding in found] == rules


@pytest.mark.parametrize("signed", [True, False])
def test_a_policy_in_production_is_signed(
    check_text: Callable[..., list[Finding]], tmp_path: Path, *, signed: bool
) -> None:
    text = json.dumps({"payload": "", "payloadType": "", "signatures": []}) if signed else "version: 1\n"
    (tmp_path / "policy.yaml").write_text(text)
    said = yaml.safe_dump({**CONFIGURATION, "environment": "production"})
    found = check_text(said, "interceptors.yaml")
    assert [finding.rule.id for finding in found] == ([] if signed else ["policy-unsigned"])


def keys_at(path: Path, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"keys": [{"sender_key": "00"}]}')
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_is_nobody_elses(tmp_path: Path, mode: int) -> None:
    keys_at(tmp_path / "k.json", mode)
    (finding,) = check_paths([tmp_path], now_ms=NOW_MS)
    assert finding.rule.id == "key-file-readable"
    assert finding.what == f"its mode is {mode:04o}"


@pytest.mark.parametrize(
    "line", ["*.json", "/keys/", "keys", "keys/*.json", "**/keys", "# x\n\nkeys/shop.json"]
)
def test_a_key_file_that_git_ignores_is_not_committed(tmp_path: Path, line: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(f"{line}\n")
    keys_at(tmp_path / "keys" / "shop.json")
    assert check_paths([tmp_path], now_ms=NOW_MS) == []


@pytest.mark.parametrize("line", ["", "# *.json", "!*.json", "*.yaml", "key"])
def test_one_that_git_does_not_ignore_may_be(tmp_path: Path, line: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(f"{line}\n")
    keys_at(tmp_path / "keys" / "shop.json")
    assert [finding.rule.id for finding in check_paths([tmp_path], now_ms=NOW_MS)] == ["key-file-committed"]


@pytest.mark.parametrize("name", ["policy.yaml", "interceptors.yaml", "policy.yaml.dsse.json"])
def test_what_is_signed_in_a_folder_is_not_read_as_broken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps({"payload": "", "payloadType": "", "signatures": []}))
    assert check_paths([tmp_path], now_ms=NOW_MS) == []


@pytest.mark.parametrize(
    ("role", "text", "found"),
    [
        (RoleName.POLICY, "version: 1\nfields: []\n", (2, "policy-invalid")),
        (RoleName.DEPLOYMENT, "service: billing\nsecrets: []\n", (2, "configuration-invalid")),
        # A signature makes nothing of another one: what was signed here is no policy.
        (RoleName.POLICY, '{"payload": "", "payloadType": "", "signatures": []}', (1, "policy-invalid")),
    ],
)
def test_a_signed_file_that_is_named_is_checked_as_what_it_was_signed_as(
    rules_of: Callable[..., list[tuple[int, str]]], role: RoleName, text: str, found: tuple[int, str]
) -> None:
    signed = Signed(text.encode(), PAYLOAD_TYPES[role], ()).by(SigningKey(bytes(32)))
    assert found in rules_of(signed.to_json(), "a.dsse.json")
    assert found in rules_of(signed.to_json(), "policy.yaml")


@pytest.mark.parametrize("payload_type", ["", "application/vnd.in-toto+json"])
def test_a_signed_file_that_is_named_and_is_none_of_ours_is_refused(
    check_text: Callable[..., list[Finding]], payload_type: str
) -> None:
    text = (
        Signed(b"version: 1\n", payload_type, ()).by(SigningKey(bytes(32))).to_json()
        if payload_type
        else '{"payload": "'
    )
    with pytest.raises(TrustError, match=r"^a\.dsse\.json: "):
        check_text(text, "a.dsse.json")
