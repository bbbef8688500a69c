"""What holds of every envelope, whatever is sealed and whatever arrives."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from interceptors.context import TraceContext, from_traceparent, new_root, to_traceparent
from interceptors.envelope import (
    Binding,
    Candidate,
    KeySet,
    Level,
    Opener,
    Sealer,
    SenderKey,
    derive_sender_key,
    derive_signing_key,
    from_text,
    header_bytes,
    to_text,
)
from interceptors.envelope.binding import associated_data
from interceptors.envelope.format import PLAINTEXT_SIZES, prefix
from interceptors.envelope.plaintext import decode, encode
from interceptors.errors import Answer, EnvelopeError
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = bytes(range(32))
KEY = SenderKey(
    "acme",
    "checkout",
    derive_sender_key(ROOT, "acme", "checkout").key,
    signing=derive_signing_key(ROOT, "acme", "checkout"),
)
KEYS = KeySet([SenderKey("acme", "checkout", KEY.key, verification=KEY.verification)])

# The machine's pace is no property of an envelope.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def text_of_bytes(least: int, most: int) -> st.SearchStrategy[str]:
    """Text of so many bytes of UTF-8, of which a character takes at most four."""
    ascii_only = st.text(st.characters(codec="ascii"), min_size=least, max_size=most)
    return ascii_only | st.text(st.characters(codec="utf-8"), min_size=least, max_size=most // 4)


labels = st.dictionaries(
    text_of_bytes(1, 32),
    st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | text_of_bytes(0, 64) | st.binary(max_size=64),
    max_size=20,
)
contexts = st.builds(
    TraceContext,
    st.binary(min_size=16, max_size=16).filter(any),
    st.binary(min_size=8, max_size=8).filter(any),
    st.integers(0, 3),
    labels,
)
times = st.integers(1, (1 << 48) - 1)
names = st.text(st.characters(codec="utf-8"), max_size=50)
bindings = st.builds(Binding, names, names, names, st.just(b"") | st.binary(min_size=32, max_size=32))
levels = st.sampled_from(Level)
suites = st.sampled_from([1, 2])


def padded(packed: bytes) -> bytes:
    """As the specification pads; cut off where it would not fit."""
    packed = packed[: PLAINTEXT_SIZES[-1] - 1] + b"\x80"
    return packed.ljust(min(size for size in PLAINTEXT_SIZES if size >= len(packed)), b"\0")


def refusal_of(call: Callable[[], object]) -> Answer | None:
    """The answer that a call raises, or None where it returns; anything else that it raises is a fault."""
    try:
        call()
    except EnvelopeError as refusal:
        return refusal.answer
    return None


def answer_to(envelope: bytes, binding: Binding, keys: KeySet = KEYS) -> Answer | None:
    """Which answer an envelope gets, or None where it opens."""
    return refusal_of(partial(Opener().open, envelope, keys, [Candidate(binding)]))


@unhurried
@given(contexts, bindings, levels, times, suites)
def test_what_is_sealed_opens_to_the_same(
    context: TraceContext, binding: Binding, level: Level, now: int, suite: int
) -> None:
    sealed = Sealer(KEY).seal(context, level, binding, now, signed=suite == 2)

    opened = Opener().open(sealed.envelope, KEYS, [Candidate(binding, level, signed=suite == 2)])

    read = opened.context
    assert read._replace(labels={}) == context._replace(labels={})
    assert (opened.tenant, opened.sender, opened.issued_at) == ("acme", "checkout", now)
    assert len(read.labels) == len(context.labels) - sealed.labels_left_out
    assert all(context.labels[name] == value for name, value in read.labels.items())
    assert all(type(context.labels[name]) is type(value) for name, value in read.labels.items())


@unhurried
@given(contexts, times)
def test_a_plaintext_is_the_shortest_that_holds_what_is_kept(context: TraceContext, now: int) -> None:
    plaintext, left_out = encode(context, now)

    kept = decode(plaintext).context.labels
    needed = len(msgpack.packb([context.trace_id, context.span_id, context.flags, now, dict(kept)])) + 1
    assert len(plaintext) == min(size for size in PLAINTEXT_SIZES if size >= needed)
    for name in context.labels.keys() - kept.keys():
        assert left_out
        with_it = [
            context.trace_id,
            context.span_id,
            context.flags,
            now,
            {**kept, name: context.labels[name]},
        ]
        assert len(msgpack.packb(with_it)) + 1 > PLAINTEXT_SIZES[-1]


@unhurried
@given(contexts, times)
def test_a_plaintext_without_labels_is_what_messagepack_makes_of_it(context: TraceContext, now: int) -> None:
    bare = context._replace(labels={})
    packed = msgpack.packb([bare.trace_id, bare.span_id, bare.flags, now, {}])

    assert encode(bare, now) == (padded(packed), 0)


@unhurried
@given(
    st.binary(max_size=1100)
    | st.builds(
        lambda suite, level, size, filling: bytes((suite, level)) + KEY.kid + filling(size + 40),
        st.sampled_from([0x11, 0x12]),
        st.integers(0, 255),
        st.sampled_from([*PLAINTEXT_SIZES, *(size + 64 for size in PLAINTEXT_SIZES)]),
        st.sampled_from([bytes, partial(bytes.ljust, b"\x80")]),
    ),
    bindings,
)
def test_any_bytes_get_an_answer(envelope: bytes, binding: Binding) -> None:
    assert answer_to(envelope, binding) is not None


objects = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.binary(max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20)),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=5) | st.integers(0, 9), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@unhurried
@given(
    st.binary(min_size=64, max_size=64)
    | st.builds(padded, st.binary(max_size=100))
    | st.builds(lambda thing: padded(msgpack.packb(thing)), objects)
    | st.builds(
        lambda fields: padded(msgpack.packb(fields)),
        st.lists(objects, min_size=5, max_size=5),
    )
    | st.builds(
        lambda flags, issued_at, labels: padded(
            msgpack.packb([b"t" * 16, b"s" * 8, flags, issued_at, labels])
        ),
        st.integers(-1, 4),
        st.integers(0, 1 << 48),
        objects,
    )
)
def test_any_authentic_plaintext_opens_or_is_malformed(plaintext: bytes) -> None:
    binding = Binding("orders")
    head = prefix(Level.CHANNEL, KEY.kid)
    bound = associated_data(head, KEY.tenant, KEY.sender, Level.CHANNEL, binding)

    envelope = head + bytes(24) + KEY.xaes.seal(bytes(24), plaintext, bound)

    assert answer_to(envelope, binding) in (None, Answer.MALFORMED)


@unhurried
@given(contexts, bindings, levels, suites, st.data())
def test_no_envelope_with_another_byte_opens(
    context: TraceContext, binding: Binding, level: Level, suite: int, data: st.DataObject
) -> None:
    envelope = bytearray(Sealer(KEY).seal(context, level, binding, 1, signed=suite == 2).envelope)
    place = data.draw(st.integers(0, len(envelope) - 1))
    envelope[place] ^= data.draw(st.integers(1, 255))

    assert answer_to(bytes(envelope), binding) is not None


@unhurried
@given(contexts, bindings, levels, suites, st.data())
def test_no_envelope_that_was_cut_lengthened_or_spliced_opens(
    context: TraceContext, binding: Binding, level: Level, suite: int, data: st.DataObject
) -> None:
    one, two = (Sealer(KEY).seal(context, level, binding, 1, signed=suite == 2).envelope for _ in range(2))
    place = data.draw(st.integers(0, len(one)))
    changed = data.draw(
        st.sampled_from([one[:place], one[place:], one + two[:place], one[:place] + two[place:]])
    )
    assume(changed not in (one, two))
    assert answer_to(changed, binding) is not None


def test_no_signed_envelope_with_one_bit_flipped_opens() -> None:
    """Each single bit of one, and not only those that were drawn."""
    binding = Binding("orders")
    envelope = Sealer(KEY).seal(new_root(), Level.CHANNEL, binding, 1, signed=True).envelope
    assert answer_to(envelope, binding) is None

    for bit in range(8 * len(envelope)):
        flipped = (int.from_bytes(envelope) ^ 1 << bit).to_bytes(len(envelope))
        assert answer_to(flipped, binding) is not None


@unhurried
@given(contexts, bindings, levels, st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_nothing_that_a_reader_makes_opens_where_a_signature_is_asked_for(
    context: TraceContext, binding: Binding, level: Level, seed: bytes, signature: bytes
) -> None:
    """A reader has the sender's key, and any signing key but the sender's."""
    forger = SenderKey(KEY.tenant, KEY.sender, KEY.key, signing=SigningKey(seed))
    forged = Sealer(forger).seal(context, level, binding, 1, signed=True).envelope
    in_suite_1 = Sealer(KEY).seal(context, level, binding, 1).envelope

    for envelope in (in_suite_1, forged, forged[:-64] + signature):
        candidates = [Candidate(binding, level, signed=True)]
        assert refusal_of(partial(Opener().open, envelope, KEYS, candidates)) is Answer.NOT_AUTHENTIC


@unhurried
@given(contexts, bindings, levels, bindings)
def test_only_the_binding_that_was_sealed_opens(
    context: TraceContext, sealed: Binding, level: Level, received: Binding
) -> None:
    envelope = Sealer(KEY).seal(context, level, sealed, 1).envelope
    # What a level binds are the first so many: none, the channel, then the type, then id and digest.
    count = (0, 1, 2, 4)[level]

    same = sealed[:count] == received[:count]

    assert answer_to(envelope, received) is (None if same else Answer.NOT_AUTHENTIC)


@unhurried
@given(contexts, bindings, levels, st.data())
def test_a_change_of_one_part_is_noticed_where_it_is_bound(
    context: TraceContext, sealed: Binding, level: Level, data: st.DataObject
) -> None:
    envelope = Sealer(KEY).seal(context, level, sealed, 1).envelope
    part = data.draw(st.sampled_from(Binding._fields))
    change: dict[str, Any] = {part: data.draw(st.binary(max_size=32) if part == "body_digest" else names)}
    received = sealed._replace(**change)

    bound = received != sealed and part in Binding._fields[: (0, 1, 2, 4)[level]]

    assert answer_to(envelope, received) is (Answer.NOT_AUTHENTIC if bound else None)


@unhurried
@given(contexts, bindings, levels, suites, st.tuples(names.filter(bool), names.filter(bool)))
def test_no_other_tenant_and_no_other_sender_opens(
    context: TraceContext, binding: Binding, level: Level, suite: int, other: tuple[str, str]
) -> None:
    tenant, sender = other
    assume((tenant, sender) != (KEY.tenant, KEY.sender))
    envelope = Sealer(KEY).seal(context, level, binding, 1, signed=suite == 2).envelope

    derived = KeySet([derive_sender_key(ROOT, tenant, sender)])
    renamed = KeySet([SenderKey(tenant, sender, KEY.key, verification=KEY.verification)])

    assert answer_to(envelope, binding, derived) is Answer.UNKNOWN_KEY
    assert answer_to(envelope, binding, renamed) is Answer.NOT_AUTHENTIC


@unhurried
@given(st.binary(max_size=1024))
def test_the_text_form_gives_the_bytes_back(envelope: bytes) -> None:
    assert from_text(to_text(envelope)) == envelope
    assert from_text(to_text(envelope).encode()) == envelope


@unhurried
@given(contexts, bindings, levels, suites)
def test_a_header_value_is_read_alike_as_bytes_and_as_text(
    context: TraceContext, binding: Binding, level: Level, suite: int
) -> None:
    envelope = Sealer(KEY).seal(context, level, binding, 1, signed=suite == 2).envelope

    for value in (envelope, bytearray(envelope), to_text(envelope), to_text(envelope).encode()):
        assert header_bytes(value) == envelope


@unhurried
@pytest.mark.parametrize("read", [from_text, header_bytes])
@given(
    value=st.text(max_size=200)
    | st.text("AEQzZ09+/-_= \n", max_size=200)
    | st.binary(max_size=200)
    | st.integers(1360, 1380).map("E".__mul__)
)
def test_any_text_gives_bytes_or_is_malformed(read: Callable[[Any], bytes], value: str | bytes) -> None:
    assert refusal_of(partial(read, value)) in (None, Answer.MALFORMED)


@unhurried
@given(contexts)
def test_a_traceparent_gives_the_context_back(context: TraceContext) -> None:
    assert from_traceparent(to_traceparent(context)) == context._replace(labels={})


@unhurried
@given(
    st.text(max_size=80)
    | st.text("0123456789abcdefABF-\n", max_size=80)
    | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
)
def test_any_text_gives_a_valid_context_or_none(value: str) -> None:
    context = from_traceparent(value)

    if context is not None:
        assert encode(context, 1)[1] == 0
        assert value[3:52] == f"{context.trace_id.hex()}-{context.span_id.hex()}"
