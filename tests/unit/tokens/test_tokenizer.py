from __future__ import annotations

import pytest

from interceptors.envelope import TokenKey, derive_token_key
from interceptors.scan import Token
from interceptors.tokens import Tokenizer, derived_token, token_of

ROOTS = {1: bytes(32), 2: bytes(range(32)), 3: b"3" * 32}
EMAIL = "Customer@Example.com"


def key(version: int = 1, *, tenant: str = "acme", domain: str = "customer") -> TokenKey:
    return derive_token_key(ROOTS[version], tenant, domain, version)


def test_the_token_is_that_of_a_message() -> None:
    tokenizer = Tokenizer(key(), class_="personal.email")

    found = tokenizer.tokens(EMAIL)

    assert found.current == derived_token(key(), "personal.email", EMAIL.encode())
    assert found.current == tokenizer.tokens("Customer@example.com").current
    assert found.current != tokenizer.tokens("customer@example.com").current
    assert found.former == ()


def test_without_a_class_an_identifier_is_taken_as_it_is() -> None:
    tokenizer = Tokenizer(key())

    assert tokenizer.tokens("a@B").current == Token(key().digest(b"a@B"), 1)


def test_former_keys_give_what_the_token_was() -> None:
    tokenizer = Tokenizer(key(3), [key(1), key(2)])
    found = tokenizer.tokens("7")

    assert found.current == Tokenizer(key(3)).tokens("7").current
    assert found.former == (Tokenizer(key(1)).tokens("7").current, Tokenizer(key(2)).tokens("7").current)
    assert [token.version for token in (found.current, *found.former)] == [3, 1, 2]


@pytest.mark.parametrize(
    "former", [key(2), key(3), key(1, tenant="globex"), key(1, domain="employee")], ids=repr
)
def test_a_key_that_is_no_former_one_is_refused(former: TokenKey) -> None:
    with pytest.raises(ValueError, match="no former key"):
        Tokenizer(key(2), [former])


def test_what_has_no_utf8_form_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="UTF-8") as caught:
        Tokenizer(key()).tokens("customer\ud800")
    assert caught.value.__context__ is None


def test_the_repr_shows_no_key() -> None:
    tokenizer = Tokenizer(key(2), [key(1)])

    assert repr(tokenizer) == f"Tokenizer({key(2)!r}, former=({key(1)!r},))"
    assert key(2).key.hex() not in repr(tokenizer)


def test_an_identifier_is_tokenized_by_the_key_of_its_domain_and_by_no_other() -> None:
    keys = {"customer": key(2)}

    assert token_of(keys, "customer", "personal.email", b"a@b") == derived_token(
        key(2), "personal.email", b"a@b"
    )
    assert token_of(keys, "order", "personal.email", b"a@b") is None
