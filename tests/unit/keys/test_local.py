from __future__ import annotations

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
