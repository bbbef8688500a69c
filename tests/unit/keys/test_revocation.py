from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import AuditError, ConfigurationError
from interceptors.keys import Keyring, LocalKeys
from interceptors.keys import revocation as module
from interceptors.keys.key_file import KeyringFile, read_key_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.audit import AuditLog
    from interceptors.keys import KeyAdministration

    Administer = Callable[..., KeyAdministration]
    Opens = Callable[[Keyring, bytes], str]
    Seal = Callable[..., bytes]

SERVICES = {"checkout": [], "billing": ["checkout"], "audit": ["checkout", "billing"]}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {service: tmp_path / f"{service}.json" for service in SERVICES}


@pytest.fixture
def granted(administer: Administer, files: dict[str, Path]) -> KeyAdministration:
    """Two tenants, two epochs of `acme`, and three services that read one another."""
    administration = administer()
    for tenant in ("acme", "globex"):
        administration.root(tenant)
        for service, reads in SERVICES.items():
            administration.grant(service, tenant, reads, files[service])
    administration.rotate("acme")
    return administration


def revoked(file: Path) -> set[tuple[str, str, int]]:
    """Tenant, sender and epoch of what is revoked in a key file."""
    keys = read_key_file(file, KeyringFile).keys
    return {(key.tenant, key.sender, key.epoch) for key in keys if key.revoked}


def test_a_sender_s_keys_of_all_epochs_are_revoked_for_the_tenant_alone(
    granted: KeyAdministration, files: dict[str, Path], seal: Seal, opens: Opens
) -> None:
    before = seal(Keyring(LocalKeys(files["checkout"])))
    elsewhere = seal(Keyring(LocalKeys(files["checkout"])), "globex")
    kids = granted.revoke_sender("checkout", "acme", reason="its disk was stolen")
    assert len(kids) == 2
    for file in files.values():
        assert revoked(file) == {("acme", "checkout", 1), ("acme", "checkout", 2)}
    reader = Keyring(LocalKeys(files["billing"]))
    assert (opens(reader, before), opens(reader, elsewhere)) == ("revoked key", "checkout")
    # The epoch that waited is revoked, too: a promotion does not help, one of its own does.
    granted.promote("acme")
    assert Keyring(LocalKeys(files["checkout"])).sealer("acme", 1) is None
    granted.rotate("acme", now=True)
    after = seal(Keyring(LocalKeys(files["checkout"])))
    assert opens(Keyring(LocalKeys(files["billing"])), after) == "checkout"


def test_all_that_a_service_has_held_is_revoked_and_its_grants_end(
    granted: KeyAdministration, files: dict[str, Path], seal: Seal, opens: Opens
) -> None:
    granted.grant("billing", "acme", ["audit"], files["billing"])  # `checkout` is what it could read before
    kids = granted.revoke_service("billing", reason="a shell was found on it")
    assert len(kids) == len(set(kids)) == 2 * 3 + 2
    everything = {("acme", sender, epoch) for sender in SERVICES for epoch in (1, 2)}
    held = everything | {("globex", "billing", 1), ("globex", "checkout", 1)}
    assert revoked(files["audit"]) == held
    assert read_key_file(files["billing"], KeyringFile).keys == ()
    assert granted.grants("billing") == []
    # A new epoch gives it nothing, and the others all that they need.
    granted.rotate("acme", now=True)
    assert read_key_file(files["billing"], KeyringFile).keys == ()
    sealed = seal(Keyring(LocalKeys(files["checkout"])))
    assert opens(Keyring(LocalKeys(files["audit"])), sealed) == "checkout"
    assert opens(Keyring(LocalKeys(files["billing"])), sealed) == "unknown key"


def test_what_a_service_held_whose_grants_were_withdrawn_is_revoked_as_well(
    granted: KeyAdministration, files: dict[str, Path], seal: Seal, opens: Opens
) -> None:
    granted.withdraw("billing")
    granted.rotate("acme", now=True)  # of which it never had a key
    assert len(granted.revoke_service("billing", reason="it was copied before")) == 2 * 2 + 2
    assert revoked(files["audit"]) == {
        (tenant, sender, epoch)
        for sender in ("billing", "checkout")
        for tenant, epoch in (("acme", 1), ("acme", 2), ("globex", 1))
    }
    sealed = seal(Keyring(LocalKeys(files["checkout"])))
    assert opens(Keyring(LocalKeys(files["audit"])), sealed) == "checkout"
    with pytest.raises(ConfigurationError, match="had none that is not revoked"):
        granted.revoke_service("billing", reason="once more")


def test_a_new_grant_forgets_nothing_of_one_that_was_withdrawn(
    granted: KeyAdministration, files: dict[str, Path]
) -> None:
    granted.withdraw("audit", "acme")
    granted.grant("audit", "acme", [], files["audit"])
    granted.revoke_service("audit", reason="a test")
    assert {key[1] for key in revoked(files["checkout"])} == {"checkout"}
    assert {key[1] for key in revoked(files["billing"])} == {"billing", "checkout"}


def test_one_key_is_recorded_with_whose_it_was(
    granted: KeyAdministration, recorded: Callable[[], Any]
) -> None:
    listing = granted.keys()
    line = next(line for line in listing if line[:3] == ("acme", "billing", 2))
    granted.revoke(line.kid.upper(), reason="a test")
    details = {"kids": [line.kid], "tenant": "acme", "sender": "billing", "reason": "a test"}
    assert recorded()[-1] == ("keys.revoke", details)
    granted.revoke(line.kid)
    assert recorded()[-1] == ("keys.revoke", details | {"reason": ""})


def test_who_and_why_are_recorded(granted: KeyAdministration, recorded: Callable[[], Any]) -> None:
    kids = granted.revoke_sender("checkout", "globex", reason="a lost laptop")
    whose = {"tenant": "globex", "sender": "checkout"}
    assert recorded()[-1] == ("keys.revoke", {"kids": kids, "reason": "a lost laptop", **whose})
    kids = granted.revoke_service("audit", reason="a lost laptop")
    assert recorded()[-1] == ("keys.revoke", {"kids": kids, "reason": "a lost laptop", "service": "audit"})


def test_many_keys_take_several_records(
    granted: KeyAdministration, recorded: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KIDS_A_RECORD", 3)
    before = len(recorded())
    kids = granted.revoke_service("audit", reason="a test")
    records = recorded()[before:]
    assert [len(details["kids"]) for _, details in records] == [3, 3, 3]
    assert [kid for _, details in records for kid in details["kids"]] == kids


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_no_sender_and_no_service_is_revoked(
    granted: KeyAdministration, files: dict[str, Path], reason: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: granted.revoke_sender("checkout", "acme", reason=reason),
        lambda: granted.revoke_service("checkout", reason=reason),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="for a reason; give it"):
            call()
    assert revoked(files["audit"]) == set()


def test_what_nobody_was_granted_is_not_revoked(granted: KeyAdministration) -> None:
    with pytest.raises(ConfigurationError, match=r"no grant has a key of 'chekout' for 'acme'; see"):
        granted.revoke_sender("chekout", "acme", reason="a test")
    with pytest.raises(ConfigurationError, match=r"no grant has a key of 'checkout' for 'initech'; see"):
        granted.revoke_sender("checkout", "initech", reason="a test")
    with pytest.raises(ConfigurationError, match=r"'chekout' has no grant, and had none"):
        granted.revoke_service("chekout", reason="a test")
    with pytest.raises(ConfigurationError, match=r"no grant has a key with the kid 'ff'"):
        granted.revoke("ff")


def test_a_file_that_can_not_be_written_keeps_the_revocation_from_no_other(
    granted: KeyAdministration, files: dict[str, Path]
) -> None:
    files["audit"].unlink()
    files["audit"].mkdir()
    with pytest.raises(ConfigurationError, match=r"audit\.json: can't be written"):
        granted.revoke_sender("checkout", "acme", reason="a test")
    assert (
        revoked(files["billing"])
        == revoked(files["checkout"])
        == {
            ("acme", "checkout", 1),
            ("acme", "checkout", 2),
        }
    )


def test_what_can_not_be_recorded_is_not_revoked(
    granted: KeyAdministration, audit: AuditLog, files: dict[str, Path]
) -> None:
    audit.path.unlink()
    audit.path.mkdir()
    with pytest.raises(AuditError):
        granted.revoke_service("billing", reason="a test")
    assert revoked(files["audit"]) == set()
    assert len(granted.grants("billing")) == 2
