from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import (
    AuditError,
    ConfigurationError,
    KeyProblem,
    KeyProviderError,
    TokenError,
    TokenProblem,
)
from interceptors.scan import Token, parse_token
from interceptors.token_vault import AliasStore, TokenVault, parse_access
from interceptors.token_vault.store import VaultStore
from interceptors.tokens import Tokenized

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.audit import AuditLog
    from interceptors.token_vault import VaultAccess, VaultKeys
    from interceptors.token_vault.sqlite import SQLite

    Recorded = Callable[[], list[tuple[str, dict[str, Any]]]]
    Keys = Callable[..., VaultKeys]

EMAIL = "customer@example.com"
WANTED = {"caller": "support-desk", "purpose": "customer-request"}
ERASURE = {"caller": "privacy-desk", "purpose": "erasure-request"}


def refused(vault: TokenVault, token: Token | str, act: str = "resolve", **asked: str) -> TokenProblem:
    """Why something is not done."""
    with pytest.raises(TokenError) as caught:
        getattr(vault, act)(str(token), **{**WANTED, **asked})
    assert caught.value.__context__ is None or not str(caught.value.__context__)
    assert EMAIL not in str(caught.value)
    return caught.value.problem


def test_an_identifier_has_one_random_token_in_a_domain_of_a_tenant(vault: TokenVault) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    others = [
        vault.tokenize("acme", "employee", EMAIL),
        vault.tokenize("globex", "customer", EMAIL),
        vault.tokenize("acme", "customer", "b@example.com"),
    ]

    assert vault.tokenize("acme", "customer", EMAIL) == token
    assert vault.tokenize("acme", "customer", EMAIL.replace("example", "EXAMPLE")) == token
    assert len({token, *others}) == 4
    assert all(parse_token(str(each)).version == 0 for each in (token, *others))


def test_a_token_resolves_to_what_it_stands_for_and_is_recorded(
    vault: TokenVault, recorded: Recorded
) -> None:
    token = vault.tokenize("acme", "customer", "Customer@Example.com")
    assert recorded() == []

    assert vault.resolve(str(token), **WANTED) == "Customer@Example.com"

    assert recorded() == [
        ("token.resolve", {"token": str(token), "tenant": "acme", "domain": "customer", **WANTED})
    ]


@pytest.mark.parametrize("identifier", ["x", "ä" * 2048, "\0", "a\nb", "名前", "x" * 4096])
def test_any_text_comes_back_as_it_was(vault: TokenVault, identifier: str) -> None:
    token = vault.tokenize("acme", "customer", identifier)
    assert vault.resolve(str(token), **WANTED) == identifier


@pytest.mark.parametrize("identifier", ["", "x" * 4097, "\ud800"], ids=["empty", "long", "surrogate"])
def test_what_is_no_identifier_is_refused(vault: TokenVault, identifier: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 4096 bytes") as caught:
        vault.tokenize("acme", "customer", identifier)
    assert caught.value.__context__ is None


def test_a_domain_or_tenant_that_there_is_not_is_refused(vault: TokenVault) -> None:
    with pytest.raises(ConfigurationError, match=r"no domain 'costumer'; its document has customer, emp"):
        vault.tokenize("acme", "costumer", EMAIL)
    with pytest.raises(KeyProviderError, match=r"no key for the tenant 'initech'") as caught:
        vault.tokenize("initech", "customer", EMAIL)
    assert caught.value.problem is KeyProblem.UNKNOWN


@pytest.mark.parametrize(
    "asked",
    [
        {"caller": "stranger"},
        {"caller": "intern"},
        {"purpose": "marketing"},
        {"caller": "privacy-desk"},
        {"caller": "privacy-desk", "purpose": "customer-request"},
    ],
    ids=str,
)
def test_who_may_not_is_denied_and_recorded(
    vault: TokenVault, recorded: Recorded, asked: dict[str, str]
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)

    assert refused(vault, token, **asked) is TokenProblem.DENIED

    ((action, details),) = recorded()
    assert action == "token.resolve.denied"
    assert details | {**WANTED, **asked} == details
    assert details["token"] == str(token)


@pytest.mark.parametrize(("tenant", "domain"), [("globex", "customer"), ("acme", "employee")])
def test_a_role_is_for_its_tenants_and_domains(vault: TokenVault, tenant: str, domain: str) -> None:
    token = vault.tokenize(tenant, domain, EMAIL)

    assert refused(vault, token) is TokenProblem.DENIED
    assert vault.resolve(str(token), **ERASURE) == EMAIL


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (str(Token(bytes(16))), {"token": str(Token(bytes(16)))}),
        (str(Token(bytes(16), 1)), {"token": str(Token(bytes(16), 1))}),
        (EMAIL, {}),
    ],
    ids=["other", "derived", "none"],
)
def test_an_unknown_token_is_recorded_and_what_is_none_is_not_shown(
    vault: TokenVault, recorded: Recorded, token: str, shown: dict[str, str]
) -> None:
    vault.tokenize("acme", "customer", EMAIL)

    assert refused(vault, token) is TokenProblem.UNKNOWN
    assert recorded() == [("token.resolve.unknown", {**WANTED, **shown})]


def test_a_caller_is_limited_and_others_are_not(vault: TokenVault, recorded: Recorded, clock: Any) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    for _ in range(3):
        vault.resolve(str(token), **WANTED)

    assert refused(vault, token) is TokenProblem.LIMITED
    limited = {**WANTED, "token": str(token), "further": "counted"}
    assert recorded()[-1] == ("token.resolve.limited", limited)
    assert vault.resolve(str(token), **ERASURE) == EMAIL
    clock.now_s += 1
    vault.resolve(str(token), **WANTED)
    assert refused(vault, token) is TokenProblem.LIMITED
    clock.now_s += 3600
    for _ in range(3):
        vault.resolve(str(token), **WANTED)
    assert refused(vault, token) is TokenProblem.LIMITED


def test_of_a_flood_one_attempt_is_recorded_and_then_how_many_there_were(
    vault: TokenVault, recorded: Recorded, clock: Any
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    for _ in range(3):
        vault.resolve(str(token), **WANTED)
    before = len(recorded())

    for _ in range(40):
        assert refused(vault, token) is TokenProblem.LIMITED
        assert refused(vault, token, "forget") is TokenProblem.LIMITED
    assert [action for action, _ in recorded()[before:]] == ["token.resolve.limited"]

    clock.now_s += 1
    vault.resolve(str(token), **WANTED)
    assert refused(vault, token) is TokenProblem.LIMITED
    assert recorded()[before + 1] == ("token.limited", {"caller": "support-desk", "attempts": 80})
    assert [action for action, _ in recorded()[before + 2 :]] == ["token.resolve", "token.resolve.limited"]


def test_strangers_share_one_allowance_and_fill_neither_log_nor_database(
    vault: TokenVault, database: SQLite, recorded: Recorded, clock: Any
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    for number in range(30):
        assert refused(vault, token, caller=f"stranger-{number}" * 100) is TokenProblem.DENIED
    assert refused(vault, EMAIL, caller="intern") is TokenProblem.DENIED

    found = recorded()
    assert [action for action, _ in found] == ["token.resolve.denied"] * 3 + ["token.resolve.limited"]
    assert found[3][1]["further"] == "counted"
    assert [details["caller"] for _, details in found] == [
        (f"stranger-{number}" * 100)[:255] for number in range(4)
    ]
    with database.transaction(write=False) as execute:
        assert execute("SELECT caller, refused FROM vault_rates") == [("", 28)]
    assert vault.resolve(str(token), **WANTED) == EMAIL

    clock.now_s += 1
    assert refused(vault, token, caller="stranger-0") is TokenProblem.DENIED
    counted, denied = recorded()[-2:]
    assert counted == ("token.limited", {"attempts": 28})
    assert (denied[0], denied[1]["caller"]) == ("token.resolve.denied", "stranger-0")


def test_a_count_that_can_not_be_recorded_is_kept(
    vault: TokenVault, audit: AuditLog, recorded: Recorded, clock: Any
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    for _ in range(7):
        refused(vault, token, caller="intern")
    log = audit.path.read_bytes()
    audit.path.unlink()
    audit.path.mkdir()
    clock.now_s += 1
    with pytest.raises(AuditError):
        vault.resolve(str(token), **{**WANTED, "caller": "intern"})
    audit.path.rmdir()
    audit.path.write_bytes(log)

    clock.now_s += 1
    refused(vault, token, caller="intern")
    assert recorded()[-2] == ("token.limited", {"attempts": 4})


def test_guessing_is_limited_too(vault: TokenVault) -> None:
    found = [refused(vault, Token(bytes([number]) * 16)) for number in range(4)]
    assert found == [TokenProblem.UNKNOWN] * 3 + [TokenProblem.LIMITED]


def test_what_cannot_be_recorded_is_not_answered_nor_done(vault: TokenVault, audit: AuditLog) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    audit.path.mkdir()

    for act, asked in (("resolve", WANTED), ("forget", ERASURE), ("resolve", {**WANTED, "caller": "intern"})):
        with pytest.raises(AuditError):
            getattr(vault, act)(str(token), **asked)
    with pytest.raises(AuditError):
        vault.rotate("acme")
    audit.path.rmdir()
    assert vault.resolve(str(token), **WANTED) == EMAIL


def test_what_is_forgotten_is_gone_and_its_token_not_given_again(
    vault: TokenVault, recorded: Recorded
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    vault.forget(str(token), **ERASURE)

    assert recorded()[-1][0] == "token.forget"
    assert refused(vault, token) is TokenProblem.UNKNOWN
    assert vault.counts() == []
    assert vault.tokenize("acme", "customer", EMAIL) != token


def test_what_is_forgotten_while_the_log_is_waited_for_is_not_answered(
    vault: TokenVault, audit: AuditLog, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    record = audit.record

    def forgotten_first(action: str, /, **details: Any) -> Any:
        monkeypatch.setattr(audit, "record", record)
        vault.forget(str(token), **ERASURE)
        return record(action, **details)

    monkeypatch.setattr(audit, "record", forgotten_first)

    assert refused(vault, token) is TokenProblem.UNKNOWN
    assert [action for action, _ in recorded()] == ["token.forget", "token.resolve", "token.resolve"]


def test_who_may_resolve_may_not_erase(vault: TokenVault, recorded: Recorded) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)

    assert refused(vault, token, "forget") is TokenProblem.DENIED
    assert recorded()[-1][0] == "token.forget.denied"
    assert vault.resolve(str(token), **WANTED) == EMAIL


def test_a_rotation_keeps_tokens_and_former_keys_can_go(
    vault: TokenVault, database: SQLite, keys: Keys, audit: AuditLog, access: VaultAccess
) -> None:
    tokens = {
        (tenant, name): vault.tokenize(tenant, "customer", name)
        for tenant in ("acme", "globex")
        for name in (f"{number}@example.com" for number in range(250))
    }
    both = TokenVault(database, keys(1, 2), audit=audit, access=access)
    assert both.tokenize("acme", "customer", "0@example.com") == tokens["acme", "0@example.com"]

    assert both.rotate("acme") == 250
    assert both.rotate("acme") == 0

    first = json.loads(audit.path.read_text().splitlines()[0])
    assert (first["action"], first["details"]) == ("token.rotate", {"tenant": "acme", "version": 2})
    assert [(count.tenant, count.version, count.tokens) for count in both.counts()] == [
        ("acme", 2, 250),
        ("globex", 1, 250),
    ]
    newest = TokenVault(database, keys(2), audit=audit, access=access)
    for (tenant, name), token in tokens.items():
        if tenant == "acme":
            assert newest.tokenize(tenant, "customer", name) == token
    assert newest.resolve(str(tokens["acme", "7@example.com"]), **WANTED) == "7@example.com"
    with pytest.raises(KeyProviderError, match=r"'globex' under version 1 .* not held"):
        newest.resolve(str(tokens["globex", "7@example.com"]), **ERASURE)


def test_who_has_not_the_new_key_makes_no_second_token(
    vault: TokenVault, database: SQLite, keys: Keys, audit: AuditLog, access: VaultAccess
) -> None:
    vault.tokenize("acme", "customer", EMAIL)
    TokenVault(database, keys(1, 2), audit=audit, access=access).rotate("acme")

    for identifier in (EMAIL, "new@example.com"):
        with pytest.raises(KeyProviderError, match="present key file"):
            vault.tokenize("acme", "customer", identifier)


def test_a_rotation_that_was_interrupted_is_gone_on_with(
    vault: TokenVault, database: SQLite, keys: Keys, audit: AuditLog, access: VaultAccess
) -> None:
    tokens = [vault.tokenize("acme", "customer", f"{number}@example.com") for number in range(10)]
    held = keys(1, 2)
    store = VaultStore(database)
    store.begin_rotation("acme", 2)
    both = TokenVault(database, held, audit=audit, access=access)
    store.rotate_some("acme", 2, 4, both._redone(held.of("acme")[2]))  # one batch, and then a crash

    assert [both.tokenize("acme", "customer", f"{number}@example.com") for number in range(10)] == tokens
    assert [(count.version, count.tokens) for count in both.counts()] == [(1, 6), (2, 4)]
    assert both.rotate("acme") == 6


def test_a_rotation_to_an_older_key_changes_nothing(
    database: SQLite, keys: Keys, audit: AuditLog, access: VaultAccess
) -> None:
    both = TokenVault(database, keys(1, 2), audit=audit, access=access)
    token = both.tokenize("acme", "customer", EMAIL)

    assert TokenVault(database, keys(1), audit=audit, access=access).rotate("acme") == 0
    assert both.tokenize("acme", "customer", EMAIL) == token


def test_a_value_that_was_moved_to_another_token_does_not_open(
    vault: TokenVault, database: SQLite, recorded: Recorded
) -> None:
    mine, other = (vault.tokenize("acme", "customer", name) for name in ("a@example.com", EMAIL))
    with database.transaction(write=True) as execute:
        execute(
            "UPDATE vault_tokens SET sealed = (SELECT sealed FROM vault_tokens WHERE token = ?)"
            " WHERE token = ?",
            other.value,
            mine.value,
        )

    with pytest.raises(KeyProviderError, match="altered") as caught:
        vault.resolve(str(mine), **WANTED)
    assert caught.value.problem is KeyProblem.DENIED
    assert [action for action, _ in recorded()] == ["token.resolve", "token.resolve"]


@pytest.mark.parametrize("caller", ["support-desk", "intern"])
@pytest.mark.parametrize("token", ["its own", "another", "none"])
def test_what_is_no_purpose_may_name_somebody_and_is_not_recorded(
    vault: TokenVault, recorded: Recorded, caller: str, token: str
) -> None:
    mine = str(vault.tokenize("acme", "customer", EMAIL))
    asked = {"its own": mine, "another": str(Token(bytes(16))), "none": EMAIL}[token]

    refused(vault, asked, caller=caller, purpose=f"{EMAIL} asked for it")

    ((_, details),) = recorded()
    assert details["caller"] == caller
    assert "purpose" not in details
    assert EMAIL not in f"{details}"


def test_who_may_not_is_not_told_of_which_domain_a_token_is(vault: TokenVault) -> None:
    token = vault.tokenize("globex", "employee", EMAIL)
    with pytest.raises(TokenError) as caught:
        vault.resolve(str(token), **WANTED)
    assert "globex" not in str(caught.value)
    assert "employee" not in str(caught.value)


@pytest.mark.parametrize("value", ["text", 7, b"", b"short"], ids=repr)
def test_a_value_that_was_overwritten_does_not_open(
    vault: TokenVault, database: SQLite, value: str | int | bytes
) -> None:
    token = vault.tokenize("acme", "customer", EMAIL)
    with database.transaction(write=True) as execute:
        execute("UPDATE vault_tokens SET sealed = ?", value)

    with pytest.raises(KeyProviderError, match="altered"):
        vault.resolve(str(token), **WANTED)


def test_a_domain_keeps_the_normal_form_that_it_was_begun_with(
    vault: TokenVault, database: SQLite, keys: Keys, audit: AuditLog
) -> None:
    def another(**domains: dict[str, str]) -> TokenVault:
        document = {"version": 1, "domains": domains}
        return TokenVault(database, keys(), audit=audit, access=parse_access(json.dumps(document), "v.yaml"))

    card, none = {"class": "payment.card"}, {"class": "personal.name"}
    late = another(customer=card)  # nothing is in it yet
    token = vault.tokenize("acme", "customer", EMAIL)

    with pytest.raises(ConfigurationError, match=r"begun with the class 'personal\.email'") as caught:
        late.tokenize("acme", "customer", "new@example.com")
    assert "'payment.card' now" in str(caught.value)
    for changed in (card, none, {}):
        with pytest.raises(ConfigurationError, match="put back what it was, and begin another domain"):
            another(customer=changed)
    assert [count.tokens for count in vault.counts()] == [1]
    kept = another(customer={"class": "personal.email"}, other=card)
    assert kept.tokenize("acme", "customer", EMAIL.replace("example", "EXAMPLE")) == token


def test_a_class_without_a_normal_form_may_become_another_one(
    vault: TokenVault, database: SQLite, keys: Keys, audit: AuditLog
) -> None:
    token = vault.tokenize("acme", "employee", "7")
    document = {"version": 1, "domains": {"employee": {"class": "personal.name"}}}
    access = parse_access(json.dumps(document), "v.yaml")
    assert TokenVault(database, keys(), audit=audit, access=access).tokenize("acme", "employee", "7") == token


def test_a_derived_token_is_forgotten_with_its_aliases_and_never_resolved(
    vault: TokenVault, database: SQLite, recorded: Recorded
) -> None:
    aliases = AliasStore(database)
    first, second = Token(b"1" * 16, 1), Token(b"2" * 16, 2)
    aliases.record("acme", "customer", Tokenized(second, (first,)))

    assert refused(vault, first) is TokenProblem.UNKNOWN
    assert refused(vault, first, "forget") is TokenProblem.DENIED
    vault.forget(str(second), **ERASURE)

    where = {"tenant": "acme", "domain": "customer"}
    assert recorded()[-1] == ("token.forget", {"token": str(second), **where, **ERASURE})
    assert aliases.canonical("acme", "customer", first) == first
    assert refused(vault, first, "forget", **ERASURE) is TokenProblem.UNKNOWN
