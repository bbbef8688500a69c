from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import derive_token_key
from interceptors.errors import AuditError
from interceptors.scan import Token
from interceptors.token_vault.aliases import AliasStore
from interceptors.tokens import Tokenized, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.audit import AuditLog
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


def all_of(database: SQLite) -> list[tuple[str, str]]:
    """The aliases, by the versions that they join."""
    with database.transaction(write=False) as execute:
        found = execute("SELECT former, latest FROM vault_aliases ORDER BY former, latest")
    return [(former.partition("_")[0], latest.partition("_")[0]) for former, latest in found]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_whichever_token_an_identifier_is_forgotten_by_nothing_of_it_is_left(
    aliases: AliasStore, database: SQLite, version: int
) -> None:
    for identifier in ("7", "8"):
        aliases.record("acme", "customer", tokenizer(2, 1).tokens(identifier))
        aliases.record("acme", "customer", tokenizer(3, 2).tokens(identifier))

    assert aliases.forget("acme", "customer", tokenizer(version).tokens("7").current) == 2

    assert all_of(database) == [("tok1", "tok2"), ("tok2", "tok3")]
    first, latest = (tokenizer(each).tokens("8").current for each in (1, 3))
    assert aliases.canonical("acme", "customer", first) == latest
    assert aliases.domain_of(tokenizer(version).tokens("7").current) is None
    assert aliases.domain_of(tokenizer(version).tokens("8").current) == ("acme", "customer")
    assert aliases.forget("acme", "customer", tokenizer(version).tokens("7").current) == 0


def test_an_alias_of_another_domain_is_not_forgotten(aliases: AliasStore, database: SQLite) -> None:
    found = tokenizer(2, 1).tokens("7")
    aliases.record("acme", "customer", found)
    assert aliases.forget("acme", "employee", found.current) == 0
    assert aliases.forget("globex", "customer", found.current) == 0
    assert len(all_of(database)) == 1


def test_of_a_destroyed_version_no_alias_is_left_and_the_others_stay_joined(
    aliases: AliasStore, database: SQLite, audit: AuditLog, recorded: Callable[[], list[tuple[str, Any]]]
) -> None:
    for version in (2, 3, 11):
        aliases.record("acme", "customer", tokenizer(version, {2: 1, 3: 2, 11: 3}[version]).tokens("7"))
    aliases.record("acme", "customer", tokenizer(2, 1).tokens("8"))  # not met since
    aliases.record("globex", "customer", tokenizer(3, 2).tokens("7"))

    assert aliases.keep("acme", [1, 2, 3, 11], audit) == 0
    assert recorded() == []
    assert aliases.keep("acme", [1, 11], audit) == 3
    assert recorded() == [("token.aliases", {"tenant": "acme", "kept": ["1", "11"]})]

    first, latest = (tokenizer(each).tokens("7").current for each in (1, 11))
    assert aliases.canonical("acme", "customer", first) == latest
    assert all_of(database) == [("tok1", "tok11"), ("tok2", "tok3")]
    assert aliases.keep("acme", [11], audit) == 1
    assert aliases.keep("globex", [], audit) == 1
    assert all_of(database) == []


def test_what_can_not_be_recorded_is_not_deleted(
    aliases: AliasStore, database: SQLite, audit: AuditLog
) -> None:
    aliases.record("acme", "customer", tokenizer(2, 1).tokens("7"))
    audit.path.mkdir()
    with pytest.raises(AuditError):
        aliases.keep("acme", [2], audit)
    assert len(all_of(database)) == 1
