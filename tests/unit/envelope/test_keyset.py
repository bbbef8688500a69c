from __future__ import annotations

import pytest

from interceptors.envelope.keyset import KeySet
from interceptors.envelope.sender_key import SenderKey
from interceptors.errors import Answer, EnvelopeError


def answer_for(keys: KeySet, kid: bytes) -> Answer:
    with pytest.raises(EnvelopeError) as refusal:
        keys.key(kid)
    return refusal.value.answer


def test_a_key_is_found_by_its_kid(key: SenderKey) -> None:
    other = SenderKey("acme", "billing", bytes(32))
    keys = KeySet([key, other])

    assert keys.key(key.kid) is key
    assert keys.key(other.kid) is other


def test_a_kid_that_is_not_held_is_unknown(key: SenderKey) -> None:
    assert answer_for(KeySet(), key.kid) is Answer.UNKNOWN_KEY
    assert answer_for(KeySet([key]), key.kid[:-1]) is Answer.UNKNOWN_KEY


def test_revoked_comes_before_unknown(key: SenderKey) -> None:
    assert answer_for(KeySet([key], [key.kid]), key.kid) is Answer.REVOKED_KEY
    assert answer_for(KeySet([], [key.kid]), key.kid) is Answer.REVOKED_KEY


def test_the_same_key_twice_is_one(key: SenderKey) -> None:
    again = SenderKey(key.tenant, key.sender, key.key)

    assert KeySet([key, again]).key(key.kid) is key


@pytest.mark.parametrize(("tenant", "sender"), [("globex", "checkout"), ("acme", "billing")])
def test_two_names_for_one_kid_are_refused(key: SenderKey, tenant: str, sender: str) -> None:
    with pytest.raises(ValueError, match=key.kid.hex()):
        KeySet([key, SenderKey(tenant, sender, key.key)])


def test_one_key_with_and_without_what_checks_its_signatures_is_refused(
    key: SenderKey, signing: SenderKey, readable: SenderKey
) -> None:
    assert KeySet([signing, readable]).key(key.kid) is signing
    with pytest.raises(ValueError, match=key.kid.hex()):
        KeySet([key, readable])


def test_a_keyset_does_not_change(key: SenderKey) -> None:
    given, revoked = [key], [bytes(16)]
    keys = KeySet(given, revoked)

    given.clear()
    revoked.append(key.kid)

    assert keys.key(key.kid) is key
    with pytest.raises(TypeError):
        keys.held[bytes(16)] = key  # type: ignore[index]  # that it can't be is what is tested


def test_the_repr_counts(key: SenderKey) -> None:
    assert repr(KeySet([key], [bytes(16), bytes(15)])) == "KeySet(held=1, revoked=2)"
