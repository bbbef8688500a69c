from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from interceptors.envelope import Binding, Level
from interceptors.policy import Accept, Channel, Emit, Policy, TaskMetadata, check_policy
from interceptors.policy.compiled import ALL_SAMPLED
from interceptors.policy.labels import Label, Labels

A, B, C, D = (Channel(name) for name in "abcd")
DEFAULT = Channel("default", emit=Emit.NONE)


def test_a_listed_name_is_its_channel() -> None:
    policy = Policy({("kafka", "orders"): [A]}, [], DEFAULT)
    assert policy.channels("kafka", "orders") == (A,)


def test_a_name_that_nobody_lists_is_its_own_channel_under_the_defaults_rules() -> None:
    (found,) = Policy({("kafka", "orders"): [A]}, [], DEFAULT).channels("kafka", "payments")
    assert (found.name, found.emit) == ("payments", Emit.NONE)
    assert found.candidate.binding == Binding("payments")


def test_a_name_on_another_bus_is_another_name() -> None:
    policy = Policy({("kafka", "orders"): [A]}, [("kafka", "ord*", B)], DEFAULT)
    assert [channel.name for channel in policy.channels("amqp", "orders")] == ["orders"]


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("orders.retry.1", True),
        ("orders.retry.10", False),
        ("xorders.retry.1", False),
        ("ORDERS.retry.1", False),
        ("orders_retry.1", False),
    ],
)
def test_a_glob_fits_the_whole_name_and_its_case(name: str, fits: bool) -> None:  # noqa: FBT001 - a parameter
    policy = Policy({}, [("kafka", "orders.retry.[0-9]", A)], DEFAULT)
    assert (policy.channels("kafka", name) == (A,)) is fits


def test_exact_names_come_before_globs_and_globs_in_the_documents_order() -> None:
    policy = Policy({("kafka", "orders"): [C]}, [("kafka", "ord*", B), ("kafka", "*", A)], DEFAULT)
    assert policy.channels("kafka", "orders") == (C, B, A)
    assert policy.channels("kafka", "ordinal") == (B, A)


def test_a_channel_that_fits_twice_is_tried_once() -> None:
    policy = Policy({("kafka", "orders"): [A]}, [("kafka", "ord*", A), ("kafka", "*", B)], DEFAULT)
    assert policy.channels("kafka", "orders") == (A, B)


def test_no_more_than_three_are_tried() -> None:
    globs = [("kafka", "*", channel) for channel in (B, C, D)]
    assert Policy({("kafka", "orders"): [A]}, globs, DEFAULT).channels("kafka", "orders") == (A, B, C)
    exact = Policy({("kafka", "orders"): [A, B, C, D]}, [], DEFAULT)
    assert exact.channels("kafka", "orders") == (A, B, C)


def test_a_name_is_looked_up_once_and_any_number_of_names_is_bounded() -> None:
    policy = Policy({}, [("kafka", "a*", A)], DEFAULT)
    for number in range(10_000):
        policy.channels("kafka", f"b{number}")
    assert len(policy._found) <= 4096
    first = policy.channels("kafka", "anything")
    assert policy.channels("kafka", "anything") is first


def test_a_channel_knows_what_a_plain_message_of_it_is_bound_to() -> None:
    channel = Channel("orders", senders=frozenset({"checkout"}), lowest_level=Level.TENANT)
    assert channel.candidate == (Binding("orders"), Level.TENANT, frozenset({"checkout"}), False)


def test_the_built_in_rules_are_those_of_the_specification() -> None:
    assert (A.emit, A.accept, A.senders) == (Emit.SEALED, Accept.OPTIONAL, None)
    assert (A.level, A.lowest_level) == (Level.CHANNEL, Level.CHANNEL)
    assert (A.max_age_ms, A.retry_window_ms) == (7 * 24 * 60 * 60 * 1000, 2 * 60 * 1000)
    assert A.task_metadata is TaskMetadata.REMOVED


# --- a queue, and the exchange that it has its messages from ------------------------------------------------


VIA = Policy(
    {("rabbitmq", "orders"): [A], ("rabbitmq", "checkout"): [B]},
    [("rabbitmq", "retry.*", C), ("rabbitmq", "events.*", D)],
    DEFAULT,
)


@pytest.mark.parametrize(
    ("queue", "exchange", "channels"),
    [
        ("orders", "checkout", (A,)),
        ("retry.5m", "checkout", (C,)),  # listed by a glob it is listed, too
        ("mailer", "checkout", (B,)),
        ("mailer", "events.eu", (D,)),
        ("orders", "", (A,)),
        ("orders", "unlisted", (A,)),
    ],
)
def test_the_channel_is_the_queues_and_where_nobody_lists_that_the_exchanges(
    queue: str, exchange: str, channels: tuple[Channel, ...]
) -> None:
    assert VIA.channels("rabbitmq", queue, exchange) == channels


@pytest.mark.parametrize(("exchange", "name"), [("amq.topic", "amq.topic"), ("", "mailer")])
def test_where_nobody_lists_either_the_default_goes_by_the_exchange_as_the_publishers_does(
    exchange: str, name: str
) -> None:
    (consumed,) = VIA.channels("rabbitmq", "mailer", exchange)
    (published,) = VIA.channels("rabbitmq", exchange or "mailer")
    assert (consumed.name, consumed.emit) == (name, Emit.NONE)
    assert consumed == published


def test_a_queue_is_looked_up_anew_for_each_exchange() -> None:
    found = [
        VIA.channels("rabbitmq", "mailer", exchange)[0].name for exchange in ("checkout", "events.eu", "")
    ]
    assert found == ["b", "d", "mailer"]


def test_a_bus_may_have_a_default_of_its_own() -> None:
    policy = Policy({}, [], DEFAULT, {"celery": Channel("default", level=Level.TYPE)})
    levels = {
        system: policy.channels(system, "orders")[0].level for system in ("kafka", "rabbitmq", "celery")
    }
    assert levels == {"kafka": Level.CHANNEL, "rabbitmq": Level.CHANNEL, "celery": Level.TYPE}
    assert policy.channels("celery", "orders")[0].name == "orders"


def test_names_that_no_broker_has_are_not_kept() -> None:
    policy = Policy({}, [], DEFAULT)
    (found,) = policy.channels("celery", "x" * 10_000)

    assert found.name == "x" * 10_000
    assert policy.channels("celery", "x" * 10_000) == (found,)
    assert policy._found.get(("celery", "x" * 10_000, "")) is None
    policy.channels("celery", "x" * 255, "y" * 255)
    assert policy._found.get(("celery", "x" * 255, "y" * 255)) is not None


# --- sampling, labels, and what is shown --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampled", "first", "expected"),
    [
        (ALL_SAMPLED, "ffffffff", True),
        (ALL_SAMPLED, "00000000", True),
        (0, "00000000", False),
        (1, "00000000", True),
        (1, "00000001", False),
        (ALL_SAMPLED // 2, "7fffffff", True),
        (ALL_SAMPLED // 2, "80000000", False),
    ],
)
@pytest.mark.parametrize("rest", ["00" * 12, "ff" * 12])
def test_the_first_bytes_of_the_trace_id_say_whether_it_is_sampled(
    sampled: int, first: str, rest: str, *, expected: bool
) -> None:
    assert Channel("orders", sampled=sampled).samples(bytes.fromhex(first + rest)) is expected


def test_as_many_traces_are_sampled_as_the_ratio_says() -> None:
    channel = Channel("orders", sampled=ALL_SAMPLED // 4)
    # Spread evenly, as random ids are in the long run.
    ids = [(number << 112 | 0xABCDEF).to_bytes(16, "big") for number in range(0, 1 << 16, 64)]
    assert sum(map(channel.samples, ids)) == len(ids) // 4


REGION = Labels((Label("region", frozenset({"eu"})),))


@pytest.mark.parametrize(
    ("policy", "labelled"),
    [
        (Policy({("kafka", "orders"): [A, B]}, [("kafka", "*", C)], DEFAULT, {"celery": D}), False),
        (Policy({("kafka", "orders"): [A, replace(B, labels=REGION)]}, [], DEFAULT), True),
        (Policy({}, [("kafka", "ord*", replace(C, labels=REGION))], DEFAULT), True),
        (Policy({}, [], replace(DEFAULT, labels=REGION)), True),
        (Policy({}, [], DEFAULT, {"celery": replace(DEFAULT, labels=REGION)}), True),
    ],
    ids=["nowhere", "exact", "glob", "default", "default of a bus"],
)
def test_a_policy_knows_whether_any_channel_has_labels(policy: Policy, *, labelled: bool) -> None:
    assert policy.labelled is labelled


def test_a_listed_channel_is_shown_by_its_name_and_another_by_a_template() -> None:
    policy = Policy({("kafka", "orders.12345"): [Channel("orders")]}, [], DEFAULT)

    (listed,) = policy.channels("kafka", "orders.12345")
    (unlisted,) = policy.channels("kafka", "refunds.12345")

    assert (listed.name, listed.shown) == ("orders", "orders")
    # An envelope is bound to the name all the same.
    assert (unlisted.name, unlisted.shown) == ("refunds.12345", "refunds.{id}")
    assert unlisted.candidate.binding == Binding("refunds.12345")


def test_a_channel_is_shown_by_the_name_that_people_gave_it_whatever_that_holds() -> None:
    assert Channel("orders.12345").shown == "orders.12345"


def test_a_channel_is_pickled_without_the_rules_of_payloads() -> None:
    document: dict[str, object] = {
        "version": 1,
        "default": {
            "payload": {"on_leak": "redact"},
            "labels": {"region": {"pattern": "[a-z]{2}"}},
            "max_age": "1h",
        },
    }
    (channel,) = check_policy(document, "policy").channels("celery", "orders")
    assert channel.payload is not None
    assert pickle.loads(pickle.dumps(channel)) == replace(channel, payload=None)  # noqa: S301 - our own bytes


def test_other_rules_for_all_channels_leave_the_policy_itself_as_it_is() -> None:
    listed = Channel("orders")
    policy = Policy(
        {("kafka", "orders"): [listed]}, [("kafka", "ord*", listed)], Channel(""), {"celery": Channel("")}
    )
    assert policy.channels("kafka", "orders") == (listed,)
    changed = policy.changed(lambda channel: replace(channel, accept=Accept.REJECT))
    places = (("kafka", "orders"), ("kafka", "ordinary"), ("kafka", "unlisted"), ("celery", "q"))
    for place in places:
        (before,), (after,) = policy.channels(*place), changed.channels(*place)
        assert (before.accept, after) == (Accept.OPTIONAL, replace(before, accept=Accept.REJECT))
    assert (changed.names, changed.spans) == (policy.names, policy.spans)
