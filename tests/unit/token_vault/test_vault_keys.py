from __future__ import annotations

import hmac
import pickle
from typing import TYPE_CHECKING

import pytest

from interceptors.errors import KeyProviderError
from interceptors.token_vault.store import Kept
from interceptors.token_vault.vault_keys import VaultKey, VaultKeys, derive_vault_key

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = bytes(range(32))
TOKEN = bytes(16)


def lp(text: str) -> bytes:
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def key(tenant: str = "acme", version: int = 1) -> VaultKey:
    return VaultKey(tenant, version, derive_vault_key(ROOT, tenant, version))


def kept(sealed: bytes, token: bytes = TOKEN, tenant: str = "acme", domain: str = "customer") -> Kept:
    return Kept(token, tenant, domain, 1, sealed)


def test_the_key_is_what_the_rule_says_and_not_that_of_derived_tokens() -> None:
    info = lp("interceptors/v1/vault") + lp("acme") + lp("3")

    assert derive_vault_key(ROOT, "acme", 3) == hmac.digest(ROOT, info + b"\x01", "sha256")


def test_lookups_tell_tenants_domains_versions_and_identifiers_apart() -> None:
    lookups = [
        key().lookup("customer", b"a"),
        key().lookup("employee", b"a"),
        key().lookup("customer", b"b"),
        key("globex").lookup("customer", b"a"),
        key(version=2).lookup("customer", b"a"),
        key().lookup("customera", b""),
    ]

    assert len(set(lookups)) == len(lookups)
    assert key().lookup("customer", b"a") == lookups[0]


@pytest.mark.parametrize("identifier", [b"", b"a", b"x" * 61, b"x" * 62, b"x" * 63, b"x" * 4096])
def test_what_was_sealed_opens(identifier: bytes) -> None:
    assert key().open(kept(key().seal("customer", TOKEN, identifier))) == identifier


def test_sealed_values_tell_lengths_by_the_64_bytes_and_never_are_the_same() -> None:
    sealed = [key().seal("customer", TOKEN, b"x" * length) for length in (1, 1, 30, 62, 63)]

    assert len(set(sealed)) == 5
    assert [len(each) - len(sealed[0]) for each in sealed] == [0, 0, 0, 0, 64]


@pytest.mark.parametrize(
    "changed",
    [
        lambda sealed: kept(sealed, token=b"x" * 16),
        lambda sealed: kept(sealed, domain="employee"),
        lambda sealed: kept(sealed[:-1] + bytes([sealed[-1] ^ 1])),
        lambda sealed: kept(sealed[:30]),
        lambda sealed: kept(sealed[:10]),
        lambda _: kept(b""),
    ],
    ids=["token", "domain", "bit", "cut", "nonce cut", "empty"],
)
def test_what_was_altered_does_not_open(changed: Callable[[bytes], Kept]) -> None:
    with pytest.raises(KeyProviderError, match="altered") as caught:
        key().open(changed(key().seal("customer", TOKEN, b"a@example.com")))
    assert caught.value.__suppress_context__


def test_the_key_of_another_tenant_or_version_does_not_open() -> None:
    sealed = key().seal("customer", TOKEN, b"a")

    for other in (key("globex"), key(version=2)):
        with pytest.raises(KeyProviderError):
            other.open(kept(sealed))


def test_keys_are_found_by_tenant_and_by_what_they_sealed() -> None:
    first, second = key(), key(version=2)
    held = VaultKeys([first, second, key("globex")])

    assert held.of("acme") == {1: first, 2: second}
    assert held.that_sealed(kept(b"")) is first
    with pytest.raises(KeyProviderError, match="interceptors tokens init initech"):
        held.of("initech")
    for missing in (kept(b"", tenant="initech"), kept(b"")._replace(version=3)):
        with pytest.raises(KeyProviderError, match="present key file"):
            held.that_sealed(missing)


def test_nothing_shows_or_copies_a_key() -> None:
    assert repr(key()) == "VaultKey(tenant='acme', version=1)"
    assert repr(VaultKeys([key(), key(version=2)])) == "VaultKeys({'acme': [1, 2]})"
    assert repr(kept(b"sealed")) == "Kept(tenant='acme', domain='customer', version=1)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key())
