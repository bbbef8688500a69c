from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import Level
from interceptors.errors import PolicyError
from interceptors.policy import (
    Accept,
    Channel,
    Emit,
    PolicyDocument,
    TaskMetadata,
    check_policy,
    compile_policy,
    parse_policy,
)
from interceptors.policy.compiled import ALL_SAMPLED

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSES = ["kafka", "rabbitmq", "celery", "taskiq"]


def channel(
    rules: Mapping[str, object] | None = None, default: Mapping[str, object] | None = None
) -> Channel:
    entry = {"name": "orders", "match": {"kafka": ["orders"]}} | dict(rules or {})
    policy = check_policy({"version": 1, "channels": [entry], "default": default or {}}, "policy")
    (found,) = policy.channels("kafka", "orders")
    return found


def refused(rules: Mapping[str, object], default: Mapping[str, object] | None = None) -> PolicyError:
    with pytest.raises(PolicyError) as raised:
        channel(rules, default)
    return raised.value


def test_an_empty_policy_traces_every_name() -> None:
    assert parse_policy("version: 1", "p").channels("kafka", "orders") == (Channel("orders"),)


def test_every_rule_is_taken_over() -> None:
    rules = {
        "emit": "none",
        "accept": "reject",
        "senders": ["checkout", "billing"],
        "binding": "message",
        "lowest_level": "type",
        "max_age": "36h",
        "retry_window": "250ms",
        "task_metadata": "kept",
    }
    assert channel(rules) == Channel(
        "orders",
        emit=Emit.NONE,
        accept=Accept.REJECT,
        senders=frozenset({"checkout", "billing"}),
        level=Level.MESSAGE,
        lowest_level=Level.TYPE,
        max_age_ms=36 * 3_600_000,
        retry_window_ms=250,
        task_metadata=TaskMetadata.KEPT,
    )


DEFAULT = {
    "emit": "none",
    "accept": "required",
    "senders": ["checkout"],
    "binding": "type",
    "lowest_level": "tenant",
    "max_age": "1d",
    "retry_window": "0s",
    "task_metadata": "kept",
}


def test_what_a_channel_leaves_out_is_the_defaults() -> None:
    expected = Channel(
        "orders",
        emit=Emit.NONE,
        accept=Accept.REQUIRED,
        senders=frozenset({"checkout"}),
        level=Level.TYPE,
        lowest_level=Level.TENANT,
        max_age_ms=86_400_000,
        retry_window_ms=0,
        task_metadata=TaskMetadata.KEPT,
    )
    assert channel(default=DEFAULT) == expected
    unlisted = check_policy({"version": 1, "default": DEFAULT}, "p").channels("kafka", "orders")
    assert unlisted == (expected,)


def test_what_a_channel_says_wins_over_the_default() -> None:
    found = channel(
        {
            "emit": "sealed",
            "accept": "optional",
            "senders": ["billing"],
            "max_age": "2d",
            "retry_window": "5s",
            "task_metadata": "removed",
        },
        DEFAULT,
    )
    assert found.task_metadata is TaskMetadata.REMOVED
    assert (found.emit, found.accept, found.senders) == (Emit.SEALED, Accept.OPTIONAL, frozenset({"billing"}))
    assert (found.max_age_ms, found.retry_window_ms) == (2 * 86_400_000, 5000)


def test_consumers_accept_no_looser_binding_than_the_channels_own() -> None:
    assert channel({"binding": "message"}).lowest_level is Level.MESSAGE
    assert channel({"binding": "message"}, {"lowest_level": "tenant"}).lowest_level is Level.MESSAGE
    assert channel({"binding": "tenant"}).lowest_level is Level.TENANT


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"binding": "channel", "lowest_level": "message"}, "channels[0].lowest_level"),
        ({"lowest_level": "type"}, "channels[0].lowest_level"),
    ],
)
def test_a_level_that_every_envelope_is_below_is_refused(rules: dict[str, object], path: str) -> None:
    error = refused(rules)
    assert error.path == path
    assert "every envelope would be refused" in str(error)


def test_a_default_that_nothing_could_satisfy_is_refused() -> None:
    assert refused({}, {"lowest_level": "message"}).path == "default.lowest_level"


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("1ms", 1), ("90s", 90_000), ("2m", 120_000), ("1h", 3_600_000), ("3650d", 3650 * 86_400_000)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, milliseconds: int) -> None:
    assert channel({"max_age": text}).max_age_ms == milliseconds


@pytest.mark.parametrize(
    "value", ["", "7", 7, 7.0, True, "d", "-1d", "1.5h", "1 d", "1w", "1d1h", "1D", "٣d", []]
)
def test_what_is_no_duration_is_refused_with_an_example(value: object) -> None:
    error = refused({"retry_window": value})
    assert error.path == "channels[0].retry_window"
    assert "such as 90s or 7d" in str(error)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"senders": []}, "an empty list of senders accepts nobody"),
        ({"accept": "none", "senders": ["checkout"]}, "`senders` has no meaning"),
        ({"max_age": "0s"}, "makes every envelope stale"),
        ({"max_age": "3651d"}, "a duration is 3650d at most; give a shorter one"),
        ({"emit": "clear"}, "should be 'sealed' or 'none'"),
        ({"accept": True}, "should be 'optional'"),
        ({"binding": "body"}, "should be 'tenant', 'channel', 'type' or 'message'"),
        ({"match": {"kafka": []}}, "write at least one"),
        (
            {"match": {}},
            "a channel that lies nowhere matches nothing; name topics, exchanges or queues under",
        ),
        ({"match": {"rabbitmq": []}}, "write at least one"),
        ({"match": {"celery": [""]}}, "at least 1 character"),
        ({"match": {"kafka": ["orders"], "rabitmq": ["orders"]}}, "did you mean 'rabbitmq'?"),
        ({"task_metadata": "clear"}, "should be 'removed' or 'kept'"),
        ({"match": {"kafka": [""]}}, "at least 1 character"),
        ({"name": "x" * 256}, "at most 255 characters"),
        ({"senders": ["\ud800"]}, "valid string"),
        ({"sender": ["checkout"]}, "did you mean 'senders'?"),
        ({"sampling_ratio": 1.01}, "less than or equal to 1"),
        ({"sampling_ratio": -0.5}, "greater than or equal to 0"),
        ({"sampling_ratio": float("nan")}, "less than or equal to 1"),
        ({"sampling_ratio": "10%"}, "valid number"),
        ({"labels": ["region"]}, "labels"),
        ({"labels": {"region": ["eu"]}}, "labels.region"),
        ({"labels": {"messaging.system": {"values": ["eu"]}}}, "means something else already"),
    ],
)
def test_rules_that_do_not_hold_are_refused_with_their_place(rules: dict[str, Any], problem: str) -> None:
    error = refused(rules)
    assert error.path.startswith("channels[0]")
    assert problem in str(error)
    assert str(error).startswith(f"policy: {error.path}: ")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(PolicyError) as raised:
        check_policy({"version": version}, "policy")
    assert raised.value.path == "version"


def test_a_missing_version_is_asked_for() -> None:
    with pytest.raises(PolicyError, match="p: version: this key is required; add it"):
        check_policy({}, "p")


def test_two_channels_with_one_name_are_refused() -> None:
    entries = [{"name": "orders", "match": {"kafka": [topic]}} for topic in "ab"]
    with pytest.raises(PolicyError, match="'orders' is taken; give each channel its own name") as raised:
        check_policy({"version": 1, "channels": entries}, "policy")
    assert raised.value.path == "channels[1].name"


@pytest.mark.parametrize("bus", BUSES)
def test_a_name_that_more_channels_list_than_a_consumer_tries_is_refused(bus: str) -> None:
    entries = [{"name": name, "match": {bus: ["shared"]}} for name in "abcd"]
    policy = compile_policy(PolicyDocument.model_validate({"version": 1, "channels": entries[:3]}))
    assert [channel.name for channel in policy.channels(bus, "shared")] == ["a", "b", "c"]
    with pytest.raises(PolicyError, match="'shared' is listed by more than 3 channels") as raised:
        check_policy({"version": 1, "channels": entries}, "policy")
    assert raised.value.path == f"channels[3].match.{bus}"


def test_names_and_globs_may_stand_beside_each_other() -> None:
    policy = parse_policy(
        "version: 1\nchannels: [{name: orders, match: {kafka: [orders, 'orders.*', 'ord?', 'o[1-3]']}}]", "p"
    )
    for topic in ("orders", "orders.retry", "ordx", "o2"):
        assert [channel.name for channel in policy.channels("kafka", topic)] == ["orders"]
    assert [channel.name for channel in policy.channels("kafka", "o4")] == ["o4"]


def test_an_error_in_a_file_names_file_line_place_and_remedy() -> None:
    text = "version: 1\nchannels:\n  - name: orders\n    match: {kafka: [orders]}\n    acept: reject\n"
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "policy.yaml")
    assert str(raised.value) == "policy.yaml:5: channels[0].acept: unknown key; did you mean 'accept'?"
    assert raised.value.path == "channels[0].acept"


def test_a_retry_window_is_no_longer_than_an_envelope_lives() -> None:
    error = refused({"max_age": "1h", "retry_window": "2h"})
    assert (error.path, "longer than max_age" in str(error)) == ("channels[0].retry_window", True)
    assert channel({"max_age": "1s"}).retry_window_ms == 1000


@pytest.mark.parametrize(
    "key", ["senders", "accept", "emit", "binding", "lowest_level", "max_age", "task_metadata"]
)
def test_a_rule_without_a_value_is_not_taken_for_its_laxer_default(key: str) -> None:
    text = f"version: 1\nchannels:\n- name: orders\n  match: {{kafka: [orders]}}\n  {key}:\n"
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "policy.yaml")
    assert str(raised.value).startswith(f"policy.yaml:5: channels[0].{key}: this key has no value")
    error = refused({key: None})
    assert str(error).startswith(f"policy: channels[0].{key}: this key has no value")
    assert error.path == f"channels[0].{key}"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("default:\n", "2: default"),
        ("default:\n  accept:\n", "3: default.accept"),
        ("channels:\n", "2: channels"),
        (
            "channels:\n- name: a\n  match:\n    kafka:\n    - orders\n    -\n",
            "7: channels[0].match.kafka[1]",
        ),
        ("channels:\n- name: a\n  match:\n    rabbitmq:\n", "5: channels[0].match.rabbitmq"),
    ],
)
def test_a_part_without_a_value_is_refused_wherever_it_stands(text: str, place: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(f"version: 1\n{text}", "policy.yaml")
    assert str(raised.value).startswith(f"policy.yaml:{place}: this key has no value")


# --- buses --------------------------------------------------------------------------------------------------


def test_one_channel_may_lie_on_every_bus() -> None:
    policy = parse_policy(
        """
version: 1
channels:
  - name: orders
    match: {kafka: [orders], rabbitmq: [checkout, "orders.*"], celery: ["order?", ledger]}
    accept: required
    binding: channel
""",
        "p",
    )
    places = [
        ("kafka", "orders"),
        ("rabbitmq", "checkout"),
        ("rabbitmq", "orders.dead"),
        ("celery", "ledger"),
    ]
    found = [policy.channels(bus, name) for bus, name in [*places, ("celery", "order1")]]
    assert set(found) == {
        (Channel("orders", accept=Accept.REQUIRED, level=Level.CHANNEL, lowest_level=Level.CHANNEL),)
    }
    elsewhere = [
        ("kafka", "checkout"),
        ("kafka", "orders.dead"),
        ("rabbitmq", "ledger"),
        ("celery", "orders.x"),
    ]
    assert [policy.channels(bus, name)[0].accept for bus, name in elsewhere] == [Accept.OPTIONAL] * 4


def test_names_that_two_buses_share_are_not_counted_together() -> None:
    entries = [
        {"name": f"{bus}-{name}", "match": {bus: ["shared"]}} for bus in BUSES for name in ("a", "b", "c")
    ]
    policy = check_policy({"version": 1, "channels": entries}, "policy")
    assert [channel.name for channel in policy.channels("celery", "shared")] == [
        "celery-a",
        "celery-b",
        "celery-c",
    ]


@pytest.mark.parametrize(
    ("rules", "default", "levels"),
    [
        ({}, {}, (Level.TYPE, Level.TYPE)),
        ({"binding": "message"}, {}, (Level.MESSAGE, Level.MESSAGE)),
        ({"binding": "channel"}, {}, (Level.CHANNEL, Level.CHANNEL)),
        ({}, {"binding": "channel"}, (Level.CHANNEL, Level.CHANNEL)),
        ({"lowest_level": "channel"}, {}, (Level.TYPE, Level.CHANNEL)),
        ({}, {"lowest_level": "tenant"}, (Level.TYPE, Level.TENANT)),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_task_is_bound_to_its_type_where_nothing_is_said(
    rules: dict[str, object],
    default: dict[str, object],
    levels: tuple[Level, Level],
    *,
    listed: bool,
) -> None:
    entry = {"name": "orders", "match": {"kafka": ["orders"], "celery": ["orders"]}} | rules
    document = (
        {"version": 1, "channels": [entry], "default": default}
        if listed
        else {"version": 1, "default": default | rules}
    )
    (found,) = check_policy(document, "policy").channels("celery", "orders")
    assert (found.level, found.lowest_level) == levels


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("bus", ["kafka", "rabbitmq"])
def test_what_is_no_task_is_bound_to_its_channel_where_nothing_is_said(bus: str, *, listed: bool) -> None:
    entries = [{"name": "orders", "match": {bus: ["orders"], "celery": ["orders"]}}] if listed else []
    (found,) = check_policy({"version": 1, "channels": entries}, "policy").channels(bus, "orders")
    assert (found.level, found.lowest_level) == (Level.CHANNEL, Level.CHANNEL)


def test_a_level_that_only_tasks_reach_is_refused_where_the_channel_lies_elsewhere_too() -> None:
    rules = {"lowest_level": "type"}
    tasks = check_policy(
        {"version": 1, "channels": [{"name": "orders", "match": {"celery": ["orders"]}} | rules]}, "policy"
    )
    assert tasks.channels("celery", "orders")[0].lowest_level is Level.TYPE
    error = refused(rules | {"match": {"celery": ["orders"], "rabbitmq": ["orders"]}})
    assert error.path == "channels[0].lowest_level"


@pytest.mark.parametrize("bus", BUSES)
def test_an_error_about_a_place_names_the_bus(bus: str) -> None:
    text = f"version: 1\nchannels:\n- name: orders\n  match:\n    {bus}: ['']\n"
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "policy.yaml")
    assert raised.value.path == f"channels[0].match.{bus}[0]"
    assert str(raised.value).startswith(f"policy.yaml:5: channels[0].match.{bus}[0]: ")


# --- sampling and labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "default", "sampled"),
    [
        ({}, {}, ALL_SAMPLED),
        ({"sampling_ratio": 0}, {}, 0),
        ({"sampling_ratio": 0.25}, {}, ALL_SAMPLED // 4),
        ({}, {"sampling_ratio": 0.5}, ALL_SAMPLED // 2),
        ({"sampling_ratio": 1}, {"sampling_ratio": 0.5}, ALL_SAMPLED),
        ({"sampling_ratio": 0}, {"sampling_ratio": 0.5}, 0),
    ],
)
def test_a_ratio_of_traces_is_sampled(
    rules: dict[str, object], default: dict[str, object], sampled: int
) -> None:
    assert channel(rules, default).sampled == sampled


REGION = {"region": {"values": ["eu"]}}
PLAN = {"plan": {"pattern": "[a-z]{1,8}"}}


@pytest.mark.parametrize(
    ("rules", "default", "names"),
    [
        ({}, {}, []),
        ({"labels": REGION}, {}, ["region"]),
        ({}, {"labels": REGION | PLAN}, ["region", "plan"]),
        ({"labels": PLAN}, {"labels": REGION}, ["plan"]),  # all of them are said anew
        ({"labels": {}}, {"labels": REGION}, []),
    ],
)
def test_labels_are_the_channels_or_else_the_defaults(
    rules: dict[str, object], default: dict[str, object], names: list[str]
) -> None:
    assert [rule.name for rule in channel(rules, default).labels.rules] == names


@pytest.mark.parametrize("bus", [*BUSES, "opentelemetry"])
def test_the_defaults_ratio_and_labels_hold_on_every_bus(bus: str) -> None:
    policy = check_policy({"version": 1, "default": {"labels": REGION, "sampling_ratio": 0.25}}, "policy")

    (found,) = policy.channels(bus, "orders.12345")

    assert (found.sampled, [rule.name for rule in found.labels.rules]) == (ALL_SAMPLED // 4, ["region"])
    assert (found.name, found.shown) == ("orders.12345", "orders.{id}")
    assert policy.labelled
