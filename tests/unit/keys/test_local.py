from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError
from interceptors.keys import LocalKeys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Entry = Callable[..., dict[str, Any]]
    KeyFile = Callable[..., Path]

OTHER = "22" * 32
UNKNOWN = bytes(16)


def kid_of(keys: LocalKeys, tenant: str = "acme") -> bytes:
    return keys.sealing_key(tenant).kid


def test_it_gives_the_services_own_key_and_those_it_may_read(key_file: KeyFile, entry: Entry) -> None:
    keys = LocalKeys(key_file(entry(), entry(sender="billing", sender_key=OTHER, use="open")))
    own = keys.sealing_key("acme")
    assert (keys.service, own.tenant, own.sender, own.key.hex()) == (
        "checkout",
        "acme",
        "checkout",
        "11" * 32,
    )
    assert keys.opening_key(own.kid) == own
    other = LocalKeys(key_file(entry(sender="billing", sender_key=OTHER), service="billing")).sealing_key(
        "acme"
    )
    assert keys.opening_key(other.kid) == other
    assert not keys.revoked()


def test_a_file_may_hold_several_tenants(key_file: KeyFile, entry: Entry) -> None:
    keys = LocalKeys(key_file(entry(), entry(tenant="globex", sender_key=OTHER)))
    assert keys.sealing_key("acme").key != keys.sealing_key("globex").key


@pytest.mark.parametrize("change", [{"use": "open"}, {"tenant": "globex"}, {"revoked": True}])
def test_without_a_sealing_key_it_says_how_to_get_one(
    key_file: KeyFile, entry: Entry, change: dict[str, Any]
) -> None:
    keys = LocalKeys(key_file(entry(**change)))
    with pytest.raises(KeyProviderError, match="interceptors keys grant checkout --tenant acme") as raised:
        keys.sealing_key("acme")
    assert raised.value.problem is KeyProblem.UNKNOWN


def test_an_unknown_kid_is_unknown(key_file: KeyFile, entry: Entry) -> None:
    with pytest.raises(KeyProviderError, match=r"no key with the kid 0{32}") as raised:
        LocalKeys(key_file(entry())).opening_key(UNKNOWN)
    assert raised.value.problem is KeyProblem.UNKNOWN


def test_a_revoked_key_is_told_and_does_not_seal(key_file: KeyFile, entry: Entry) -> None:
    kid = kid_of(LocalKeys(key_file(entry())))
    assert LocalKeys(key_file(entry(revoked=True))).revoked() == {kid}


def test_a_revoked_key_may_stand_beside_the_one_that_seals_now(key_file: KeyFile, entry: Entry) -> None:
    keys = LocalKeys(key_file(entry(), entry(sender_key=OTHER, epoch=2, use="open", revoked=True)))
    assert keys.sealing_key("acme").key.hex() == "11" * 32


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ({"kid": "00" * 16, "use": "open"}, r"keys\.1: the kid 0{32} is not that of its key"),
        ({"sender": "billing"}, r"keys\.1: one key a tenant seals, and it is the service's own"),
        ({"sender_key": OTHER}, r"keys\.1: one key a tenant seals"),
        ({"sender": "billing", "use": "open"}, "two keys have the kid [0-9a-f]{32}; grant the keys anew"),
    ],
    ids=["wrong kid", "another's sealing key", "two sealing keys", "one kid for two"],
)
def test_a_file_that_does_not_hold_is_refused(
    key_file: KeyFile, entry: Entry, second: dict[str, Any], problem: str
) -> None:
    path = key_file(entry(), entry(**second))
    with pytest.raises(ConfigurationError, match=problem):
        LocalKeys(path)


@pytest.mark.parametrize("name", ["missing.json", "a\0b"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"can't be read .*interceptors keys grant"):
        LocalKeys(tmp_path / name)


def test_a_file_that_this_user_must_not_look_at_is_not_to_be_granted_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "stat", refuse)
    with pytest.raises(
        ConfigurationError, match=r"Permission denied\); let this user own it, with mode 0600"
    ):
        LocalKeys(tmp_path / "keys.json")


def test_a_replaced_file_is_read_at_the_next_refresh(key_file: KeyFile, entry: Entry) -> None:
    keys = LocalKeys(key_file(entry()))
    assert not keys.refresh()
    key_file(entry(sender_key=OTHER))
    assert keys.refresh()
    assert keys.sealing_key("acme").key.hex() == OTHER
    assert not keys.refresh()


def test_a_file_changed_in_place_is_read_at_the_next_refresh(key_file: KeyFile, entry: Entry) -> None:
    path = key_file(entry())
    keys = LocalKeys(path)
    before = path.stat()
    path.write_text(path.read_text().replace("11" * 32, OTHER))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert keys.refresh()
    assert keys.sealing_key("acme").key.hex() == OTHER


def test_an_unknown_kid_makes_it_look_again(key_file: KeyFile, entry: Entry) -> None:
    keys = LocalKeys(key_file(entry()))
    new = LocalKeys(key_file(entry(sender_key=OTHER))).sealing_key("acme")
    assert keys.opening_key(new.kid) == new


def test_what_an_unknown_kid_made_it_find_is_told_at_the_next_refresh(
    key_file: KeyFile, entry: Entry
) -> None:
    keys = LocalKeys(key_file(entry()))
    path = key_file(entry(sender_key=OTHER))
    with pytest.raises(KeyProviderError):
        keys.opening_key(UNKNOWN)
    path.write_text("broken since")  # does not keep the change before from being told
    assert keys.refresh()
    with pytest.raises(KeyProviderError):
        keys.refresh()


@pytest.mark.parametrize("mend", ["content", "mode", "presence", "service"])
def test_a_broken_file_keeps_the_last_good_keys_until_it_is_mended(
    key_file: KeyFile, entry: Entry, mend: str
) -> None:
    path = key_file(entry())
    keys = LocalKeys(path)
    good = kid_of(keys)
    if mend == "content":
        path.write_text("{")
    elif mend == "mode":
        path.chmod(0o644)
    elif mend == "presence":
        path.unlink()
    else:
        key_file(entry(sender="billing"), service="billing")
    for _ in range(2):
        with pytest.raises(KeyProviderError, match=r"keys\.json: ") as raised:
            keys.refresh()
        assert raised.value.retryable
        assert kid_of(keys) == good
        assert keys.opening_key(good).kid == good
    key_file(entry(sender_key=OTHER))
    assert keys.refresh()
    assert kid_of(keys) != good


def token_entry(**fields: Any) -> dict[str, Any]:
    return {"tenant": "acme", "domain": "customer", "version": 2, "key": "33" * 32, **fields}


def test_two_services_with_a_domain_s_key_make_the_same_tokens(key_file: KeyFile, entry: Entry) -> None:
    tokens = [token_entry(), token_entry(version=1, key="44" * 32, use="former")]
    checkout = LocalKeys(key_file(entry(), tokens=tokens))
    mine = checkout.tokenizer("acme", "customer").tokens("7")
    assert checkout.sealing_key("acme").tokens["customer"].digest(b"7") == mine.current.value
    billing = LocalKeys(key_file(entry(sender="billing"), service="billing", tokens=tokens))

    assert billing.tokenizer("acme", "customer").tokens("7") == mine
    assert [token.version for token in (mine.current, *mine.former)] == [2, 1]
    assert billing.tokenizer("acme", "customer", class_="personal.email").class_ == "personal.email"


@pytest.mark.parametrize(("tenant", "domain"), [("acme", "employee"), ("globex", "customer")])
def test_without_a_token_key_there_is_no_tokenizer(
    key_file: KeyFile, entry: Entry, tenant: str, domain: str
) -> None:
    keys = LocalKeys(key_file(entry(), tokens=[token_entry()]))
    with pytest.raises(KeyProviderError, match=rf"grant checkout --tenant {tenant} --tokens {domain}"):
        keys.tokenizer(tenant, domain)
    assert domain not in keys.sealing_key("acme").tokens or tenant != "acme"


def test_keys_that_are_asked_for_are_those_of_the_file_as_it_is_by_now(
    key_file: KeyFile, entry: Entry
) -> None:
    """Nobody may have refreshed since it was made: a service that has been idle has no thread for that."""
    keys = LocalKeys(key_file(entry()))
    kid = kid_of(keys)
    key_file(entry(revoked=True))
    with pytest.raises(KeyProviderError, match="no sealing key"):
        keys.sealing_key("acme")
    assert keys.revoked() == {kid}
    key_file(entry(sender_key=OTHER))
    with pytest.raises(KeyProviderError, match="no key with the kid"):
        keys.opening_key(kid)


def test_of_a_file_that_is_broken_by_now_only_what_was_held_is_given(key_file: KeyFile, entry: Entry) -> None:
    path = key_file(entry())
    keys = LocalKeys(path)
    path.write_text("{")
    assert keys.opening_key(kid_of(keys)).sender == "checkout"
    with pytest.raises(KeyProviderError) as raised:
        keys.opening_key(UNKNOWN)
    assert raised.value.retryable


# --- wrapped keys -------------------------------------------------------------------------------------------


@pytest.fixture
def wrapped(administer: Any, tmp_path: Path) -> Path:
    """The key file of `checkout`, wrapped, with a token key; it may read `billing`."""
    administration = administer()
    administration.root("acme")
    administration.tokens.root("acme")
    path = tmp_path / "wrapped.json"
    administration.grant("checkout", "acme", ["billing"], path, tokens=["customer"], wrapping="fake:checkout")
    return path


def test_a_wrapped_key_is_unwrapped_when_it_is_asked_for_and_not_before(wrapped: Path, wrapping: Any) -> None:
    wrapping.away = True
    keys = LocalKeys(wrapped, wrapping)
    assert (keys.service, keys.revoked(), keys.refresh()) == ("checkout", frozenset(), False)
    with pytest.raises(KeyProviderError) as raised:
        keys.sealing_key("acme")
    assert raised.value.retryable
    wrapping.away = False
    key = keys.sealing_key("acme")
    assert (key.tenant, key.sender, set(key.tokens)) == ("acme", "checkout", {"customer"})
    assert keys.opening_key(key.kid) == key


def test_one_wrapper_serves_until_the_file_names_another_one(
    wrapped: Path, wrapping: Any, administer: Any
) -> None:
    keys = LocalKeys(wrapped, wrapping)
    before = kid_of(keys)
    wrapping.uris.clear()
    for uri in ("fake:checkout", "fake:checkout", "fake:other"):
        administer().rewrap(uri, "checkout")
        wrapping.uris.clear()
        assert keys.refresh()
        assert kid_of(keys) == before
    assert wrapping.uris == ["fake:other"]


def test_a_revoked_key_is_not_unwrapped_any_more(wrapped: Path, wrapping: Any, administer: Any) -> None:
    keys = LocalKeys(wrapped, wrapping)
    kid = kid_of(keys)
    administer().revoke(kid.hex())
    assert keys.refresh()
    unwraps = wrapping.unwraps
    with pytest.raises(KeyProviderError, match="is revoked, and not unwrapped any more") as raised:
        keys.opening_key(kid)
    assert raised.value.problem is KeyProblem.DENIED
    assert keys.revoked() == {kid}
    assert wrapping.unwraps == unwraps


def test_what_unwraps_to_another_key_is_refused_without_a_word_of_it(wrapped: Path, wrapping: Any) -> None:
    content = json.loads(wrapped.read_text())
    own = next(key for key in content["keys"] if key["use"] == "seal")
    own["kid"] = "00" * 16
    wrapped.write_text(json.dumps(content))
    with pytest.raises(KeyProviderError, match="not what it should be when unwrapped; grant") as raised:
        LocalKeys(wrapped, wrapping).sealing_key("acme")
    assert raised.value.problem is KeyProblem.DENIED
    assert raised.value.__context__ is None


def test_a_wrapped_key_in_a_file_that_does_not_say_by_what_is_refused(wrapped: Path, wrapping: Any) -> None:
    content = json.loads(wrapped.read_text())
    del content["wrapping"]
    wrapped.write_text(json.dumps(content))
    with pytest.raises(
        ConfigurationError, match=r"keys\.0: the key is wrapped, and the file does not say by"
    ):
        LocalKeys(wrapped, wrapping)


def test_a_mounted_secret_is_read_through_its_links_and_so_is_the_next_one(
    tmp_path: Path, key_file: KeyFile, entry: Entry
) -> None:
    """As Kubernetes mounts one: the file is a link into `..data`, which is a link that is replaced."""
    mount = tmp_path / "mount"
    for version, key in ((1, "11" * 32), (2, OTHER)):
        (mount / f"..{version}").mkdir(parents=True)
        key_file(entry(sender_key=key)).rename(mount / f"..{version}" / "keys.json")
    (mount / "..data").symlink_to("..1")
    (mount / "keys.json").symlink_to("..data/keys.json")
    keys = LocalKeys(mount / "keys.json")
    assert keys.sealing_key("acme").key.hex() == "11" * 32

    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").replace(mount / "..data")
    keys.refresh()
    assert keys.sealing_key("acme").key.hex() == OTHER

    (mount / "..2" / "keys.json").chmod(0o644)
    with pytest.raises(ConfigurationError, match="others can read this key file"):
        LocalKeys(mount / "keys.json")
