from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import AuditError, ConfigurationError, KeyProviderError
from interceptors.keys import KeyAdministration, Keyring, LocalKeys
from interceptors.keys.derivation import list_keys
from interceptors.keys.key_file import KeyringFile, read_key_file, write_key_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.audit import AuditLog

    Opens = Callable[[Keyring, bytes], str]
    Seal = Callable[..., bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def held(path: Path) -> set[tuple[str, str, int, str]]:
    """Tenant, sender, epoch and use of each key of a key file."""
    return {
        (key.tenant, key.sender, key.epoch, key.use) for key in list_keys(read_key_file(path, KeyringFile))
    }


def keyring(path: Path) -> Keyring:
    return Keyring(LocalKeys(path))


def test_a_grant_gives_the_own_key_and_those_of_the_senders_it_may_read_and_nothing_else(
    administration: KeyAdministration, path: Path
) -> None:
    administration.root("globex")
    administration.grant("checkout", "acme", ["billing", "billing", "search"], path)
    assert held(path) == {
        ("acme", "checkout", 1, "seal"),
        ("acme", "billing", 1, "open"),
        ("acme", "search", 1, "open"),
    }
    assert set(json.loads(path.read_text())) == {"version", "service", "keys", "tokens"}


def test_who_may_read_a_sender_opens_what_it_sealed_and_who_may_not_does_not(
    administration: KeyAdministration, tmp_path: Path, seal: Seal, opens: Opens
) -> None:
    files = [tmp_path / f"{name}.json" for name in ("checkout", "reader", "stranger")]
    administration.grant("checkout", "acme", [], files[0])
    administration.grant("reader", "acme", ["checkout"], files[1])
    administration.grant("stranger", "acme", ["search"], files[2])
    checkout, reader, stranger = map(keyring, files)
    envelope = seal(checkout)
    assert opens(reader, envelope) == "checkout"
    assert opens(stranger, envelope) == "unknown key"
    assert opens(checkout, seal(reader)) == "unknown key"
    assert administration.files() == sorted(files)


def test_it_knows_the_file_of_a_service_and_the_files_of_a_tenant(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.root("globex")
    other = tmp_path / "other.json"
    administration.grant("checkout", "acme", [], path)
    administration.grant("billing", "globex", [], other)
    assert (administration.file_of("checkout"), administration.file_of("search")) == (path, None)
    assert administration.files("globex") == [other]
    assert administration.files() == [path, other]


def test_a_service_may_read_itself_and_still_seal(administration: KeyAdministration, path: Path) -> None:
    administration.grant("checkout", "acme", ["checkout"], path)
    assert held(path) == {("acme", "checkout", 1, "seal")}


def test_a_grant_replaces_the_one_before(administration: KeyAdministration, path: Path) -> None:
    administration.grant("checkout", "acme", ["billing"], path)
    administration.grant("checkout", "acme", ["search"], path)
    assert held(path) == {("acme", "checkout", 1, "seal"), ("acme", "search", 1, "open")}


def test_grants_for_several_tenants_share_a_file_even_when_it_moves(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.root("globex")
    administration.grant("checkout", "acme", [], path)
    elsewhere = tmp_path / "elsewhere" / "keys.json"
    administration.grant("checkout", "globex", ["billing"], elsewhere)
    assert held(elsewhere) == {
        ("acme", "checkout", 1, "seal"),
        ("globex", "checkout", 1, "seal"),
        ("globex", "billing", 1, "open"),
    }
    assert administration.files() == [elsewhere]


def test_a_file_of_another_service_is_refused(administration: KeyAdministration, path: Path) -> None:
    administration.grant("checkout", "acme", [], path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="holds the keys of 'checkout'; give each service"):
        administration.grant("billing", "acme", [], path)
    assert path.read_bytes() == before


def test_a_grant_does_not_overwrite_the_roots(administration: KeyAdministration, tmp_path: Path) -> None:
    roots = tmp_path / "roots.json"
    before = roots.read_bytes()
    with pytest.raises(ConfigurationError, match="holds the roots"):
        administration.grant("checkout", "acme", [], tmp_path / "folder" / ".." / "roots.json")
    assert roots.read_bytes() == before


@pytest.mark.parametrize("name", ["", "x" * 256, "\ud800"])
def test_a_name_that_no_key_can_have_is_refused(
    administration: KeyAdministration, path: Path, name: str
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"root: tenant: (empty|too long|not text); give another name"
    ):
        administration.root(name)
    with pytest.raises(
        ConfigurationError, match=r"grant: service: (empty|too long|not text); give another name"
    ):
        administration.grant(name, "acme", [], path)
    with pytest.raises(
        ConfigurationError, match=r"grant: reads\.0: (empty|too long|not text); give another name"
    ):
        administration.grant("checkout", "acme", [name], path)
    assert not path.exists()


def test_what_needs_a_root_says_how_to_make_one(administration: KeyAdministration, path: Path) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: administration.grant("checkout", "globex", [], path),
        lambda: administration.rotate("globex"),
        lambda: administration.promote("globex"),
        lambda: administration.destroy("globex", 1),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=r"'globex' has no root.* interceptors keys root globex"):
            call()


def test_a_second_root_is_refused(administration: KeyAdministration) -> None:
    with pytest.raises(ConfigurationError, match=r"'acme' has a root; run: interceptors keys rotate acme"):
        administration.root("acme")


def test_the_life_of_an_epoch(
    administration: KeyAdministration, path: Path, tmp_path: Path, seal: Seal, opens: Opens
) -> None:
    reader_path = tmp_path / "reader.json"
    administration.grant("checkout", "acme", [], path)
    administration.grant("reader", "acme", ["checkout"], reader_path)
    first = seal(keyring(path))

    assert administration.rotate("acme") == 2
    # A service that has not got its new file yet still opens what is sealed now: the old epoch seals.
    behind = keyring(reader_path)
    rotated = seal(keyring(path))
    assert rotated[2:18] == first[2:18]

    assert administration.promote("acme") == 2
    promoted = seal(keyring(path))
    assert promoted[2:18] != first[2:18]
    for envelope in (first, rotated, promoted):
        assert opens(behind, envelope) == "checkout"
        assert opens(keyring(reader_path), envelope) == "checkout"

    administration.destroy("acme", 1)
    reader = keyring(reader_path)
    assert [opens(reader, envelope) for envelope in (first, rotated, promoted)] == [
        "unknown key",
        "unknown key",
        "checkout",
    ]
    assert opens(reader, seal(keyring(path))) == "checkout"
    assert administration.roots() == [("acme", 2, "seal")]


def test_rotation_touches_no_other_tenant(administration: KeyAdministration, path: Path) -> None:
    administration.root("globex")
    administration.grant("checkout", "acme", [], path)
    administration.grant("checkout", "globex", [], path)
    administration.rotate("acme")
    administration.promote("acme")
    assert administration.roots() == [("acme", 1, "open"), ("acme", 2, "seal"), ("globex", 1, "seal")]
    assert held(path) == {
        ("acme", "checkout", 1, "open"),
        ("acme", "checkout", 2, "seal"),
        ("globex", "checkout", 1, "seal"),
    }


def test_an_epoch_that_waits_for_promotion_is_not_rotated(administration: KeyAdministration) -> None:
    administration.rotate("acme")
    with pytest.raises(ConfigurationError, match=r"epoch 2 of 'acme' opens only; promote it first"):
        administration.rotate("acme")


def test_an_epoch_that_seals_is_not_destroyed(administration: KeyAdministration) -> None:
    with pytest.raises(ConfigurationError, match=r"epoch 1 of 'acme' seals; rotate and promote another"):
        administration.destroy("acme", 1)


def test_an_epoch_that_is_not_there_is_not_destroyed(administration: KeyAdministration) -> None:
    administration.rotate("acme")
    with pytest.raises(ConfigurationError, match="'acme' has no epoch 3; it has 1, 2"):
        administration.destroy("acme", 3)


def test_a_revoked_key_neither_opens_nor_seals(
    administration: KeyAdministration, path: Path, tmp_path: Path, seal: Seal, opens: Opens
) -> None:
    reader_path = tmp_path / "reader.json"
    administration.grant("checkout", "acme", [], path)
    administration.grant("reader", "acme", ["checkout"], reader_path)
    envelope = seal(keyring(path))
    administration.revoke(envelope[2:18].hex().upper())
    assert opens(keyring(reader_path), envelope) == "revoked key"
    assert keyring(path).sealer("acme", 1) is None
    listing = administration.keys()
    assert [line.use for line in listing if line.sender == "checkout"] == ["revoked", "revoked"]
    # The way out: an epoch of its own.
    administration.rotate("acme")
    administration.promote("acme")
    assert opens(keyring(reader_path), seal(keyring(path))) == "checkout"
    assert opens(keyring(reader_path), envelope) == "revoked key"


def test_a_kid_that_no_grant_has_is_not_revoked(administration: KeyAdministration) -> None:
    with pytest.raises(ConfigurationError, match=r"no grant has a key with the kid '00'.*keys list"):
        administration.revoke("00")


def test_the_listing_says_who_holds_what_and_shows_no_key_material(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.grant("checkout", "acme", ["billing"], path)
    administration.grant("search", "acme", ["billing"], tmp_path / "search.json")
    listing = administration.keys()
    assert sorted((line.held_by, line.sender, line.use) for line in listing) == [
        ("checkout", "billing", "open"),
        ("checkout", "checkout", "seal"),
        ("search", "billing", "open"),
        ("search", "search", "seal"),
    ]
    secrets = {key["sender_key"] for key in json.loads(path.read_text())["keys"]}
    secrets |= {root["root"] for root in json.loads((tmp_path / "roots.json").read_text())["roots"]}
    shown = repr((listing, administration.roots(), administration))
    assert not [secret for secret in secrets if secret in shown]


def test_the_next_administration_goes_on_where_the_last_one_stopped(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.grant("checkout", "acme", [], path)
    administration.revoke(administration.keys()[0].kid)
    again = KeyAdministration(str(tmp_path / "roots.json"))
    assert again.keys() == administration.keys()
    assert again.rotate("acme") == 2


def test_roots_that_others_can_read_are_refused(administration: KeyAdministration, tmp_path: Path) -> None:
    administration.rotate("acme")
    roots = tmp_path / "roots.json"
    roots.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others can read this key file"):
        KeyAdministration(roots)


def test_only_what_waits_is_promoted(administration: KeyAdministration) -> None:
    with pytest.raises(ConfigurationError, match="epoch 1 of 'acme' seals already; add one first"):
        administration.promote("acme")


def test_a_grant_that_can_not_be_written_is_none(administration: KeyAdministration, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be written"):
        administration.grant("checkout", "acme", [], tmp_path / "file" / "checkout.json")
    assert administration.services("acme") == set()
    assert administration.files() == []


class Killed(BaseException):
    """What stands for the end of the process."""


HAND_OUTS: list[Callable[[Any, Path], object]] = [
    lambda administration, path: administration.grant("checkout", "acme", ["billing"], path, signs=True),
    lambda administration, _: administration.rewrap("fake:checkout", "checkout"),
]


@pytest.mark.parametrize("recovery", ["again", "write"])
@pytest.mark.parametrize("written", [1, 2])
@pytest.mark.parametrize("change", HAND_OUTS, ids=["grant", "rewrap"])
def test_whatever_is_between_two_files_no_key_is_out_that_the_roots_do_not_know_of(  # noqa: PLR0917 - fixtures, and three parameters
    administer: Any,
    tmp_path: Path,
    path: Path,
    wrapping: Any,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any, Path], object],
    written: int,
    recovery: str,
) -> None:
    administration = administer()
    administration.root("acme")
    administration.grant("checkout", "acme", [], path)
    files: list[Path] = []

    def killed_after(file: Path, content: Any) -> None:
        if len(files) == written:
            raise Killed
        files.append(file)
        write_key_file(file, content)

    with monkeypatch.context() as patched:
        patched.setattr("interceptors.keys.root_store.write_key_file", killed_after)
        with pytest.raises(Killed):
            change(administer(), path)

    assert files == [tmp_path / "roots.json", path][:written]
    listed: KeyAdministration = administer()
    known = {line.kid for line in listed.keys()}  # noqa: SIM118 - no dictionary
    assert {line.kid for line in list_keys(read_key_file(path, KeyringFile))} <= known
    if recovery == "again":
        change(administer(), path)
    else:
        administer().write()
    recovered = (held(path), LocalKeys(path, wrapping).sealing_key("acme"))
    (grant,) = administer().grants("checkout")
    administer().write()
    change(administer(), path)  # once more changes nothing
    assert (held(path), LocalKeys(path, wrapping).sealing_key("acme")) == recovered
    assert administer().grants("checkout") == [grant]
    assert json.loads((tmp_path / "roots.json").read_text())["unwritten"] == {}
    kids = administer().revoke_service("checkout", reason="for good")
    assert {line.kid for line in list_keys(read_key_file(path, KeyringFile))} == set()
    assert len(kids) == len(recovered[0])


def test_the_roots_may_lie_behind_a_link(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "roots.json").symlink_to("place/roots.json")
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", [], tmp_path / "checkout.json")

    assert (tmp_path / "roots.json").is_symlink()
    other = KeyAdministration(place / "roots.json")
    assert other.roots() == [("acme", 1, "seal")]
    assert [file.resolve() for file in other.files()] == [tmp_path / "checkout.json"]


def test_the_folder_of_the_roots_may_be_a_link(tmp_path: Path) -> None:
    """What `..` leads out of is what the link leads to: a rotation is to reach the file that was granted."""
    (tmp_path / "disk" / "admin").mkdir(parents=True)
    (tmp_path / "services").mkdir()
    (tmp_path / "admin").symlink_to("disk/admin")
    path = tmp_path / "services" / "checkout.json"
    administration = KeyAdministration(tmp_path / "admin" / "roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", [], path)
    administration.grant("search", "acme", [], tmp_path / "admin" / "search.json")

    administration.rotate("acme")

    assert held(path) == {("acme", "checkout", 1, "seal"), ("acme", "checkout", 2, "open")}
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.json")) == [
        "disk/admin/roots.json",
        "disk/admin/search.json",
        "services/checkout.json",
    ]
    assert [grant.file for grant in administration.grants("search")] == ["search.json"]


def test_a_link_to_another_services_key_file_is_none_of_ones_own(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.grant("checkout", "acme", [], path)
    (tmp_path / "search.json").symlink_to(path.name)
    with pytest.raises(ConfigurationError, match=r"search\.json: holds the keys of 'checkout'"):
        administration.grant("search", "acme", [], tmp_path / "search.json")
    assert {sender for _, sender, *_ in held(path)} == {"checkout"}


def test_a_key_file_that_could_not_be_emptied_is_named_where_its_service_gets_another(
    administration: KeyAdministration, tmp_path: Path
) -> None:
    path = tmp_path / "gone" / "checkout.json"
    administration.grant("checkout", "acme", [], path)
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.write_text("no folder any more")
    with pytest.raises(ConfigurationError, match="can't be written"):
        administration.withdraw("checkout")
    assert administration.grant("checkout", "acme", [], tmp_path / "new.json") == path


def revoke_any(administration: KeyAdministration) -> None:
    administration.revoke(administration.keys()[0].kid)


LIFE: list[Callable[[KeyAdministration], object]] = [
    lambda administration: administration.rotate("acme"),
    lambda administration: administration.promote("acme"),
    lambda administration: administration.destroy("acme", 1),
    revoke_any,
]


@pytest.mark.parametrize("broken", ["billing", "checkout", "search"])
@pytest.mark.parametrize("done", range(len(LIFE)), ids=["rotate", "promote", "destroy", "revoke"])
def test_a_file_that_can_not_be_written_costs_no_other_service_the_change_and_is_written_later(
    administration: KeyAdministration, tmp_path: Path, done: int, broken: str
) -> None:
    files = {name: tmp_path / name / "keys.json" for name in ("billing", "checkout", "search")}
    for name, file in files.items():
        administration.grant(name, "acme", list(files), file)
    for change in LIFE[:done]:
        change(administration)
    before = {name: held(file) for name, file in files.items()}
    folder = files[broken].parent
    folder.rename(tmp_path / "away")
    folder.touch()

    with pytest.raises(ConfigurationError, match=r"can't be written .*interceptors keys write") as raised:
        LIFE[done](administration)

    assert [name for name, file in files.items() if str(file) in str(raised.value)] == [broken]
    assert [name for name, file in files.items() if name != broken and held(file) == before[name]] == []

    folder.unlink()
    administration.write()
    listing = administration.keys()
    assert {(name, *key) for name, file in files.items() for key in held(file)} == {
        (line.held_by, line.tenant, line.sender, line.epoch, line.use) for line in listing
    }


def test_a_folder_that_can_not_be_opened_is_named(
    administration: KeyAdministration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"roots\.json: can't be read \(Permission denied\)"):
        administration.root("globex")


def test_administrations_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    roots = tmp_path / "roots.json"
    KeyAdministration(roots).root("acme")
    names = [f"service-{number}" for number in range(8)]

    def grant(name: str) -> None:
        KeyAdministration(roots).grant(name, "acme", [], tmp_path / f"{name}.json")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(grant, names))
    assert KeyAdministration(roots).services("acme") == set(names)


def test_the_first_change_makes_the_folder(tmp_path: Path) -> None:
    administration = KeyAdministration(tmp_path / "new" / "roots.json")
    administration.root("acme")
    assert KeyAdministration(tmp_path / "new" / "roots.json").roots() == [("acme", 1, "seal")]


# --- when a key was made ------------------------------------------------------------------------------------


def created(path: Path) -> dict[tuple[str, int], int | None]:
    """When the keys of a key file were made, by sender and epoch."""
    return {(key.sender, key.epoch): key.created for key in read_key_file(path, KeyringFile).keys}


def test_keys_have_the_time_of_their_root(tmp_path: Path, path: Path) -> None:
    now = [1000.9]
    administration = KeyAdministration(tmp_path / "roots.json", clock=lambda: now[0])
    administration.root("acme")
    now[0] = 2000
    administration.grant("checkout", "acme", ["billing"], path)
    assert created(path) == {("checkout", 1): 1000, ("billing", 1): 1000}
    now[0] = 3000
    administration.rotate("acme")
    now[0] = 4000
    administration.promote("acme")
    administration.write()
    times = {("checkout", 1): 1000, ("billing", 1): 1000, ("checkout", 2): 3000, ("billing", 2): 3000}
    assert created(path) == times
    # Read from the file, and written anew by another administration.
    KeyAdministration(tmp_path / "roots.json").revoke(list_keys(read_key_file(path, KeyringFile))[0].kid)
    assert created(path) == times
    sealer = keyring(path).sealer("acme", 0)
    assert sealer is not None
    assert sealer.key.created == 3000


def test_keys_of_a_root_from_before_it_was_noted_have_no_time(
    administration: KeyAdministration, tmp_path: Path, path: Path
) -> None:
    roots = tmp_path / "roots.json"
    old = json.loads(roots.read_text())
    del old["roots"][0]["created"]
    roots.write_text(json.dumps(old))
    administration = KeyAdministration(roots, clock=lambda: 3000)
    administration.grant("checkout", "acme", [], path)
    assert created(path) == {("checkout", 1): None}
    administration.rotate("acme")
    assert created(path) == {("checkout", 1): None, ("checkout", 2): 3000}


# --- grants of tokens and signatures, and their end ---------------------------------------------------------


def test_a_grant_names_domains_and_whether_the_service_signs(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.tokens.root("acme")
    administration.grant("checkout", "acme", [], path, tokens=["customer", "customer"], signs=True)
    administration.grant("billing", "acme", ["checkout"], tmp_path / "billing.json")
    own = LocalKeys(path).sealing_key("acme")
    assert own.signing is not None
    assert set(own.tokens) == {"customer"}
    assert LocalKeys(tmp_path / "billing.json").sealing_key("acme").signing is None
    read = LocalKeys(tmp_path / "billing.json").opening_key(own.kid)
    assert (read.signing, read.verification) == (None, own.signing.public)
    # A grant replaces the one before.
    administration.grant("checkout", "acme", [], path)
    assert (LocalKeys(path).sealing_key("acme").signing, read_key_file(path, KeyringFile).tokens) == (
        None,
        (),
    )


def test_a_name_that_looks_like_a_spiffe_id_and_is_none_is_granted_nothing(
    administration: KeyAdministration, path: Path
) -> None:
    for service, reads in (("spiffe://Example.com/a", []), ("checkout", ["spiffe://example.com/"])):
        with pytest.raises(ConfigurationError, match="SPIFFE ID"):
            administration.grant(service, "acme", reads, path)
    assert not path.exists()


def test_a_withdrawn_service_has_nothing_and_the_others_keep_theirs(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.root("globex")
    for tenant in ("acme", "globex"):
        administration.grant("checkout", tenant, [], path)
    administration.grant("billing", "acme", ["checkout"], tmp_path / "billing.json")
    assert administration.withdraw("checkout", "acme") == path
    assert held(path) == {("globex", "checkout", 1, "seal")}
    administration.withdraw("checkout")
    assert held(path) == set()
    assert administration.services("acme") == {"billing"}
    assert len(held(tmp_path / "billing.json")) == 2
    for gone in (None, "acme"):
        with pytest.raises(ConfigurationError, match="'checkout' has no such grant"):
            administration.withdraw("checkout", gone)


def test_after_a_revocation_a_new_epoch_seals_at_once_past_one_that_waits(
    administration: KeyAdministration, path: Path
) -> None:
    administration.grant("checkout", "acme", [], path)
    administration.rotate("acme")
    assert administration.rotate("acme", now=True) == 3
    assert administration.roots() == [("acme", 1, "open"), ("acme", 2, "open"), ("acme", 3, "seal")]
    assert held(path) == {
        ("acme", "checkout", epoch, "seal" if epoch == 3 else "open") for epoch in (1, 2, 3)
    }
    assert administration.rotate("acme", now=True) == 4


def test_what_a_service_could_read_once_is_remembered(administration: KeyAdministration, path: Path) -> None:
    administration.root("globex")
    for reads in (["a", "b"], ["b", "c"], ["c"], ["a"]):
        administration.grant("checkout", "acme", reads, path)
    administration.grant("checkout", "globex", ["d"], path)
    grants = {grant.tenant: grant for grant in administration.grants("checkout")}
    assert (grants["acme"].reads, set(grants["acme"].read_before)) == (("a",), {"b", "c"})
    assert grants["globex"].read_before == ()


# --- wrapped at rest ----------------------------------------------------------------------------------------


def secrets_in(path: Path) -> list[str]:
    """All 32-byte values in a file."""
    verify = {key.get("verify_key") for key in json.loads(path.read_text()).get("keys", ())}
    return [text for text in re.findall(r"[0-9a-f]{64}", path.read_text()) if text not in verify]


def test_roots_and_keys_may_be_wrapped_from_the_beginning(
    administer: Any, tmp_path: Path, path: Path, wrapping: Any
) -> None:
    administration = administer()
    administration.root("acme", "fake:roots")
    administration.root("globex")
    with pytest.raises(ConfigurationError, match="are wrapped by fake:roots; run: interceptors keys rewrap"):
        administration.root("initech", "fake:other")
    administration.tokens.root("acme")
    administration.grant("checkout", "acme", [], path, tokens=["a"], signs=True, wrapping="fake:checkout")
    administration.grant("checkout", "globex", [], path)  # the file has one wrapping
    administration.rotate("acme")
    administration.promote("acme")
    assert secrets_in(tmp_path / "roots.json") == secrets_in(path) == []
    key = LocalKeys(path, wrapping).sealing_key("acme")
    assert key.signing is not None
    assert set(key.tokens) == {"a"}
    assert LocalKeys(path, wrapping).sealing_key("globex").tenant == "globex"
    administer().revoke(key.kid.hex())
    assert LocalKeys(path, wrapping).revoked() == {key.kid}


def test_a_file_is_moved_to_a_wrapping_key_and_to_another_one(
    administer: Any, tmp_path: Path, path: Path, wrapping: Any
) -> None:
    administration = administer()
    administration.root("acme")
    administration.tokens.root("acme")
    administration.grant("checkout", "acme", [], path, tokens=["a"])
    before = LocalKeys(path).sealing_key("acme")
    for uri in ("fake:first", "fake:second"):
        administer().rewrap(uri)
        administer().rewrap(uri, "checkout")
        assert secrets_in(tmp_path / "roots.json") == secrets_in(path) == []
        assert json.loads((tmp_path / "roots.json").read_text())["wrapping"] == uri
        after = LocalKeys(path, wrapping).sealing_key("acme")
        assert (after, after.tokens) == (before, before.tokens)
        administer().write()
        assert LocalKeys(path, wrapping).sealing_key("acme") == before
    with pytest.raises(ConfigurationError, match="'billing' has no grant"):
        administer().rewrap("fake:third", "billing")


def test_while_the_wrapping_key_is_away_nothing_changes(
    administer: Any, tmp_path: Path, path: Path, wrapping: Any
) -> None:
    administration = administer()
    administration.root("acme", "fake:roots")
    administration.grant("checkout", "acme", [], path)
    before = ((tmp_path / "roots.json").read_bytes(), path.read_bytes())
    wrapping.away = True
    calls: list[Callable[[], object]] = [
        lambda: administer().rotate("acme"),
        lambda: administer().rewrap("fake:other"),
        lambda: administer().rewrap("fake:other", "checkout"),
        lambda: administer().grant("checkout", "acme", ["billing"], path),
    ]
    for call in calls:
        with pytest.raises(KeyProviderError):
            call()
    assert ((tmp_path / "roots.json").read_bytes(), path.read_bytes()) == before


# --- the audit log ------------------------------------------------------------------------------------------


def changes(administration: KeyAdministration, path: Path) -> list[tuple[str, Callable[[], object]]]:
    """Each change, with the action that it is recorded as."""
    return [
        ("keys.root", lambda: administration.root("initech")),
        ("keys.grant", lambda: administration.grant("checkout", "acme", ["billing"], path)),
        ("keys.rotate", lambda: administration.rotate("acme")),
        ("keys.promote", lambda: administration.promote("acme")),
        ("keys.destroy", lambda: administration.destroy("acme", 1)),
        ("keys.revoke", lambda: administration.revoke(administration.keys()[0].kid)),
        ("keys.write", administration.write),
        ("keys.rewrap", lambda: administration.rewrap("fake:roots")),
        ("keys.rewrap", lambda: administration.rewrap("fake:checkout", "checkout")),
        ("keys.withdraw", lambda: administration.withdraw("checkout")),
    ]


def test_each_change_is_recorded_and_no_record_holds_a_key(
    administer: Any, tmp_path: Path, path: Path, recorded: Callable[[], Any], audit: AuditLog
) -> None:
    administration = administer()
    administration.root("acme")
    administration.grant("checkout", "acme", [], path, signs=True)
    secrets: set[str] = set()
    for action, change in changes(administration, path):
        before = len(recorded())
        secrets.update(secrets_in(tmp_path / "roots.json"), secrets_in(path))
        change()
        secrets.update(secrets_in(tmp_path / "roots.json"), secrets_in(path))
        assert [found for found, _ in recorded()[before:]] == [action]
    how = {"signs": False, "reads": ["billing"], "tokens": [], "wrapping": "none"}
    whose = {"service": "checkout", "tenant": "acme"} | how
    assert ("keys.grant", whose) in recorded()
    assert ("keys.destroy", {"tenant": "acme", "epoch": 1}) in recorded()
    assert ("keys.withdraw", {"service": "checkout", "tenants": ["acme"]}) in recorded()
    assert len(secrets) == 8
    text = audit.path.read_text()
    assert [secret for secret in secrets if secret in text] == []


def test_what_can_not_be_recorded_is_not_done(
    administer: Any, tmp_path: Path, path: Path, audit: AuditLog
) -> None:
    administration = administer()
    administration.root("acme")
    administration.grant("checkout", "acme", [], path)
    roots = tmp_path / "roots.json"
    for number, (action, change) in enumerate(changes(administration, path)):
        log = audit.path.read_bytes()
        before = (roots.read_bytes(), path.read_bytes())
        audit.path.unlink()
        audit.path.mkdir()
        with pytest.raises(AuditError):
            change()
        assert (roots.read_bytes(), path.read_bytes()) == before, (number, action)
        audit.path.rmdir()
        audit.path.write_bytes(log)
        change()


def test_a_change_that_failed_is_on_record_as_that(
    administer: Any, tmp_path: Path, recorded: Callable[[], Any]
) -> None:
    administration = administer()
    administration.root("acme")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be written"):
        administration.grant("checkout", "acme", [], tmp_path / "file" / "keys.json")
    assert recorded()[-1] == ("keys.grant", {"record": 1, "error": "ConfigurationError"})


def test_without_a_token_root_no_domain_is_granted(administration: KeyAdministration, path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make one: interceptors keys token-root acme"):
        administration.grant("checkout", "acme", [], path, tokens=["customer"])
    assert not path.exists()


def test_a_sender_or_all_that_a_service_held_is_revoked(
    administration: KeyAdministration, path: Path, tmp_path: Path
) -> None:
    administration.grant("checkout", "acme", [], path)
    administration.grant("billing", "acme", ["checkout"], tmp_path / "billing.json")
    listing = administration.keys()
    kids = {line.sender: line.kid for line in listing}
    assert administration.revoke_sender("checkout", "acme", reason="a test") == [kids["checkout"]]
    assert LocalKeys(path).revoked() == {bytes.fromhex(kids["checkout"])}
    assert set(administration.revoke_service("billing", reason="a test")) == set(kids.values())
    assert administration.services("acme") == {"checkout"}


def test_roots_have_an_age_where_it_is_known_when_they_were_made(tmp_path: Path) -> None:
    now = [1000]
    administration = KeyAdministration(tmp_path / "roots.json", clock=lambda: now[0])
    administration.root("acme")
    now[0] = 5000
    administration.rotate("acme")
    assert administration.ages() == {("acme", 1): 4000, ("acme", 2): 0}
