from __future__ import annotations

import copy
import hmac
import pickle
from typing import TYPE_CHECKING

import pytest

from interceptors.envelope import sender_key as module
from interceptors.envelope.binding import Binding, Level, associated_data
from interceptors.envelope.format import prefix
from interceptors.envelope.sender_key import SenderKey, derive_sender_key, derive_signing_key, expand
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

SENDER_INFO = b"\0\x16interceptors/v1/sender\0\x04acme\0\x08checkout"
SIGN_INFO = b"\0\x14interceptors/v1/sign\0\x04acme\0\x08checkout"
KID_INFO = b"\0\x13interceptors/v1/kid"
SEAL_INFO = b"\0\x14interceptors/v1/seal"


def first_block(key: bytes, info: bytes) -> bytes:
    """T(1) of RFC 5869, section 2.3."""
    return hmac.digest(key, info + b"\x01", "sha256")


def test_expand_gives_the_first_bytes_of_the_rfc_s_blocks() -> None:
    first = first_block(b"k" * 32, b"info")
    second = hmac.digest(b"k" * 32, first + b"info" + b"\x02", "sha256")

    assert expand(b"k" * 32, b"info", 40) == first + second[:8]


def test_a_sender_key_is_derived_as_the_specification_says(root: bytes) -> None:
    key = derive_sender_key(root, "acme", "checkout")

    assert (key.tenant, key.sender) == ("acme", "checkout")
    assert key.key == first_block(root, SENDER_INFO)
    assert key.kid == first_block(key.key, KID_INFO)[:16]


def test_a_signing_key_is_derived_as_the_specification_says(root: bytes) -> None:
    key = derive_signing_key(root, "acme", "checkout")

    assert key.seed() == first_block(root, SIGN_INFO)


def test_who_has_the_sender_key_cannot_derive_the_signing_key(root: bytes, key: SenderKey) -> None:
    signing = derive_signing_key(root, "acme", "checkout").seed()

    assert signing not in (key.key, first_block(key.key, SIGN_INFO))
    assert derive_signing_key(root, "acme", "billing").seed() != signing
    assert derive_signing_key(root, "globex", "checkout").seed() != signing


def test_who_signs_can_be_checked_and_who_reads_can_only_check(
    key: SenderKey, signing: SenderKey, readable: SenderKey
) -> None:
    assert signing.signing is not None
    assert signing.verification == signing.signing.public == readable.verification
    assert readable.signing is None
    assert (key.signing, key.verification) == (None, None)


def test_a_pair_that_goes_together_is_taken_and_another_one_is_refused(signing: SenderKey) -> None:
    both = SenderKey(
        "acme", "checkout", signing.key, signing=signing.signing, verification=signing.verification
    )
    assert both == signing

    other = SigningKey(bytes(32)).public
    with pytest.raises(ValueError, match="goes with the signing key"):
        SenderKey("acme", "checkout", signing.key, signing=signing.signing, verification=other)


def test_the_cipher_is_that_of_the_sealing_key(key: SenderKey) -> None:
    from_the_page = SenderKey("any", "any", first_block(key.key, SEAL_INFO))

    sealed = key.xaes.seal(bytes(24), b"text", b"")

    assert type(key.xaes)(from_the_page.key).open(bytes(24), sealed, b"") == b"text"
    assert key.xaes is key.xaes


@pytest.mark.parametrize(
    ("tenant", "sender"), [("acmec", "heckout"), ("acme", "billing"), ("globex", "checkout")]
)
def test_other_names_give_another_key(root: bytes, tenant: str, sender: str) -> None:
    other = derive_sender_key(root, tenant, sender)
    key = derive_sender_key(root, "acme", "checkout")

    assert other.key != key.key
    assert other.kid != key.kid


@pytest.mark.parametrize("size", [0, 31, 33])
def test_another_length_of_key_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="root has 32 bytes"):
        derive_sender_key(bytes(size), "acme", "checkout")
    with pytest.raises(ValueError, match="root has 32 bytes"):
        derive_signing_key(bytes(size), "acme", "checkout")
    with pytest.raises(ValueError, match="sender key has 32 bytes"):
        SenderKey("acme", "checkout", bytes(size))


@pytest.mark.parametrize(
    ("tenant", "sender"),
    [
        ("", "checkout"),
        ("acme", ""),
        ("a" * 65536, "checkout"),
        ("acme", "a" * 65536),
        ("\ud800", "checkout"),
    ],
)
def test_a_name_that_names_nothing_or_cannot_be_bound_is_refused(tenant: str, sender: str) -> None:
    with pytest.raises(ValueError, match=r"tenant and a sender|is bound"):
        SenderKey(tenant, sender, bytes(32))
    with pytest.raises(ValueError, match=r"tenant and a sender|is bound"):
        derive_sender_key(bytes(32), tenant, sender)
    with pytest.raises(ValueError, match=r"tenant and a sender|is bound"):
        derive_signing_key(bytes(32), tenant, sender)


def test_keys_are_equal_by_names_and_bytes(key: SenderKey) -> None:
    same = SenderKey("acme", "checkout", key.key)

    assert key == same
    assert hash(key) == hash(same)
    assert key != SenderKey("globex", "checkout", key.key)
    assert key != SenderKey("acme", "billing", key.key)
    assert key != SenderKey("acme", "checkout", bytes(32))
    assert key != key.key


def test_keys_are_equal_by_what_checks_their_signatures_and_not_by_what_signs(
    key: SenderKey, signing: SenderKey, readable: SenderKey
) -> None:
    assert signing == readable
    assert readable != key
    assert readable != SenderKey("acme", "checkout", key.key, verification=SigningKey(bytes(32)).public)


def test_the_repr_shows_what_is_public(key: SenderKey) -> None:
    assert repr(key) == f"SenderKey(tenant='acme', sender='checkout', kid={key.kid.hex()})"


def test_nothing_shows_the_signing_key(signing: SenderKey) -> None:
    assert signing.signing is not None
    seed = signing.signing.seed()

    for shown in (repr(signing), str(signing), repr(signing.signing), repr(signing.verification)):
        assert seed.hex() not in shown
        assert repr(seed)[2:-1] not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(signing.signing)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_is_not_pickled(key: SenderKey, protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key, protocol)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_key_is_not_copied(key: SenderKey, copied: Callable[[SenderKey], SenderKey]) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copied(key)


@pytest.mark.parametrize("level", Level)
def test_the_associated_data_is_the_binding_s_each_time(
    key: SenderKey, binding: Binding, level: Level
) -> None:
    expected = associated_data(prefix(level, key.kid), "acme", "checkout", level, binding)

    assert [key.associated_data(level, binding) for _ in range(2)] == [expected] * 2


def test_what_is_remembered_does_not_stand_in_for_another_binding(key: SenderKey, binding: Binding) -> None:
    others = [
        (Level.CHANNEL, binding),
        (Level.CHANNEL, binding._replace(channel="refunds")),
        (Level.TYPE, binding),
        (Level.TYPE, binding._replace(type="order.cancelled")),
        (Level.MESSAGE, binding),
        (Level.MESSAGE, binding._replace(message_id="m-2")),
        (Level.MESSAGE, binding._replace(body_digest=b"")),
    ]
    assert len({key.associated_data(*other) for _ in range(2) for other in others}) == len(others)


def test_what_is_remembered_is_bounded_and_holds_no_single_message(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_BINDINGS", 4)
    key = derive_sender_key(root, "acme", "checkout")

    for number in range(20):
        # A type that is not bound makes no difference, and so takes no room.
        key.associated_data(Level.CHANNEL, Binding("orders", f"type-{number}"))
        key.associated_data(Level.TYPE, Binding("orders", f"type-{number}"))
        key.associated_data(Level.MESSAGE, Binding("orders", message_id=f"m-{number}"))

    assert [len(bound) for bound in key._bound] == [0, 1, 4]
