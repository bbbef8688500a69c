from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError
from interceptors.token_vault.access import load_access, parse_access

if TYPE_CHECKING:
    from pathlib import Path

ROLE = {"tenants": ["acme"], "domains": ["customer"], "purposes": ["fraud"]}
SMALL: dict[str, Any] = {"version": 1, "domains": {"customer": {}}}


def parse(**more: Any) -> Any:
    return parse_access(json.dumps({**SMALL, **more}), "vault.yaml")


def test_only_what_one_role_allows_as_a_whole_is_allowed() -> None:
    roles = {"a": ROLE, "b": {**ROLE, "tenants": ["globex"], "purposes": ["erasure"], "erase": True}}
    access = parse(roles=roles, callers={"support-desk": ["a", "b"], "intern": []})

    assert access.allows("support-desk", "fraud", "acme", "customer", erase=False)
    assert access.allows("support-desk", "erasure", "globex", "customer", erase=True)
    assert access.allows("support-desk", "erasure", "globex", "customer", erase=False)
    assert not access.allows("support-desk", "fraud", "acme", "customer", erase=True)
    assert not access.allows("support-desk", "fraud", "globex", "customer", erase=False)
    assert not access.allows("support-desk", "fraud", "acme", "employee", erase=False)
    assert not access.allows("intern", "fraud", "acme", "customer", erase=False)
    assert not access.allows("privacy-desk", "fraud", "acme", "customer", erase=False)
    assert [access.knows(caller) for caller in ("support-desk", "intern", "privacy-desk")] == [
        True,
        False,
        False,
    ]


def test_what_is_not_said_is_narrow() -> None:
    access = parse()

    assert access.class_of("customer") == ""
    assert not access.knows("support-desk")
    assert (access.limit.per_minute, access.limit.burst) == (60, 10)
    assert access.limit.interval_us == 1_000_000


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            {"roles": {"a": {**ROLE, "domains": ["costumer"]}}},
            r"roles.a.domains: there is no domain 'costumer'",
        ),
        (
            {"callers": {"support-desk": ["a"]}},
            r"callers.support-desk: there is no role 'a'; add it to `roles`",
        ),
        ({"roles": {"a": {**ROLE, "purposes": []}}}, r"vault.yaml:1: roles.a.purposes: write at least one"),
        ({"roles": {"a": {**ROLE, "purposes": ["Any thing"]}}}, r"roles.a.purposes\[0\]"),
        ({"roles": {"a": {**ROLE, "tenant": ["x"]}}}, r"unknown key; did you mean 'tenants'"),
        ({"limit": {"per_minute": 0}}, r"limit.per_minute"),
        ({"version": 2}, r"version"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_document_that_does_not_hold_is_refused(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse(**more)


def test_a_file_is_read_or_says_why_not(tmp_path: Path) -> None:
    path = tmp_path / "vault.yaml"
    with pytest.raises(ConfigurationError, match=r"vault.yaml: can't be read .*interceptors tokens init"):
        load_access(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not text in UTF-8"):
        load_access(path)
    path.write_text("version: 1\ndomains:\n  customer: {class: personal.email}\n")
    assert load_access(path).class_of("customer") == "personal.email"
