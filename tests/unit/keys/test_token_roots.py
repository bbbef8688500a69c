from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope.token_key import derive_token_key
from interceptors.errors import AuditError, ConfigurationError
from interceptors.keys.key_file import KeyringFile, read_key_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.audit import AuditLog
    from interceptors.keys import KeyAdministration

    Administer = Callable[..., KeyAdministration]


@pytest.fixture
def granted(administer: Administer, tmp_path: Path) -> KeyAdministration:
    """An administration in which two services tokenize customers of `acme`."""
    administration = administer()
    administration.root("acme")
    administration.tokens.root("acme")
    for service in ("checkout", "billing"):
        administration.grant(service, "acme", [], tmp_path / f"{service}.json", tokens=["customer"])
    return administration


def tokens(path: Path) -> dict[tuple[str, int], tuple[str, str | None]]:
    """Use and key of each token key of a key file, by domain and version."""
    return {(t.domain, t.version): (t.use, t.key) for t in read_key_file(path, KeyringFile).tokens}


def test_services_of_a_tenant_share_the_key_of_a_domain(granted: KeyAdministration, tmp_path: Path) -> None:
    checkout, billing = (tokens(tmp_path / f"{name}.json") for name in ("checkout", "billing"))
    assert checkout == billing
    assert [use for use, _ in checkout.values()] == ["current"]


def test_a_rotation_makes_a_new_key_current_and_keeps_the_former_one(
    granted: KeyAdministration, tmp_path: Path
) -> None:
    before = tokens(tmp_path / "checkout.json")["customer", 1][1]
    assert granted.tokens.rotate("acme") == 2
    after = tokens(tmp_path / "checkout.json")
    assert after == tokens(tmp_path / "billing.json")
    assert after["customer", 1] == ("former", before)
    assert after["customer", 2][0] == "current"
    assert after["customer", 2][1] != before


def test_a_former_version_is_destroyed_and_the_current_one_is_not(
    granted: KeyAdministration, tmp_path: Path
) -> None:
    granted.tokens.rotate("acme")
    with pytest.raises(ConfigurationError, match=r"version 2 of 'acme' is the current one; rotate first"):
        granted.tokens.destroy("acme", 2)
    with pytest.raises(ConfigurationError, match="'acme' has no token version 3; it has 1, 2"):
        granted.tokens.destroy("acme", 3)
    granted.tokens.destroy("acme", 1)
    assert set(tokens(tmp_path / "checkout.json")) == {("customer", 2)}
    assert [line[:3] for line in granted.tokens.versions()] == [("acme", 2, "current")]
    # A version is not given twice.
    assert granted.tokens.rotate("acme") == 3


def test_what_needs_a_token_root_says_how_to_make_one(administer: Administer, tmp_path: Path) -> None:
    administration = administer()
    with pytest.raises(
        ConfigurationError, match=r"no such file; .* --roots, or make one: interceptors keys root acme"
    ):
        administration.tokens.root("acme")
    administration.root("acme")
    calls: list[Callable[[], Any]] = [
        lambda: administration.tokens.rotate("acme"),
        lambda: administration.tokens.destroy("acme", 1),
        lambda: administration.tokens.secret("acme", 1),
        lambda: administration.grant("checkout", "acme", [], tmp_path / "keys.json", tokens=["customer"]),
    ]
    for call in calls:
        with pytest.raises(
            ConfigurationError, match=r"has no token root.* interceptors keys token-root acme"
        ):
            call()
    assert not (tmp_path / "keys.json").exists()
    administration.tokens.root("acme")
    with pytest.raises(ConfigurationError, match=r"has a token root; run: interceptors keys rotate-tokens"):
        administration.tokens.root("acme")


def test_a_token_root_is_independent_of_the_roots_of_envelopes(
    granted: KeyAdministration, tmp_path: Path
) -> None:
    before = tokens(tmp_path / "checkout.json")
    granted.rotate("acme")
    granted.promote("acme")
    granted.destroy("acme", 1)
    assert tokens(tmp_path / "checkout.json") == before


def test_it_gives_the_root_of_a_version(granted: KeyAdministration, tmp_path: Path) -> None:
    root = granted.tokens.secret("acme", 1)
    key = derive_token_key(root, "acme", "customer", 1).key.hex()
    assert tokens(tmp_path / "checkout.json")["customer", 1][1] == key
    with pytest.raises(ConfigurationError, match="'acme' has no token version 2"):
        granted.tokens.secret("acme", 2)


def test_the_listing_has_uses_and_ages(administer: Administer) -> None:
    now = [1000.0]
    administration = administer(lambda: now[0])
    for tenant in ("globex", "acme"):
        administration.root(tenant)
        administration.tokens.root(tenant)
    now[0] = 1500
    administration.tokens.rotate("acme")
    assert administration.tokens.versions() == [
        ("acme", 1, "former", 500),
        ("acme", 2, "current", 0),
        ("globex", 1, "current", 500),
    ]


def test_each_change_is_recorded(granted: KeyAdministration, recorded: Callable[[], Any]) -> None:
    granted.tokens.rotate("acme")
    granted.tokens.destroy("acme", 1)
    assert [(action, details) for action, details in recorded() if action.startswith("keys.tokens")] == [
        ("keys.tokens.root", {"tenant": "acme", "version": 1}),
        ("keys.tokens.rotate", {"tenant": "acme", "version": 2}),
        ("keys.tokens.destroy", {"tenant": "acme", "version": 1}),
    ]


@pytest.mark.parametrize("verb", ["root", "rotate", "destroy"])
def test_what_can_not_be_recorded_is_not_done(
    granted: KeyAdministration, audit: AuditLog, tmp_path: Path, verb: str
) -> None:
    granted.root("globex")
    granted.tokens.rotate("acme")
    audit.path.unlink()
    audit.path.mkdir()
    before = (tmp_path / "roots.json").read_bytes()
    verbs: dict[str, Callable[[], Any]] = {
        "root": lambda: granted.tokens.root("globex"),
        "rotate": lambda: granted.tokens.rotate("acme"),
        "destroy": lambda: granted.tokens.destroy("acme", 1),
    }
    with pytest.raises(AuditError):
        verbs[verb]()
    assert (tmp_path / "roots.json").read_bytes() == before


def test_token_roots_are_wrapped_where_the_file_is(administer: Administer, tmp_path: Path) -> None:
    administration = administer()
    administration.root("acme", "fake:roots")
    administration.tokens.root("acme")
    (stored,) = json.loads((tmp_path / "roots.json").read_text())["token_roots"]
    assert "root" not in stored
    assert administer().tokens.secret("acme", 1).hex() not in (tmp_path / "roots.json").read_text()
