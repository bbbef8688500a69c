from __future__ import annotations

from enum import IntEnum, StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.errors import PolicyError
from interceptors.policy import check_policy
from interceptors.policy.span_conventions import ATTRIBUTES, RESOURCE

if TYPE_CHECKING:
    from interceptors.policy.span_rules import SpanPolicy

CARD = 4111111111111111
EMAIL = "clerk@example.com"


def spans(channels: tuple[dict[str, Any], ...] = (), **rules: Any) -> SpanPolicy:
    return check_policy({"version": 1, "spans": rules, "channels": list(channels)}, "policy.yaml").spans


BUILT_IN = spans()


def kept(policy: SpanPolicy, **attributes: Any) -> dict[str, Any]:
    """What is kept of attributes, `__` for a dot in their names."""
    return policy.attributes({name.replace("__", "."): value for name, value in attributes.items()}).kept


# --- what is built in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http.request.method", "GET"),
        ("http.method", "POST"),
        ("http.response.status_code", 404),
        ("http.status_code", 200),
        ("http.route", "/"),
        ("http.route", "/users/{user_id}/orders/<int:order>/:item/*"),
        ("http.route", "/api/v2/orders.{format}"),
        ("url.scheme", "https"),
        ("server.port", 443),
        ("db.system", "sqlite"),
        ("db.system.name", "postgresql"),
        ("db.operation.name", "SELECT"),
        ("rpc.system", "grpc"),
        ("rpc.service", "shop.v1.Orders"),
        ("rpc.method", "PlaceOrder"),
        ("rpc.grpc.status_code", 0),
        ("error.type", "500"),
        ("error.type", "urllib3.exceptions.MaxRetryError"),
        ("error.type", "shop.checkout.<locals>.CartError"),
        ("exception.type", "ValueError"),
        ("exception.escaped", "False"),
        ("exception.escaped", True),
        ("messaging.system", "kafka"),
        ("messaging.operation.type", "process"),
        ("messaging.batch.message_count", 500),
        ("celery.task_name", "shop.tasks.send_receipt"),
    ],
)
def test_what_identifies_nobody_leaves(name: str, value: Any) -> None:
    assert BUILT_IN.attributes({name: value}) == ({name: value}, 0, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http.request.method", "GETCLERK"),
        ("http.response.status_code", CARD),
        ("http.response.status_code", "200 clerk"),
        ("http.response.status_code", True),
        ("http.response.status_code", 200.0),
        ("http.route", "/users/12345"),
        ("http.route", f"/users/{EMAIL}"),
        ("http.route", "/users/{" + EMAIL + "}"),
        ("http.route", "/search?q=clerk"),
        ("server.port", 70_000),
        ("db.system", "clerk"),
        ("db.operation.name", "clerk"),
        ("http.route", "/users/:u07805"),
        ("http.route", "/users/{a0ee0b7c2e5f4d1a}"),
        ("rpc.method", "/shop/clerk seven"),
        ("rpc.method", "Account_12345"),
        ("celery.task_name", "tasks.a0ee0b7c2e5f4d1a9b8c7d6e5f4a3b2c"),
        ("error.type", "no such user: clerk"),
        ("error.type", EMAIL),
        ("exception.escaped", "clerk"),
        ("messaging.batch.message_count", -1),
        ("messaging.destination.name", "orders"),
        ("http.request.method", b"GET"),
        ("http.request.method", ["GET"]),
        ("http.request.method", {"GET": "GET"}),
        ("http.request.method", None),
        ("http.route", "/" + "a" * 2000),
        ("http.route", ":a" * 200 + "!"),
    ],
)
def test_a_value_that_the_convention_does_not_know_is_dropped(name: str, value: Any) -> None:
    held = BUILT_IN.attributes({name: value})
    assert (held.kept, held.dropped) == ({}, 1)


@pytest.mark.parametrize(
    "name",
    [
        "client.address",
        "code.file.path",
        "db.name",
        "db.namespace",
        "db.query.text",
        "db.statement",
        "db.user",
        "enduser.id",
        "exception.message",
        "exception.stacktrace",
        "host.name",
        "http.request.header.cookie",
        "http.target",
        "http.url",
        "messaging.kafka.message.key",
        "net.peer.name",
        "server.address",
        "session.id",
        "url.full",
        "url.path",
        "url.query",
        "user.id",
        "user_agent.original",
    ],
)
def test_what_may_identify_is_not_built_in(name: str) -> None:
    assert name not in ATTRIBUTES | RESOURCE
    assert BUILT_IN.attributes({name: "GET"}).kept == {}
    assert BUILT_IN.resource({name: "checkout"}).kept == {}


def test_what_is_a_convention_of_the_resource_is_none_of_a_span() -> None:
    resource = {
        "service.name": "checkout",
        "service.version": "1.4.2+b7",
        "deployment.environment.name": "production",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.1",
    }
    assert BUILT_IN.resource(resource) == (resource, 0, ())
    assert BUILT_IN.attributes(resource) == ({}, len(resource), ())
    assert BUILT_IN.resource({"http.request.method": "GET", "service.name": EMAIL}).kept == {}


def test_a_subclass_of_text_or_number_leaves_as_what_it_is() -> None:
    class Method(StrEnum):
        GET = "GET"

    class Port(IntEnum):
        HTTPS = 443

    found = kept(BUILT_IN, http__method=Method.GET, http__status_code=HTTPStatus.OK, server__port=Port.HTTPS)
    assert found == {"http.method": "GET", "http.status_code": 200, "server.port": 443}
    assert {type(value) for value in found.values()} == {str, int}


def test_names_of_the_bus_leave_where_a_channel_lists_them() -> None:
    channel = {"name": "orders", "match": {"kafka": ["eu.orders", "orders-*"], "rabbitmq": ["shop"]}}
    policy = spans((channel,))
    for listed in ("orders", "eu.orders", "shop"):
        assert kept(policy, messaging__destination__name=listed, messaging__destination=listed)
    for other in ("orders-clerk", "orders-*", "amq.gen-x"):
        assert kept(policy, messaging__destination__name=other) == {}


# --- what a policy adds -------------------------------------------------------------------------------------


def test_an_attribute_that_is_listed_leaves_with_any_value_that_holds_nothing() -> None:
    policy = spans(attributes=["shop.note"])
    for value in ("gift", "", 7, -1.5, True, ("a", "b"), (1, 2), ()):
        assert kept(policy, shop__note=value) == {"shop.note": value}
    assert kept(policy, shop__note=["a", "b"]) == {"shop.note": ("a", "b")}


@pytest.mark.parametrize(
    ("value", "classes"),
    [
        (EMAIL, ("personal.email",)),
        (CARD, ("payment.card",)),
        (["gift", EMAIL], ("personal.email",)),
        (f"{CARD}", ("payment.card",)),
        (b"gift", ()),
        ({"a": "gift"}, ()),
        ([["gift"]], ()),
        (["gift", None], ()),
        (["gift"] * 200, ()),
        ("gift" * 300, ()),
        (1 << 63, ()),
        ("\ud800", ()),
        (bytearray(b"gift"), ()),
        (object(), ()),
    ],
)
def test_a_value_in_which_something_is_found_or_hidden_is_dropped(
    value: Any, classes: tuple[str, ...]
) -> None:
    policy = spans(attributes=["shop.note"])
    for _ in range(2):  # the second time, it may have been remembered
        assert policy.attributes({"shop.note": value}) == ({}, 1, classes)


def test_the_name_of_an_attribute_is_looked_at_with_its_value() -> None:
    assert kept(spans(attributes=["shop.note"]), shop__note="hunter22hunter")
    assert kept(spans(attributes=["password"]), password="hunter22hunter") == {}


def test_identifiers_of_the_policy_are_looked_for_wherever_they_may_be_declared() -> None:
    document = {
        "version": 1,
        "identifiers": [{"name": "customer", "prefix": "CUST-", "pattern": "[0-9]{8}", "path": "$.id"}],
        "spans": {"attributes": ["shop.note"]},
        "default": {"payload": {"allow": ["internal.customer", "personal.email"]}},
    }
    policy = check_policy(document, "policy.yaml").spans
    assert policy.attributes({"shop.note": "CUST-00012345"}) == ({}, 1, ("internal.customer",))
    assert policy.attributes({"shop.note": EMAIL}) == ({}, 1, ("personal.email",))


def test_only_the_values_that_are_listed_leave() -> None:
    kinds = {"name": "shop.kind", "values": ["gift", EMAIL]}
    policy = spans(attributes=[kinds, {"name": "http.method", "values": ["GET"]}])
    assert kept(policy, shop__kind="gift", http__method="GET") == {"shop.kind": "gift", "http.method": "GET"}
    assert kept(policy, shop__kind=EMAIL) == {"shop.kind": EMAIL}  # in so many words
    for other in ("GIFT", "clerk", 1, True, ["gift"]):
        assert kept(policy, shop__kind=other, http__method="POST") == {}


def test_what_is_listed_for_the_resource_is_not_listed_for_spans() -> None:
    policy = spans(resource=["host.name"])
    assert policy.resource({"host.name": "web-1"}).kept == {"host.name": "web-1"}
    assert policy.attributes({"host.name": "web-1"}).kept == {}


def test_what_is_built_in_can_be_dropped() -> None:
    policy = spans(drop=["http.route", "service.version"])
    assert kept(policy, http__route="/users/{id}", http__method="GET") == {"http.method": "GET"}
    assert policy.resource({"service.version": "1.0"}).kept == {}


def test_names_of_the_bus_can_be_dropped() -> None:
    name = "messaging.destination.name"
    channel = {"name": "orders", "match": {"kafka": ["orders"]}}
    assert spans((channel,)).attributes({name: "orders"}).kept == {name: "orders"}
    assert spans((channel,), drop=[name]).attributes({name: "orders"}).kept == {}
    with pytest.raises(PolicyError, match="doesn't leave"):
        spans((channel,), drop=[name], names=[f"to {{{name}}}"])


# --- names, events, scopes, bodies --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("GET", {"http.method": "GET"}),
        ("HTTP", {}),
        ("GET /users/{id}", {"http.request.method": "GET", "http.route": "/users/{id}"}),
        ("HTTP GET", {"http.method": "GET"}),
        ("SELECT", {}),
        ("sqlite", {"db.system": "sqlite"}),
        ("shop.Orders/Place", {"rpc.service": "shop.Orders", "rpc.method": "Place"}),
        ("run/shop.tasks.pay", {"celery.task_name": "shop.tasks.pay"}),
        ("orders send", {"messaging.destination.name": "orders"}),
        ("refund gift 3", {"shop.kind": "gift", "shop.items": 3}),
        ("close the day", {}),
    ],
)
def test_a_span_name_leaves_where_the_policy_makes_it(name: str, attributes: dict[str, Any]) -> None:
    policy = spans(
        ({"name": "orders", "match": {"kafka": ["orders"]}},),
        attributes=["shop.kind", "shop.items"],
        names=["refund {shop.kind} {shop.items}", "close the day"],
    )
    assert policy.span_name(name, policy.attributes(attributes)) == name
    assert policy.span_name(f"{name} clerk", policy.attributes(attributes)) is None


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("GET /users/clerk", {"http.method": "GET", "http.route": "/users/{id}"}),
        ("GET /users/12345", {"http.method": "GET", "http.route": "/users/12345"}),
        ("CLERK", {"http.method": "CLERK"}),
        ("refund {shop.kind}", {}),
        ("refund True", {"shop.kind": True}),
        ("refund ", {"shop.kind": ""}),
        (b"SELECT", {}),
        (None, {}),
        ("\ud800", {}),
    ],
)
def test_another_span_name_does_not(name: Any, attributes: dict[str, Any]) -> None:
    policy = spans(attributes=[{"name": "shop.kind", "values": ["gift"]}], names=["refund {shop.kind}"])
    assert policy.span_name(name, policy.attributes(attributes)) is None


def test_a_name_is_looked_into_whole() -> None:
    policy = spans(attributes=["shop.user", "shop.host"], names=["{shop.user}@{shop.host}"])
    for host, leaves in (("example.com", False), ("home", True)):
        held = policy.attributes({"shop.user": "clerk", "shop.host": host})
        assert held.dropped == 0
        assert policy.span_name(f"clerk@{host}", held) == (f"clerk@{host}" if leaves else None)


def test_a_body_leaves_where_the_policy_makes_it() -> None:
    policy = spans(attributes=["shop.kind"], bodies=["order placed", "refund of a {shop.kind}"])
    held = policy.attributes({"shop.kind": "gift"})
    for body in ("order placed", "refund of a gift"):
        assert policy.body(body, held) == body
    for other in ("order placed by clerk", "refund of a {shop.kind}", {"a": "b"}, b"order placed", None, 7):
        assert policy.body(other, held) is None
    assert BUILT_IN.body("SELECT", held) is None


def test_events_leave_by_name() -> None:
    policy = spans(events=["cart.emptied"])
    assert policy.event("cart.emptied") == "cart.emptied"
    assert policy.event("exception") == "exception"
    for other in ("cart", "", None, 7, ["exception"]):
        assert policy.event(other) is None


def test_scopes_leave_by_name_and_with_what_is_below_them() -> None:
    policy = spans(scopes=["shop.*", "billing"])
    instrumentation = "opentelemetry.instrumentation.urllib3"
    for name in ("shop", "shop.cart", "shop.cart._lines", "billing", instrumentation):
        assert policy.scope(name) == name
    others: list[Any] = [
        "billing.cart",
        "shopping",
        "shop.",
        "shop.clerk seven",
        f"shop.{EMAIL}",
        "",
        None,
        7,
    ]
    for other in others:
        assert policy.scope(other) is None


# --- the document -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "path", "problem"),
    [
        ({"attributes": ["exception.message"]}, "spans.attributes[0].name", "never leaves"),
        ({"resource": [{"name": "exception.stacktrace"}]}, "spans.resource[0].name", "never leaves"),
        ({"drop": ["http.rout"]}, "spans", "did you mean 'http.route'?"),
        ({"drop": ["shop"]}, "spans", "not built in"),
        ({"names": ["refund {shop.kind}"]}, "spans", "stands for an attribute that doesn't leave"),
        ({"drop": ["http.route"], "bodies": ["{http.route}"]}, "spans", "doesn't leave"),
        ({"names": ["refund }"]}, "spans", "a brace stands only around"),
        ({"names": [""]}, "spans.names[0]", "at least 1 character"),
        ({"attributes": [7]}, "spans.attributes[0]", "mapping"),
        ({"attribute": []}, "spans.attribute", "did you mean 'attributes'?"),
    ],
)
def test_a_document_that_could_not_hold_is_refused(rules: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(PolicyError) as error:
        spans(**rules)
    assert error.value.path == path
    assert problem in str(error.value)


def test_held_shows_no_value() -> None:
    held = spans(attributes=["shop.note"]).attributes({"shop.note": "gift", "other": 1})
    assert repr(held) == "Held(kept=1, dropped=1)"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.binary(max_size=30)
    | st.sampled_from(["GET", "/users/{id}", "sqlite", "ValueError", "orders", 200, 443]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(ATTRIBUTES)) | st.text(max_size=10)
WITH_A_NOTE = spans(attributes=["shop.note"])


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_whatever_is_given_only_what_is_built_in_is_kept(given_: dict[str, Any]) -> None:
    held = BUILT_IN.attributes(given_)
    assert len(held.kept) + held.dropped == len(given_)
    for name, value in held.kept.items():
        values = ATTRIBUTES[name]
        assert value == given_[name]
        match value:
            case bool():
                assert values.truth
            case int():
                assert value in values.numbers
            case str():
                assert value in values.texts or (values.pattern and values.pattern.fullmatch(value))
            case _:
                pytest.fail("of no type that is built in")


@given(VALUES)
def test_whatever_is_listed_no_bytes_and_no_mapping_leave(value: Any) -> None:
    found = WITH_A_NOTE.attributes({"shop.note": value}).kept.get("shop.note", ())
    for element in found if isinstance(found, tuple) else (found,):
        assert type(element) in {str, bool, int, float}
