from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import derive_sender_key, derive_signing_key
from interceptors.envelope.token_key import derive_token_key
from interceptors.errors import ConfigurationError
from interceptors.keys.derivation import KeyLine, hidden, keyring_of, list_keys
from interceptors.keys.key_file import KeyEntry, KeyringFile
from interceptors.keys.root_file import Grant, RootEntry, RootFile, TokenRoot

if TYPE_CHECKING:
    from collections.abc import Callable

ROOTS = {epoch: bytes([epoch]) * 32 for epoch in (1, 2)}
TOKEN_ROOTS = {version: bytes([16 + version]) * 32 for version in (1, 2)}


def secret(root: RootEntry | TokenRoot) -> bytes:
    return bytes.fromhex(root.root or "")


def roots(*grants: Grant, revoked: tuple[str, ...] = ()) -> RootFile:
    return RootFile(
        roots=(
            RootEntry(tenant="acme", epoch=1, root=ROOTS[1].hex(), use="seal", created=1000),
            RootEntry(tenant="acme", epoch=2, root=ROOTS[2].hex()),
        ),
        token_roots=tuple(
            TokenRoot(tenant="acme", version=version, root=root.hex())
            for version, root in TOKEN_ROOTS.items()
        ),
        grants=grants,
        revoked=revoked,
    )


def grant(service: str, **fields: Any) -> Grant:
    return Grant(service=service, tenant="acme", file=f"{service}.json", **fields)


def test_a_keyring_holds_the_keys_of_the_grant_in_every_epoch() -> None:
    file = keyring_of(roots(grant("checkout", reads=("billing",)), grant("search")), "checkout", secret, None)
    assert (file.service, file.wrapping, file.tokens) == ("checkout", None, ())
    found = {(key.sender, key.epoch): key for key in file.keys}
    assert set(found) == {(sender, epoch) for sender in ("checkout", "billing") for epoch in (1, 2)}
    for (sender, epoch), entry in found.items():
        assert entry.load() == _loaded(sender, epoch)
        assert entry.use == ("seal" if (sender, epoch) == ("checkout", 1) else "open")
    assert (found["billing", 1].created, found["billing", 2].created) == (1000, None)


def _loaded(sender: str, epoch: int) -> object:
    key = derive_sender_key(ROOTS[epoch], "acme", sender)
    verify = derive_signing_key(ROOTS[epoch], "acme", sender).public.raw.hex()
    return KeyEntry(tenant="acme", sender=sender, sender_key=key.key.hex(), verify_key=verify).load()


def test_only_who_is_granted_it_gets_a_signing_key_and_only_its_own() -> None:
    granted = roots(grant("checkout", reads=("billing",), signs=True), grant("billing", reads=("checkout",)))
    checkout = keyring_of(granted, "checkout", secret, None)
    billing = keyring_of(granted, "billing", secret, None)
    signing = {(key.sender, key.epoch): key.load().signing for key in checkout.keys}
    assert signing["billing", 1] is signing["billing", 2] is None
    assert all(key.load().signing is None for key in billing.keys)
    for epoch, root in ROOTS.items():
        own = signing["checkout", epoch]
        assert own is not None
        assert own.public == derive_signing_key(root, "acme", "checkout").public
    # Who reads it can check what it signs.
    signature = derive_signing_key(ROOTS[1], "acme", "checkout").sign(b"bytes")
    verification = (
        next(key for key in billing.keys if (key.sender, key.epoch) == ("checkout", 1)).load().verification
    )
    assert verification is not None
    verification.verify(signature, b"bytes")


def test_a_keyring_holds_the_token_keys_of_its_domains_the_newest_version_current() -> None:
    file = keyring_of(roots(grant("checkout", tokens=("customer", "order"))), "checkout", secret, None)
    assert {(entry.domain, entry.version): entry.use for entry in file.tokens} == {
        ("customer", 1): "former",
        ("order", 1): "former",
        ("customer", 2): "current",
        ("order", 2): "current",
    }
    for entry in file.tokens:
        root = TOKEN_ROOTS[entry.version]
        assert entry.load() == derive_token_key(root, "acme", entry.domain, entry.version)


def test_what_is_revoked_is_marked() -> None:
    kid = derive_sender_key(ROOTS[1], "acme", "billing").kid.hex()
    file = keyring_of(roots(grant("checkout", reads=("billing",)), revoked=(kid,)), "checkout", secret, None)
    assert [key.kid for key in file.keys if key.revoked] == [kid]


def test_a_service_without_a_grant_has_nothing() -> None:
    assert keyring_of(roots(), "checkout", secret, None) == KeyringFile(service="checkout")


def test_a_wrapped_keyring_holds_no_secret_in_clear_and_opens_to_the_same_keys(wrapping: Any) -> None:
    granted = roots(
        grant("checkout", reads=("billing",), tokens=("customer",), signs=True, wrapping="fake:a")
    )
    wrapper = wrapping("fake:a")
    wrapped = keyring_of(granted, "checkout", secret, wrapper)
    plain = keyring_of(granted, "checkout", secret, None)
    assert wrapped.wrapping == "fake:a"
    secrets = [key.sender_key for key in plain.keys] + [token.key for token in plain.tokens]
    secrets += [key.signing_key for key in plain.keys if key.signing_key]
    text = wrapped.model_dump_json()
    assert len(secrets) == 8
    assert [shown for shown in secrets if (shown or "") in text] == []
    assert [key.load(wrapper.unwrap) for key in wrapped.keys] == [key.load() for key in plain.keys]
    assert [key.load(wrapper.unwrap) for key in wrapped.tokens] == [key.load() for key in plain.tokens]
    signing = [key.load(wrapper.unwrap).signing for key in wrapped.keys]
    assert [key is not None for key in signing] == [key.signing_key is not None for key in plain.keys]


def test_a_secret_is_written_down_in_one_field(wrapping: Any) -> None:
    key = bytes(range(32))
    assert hidden("key", "wrapped_key", key, {"kind": "test"}, None) == {
        "key": key.hex(),
        "wrapped_key": None,
    }
    fields = hidden("key", "wrapped_key", key, {"kind": "test"}, wrapping("fake:a"))
    assert fields["key"] is None
    assert fields["wrapped_key"]


def test_a_listing_has_a_line_for_each_key_wrapped_or_not(wrapping: Any) -> None:
    granted = roots(grant("checkout", reads=("billing",), wrapping="fake:a"))
    expected = sorted(
        KeyLine(
            "acme",
            sender,
            epoch,
            derive_sender_key(ROOTS[epoch], "acme", sender).kid.hex(),
            "seal" if (sender, epoch) == ("checkout", 1) else "open",
            "checkout",
        )
        for sender in ("checkout", "billing")
        for epoch in (1, 2)
    )
    for wrapper in (None, wrapping("fake:a")):
        assert sorted(list_keys(keyring_of(granted, "checkout", secret, wrapper))) == expected
    assert wrapping.unwraps == 0


def test_a_listing_says_what_is_revoked_and_refuses_another_kid() -> None:
    key: Callable[..., KeyEntry] = lambda **more: KeyEntry(  # noqa: E731 - short, and used twice
        tenant="acme", sender="checkout", sender_key="5e" * 32, **more
    )
    assert [line.use for line in list_keys(KeyringFile(service="a", keys=(key(revoked=True),)))] == [
        "revoked"
    ]
    with pytest.raises(ConfigurationError, match="is not that of its key"):
        list_keys(KeyringFile(service="a", keys=(key(kid="00" * 16),)))
