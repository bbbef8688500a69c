from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.errors import ConfigurationError
from interceptors.scan import Finding, Validation
from interceptors.scanning.declared import Declarations

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
version: 1
identifiers:
  - {name: customer, prefix: CUST-, pattern: "[0-9]{8}"}
channels:
  - name: orders
    match: {kafka: [shop.orders, "eu.orders.*"]}
    payload:
      allow: [{class: personal.email, path: $.customer.email}]
  - name: mails
    match: {kafka: [shop.mails, shop.orders]}
    payload: {allow: [personal]}
  - name: old
    match: {kafka: [shop.old]}
default:
  payload: {allow: [payment]}
"""
EMAIL = Finding("email", "personal.email", 0, 9, Validation.PATTERN, "an address", "$.customer.email")
ELSEWHERE = EMAIL._replace(path="$.seller.email")
IBAN = Finding("iban", "payment.bank_account", 0, 9, Validation.CHECKSUM, "mod 97", "$.account")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def declarations(policy: Path) -> Declarations:
    """Of the policy, each topic by its own channel."""
    return Declarations(policy, "")


def covered(declarations: Declarations, topic: str = "") -> list[Finding]:
    declared = declarations.of(topic)
    return [finding for finding in (EMAIL, ELSEWHERE, IBAN) if declared.covers(finding)]


@pytest.mark.parametrize(
    ("topic", "declared"),
    [
        ("shop.orders", [EMAIL]),
        ("eu.orders.2", [EMAIL]),
        ("shop.mails", [EMAIL, ELSEWHERE]),
        ("shop.old", [IBAN]),
        ("another", [IBAN]),
    ],
)
def test_a_topic_goes_by_its_channel(declarations: Declarations, topic: str, declared: list[Finding]) -> None:
    assert covered(declarations, topic) == declared


def test_files_go_by_the_default(declarations: Declarations) -> None:
    assert covered(declarations) == [IBAN]


@pytest.mark.parametrize(
    ("channel", "declared"), [("mails", [EMAIL, ELSEWHERE]), ("orders", [EMAIL]), ("old", [IBAN])]
)
def test_a_channel_that_is_named_goes_for_all(policy: Path, channel: str, declared: list[Finding]) -> None:
    declarations = Declarations(policy, channel)
    assert [covered(declarations, topic) for topic in ("", "shop.old", "eu.orders.2")] == [declared] * 3


def test_the_identifiers_of_the_policy_are_looked_for(declarations: Declarations) -> None:
    findings = declarations.of().inspector.inspect(b'{"id": "CUST-12345678"}').findings
    assert [finding.detector for finding in findings] == ["customer"]


def test_without_a_policy_nothing_is_declared() -> None:
    declarations = Declarations(None, "")
    assert covered(declarations) == covered(declarations, "shop.orders") == []
    assert len(declarations.of().inspector.inspect(b"user@example.com").findings) == 1


def test_a_policy_that_says_nothing_of_payloads_declares_nothing(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\n", encoding="utf-8")
    assert covered(Declarations(policy, ""), "shop.orders") == []


def test_a_large_record_is_looked_into_whatever_the_budget_of_a_message(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ndefault: {payload: {budget: {bytes: 1KiB}}}\n", encoding="utf-8")
    inspection = Declarations(policy, "").of().inspector.inspect(b"x" * 5000 + b" user@example.com")
    assert [finding.start for finding in inspection.findings] == [5001]
    assert inspection.unscanned is None


def test_a_channel_that_there_is_not_is_an_error_that_names_the_nearest(policy: Path) -> None:
    with pytest.raises(ConfigurationError, match="no channel is called 'order'; did you mean 'orders'"):
        Declarations(policy, "order")
    with pytest.raises(ConfigurationError, match="no channel is called 'x'; name one that it lists"):
        Declarations(policy, "x")


def test_a_channel_needs_a_policy() -> None:
    with pytest.raises(ConfigurationError, match="--policy"):
        Declarations(None, "orders")


def test_a_policy_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no-policy"):
        Declarations(tmp_path / "no-policy.yaml", "")
