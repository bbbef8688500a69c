from __future__ import annotations

from typing import Any

import pytest

from interceptors.errors import PolicyError
from interceptors.policy import Action, Payload, check_policy
from interceptors.policy.payload import OnUnscanned
from interceptors.scan import Finding, Treatment, Validation

NOW = 1_800_000_000_000


def compiled(
    own: dict[str, Any] | None = None,
    *,
    bound: dict[str, Any] | None = None,
    exception: dict[str, Any] | None = None,
    fields: list[dict[str, Any]] | None = None,
    **parts: Any,
) -> Payload | None:
    entry: dict[str, Any] = {"name": "orders", "match": {"kafka": ["orders"]}}
    if own is not None:
        entry["payload"] = own
    if fields is not None:
        entry["fields"] = fields
    if bound is not None:
        parts["baseline"] = {"payload": bound}
    if exception is not None:
        parts["exceptions"] = [
            {
                "id": "EX-1",
                "reason": "a migration",
                "requested_by": "shop",
                "approved_by": "security",
                "channels": ["orders"],
                "expires": "2030-01-01T00:00:00Z",
                "rules": exception,
            }
        ]
    policy = check_policy({"version": 1, "channels": [entry]} | parts, "policy", now=NOW)
    return policy.channels("kafka", "orders")[0].payload


def payload(own: dict[str, Any] | None = None, **parts: Any) -> Payload:
    found = compiled(own, **parts)
    assert found is not None
    return found


def finding(detector: str, path: str = "", part: str = "body") -> Finding:
    return Finding(detector, "", 0, 1, Validation.PATTERN, "", path, part)


EMAIL = finding("email", "$.email")
CARD = finding("card_number", "$.card")


def test_a_bound_of_leaks_reaches_what_is_not_declared_alone() -> None:
    found = payload({"allow": ["personal"]}, bound={"on_leak": "block"})

    assert found.declared(EMAIL)
    assert found.decide(CARD) == (Action.BLOCK, "baseline.payload.on_leak")


def test_a_bound_of_a_class_reaches_what_is_declared() -> None:
    found = payload({"allow": ["personal"]}, bound={"actions": {"personal.email": "redact"}})

    assert found.decide(EMAIL) == (Action.REDACT, "baseline.payload.actions.personal.email")
    assert found.treatment(EMAIL) is Treatment.MASK


def test_an_action_of_the_channels_own_does_not_reach_what_it_declares() -> None:
    found = payload(
        {"actions": {"personal": "block"}, "allow": ["personal"]}, bound={"actions": {"personal": "tokenize"}}
    )

    assert found.decide(EMAIL).action is Action.TOKENIZE
    assert payload({"actions": {"personal": "block"}, "allow": ["personal"]}).declared(EMAIL)


def test_to_observe_bounds_nothing_that_is_declared() -> None:
    assert payload({"allow": ["personal"]}, bound={"actions": {"personal": "observe"}}).declared(EMAIL)


@pytest.mark.parametrize(
    ("own", "bound", "action"),
    [
        ("observe", "redact", Action.REDACT),
        ("block", "redact", Action.BLOCK),
        ("tokenize", "observe", Action.TOKENIZE),
    ],
)
def test_what_is_not_declared_becomes_the_stricter_of_both(own: str, bound: str, action: Action) -> None:
    assert (
        payload({"actions": {"personal": own}}, bound={"actions": {"personal": bound}}).decide(EMAIL)[0]
        is action
    )
    assert payload({"on_leak": own}, bound={"on_leak": bound}).decide(EMAIL)[0] is action


@pytest.mark.parametrize("key", ["allow", "budget"])
def test_a_bound_allows_nothing(key: str) -> None:
    with pytest.raises(PolicyError, match="a bound only forbids") as raised:
        payload({}, bound={key: [] if key == "allow" else {"time": "1ms"}})
    assert raised.value.path == f"baseline.payload.{key}"


def test_what_an_exception_allows_gets_past_the_bounds() -> None:
    bound = {"on_leak": "block", "actions": {"personal": "block"}}
    found = payload(
        {}, bound=bound, exception={"payload": {"allow": [{"class": "personal", "path": "$.email"}]}}
    )

    assert found.decide(EMAIL) == (None, "exceptions[0].rules.payload.allow[0]")
    assert found.blocks(finding("email", "$.other"))


def test_an_exceptions_action_lifts_the_bounds_of_its_class() -> None:
    bound = {"on_leak": "block", "actions": {"personal": "block", "payment": "block"}}
    exception = {"payload": {"actions": {"personal.email": "observe"}}}
    found = payload({"allow": ["personal", "payment"]}, bound=bound, exception=exception)
    undeclared = payload({}, bound=bound, exception=exception)

    assert found.declared(EMAIL)
    assert found.blocks(CARD)
    assert undeclared.decide(EMAIL).action is Action.OBSERVE
    assert undeclared.blocks(CARD)


def test_what_an_exception_makes_of_leaks_counts_for_all_of_them() -> None:
    bound = {"on_leak": "block", "actions": {"payment": "block"}}
    found = payload({"allow": ["payment"]}, bound=bound, exception={"payload": {"on_leak": "observe"}})

    assert found.decide(EMAIL) == (Action.OBSERVE, "exceptions[0].rules.payload.on_leak")
    assert found.blocks(CARD)  # declared, so that it is no leak: the bound of its class holds


@pytest.mark.parametrize(
    ("own", "bound", "exception", "expected"),
    [
        ({"on_unscanned": "pass", "sample": 0.1}, {}, {}, (OnUnscanned.PASS, int(0.1 * 2**32))),
        ({"sample": 0}, {"on_unscanned": "block", "sample": 0.5}, {}, (OnUnscanned.BLOCK, 1 << 31)),
        ({"sample": 1}, {"sample": 0.5}, {}, (OnUnscanned.PASS, 1 << 32)),
        ({}, {"sample": 0.5}, {}, (OnUnscanned.PASS, 1 << 32)),
        (
            {"on_unscanned": "block"},
            {"on_unscanned": "block"},
            {"on_unscanned": "pass", "sample": 0},
            (OnUnscanned.PASS, 0),
        ),
    ],
)
def test_what_is_scanned_is_bounded_and_excepted_too(
    own: dict[str, Any], bound: dict[str, Any], exception: dict[str, Any], expected: tuple[OnUnscanned, int]
) -> None:
    found = payload(own, bound=bound, exception={"payload": exception} if exception else None)
    assert (found.on_unscanned, found.sampled) == expected


def test_all_that_anybody_includes_is_looked_for() -> None:
    found = payload({"include": ["network.private_ip"]}, bound={"include": ["trace"]})
    body = b'{"ip": "10.1.2.3", "trace_id": "0af7651916cd43dd8448eb211c80319c"}'
    assert {each.class_ for each in found.inspector.inspect(body).findings} >= {"network.private_ip"}
    (error, path) = ("no class", "baseline.payload.include[0]")
    with pytest.raises(PolicyError, match=error) as raised:
        payload({}, bound={"include": ["nothing"]})
    assert raised.value.path == path


def test_an_exceptions_budget_counts_before_the_channels() -> None:
    found = payload({"budget": {"time": "1ms"}}, exception={"payload": {"budget": {"time": "9ms"}}})
    assert found.time_ns == 9_000_000


# --- fields -------------------------------------------------------------------------------------------------


def test_a_field_that_is_kept_declares_its_class_at_its_place() -> None:
    found = payload(
        {"on_leak": "block"}, fields=[{"path": "$.email", "class": "personal.email", "handling": "keep"}]
    )

    assert found.decide(EMAIL) == (None, "channels[0].fields[0]")
    assert found.blocks(finding("email", "$.other"))
    assert found.blocks(finding("card_number", "$.email"))


def test_a_header_that_is_kept_declares_its_class_there() -> None:
    found = payload(
        {"on_leak": "block"}, fields=[{"header": "X-User", "class": "personal", "handling": "keep"}]
    )

    assert found.declared(finding("email", "", "headers.x-user"))
    assert found.blocks(finding("email", "", "headers.x-other"))
    assert found.blocks(EMAIL)


def test_fields_alone_are_handled_and_nothing_is_scanned() -> None:
    assert compiled(fields=[{"path": "$.name", "class": "personal.name", "handling": "keep"}]) is None
    found = payload(fields=[{"path": "$.name", "class": "personal.name", "handling": "drop"}])
    assert found.fields.handles
    assert not found.samples(b"")


def test_a_channel_without_fields_has_the_defaults() -> None:
    default = {"fields": [{"path": "$.name", "class": "personal.name", "handling": "drop"}]}
    own = [{"path": "$.other", "class": "personal.name", "handling": "redact"}]
    assert [rule.place for rule in payload(default=default).fields.rules] == ["$.name"]
    assert [rule.place for rule in payload(default=default, fields=own).fields.rules] == ["$.other"]


@pytest.mark.parametrize(
    ("actions", "treatment", "line"),
    [
        ({"personal": "observe"}, Treatment.KEEP, "channels[0].fields[0]"),
        ({"personal": "tokenize"}, Treatment.TOKEN, "baseline.payload.actions.personal"),
        ({"personal.name": "redact"}, Treatment.MASK, "baseline.payload.actions.personal.name"),
        (
            {"personal": "tokenize", "personal.name": "block"},
            Treatment.MASK,
            "baseline.payload.actions.personal.name",
        ),
        ({"payment": "block"}, Treatment.KEEP, "channels[0].fields[0]"),
    ],
)
def test_a_field_that_is_kept_is_held_to_the_bounds_of_its_class_too(
    actions: dict[str, str], treatment: Treatment, line: str
) -> None:
    field = {"path": "$.customer.name", "class": "personal.name", "handling": "keep"}
    (rule,) = payload({}, bound={"actions": actions}, fields=[field]).fields.rules
    assert (rule.treatment, rule.line) == (treatment, line)


@pytest.mark.parametrize(
    ("bound", "treatment", "line"),
    [
        ("tokenize", Treatment.TOKEN, "channels[0].fields[0]"),
        ("redact", Treatment.MASK, "baseline.payload.actions.personal"),
        ("block", Treatment.MASK, "baseline.payload.actions.personal"),
    ],
)
def test_a_field_is_held_to_the_bounds_of_its_class(bound: str, treatment: Treatment, line: str) -> None:
    (rule,) = payload(
        {},
        bound={"actions": {"personal": bound}},
        fields=[{"path": "$.email", "class": "personal.email", "handling": "tokenize"}],
    ).fields.rules
    assert (rule.treatment, rule.line) == (treatment, line)


def test_an_exceptions_field_counts_instead_of_the_others_and_the_bounds() -> None:
    exception = {"fields": [{"path": "$.email", "class": "personal.email", "handling": "keep"}]}
    found = payload(
        {"on_leak": "block"},
        bound={"actions": {"personal": "block"}},
        fields=[{"path": "$.email", "class": "personal.email", "handling": "drop"}],
        exception=exception,
    )
    ((_, rule, treatment),) = found.fields.treated(b'{"email": "jo@example.com"}', lambda: False)
    assert (rule.line, treatment) == ("exceptions[0].rules.fields[0]", Treatment.KEEP)
    assert found.declared(EMAIL)


@pytest.mark.parametrize(
    ("domains", "what", "domain", "class_"),
    [
        ({}, "personal.email", "personal.email", "personal.email"),
        ({}, "email", "personal.email", "personal.email"),
        ({}, "order.number", "order.number", "order.number"),
        ({"customer": ["personal"]}, "personal.email", "customer", "personal.email"),
        ({"customer": ["personal.name"]}, "personal.name", "customer", "personal.name"),
    ],
)
def test_a_fields_tokens_join_those_of_findings(
    domains: dict[str, list[str]], what: str, domain: str, class_: str
) -> None:
    tokens = {"domains": {name: {"classes": classes} for name, classes in domains.items()}}
    (rule,) = payload(
        fields=[{"path": "$.x", "class": what, "handling": "tokenize"}], tokens=tokens
    ).fields.rules
    assert (rule.domain, rule.class_) == (domain, class_)


def test_a_class_is_in_one_domain_and_known() -> None:
    fields = [{"path": "$.x", "class": "personal.name", "handling": "tokenize"}]
    twice = {"domains": {name: {"classes": ["personal.name"]} for name in ("a", "b")}}
    with pytest.raises(PolicyError, match="is in the domain 'a' already"):
        payload(fields=fields, tokens=twice)
    with pytest.raises(PolicyError, match=r"no class, family or detector is called 'personal\.nam'"):
        payload(fields=fields, tokens={"domains": {"a": {"classes": ["personal.nam"]}}})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ([{"class": "x", "handling": "keep"}], "either a `path` in the body or a `header`"),
        ([{"path": "$.a", "header": "b", "class": "x", "handling": "keep"}], "either a `path`"),
        ([{"path": "$.a", "class": "x", "handling": "keep"}] * 2, r"\$.a stands twice"),
        (
            [{"header": name, "class": "x", "handling": "keep"} for name in ("x-a", "X-A")],
            "header x-a stands twice",
        ),
        ([{"header": "acct-12345", "class": "x", "handling": "drop"}], "can't be told from others like it"),
        ([{"path": "$.a", "class": "x", "handling": "hide"}], "should be 'keep'"),
    ],
)
def test_fields_that_do_not_hold_are_refused(fields: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(PolicyError, match=problem):
        payload(fields=fields)
