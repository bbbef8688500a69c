"""The core is total: whatever comes in, a value comes out, and the caller's objects are the caller's."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interceptors import ConfigurationError, PolicyError, Tracing, Verdict
from interceptors.envelope import HEADER_NAME, to_text
from interceptors.keys import LocalKeys
from interceptors.message import Message
from interceptors.policy import Policy, parse_policy
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The machine's pace is no property of the core.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LEVELS = ("tenant", "channel", "type", "message")
BUSES = ("kafka", "rabbitmq", "celery")

names = st.text(min_size=1, max_size=40)
wild_text = st.text(st.characters(), max_size=40)  # surrogates that stand alone included
blobs = st.binary(max_size=200)
bodies = st.none() | blobs | blobs.map(bytearray)
plain = st.none() | st.booleans() | st.integers() | st.floats() | wild_text | blobs
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


class Hostile:
    """Raises whatever is asked of it."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError

    __bool__ = __bytes__ = __buffer__ = __eq__ = __getattr__ = __getitem__ = __hash__ = _refuse
    __index__ = __iter__ = __len__ = __repr__ = __str__ = _refuse


class Text(str):
    """A text that is one by inheritance."""

    __slots__ = ()


class Blob(bytes):
    """Bytes that are some by inheritance."""

    __slots__ = ()


def view(data: bytes) -> memoryview:
    return memoryview(data)


def released(data: bytes) -> memoryview:
    released = view(data)
    released.release()
    return released


anything = st.recursive(
    plain
    | st.complex_numbers()
    | st.datetimes()
    | st.decimals()
    | blobs.map(bytearray)
    | blobs.map(view)
    | blobs.map(lambda data: view(data)[::2])
    | blobs.map(released)
    | blobs.map(Blob)
    | wild_text.map(Text)
    | st.builds(object)
    | st.builds(Hostile)
    | st.just(Hostile),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


near_messages = st.builds(
    Message,
    st.sampled_from(BUSES) | wild_text,
    wild_text,
    type=wild_text,
    id=wild_text,
    via=wild_text,
    redelivered=st.none() | st.booleans(),
)


def tampered(envelope: bytes) -> st.SearchStrategy[object]:
    """What somebody on the path might make of an envelope."""
    flipped = st.builds(
        lambda place, bit: bytes(byte ^ (bit if at == place else 0) for at, byte in enumerate(envelope)),
        st.integers(0, len(envelope) - 1),
        st.sampled_from([1 << bit for bit in range(8)]),
    )
    cut = st.integers(0, len(envelope) - 1).map(lambda size: envelope[:size])
    longer = st.binary(min_size=1, max_size=40).map(lambda more: envelope + more)
    changed = flipped | cut | longer
    return changed | changed.map(to_text) | changed.map(bytearray) | changed.map(view)


@pytest.fixture(scope="module")
def tracings() -> Iterator[dict[str, Tracing]]:
    """A tracing for each binding."""
    made = {
        level: Tracing.for_development(
            "checkout", policy={"default": {"binding": level, "accept": "required"}}, sink=MemorySink()
        )
        for level in LEVELS
    }
    yield made
    for tracing in made.values():
        tracing.close()


@unhurried
@given(st.sampled_from(LEVELS), st.sampled_from(BUSES), names, names, wild_text, wild_text, bodies)
def test_what_is_sent_is_received(  # noqa: PLR0917 - what Hypothesis draws
    tracings: dict[str, Tracing],
    level: str,
    bus: str,
    tenant: str,
    topic: str,
    type_: str,
    id_: str,
    body: object,
) -> None:
    tracing = tracings[level]
    message = Message(bus, topic, body, type=type_, id=id_)
    with tracing.tenant(tenant):
        sending = tracing.send(message)
    assert sending.span is not None
    context = sending.span.context
    sending.end()
    bindable = not any(0xD800 <= ord(char) <= 0xDFFF for char in (type_ + id_))
    if sending.envelope is None:
        assert not bindable
        return
    received = message._replace(envelopes=(sending.envelope,))
    if bus == "rabbitmq":  # through an exchange, to a queue that nobody lists
        received = received._replace(destination=f"queue of {topic}", via=topic, redelivered=False)
    receipt = tracing.receive(received, consumer="workers")
    assert (receipt.verdict, receipt.tenant, receipt.sender) == (Verdict.FRESH, tenant, "checkout")
    assert receipt.channel.name == topic
    assert receipt.parent == context


@unhurried
@given(st.data())
def test_an_envelope_that_was_changed_is_invalid(tracings: dict[str, Tracing], data: st.DataObject) -> None:
    tracing = tracings["channel"]
    message = Message("kafka", "orders")
    envelope = tracing.send(message).envelope
    assert envelope is not None
    value = data.draw(tampered(envelope))
    receipt = tracing.receive(message._replace(envelopes=(value,)), consumer="workers")
    assert receipt.verdict is Verdict.INVALID
    assert receipt.parent is None


@unhurried
@given(st.sampled_from(LEVELS), st.lists(anything, max_size=4), anything, near_messages)
def test_receiving_is_total(
    tracings: dict[str, Tracing], level: str, envelopes: list[object], body: object, near: Message
) -> None:
    tracing = tracings[level]
    message = near._replace(body=body, envelopes=tuple(envelopes))
    tracing.opening_keys_wanted(envelopes)
    receipt = tracing.receive(message, consumer="workers")
    assert receipt.verdict is (Verdict.INVALID if envelopes else Verdict.MISSING)
    assert not receipt.rejected
    assert message.body is body
    assert all(left is right for left, right in zip(message.envelopes, envelopes, strict=True))


@unhurried
@given(st.sampled_from(LEVELS), st.binary(max_size=50), st.lists(st.integers(), max_size=3))
def test_what_can_be_changed_is_not(
    tracings: dict[str, Tracing], level: str, blob: bytes, items: list[int]
) -> None:
    body, header = bytearray(blob), {HEADER_NAME: list(items)}
    before = copy.deepcopy((body, header, items))
    message = Message("kafka", "orders", body, envelopes=(header, items))
    tracing = tracings[level]
    tracing.send(message).end()
    tracing.receive(message, consumer="workers")
    assert (body, header, items) == before
    body.append(0)  # nobody holds on to it


@unhurried
@given(st.sampled_from(LEVELS), anything, wild_text, wild_text, wild_text)
def test_sending_is_total(  # noqa: PLR0917 - what Hypothesis draws
    tracings: dict[str, Tracing], level: str, body: object, topic: str, type_: str, id_: str
) -> None:
    sending = tracings[level].send(Message("kafka", topic, body, type_, id_))
    sending.end()
    assert sending.envelope is None or len(sending.envelope) == 122


# --- documents ----------------------------------------------------------------------------------------------

POLICY = """\
version: 1
channels:
  - name: orders
    match: {kafka: [orders, "*.orders"], rabbitmq: ["orders?"], celery: [orders]}
    emit: sealed
    task_metadata: kept
    accept: required
    senders: [checkout]
    binding: message
    lowest_level: channel
    max_age: 7d
    retry_window: 90s
default: {accept: optional}
"""
yaml_text = st.text("ab01 \n:-?,[]{}#&*!|>'\"%@`~<=.\\/_+\t", max_size=60)
keys_of_policies = st.sampled_from([line.strip(" -").split(":")[0] for line in POLICY.splitlines()])
near_policies = st.fixed_dictionaries(
    {"version": st.just(1) | json_like},
    optional={
        "channels": st.lists(st.dictionaries(keys_of_policies, json_like, max_size=5), max_size=3)
        | json_like,
        "default": st.dictionaries(keys_of_policies, json_like, max_size=4) | json_like,
    },
)


def is_policy_or_policy_error(text: str) -> bool:
    try:
        return isinstance(parse_policy(text, "policy.yaml"), Policy)
    except PolicyError as error:
        return str(error).startswith("policy.yaml:")


@unhurried
@given(wild_text | yaml_text)
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    assert is_policy_or_policy_error(text)


@unhurried
@given(st.integers(0, len(POLICY)), st.integers(0, 20), yaml_text | wild_text)
def test_a_policy_with_a_slip_of_the_pen_is_one_or_a_policy_error(start: int, size: int, slip: str) -> None:
    assert is_policy_or_policy_error(POLICY[:start] + slip + POLICY[start + size :])


@unhurried
@given(near_policies | json_like)
def test_any_values_are_a_policy_or_a_policy_error(values: object) -> None:
    assert is_policy_or_policy_error(json.dumps(values))


near_entries = st.fixed_dictionaries(
    {
        "tenant": st.sampled_from(["acme", "globex"]) | json_like,
        "sender": st.sampled_from(["checkout", "billing"]) | json_like,
        "sender_key": st.sampled_from(["11" * 32, "22" * 32]) | json_like,
    },
    optional={"use": st.sampled_from(["seal", "open"]), "revoked": st.booleans(), "kid": json_like},
)
near_key_files = st.fixed_dictionaries(
    {"service": st.just("checkout"), "keys": st.lists(near_entries, max_size=3)},
    optional={"version": json_like},
)


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], Path]:
    """Writes a private file, and gives its path."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.touch(mode=0o600)

    def write(content: bytes) -> Path:
        path.write_bytes(content)
        return path

    return write


def loads_or_says_why(path: Path) -> bool:
    try:
        return bool(LocalKeys(path).service)
    except ConfigurationError as error:
        return str(error).startswith(f"{path}: ")


@unhurried
@given(near_key_files | json_like)
def test_any_values_are_a_key_file_or_a_configuration_error(
    write: Callable[[bytes], Path], values: object
) -> None:
    assert loads_or_says_why(write(json.dumps(values).encode()))


@unhurried
@given(blobs)
def test_any_bytes_are_a_key_file_or_a_configuration_error(
    write: Callable[[bytes], Path], content: bytes
) -> None:
    assert loads_or_says_why(write(content))
