from __future__ import annotations

import copy
import hashlib
import hmac
import pickle

import pytest

from interceptors.envelope.token_key import TokenKey, derive_token_key

ROOT = bytes(range(32))
IDENTIFIER = b"a@example.com"


def lp(text: str) -> bytes:
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def derived(tenant: str = "acme", domain: str = "customer", version: int = 1) -> TokenKey:
    return derive_token_key(ROOT, tenant, domain, version)


def test_the_key_is_what_the_rule_says() -> None:
    info = lp("interceptors/v1/token") + lp("acme") + lp("customer") + lp("12")

    # HKDF-Expand of one block (RFC 5869, section 2.3).
    assert derived(version=12).key == hmac.digest(ROOT, info + b"\x01", "sha256")


def test_a_digest_is_the_first_half_of_the_hmac() -> None:
    key = derived()

    assert key.digest(IDENTIFIER) == hmac.new(key.key, IDENTIFIER, hashlib.sha256).digest()[:16]


def test_tenant_domain_version_and_root_make_other_digests() -> None:
    keys = [
        derived(),
        derived(tenant="globex"),
        derived(domain="employee"),
        derived(version=2),
        derive_token_key(bytes(32), "acme", "customer", 1),
        derived(tenant="ac", domain="mecustomer"),
    ]

    assert len({key.digest(IDENTIFIER) for key in keys}) == len(keys)
    assert len({(key.tenant, key.domain, key.version) for key in keys}) == len(keys) - 1


@pytest.mark.parametrize(
    ("root", "tenant", "domain", "version"),
    [
        (bytes(31), "acme", "customer", 1),
        (ROOT, "", "customer", 1),
        (ROOT, "acme", "", 1),
        (ROOT, "acme", "customer", 0),
        (ROOT, "acme", "\ud800", 1),
        (ROOT, "a" * 65536, "customer", 1),
    ],
    ids=["root", "tenant", "domain", "version", "unencodable", "overlong"],
)
def test_what_makes_no_key_is_refused(root: bytes, tenant: str, domain: str, version: int) -> None:
    with pytest.raises(ValueError, match=r"^a (token|value)"):
        derive_token_key(root, tenant, domain, version)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TokenKey("acme", "customer", 1, bytes(16))


def test_keys_are_equal_where_all_of_them_is() -> None:
    key = derived()

    assert key == derived()
    assert hash(key) == hash(derived())
    assert key != TokenKey("acme", "customer", 1, bytes(32))
    assert key != derived(version=2)
    assert key != "key"


def test_nothing_shows_or_copies_the_key() -> None:
    key = derived()

    assert repr(key) == "TokenKey(tenant='acme', domain='customer', version=1)"
    for taken in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            taken(key)
