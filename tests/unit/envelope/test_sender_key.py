from __future__ import annotations

import copy
import hmac
import pickle
from typing import TYPE_CHECKING

import pytest

from interceptors.envelope import sender_key as module
from interceptors.envelope.binding import Binding, Level, associated_data
from interceptors.envelope.format import prefix
from interceptors.envelope.sender_key import SenderKey, derive_sender_key, expand

if TYPE_CHECKING:
    from collections.abc import Callable

SENDER_INFO = b"\0\x16interceptors/v1/sender\0\x04acme\0\x08checkout"
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


def test_keys_are_equal_by_names_and_bytes(key: SenderKey) -> None:
    same = SenderKey("acme", "checkout", key.key)

    assert key == same
    assert hash(key) == hash(same)
    assert key != SenderKey("globex", "checkout", key.key)
    assert key != SenderKey("acme", "billing", key.key)
    assert key != SenderKey("acme", "checkout", bytes(32))
    assert key != key.key


def test_the_repr_shows_what_is_public(key: SenderKey) -> None:
    assert repr(key) == f"SenderKey(tenant='acme', sender='checkout', kid={key.kid.hex()})"


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


def test_a_digest_is_the_same_for_the_same_identifier_and_key_alone() -> None:
    key = derive_sender_key(bytes(range(32)), "acme", "checkout")
    same = derive_sender_key(bytes(range(32)), "acme", "checkout")
    other = derive_sender_key(bytes(range(32)), "globex", "checkout")

    assert key.digest(b"a@example.com") == key.digest(b"a@example.com") == same.digest(b"a@example.com")
    assert (
        len({key.digest(b"a@example.com"), key.digest(b"b@example.com"), other.digest(b"a@example.com")}) == 3
    )


def test_a_digest_is_what_an_implementation_from_the_page_makes() -> None:
    key = derive_sender_key(bytes(range(32)), "acme", "checkout")
    info = b"\x00\x1ainterceptors/v1/identifier"
    # HKDF-Expand (RFC 5869) of one block is an HMAC of the info and the counter.
    derived = hmac.digest(key.key, info + b"\x01", "sha256")

    assert key.digest(b"a@example.com") == hmac.digest(derived, b"a@example.com", "sha256")
