"""What a tracing is made of, by its configuration; attacks on that are in `tests/security`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import ConfigurationError, Tracing
from interceptors.errors import TrustError
from interceptors.keys.signing_key import write_signing_key
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from pathlib import Path


def add(configuration: Path, text: str) -> None:
    with configuration.open("a", encoding="utf-8") as file:
        file.write(text)


def test_the_configuration_names_the_trust_document_and_the_state(configuration: Path, signers: Any) -> None:
    add(configuration, "trust: trust.yaml\ntrust_state: seen.json\n")
    signers.publish("serial: 4\n")
    Tracing.from_file(configuration).close()
    assert json.loads((signers.folder / "seen.json").read_text())["serial"] == 4
    signers.publish("serial: 3\n")
    with pytest.raises(TrustError, match="3 is lower than 4"):
        Tracing.from_file(configuration)


def test_the_environments_bounds_hold(configuration: Path) -> None:
    policy = configuration.with_name("policy.yaml")
    policy.write_text("version: 1\nenvironments: {staging: {accept: reject}}\n")
    with Tracing.from_file(configuration) as tracing:
        assert tracing.policy.channels("kafka", "orders")[0].accept == "optional"
    add(configuration, "environment: staging\n")
    with Tracing.from_file(configuration) as tracing:
        assert tracing.policy.channels("kafka", "orders")[0].accept == "reject"


def test_the_audit_log_is_written_by_the_service_and_signed(configuration: Path) -> None:
    write_signing_key(configuration.with_name("audit.key"), SigningKey(bytes(32)))
    add(configuration, "audit: {log: audit.jsonl, key: audit.key}\n")
    with Tracing.from_file(configuration) as tracing:
        assert tracing.audit is not None
    (line,) = configuration.with_name("audit.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["actor"], record["action"]) == ("checkout", "policy.change")
    assert record["details"]["serial"] == 0


def test_a_key_for_the_log_that_is_not_there_is_an_error(configuration: Path) -> None:
    add(configuration, "audit: {log: audit.jsonl, key: audit.key}\n")
    with pytest.raises(ConfigurationError, match=r"audit\.key: can't be read"):
        Tracing.from_file(configuration)


def test_without_an_audit_log_there_is_none(configuration: Path) -> None:
    with Tracing.from_file(configuration) as tracing:
        assert tracing.audit is None


def test_a_policy_file_for_development_is_looked_at_for_changes(configuration: Path) -> None:
    policy = configuration.with_name("policy.yaml")
    with Tracing.for_development("checkout", policy=policy) as tracing:
        policy.write_text("version: 1\ndefault: {accept: required}\n")
        tracing._governing.look()
        assert tracing.policy.channels("kafka", "orders")[0].accept == "required"
