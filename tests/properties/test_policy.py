"""What holds of every policy: only exceptions get past bounds, and what is explained is what is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

from interceptors.context import TraceContext
from interceptors.envelope import Level
from interceptors.errors import PolicyError
from interceptors.message import Message
from interceptors.pipeline import on_send
from interceptors.policy import Accept, Action, Channel, Emit, Payload, PolicyDocument, TaskMetadata
from interceptors.policy.compiling import Compiler
from interceptors.policy.explaining import explain, explain_message
from interceptors.policy.payload import OnUnscanned
from interceptors.scan import Finding, Token, Treatment, Validation

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000_000
ENVIRONMENT = "production"
BUSES = ("kafka", "celery", "taskiq", "rabbitmq")
CLASSES = {"email": ("personal.email", "personal"), "card_number": ("payment.card", "payment")}
PATHS = ("$.a", "$.b")
ACTIONS = (Action.OBSERVE, Action.TOKENIZE, Action.REDACT, Action.BLOCK)
LEVELS = tuple(level.name.lower() for level in Level)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

whats = st.sampled_from([*CLASSES, *(name for names in CLASSES.values() for name in names)])
durations = st.sampled_from(["1s", "90s", "1h", "1d", "30d"])
action = st.sampled_from([str(each) for each in ACTIONS])
forbidding = st.fixed_dictionaries(
    {},
    optional={
        "on_leak": action,
        "actions": st.dictionaries(whats, action, max_size=3),
        "include": st.just(["network"]),
        "on_unscanned": st.sampled_from(["pass", "block"]),
        "sample": st.sampled_from([0, 0.25, 1]),
    },
)
allowed = st.lists(
    whats | st.fixed_dictionaries({"class": whats, "path": st.sampled_from(PATHS)}), max_size=2
)
payloads = st.tuples(forbidding, st.fixed_dictionaries({}, optional={"allow": allowed})).map(
    lambda both: both[0] | both[1]
)
scalars: dict[str, st.SearchStrategy[Any]] = {
    "emit": st.sampled_from(["sealed", "none"]),
    "accept": st.sampled_from(["none", "optional", "required", "reject"]),
    "senders": st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, unique=True),
    "binding": st.sampled_from(LEVELS),
    "lowest_level": st.sampled_from(LEVELS),
    "signed": st.booleans(),
    "max_age": durations,
    "retry_window": durations,
    "task_metadata": st.sampled_from(["kept", "removed"]),
    "sampling_ratio": st.sampled_from([0, 0.5, 1]),
    "retention": durations,
}
handlings = st.sampled_from(["keep", "tokenize", "redact", "drop"])
fields = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(PATHS),
            "class": whats,
            "handling": handlings,
        }
    ),
    unique_by=lambda entry: entry["path"],
    max_size=2,
)
labels = st.dictionaries(
    st.sampled_from(["one", "two"]),
    st.fixed_dictionaries({"class": whats, "handling": handlings, "values": st.just(["word"])}),
)
bounds = st.fixed_dictionaries({}, optional=scalars | {"payload": forbidding})
rules = st.fixed_dictionaries(
    {}, optional=scalars | {"payload": payloads, "fields": fields, "labels": labels}
)


@st.composite
def documents(draw: st.DrawFn, *, excepted: bool) -> dict[str, Any]:
    match = {bus: ["orders"] for bus in draw(st.lists(st.sampled_from(BUSES), min_size=1, unique=True))}
    document: dict[str, Any] = {
        "version": 1,
        "channels": [{"name": "orders", "match": match} | draw(rules)],
        "default": draw(rules),
        "baseline": draw(bounds),
        "environments": {ENVIRONMENT: draw(bounds)},
    }
    if excepted:
        said = {"id": "E", "reason": "r", "requested_by": "a", "approved_by": "b", "channels": ["orders"]}
        ends = {"expires": "2030-01-01T00:00:00Z"}
        document["exceptions"] = [said | ends | {"rules": each} for each in draw(st.lists(rules, max_size=2))]
    return document


def compiled(document: dict[str, Any]) -> Compiler:
    try:
        compiler = Compiler(PolicyDocument.model_validate(document), "policy")
        compiler.compile(ENVIRONMENT, NOW)
    except (PolicyError, ValueError):  # a document that nothing could satisfy
        reject()
    return compiler


def channels(document: dict[str, Any]) -> dict[str, Channel]:
    policy = compiled(document).compile(ENVIRONMENT, NOW)
    return {bus: policy.channels(bus, "orders")[0] for bus in document["channels"][0]["match"]}


def milliseconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1000, "h": 3_600_000, "d": 86_400_000}[text[-1]]


ACCEPT = (Accept.NONE, Accept.OPTIONAL, Accept.REQUIRED, Accept.REJECT)
NO_LAXER: dict[str, Callable[[Channel, Any], bool]] = {
    "emit": lambda channel, bound: channel.emit is Emit.NONE or bound == "sealed",
    "accept": lambda channel, bound: ACCEPT.index(channel.accept) >= ACCEPT.index(Accept(bound)),
    "senders": lambda channel, bound: channel.senders is not None and channel.senders <= set(bound),
    "binding": lambda channel, bound: channel.level >= Level[bound.upper()],
    "lowest_level": lambda channel, bound: channel.lowest_level >= Level[bound.upper()],
    "signed": lambda channel, bound: channel.signed or not bound,
    "max_age": lambda channel, bound: channel.max_age_ms <= milliseconds(bound),
    "retry_window": lambda channel, bound: channel.retry_window_ms <= milliseconds(bound),
    "task_metadata": lambda channel, bound: channel.task_metadata is TaskMetadata.REMOVED or bound == "kept",
    "sampling_ratio": lambda channel, bound: channel.sampled <= round(bound * 2**32),
}
"""Each key compared in its own words, and not by the code that is tested."""


def check_payload(found: Payload, bound: dict[str, Any]) -> None:
    """What becomes of a finding is no less than a bound says, wherever it lies and whatever declares it."""
    assert found.on_unscanned is OnUnscanned.BLOCK or bound.get("on_unscanned") != "block"
    assert found.sampled >= int(bound.get("sample", 0) * 2**32)
    for detector, names in CLASSES.items():
        said = [
            Action(bound["actions"][name]) for name in (detector, *names) if name in bound.get("actions", {})
        ]
        least = max(said, key=ACTIONS.index, default=Action.OBSERVE)
        for path in (*PATHS, "$.c", ""):
            finding = Finding(detector, names[0], 0, 1, Validation.PATTERN, "", path)
            held = found.decide(finding).action
            if held is None:  # declared: then the bounds of classes count, and not those of leaks
                assert least is Action.OBSERVE
            else:
                assert ACTIONS.index(held) >= ACTIONS.index(least)
        for rule in found.fields.rules:
            if rule.what in (detector, *names) and rule.treatment is Treatment.TOKEN:
                assert least in {Action.OBSERVE, Action.TOKENIZE}


def check_labels(channel: Channel, bound: dict[str, Any]) -> None:
    """What travels of a label is no more than a bound says of its class."""
    for rule in channel.labels.rules:
        for detector, names in CLASSES.items():
            said = bound.get("actions", {}).get
            if rule.what not in (detector, *names):
                continue
            met = {said(name) for name in (detector, *names)} - {None, "observe"}
            kept, _ = channel.labels.admitted({rule.name: "word"}, lambda *_: Token(bytes(16), 1))
            travels = kept[rule.name]
            assert travels != "word" or not met
            assert travels == "***" or met <= {"tokenize"}


@unhurried
@given(documents(excepted=False))
def test_no_bound_is_undercut_without_an_exception(document: dict[str, Any]) -> None:
    for channel in channels(document).values():
        for bound in (document["baseline"], document["environments"][ENVIRONMENT]):
            assert [
                key for key, held in NO_LAXER.items() if key in bound and not held(channel, bound[key])
            ] == []
            if "payload" in bound:
                assert channel.payload is not None
                check_payload(channel.payload, bound["payload"])
                check_labels(channel, bound["payload"])


@unhurried
@given(documents(excepted=False))
def test_leaks_are_bounded_where_nothing_declares_them(document: dict[str, Any]) -> None:
    bounding = [document["baseline"], document["environments"][ENVIRONMENT]]
    leaks = [
        Action(bound["payload"]["on_leak"]) for bound in bounding if "on_leak" in bound.get("payload", {})
    ]
    assume(leaks)
    for channel in channels(document).values():
        assert channel.payload is not None
        for held in channel.payload.actions.values():
            assert ACTIONS.index(held) >= max(map(ACTIONS.index, leaks))


SHOWN = {Treatment.KEEP: "keep", Treatment.TOKEN: "tokenize", Treatment.MASK: "redact"}


@unhurried
@given(documents(excepted=True))
def test_what_is_explained_is_what_the_compiled_channel_does(document: dict[str, Any]) -> None:
    compiler = compiled(document)
    layers = compiler.layers(0, ENVIRONMENT, NOW)
    for bus, channel in channels(document).items():
        rows = explain(compiler, layers, bus)
        held = {row.key: row.value for row in rows}
        assert (
            Channel(
                "orders",
                emit=held["emit"],
                accept=held["accept"],
                senders=None if held["senders"] is None else frozenset(held["senders"]),
                level=Level[held["binding"].upper()],
                lowest_level=Level[held["lowest_level"].upper()],
                signed=held["signed"],
                max_age_ms=held["max_age"],
                retry_window_ms=held["retry_window"],
                task_metadata=held["task_metadata"],
                payload=channel.payload,
                labels=channel.labels,
                sampled=round(held["sampling_ratio"] * 2**32),
            )
            == channel
        )
        if channel.payload is not None and channel.payload.sampled:
            told = {
                name: each for row in rows if row.key == "payload.actions" for name, each in row.value.items()
            }
            assert told == channel.payload.actions
            assert held["payload.on_unscanned"] == channel.payload.on_unscanned
            assert int(held["payload.sample"] * 2**32) == channel.payload.sampled
        told_fields = [(row.line, row.value) for row in rows if row.key == "fields"]
        if channel.payload is not None:
            assert told_fields == [
                (rule.line, SHOWN.get(rule.treatment, "drop")) for rule in channel.payload.fields.rules
            ]
        told_labels = [(row.line, row.value) for row in rows if row.key == "labels" and row.value]
        assert [each for each in told_labels if each[1] != "drop"] == [
            (rule.line, SHOWN[rule.treatment]) for rule in channel.labels.rules
        ]
        for row in rows:
            assert not row.line or row.why != "built in"


leaves = st.sampled_from(["word", "jo@example.com", "4111111111111111", 7, True, None])
bodies = st.fixed_dictionaries(
    {},
    optional={
        "a": leaves | st.fixed_dictionaries({"b": leaves, "c": leaves}),
        "b": leaves,
        "d": st.lists(leaves, min_size=1, max_size=1),
    },
)
field_entries = st.lists(
    st.fixed_dictionaries(
        {
            "path": st.sampled_from(["$.a", "$.a.b", "$.b", "$.d", "$.d[0]"]),
            "class": st.sampled_from(["order.word", "personal.email", "payment"]),
            "handling": handlings,
        }
    ),
    max_size=3,
    unique_by=lambda entry: entry["path"],
)
HANDLED: dict[str, Callable[[Any], Any]] = {
    "keep": lambda value: value,
    "observe": lambda value: value,
    "block": lambda value: value,
    "redact": lambda value: 0 if isinstance(value, int) else "*" * len(value),
    "drop": lambda value: type(value)() if isinstance(value, (str, list, dict)) else None,
}
HANDLED["tokenize"] = HANDLED["redact"]
"""Each handling in its own words; without a key, a token is a mask."""


def changed(value: Any, path: str, handling: str) -> Any:
    """A document in which one place is handled."""
    if path in {"", "$"}:
        return HANDLED[handling](value)
    step, _, rest = path.removeprefix("$").lstrip(".").replace("[0]", ".0").lstrip(".").partition(".")
    parts = value.copy()
    place = int(step) if isinstance(value, list) else step
    parts[place] = changed(value[place], rest, handling)
    return parts


@unhurried
@given(documents(excepted=True), field_entries, bodies)
def test_what_is_explained_of_a_message_is_what_is_sent(
    document: dict[str, Any], entries: list[dict[str, Any]], body: dict[str, Any]
) -> None:
    document["channels"][0] |= {"match": {"kafka": ["orders"]}, "fields": entries}
    compiler = compiled(document)
    policy = compiler.compile(ENVIRONMENT, NOW)
    channel = policy.channels("kafka", "orders")[0]
    payload = channel.payload
    assume(payload is not None)
    assert payload is not None
    message = Message("kafka", "orders", json.dumps(body).encode())
    # Of the traces that a channel samples, so that what is scanned at all is scanned here.
    context = TraceContext(bytes(16), bytes(8), 1)

    met = explain_message(payload, message, compiler.layers(0, ENVIRONMENT, NOW))
    sent = on_send(message, context=context, channel=channel, sealer=None, now=NOW, ticks=lambda: 0).screened

    expected: Any = body
    for each in met:
        expected = changed(expected, each.place, each.handling)
    blocked = sent is not None and bool(sent.blocked)
    travels = message.body if sent is None else sent.body
    assert isinstance(travels, bytes)
    assert blocked is any(each.handling == "block" for each in met)
    assert blocked or expected == json.loads(travels)
