from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.envelope import derive_token_key
from interceptors.scan import Token
from interceptors.token_vault.aliases import AliasStore
from interceptors.tokens import Tokenized, Tokenizer

if TYPE_CHECKING:
    from interceptors.token_vault.sqlite import SQLite


def tokenizer(version: int, *former: int) -> Tokenizer:
    keys = {
        each: derive_token_key(bytes([each]) * 32, "acme", "customer", each) for each in (version, *former)
    }
    return Tokenizer(keys[version], [keys[each] for each in former])


@pytest.fixture
def aliases(database: SQLite) -> AliasStore:
    return AliasStore(database)


def test_tokens_join_across_rotations_though_no_one_held_all_keys(aliases: AliasStore) -> None:
    for identifier in ("7", "8"):
        aliases.record("acme", "customer", tokenizer(2, 1).tokens(identifier))
        aliases.record("acme", "customer", tokenizer(3, 2).tokens(identifier))

    latest = tokenizer(3).tokens("7").current
    for version in (1, 2, 3):
        assert aliases.canonical("acme", "customer", tokenizer(version).tokens("7").current) == latest
    assert aliases.canonical("acme", "customer", tokenizer(1).tokens("8").current) != latest


def test_what_is_recorded_late_takes_nothing_back(aliases: AliasStore) -> None:
    aliases.record("acme", "customer", tokenizer(3, 1).tokens("7"))
    aliases.record("acme", "customer", tokenizer(2, 1).tokens("7"))
    aliases.record("acme", "customer", tokenizer(3, 1).tokens("7"))

    first = tokenizer(1).tokens("7").current
    assert aliases.canonical("acme", "customer", first) == tokenizer(3).tokens("7").current


def test_an_alias_is_of_its_tenant_and_domain(aliases: AliasStore) -> None:
    aliases.record("acme", "customer", tokenizer(2, 1).tokens("7"))

    first = tokenizer(1).tokens("7").current
    for tenant, domain in (("globex", "customer"), ("acme", "employee")):
        assert aliases.canonical(tenant, domain, first) == first


def test_nothing_is_written_where_there_is_no_former_key(aliases: AliasStore, database: SQLite) -> None:
    aliases.record("acme", "customer", tokenizer(1).tokens("7"))

    with database.transaction(write=False) as execute:
        assert execute("SELECT count(*) FROM vault_aliases") == [(0,)]


def test_aliases_that_go_round_end(aliases: AliasStore) -> None:
    one, two = Token(b"1" * 16, 1), Token(b"2" * 16, 2)
    aliases.record("acme", "customer", Tokenized(two, (one,)))
    aliases.record("acme", "customer", Tokenized(one, (two,)))

    assert aliases.canonical("acme", "customer", one) == two
    assert aliases.canonical("acme", "customer", two) == two
