from __future__ import annotations

import pytest

from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys import MemoryKeys


def test_each_tenant_has_a_key_that_stays() -> None:
    keys = MemoryKeys("checkout")
    key = keys.sealing_key("acme")
    assert (key.tenant, key.sender) == ("acme", "checkout")
    assert keys.sealing_key("acme") is key
    assert keys.sealing_key("globex") != key


def test_every_key_signs_and_can_be_checked() -> None:
    checkout = MemoryKeys("checkout")
    key = checkout.beside("billing").sealing_key("acme")
    assert key.signing is not None
    assert checkout.opening_key(key.kid).verification == key.signing.public
    assert checkout.sealing_key("acme").verification != key.verification


def test_two_stores_share_nothing() -> None:
    kid = MemoryKeys("checkout").sealing_key("acme").kid
    with pytest.raises(KeyProviderError, match=kid.hex()) as raised:
        MemoryKeys("checkout").opening_key(kid)
    assert raised.value.problem is KeyProblem.UNKNOWN


def test_services_of_one_store_read_each_other() -> None:
    checkout = MemoryKeys("checkout")
    billing = checkout.beside("billing")
    key = billing.sealing_key("acme")
    assert key.sender == "billing"
    assert checkout.opening_key(key.kid) is key
    assert checkout.sealing_key("acme") != key


def test_a_revocation_is_told_once_to_each_service_of_the_store() -> None:
    checkout = MemoryKeys("checkout")
    billing = checkout.beside("billing")
    kid = checkout.sealing_key("acme").kid
    assert not billing.refresh()
    checkout.revoke(kid)
    for keys in (checkout, billing):
        assert keys.revoked() == {kid}
        assert keys.refresh()
        assert not keys.refresh()


def test_services_of_a_store_tokenize_alike_and_tenants_and_domains_do_not() -> None:
    checkout = MemoryKeys("checkout")
    tokens = checkout.sealing_key("acme").tokens
    customers = tokens["customer"]

    assert checkout.beside("billing").sealing_key("acme").tokens["customer"] == customers
    assert tokens.get("customer") is customers
    others = [
        tokens["employee"],
        checkout.sealing_key("globex").tokens["customer"],
        MemoryKeys("checkout").sealing_key("acme").tokens["customer"],
    ]
    assert len({key.digest(b"7") for key in (customers, *others)}) == 4
    assert list(tokens) == ["customer", "employee"]
    assert len(tokens) == 2
