from __future__ import annotations

import contextvars
import gc
import itertools
import pickle
import weakref
from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from interceptors.context import (
    RANDOM_TRACE_ID,
    RETRY_LABEL,
    SAMPLED,
    Scope,
    TraceContext,
    Turns,
    child_of,
    continued,
    current,
    current_baggage,
    current_tenant,
    from_traceparent,
    left_behind,
    new_root,
    retry_of,
    to_traceparent,
)
from interceptors.envelope.plaintext import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE_ID = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
SPAN_ID = bytes.fromhex("00f067aa0ba902b7")
CONTEXT = TraceContext(TRACE_ID, SPAN_ID)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"


@pytest.fixture(autouse=True)
def _nothing_is_current() -> Iterator[None]:
    """Whatever a test makes current goes with it."""
    before = otel_context.attach(otel_context.Context())
    yield
    otel_context.detach(before)


def test_the_repr_shows_neither_ids_nor_labels() -> None:
    context = CONTEXT._replace(labels={"customer": "4711"})

    assert repr(context) == "TraceContext(sampled=True, labels=1)"


@pytest.mark.parametrize("context", [CONTEXT, CONTEXT._replace(labels={"region": "eu"})])
def test_a_context_is_pickled_with_its_labels(context: TraceContext) -> None:
    assert pickle.loads(pickle.dumps(context)) == context  # noqa: S301 - what the line itself has pickled


@pytest.mark.parametrize(("flags", "sampled"), [(0, False), (1, True), (2, False), (3, True)])
def test_bit_0_says_sampled(flags: int, *, sampled: bool) -> None:
    assert CONTEXT._replace(flags=flags).sampled is sampled


def test_a_root_has_ids_of_its_own() -> None:
    first, second = new_root(), new_root()

    assert (len(first.trace_id), len(first.span_id)) == (16, 8)
    assert first.trace_id != second.trace_id
    assert first.span_id != second.span_id
    assert first.flags == SAMPLED | RANDOM_TRACE_ID
    assert new_root(sampled=False).flags == RANDOM_TRACE_ID


def test_a_child_is_of_the_same_trace_and_has_no_labels() -> None:
    parent = TraceContext(TRACE_ID, SPAN_ID, SAMPLED, {"region": "eu"})

    child = child_of(parent)

    assert child == parent._replace(span_id=child.span_id, labels={})
    assert child.span_id != parent.span_id
    assert len(child.span_id) == 8


def test_a_child_of_nothing_is_a_root() -> None:
    assert child_of(None).trace_id != child_of(None).trace_id


@pytest.mark.parametrize("sampled", [True, False])
def test_a_new_trace_is_sampled_where_its_id_says_so(*, sampled: bool) -> None:
    asked = []

    def samples(trace_id: bytes) -> bool:
        asked.append(trace_id)
        return sampled

    root = child_of(None, samples)

    assert asked == [root.trace_id]
    assert root.flags == (SAMPLED if sampled else 0) | RANDOM_TRACE_ID


@pytest.mark.parametrize("flags", [0, SAMPLED, RANDOM_TRACE_ID, SAMPLED | RANDOM_TRACE_ID])
def test_a_child_is_sampled_as_its_parent_whatever_a_new_trace_would_be(flags: int) -> None:
    for samples in (lambda _: True, lambda _: False):
        assert child_of(CONTEXT._replace(flags=flags), samples).flags == flags


def test_a_retry_has_the_labels_of_the_span_that_sends_it() -> None:
    attempt = CONTEXT._replace(labels={"region": "us", "plan": "free"})
    sending = child_of(attempt)._replace(labels={"region": "eu"})

    assert retry_of(attempt, sending).labels == {"region": "eu", RETRY_LABEL: sending.span_id}
    assert sending.labels == {"region": "eu"}


def test_who_sent_a_retry_comes_before_labels_that_may_not_all_fit() -> None:
    labels = {f"label{number}": "v" * 64 for number in range(16)}
    sending = child_of(CONTEXT)._replace(labels=labels)

    padded, left_out = encode(retry_of(CONTEXT, sending), 1_700_000_000_000)

    assert left_out > 0
    assert decode(padded).context.labels[RETRY_LABEL] == sending.span_id


def test_a_retry_goes_on_from_where_the_attempt_did_and_says_who_sent_it() -> None:
    attempt = TraceContext(TRACE_ID, SPAN_ID, SAMPLED, {"region": "eu", RETRY_LABEL: b"earlier!"})
    sending = child_of(child_of(attempt))

    carried = retry_of(attempt, sending)

    assert carried == attempt._replace(labels={RETRY_LABEL: sending.span_id})
    assert attempt.labels == {"region": "eu", RETRY_LABEL: b"earlier!"}


def test_a_retry_that_is_sent_in_another_trace_is_an_ordinary_message() -> None:
    sending = new_root()

    assert retry_of(CONTEXT, sending) is sending


def test_a_context_has_a_traceparent() -> None:
    assert to_traceparent(CONTEXT) == TRACEPARENT
    assert to_traceparent(CONTEXT._replace(flags=0)) == f"{TRACEPARENT[:-2]}00"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (TRACEPARENT, 3),
        (f"{TRACEPARENT[:-2]}00", 0),
        (f"{TRACEPARENT[:-2]}01", 1),
        (f"{TRACEPARENT[:-2]}ff", 3),
        (f"cc{TRACEPARENT[2:]}", 3),
        (f"cc{TRACEPARENT[2:]}-what-will-be", 3),
        (f"01{TRACEPARENT[2:]}-", 3),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(value: str, flags: int) -> None:
    assert from_traceparent(value) == TraceContext(TRACE_ID, SPAN_ID, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"ff{TRACEPARENT[2:]}",
        f"{TRACEPARENT}-more",
        f"{TRACEPARENT}-",
        f"cc{TRACEPARENT[2:]}.more",
        f"cc{TRACEPARENT[2:]}-mo\nre",
        f"{TRACEPARENT}\n",
        f" {TRACEPARENT}",
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        TRACEPARENT.replace("-", "_"),
        TRACEPARENT.replace("4bf9", "4bfg"),
        TRACEPARENT.replace("4bf9", "\uff14bf9"),
        TRACEPARENT.replace(TRACE_ID.hex(), "0" * 32),
        TRACEPARENT.replace(SPAN_ID.hex(), "0" * 16),
    ],
)
def test_what_the_standard_says_to_ignore_is_none(value: str) -> None:
    assert from_traceparent(value) is None


def test_nothing_is_current_at_first() -> None:
    assert current() is None
    assert current_tenant() is None


def test_opentelemetry_s_current_span_is_ours() -> None:
    span = SpanContext(
        int.from_bytes(TRACE_ID, "big"),
        int.from_bytes(SPAN_ID, "big"),
        is_remote=True,
        # A bit that neither W3C nor the envelope knows yet is not passed on.
        trace_flags=TraceFlags(0x81),
    )
    theirs = set_span_in_context(NonRecordingSpan(span))

    assert current(theirs) == TraceContext(TRACE_ID, SPAN_ID, SAMPLED)
    assert current() is None
    otel_context.attach(theirs)
    assert current() == TraceContext(TRACE_ID, SPAN_ID, SAMPLED)


def test_a_scope_makes_span_and_tenant_current_and_leaves_what_was_before() -> None:
    outer = Scope("acme", CONTEXT)
    inner = Scope("globex", CONTEXT._replace(span_id=b"another!"))

    span = get_current_span().get_span_context()
    assert (span.trace_id, span.span_id) == (
        int.from_bytes(TRACE_ID, "big"),
        int.from_bytes(b"another!", "big"),
    )
    assert not span.is_remote
    assert current_tenant() == "globex"

    inner.leave()
    assert (current(), current_tenant()) == (CONTEXT, "acme")
    outer.leave()
    assert (current(), current_tenant()) == (None, None)


def test_a_scope_without_a_span_leaves_the_current_one_to_the_same_tenant() -> None:
    Scope("acme", CONTEXT)

    Scope("acme")

    assert (current(), current_tenant()) == (CONTEXT, "acme")


def test_a_scope_without_a_span_gives_a_span_without_a_tenant_one() -> None:
    Scope(None, CONTEXT)

    Scope("acme")

    assert (current(), current_tenant()) == (CONTEXT, "acme")


@pytest.mark.parametrize("tenant", ["globex", None])
def test_a_scope_of_another_tenant_does_not_go_on_with_the_first_one_s_trace(tenant: str | None) -> None:
    Scope("acme", CONTEXT)

    inner = Scope(tenant)

    assert (current(), current_tenant()) == (None, tenant)
    inner.leave()
    assert (current(), current_tenant()) == (CONTEXT, "acme")


def test_leaving_does_not_disturb_what_has_become_current_since() -> None:
    scope = Scope("acme", CONTEXT)
    theirs = otel_context.set_value("their-key", "theirs")
    otel_context.attach(theirs)

    scope.leave()

    assert otel_context.get_current() is theirs


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_scopes_may_be_left_in_any_order(order: tuple[int, ...]) -> None:
    said = [("acme", new_root()), ("globex", new_root()), ("initech", new_root())]
    before = otel_context.get_current()
    entered = {number: Scope(tenant, span) for number, (tenant, span) in enumerate(said)}

    for number in order:
        entered.pop(number).leave()
        if entered:
            assert (current_tenant(), current()) == said[max(entered)]

    assert otel_context.get_current() is before


def test_a_scope_that_was_left_is_held_by_none_that_was_entered_later() -> None:
    early = Scope("acme", CONTEXT)
    before = early.before
    late = Scope("globex")

    early.leave()
    early.leave()

    assert late.before is before


def test_who_has_inherited_a_scope_keeps_it_when_it_is_left_where_it_was_entered() -> None:
    scope = Scope("acme", CONTEXT)
    inherited = contextvars.copy_context()

    scope.leave()

    assert (current(), current_tenant()) == (None, None)
    assert (inherited.run(current), inherited.run(current_tenant)) == (CONTEXT, "acme")


def test_a_scope_that_was_left_leaves_nothing_to_the_garbage_collector() -> None:
    gc.disable()  # so that it is the scope's doing, and not that of a collection that came just then
    try:
        scope = Scope("acme", CONTEXT)
        ours = weakref.ref(otel_context.get_current())
        assert ours() is not None

        scope.leave()

        assert ours() is None
    finally:
        gc.enable()


def test_leaving_in_another_context_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    scope = contextvars.copy_context().run(Scope, "acme", CONTEXT)

    scope.leave()

    assert (current(), current_tenant()) == (None, None)
    assert caplog.records == []


def test_a_tenant_that_somebody_else_put_there_is_none_where_it_is_no_text() -> None:
    scope = Scope("acme")
    (key,) = otel_context.get_current()
    scope.leave()

    assert current_tenant(otel_context.set_value(key, 17)) is None


# --- baggage, and what is left at a boundary ----------------------------------------------------------------


def carry(**entries: object) -> None:
    """Have baggage."""
    for name, value in entries.items():
        otel_context.attach(baggage.set_baggage(name, value))


def test_a_span_brings_its_labels_as_baggage_and_no_other_stays() -> None:
    carry(user="buyer", region="us")

    scope = Scope("acme", CONTEXT, {"region": "eu"})

    assert current_baggage() == {"region": "eu"}
    scope.leave()
    assert current_baggage() == {"user": "buyer", "region": "us"}


def test_a_span_without_labels_leaves_no_baggage() -> None:
    carry(user="buyer")

    Scope("acme", CONTEXT)

    assert current_baggage() == {}


def test_the_same_tenant_keeps_baggage_and_another_has_none() -> None:
    Scope("acme", CONTEXT, {"region": "eu"})

    same = Scope("acme")
    assert current_baggage() == {"region": "eu"}
    same.leave()
    other = Scope("globex")
    assert current_baggage() == {}
    other.leave()
    assert current_baggage() == {"region": "eu"}


def test_where_no_tenant_was_said_before_baggage_stays() -> None:
    carry(region="eu")

    Scope("acme")

    assert current_baggage() == {"region": "eu"}


def test_the_span_that_was_current_is_left_behind_where_the_tenant_changes() -> None:
    handling = Scope("acme", CONTEXT)
    assert left_behind() is None

    crossing = Scope("globex")
    assert left_behind() == CONTEXT
    inside = otel_context.get_current()
    again = Scope("globex")
    assert left_behind() == CONTEXT

    again.leave()
    crossing.leave()
    assert left_behind() is None
    handling.leave()
    assert left_behind(inside) == CONTEXT


def test_beyond_a_second_boundary_it_is_still_the_last_span_that_was_current() -> None:
    Scope("acme", CONTEXT)
    Scope("globex")

    Scope("initech")

    assert left_behind() == CONTEXT


def test_a_message_that_is_handled_beyond_the_boundary_has_left_nothing() -> None:
    Scope("acme", CONTEXT)
    Scope("globex")

    Scope("globex", new_root())

    assert left_behind() is None


def test_a_tenant_in_whose_name_nothing_began_is_no_link_of_the_chain() -> None:
    Scope("acme", CONTEXT)
    Scope("globex")

    third = Scope("initech")
    assert left_behind() == CONTEXT
    back = Scope("acme")
    assert (current(), left_behind()) == (None, CONTEXT)

    back.leave()
    third.leave()
    assert (current_tenant(), left_behind()) == ("globex", CONTEXT)


def test_where_no_span_was_current_nothing_is_left_behind() -> None:
    Scope("acme")

    Scope("globex")

    assert left_behind() is None


def test_what_came_from_elsewhere_is_remote_and_not_current_of_itself() -> None:
    carry(user="buyer")
    before = otel_context.get_current()

    theirs = continued(before, "acme", CONTEXT, {"region": "eu"})

    assert otel_context.get_current() is before
    span = get_current_span(theirs).get_span_context()
    assert (span.is_remote, current(theirs)) == (True, CONTEXT)
    assert (current_tenant(theirs), left_behind(theirs)) == ("acme", None)
    assert current_baggage(theirs) == {"region": "eu"}
    assert current_baggage() == {"user": "buyer"}


def test_beyond_what_came_from_elsewhere_another_tenants_trace_starts_anew() -> None:
    otel_context.attach(continued(otel_context.get_current(), "acme", CONTEXT, {"region": "eu"}))

    scope = Scope("globex")

    assert (current(), current_tenant(), current_baggage()) == (None, "globex", {})
    assert left_behind() == CONTEXT
    scope.leave()
    assert (current(), current_tenant()) == (CONTEXT, "acme")


def test_a_scope_below_what_came_from_elsewhere_may_be_left_late() -> None:
    early = Scope("initech")
    otel_context.attach(continued(otel_context.get_current(), "acme", CONTEXT, {}))
    late = Scope("acme", new_root())

    early.leave()
    late.leave()

    assert (current(), current_tenant()) == (CONTEXT, "acme")


def test_code_that_runs_in_turns_finds_its_own_context_again_and_the_other_code_its_own() -> None:
    turns = Turns()
    with turns:
        Scope("acme", CONTEXT)
    assert current_tenant() is None

    between = Scope("globex")
    with turns:
        assert (current_tenant(), current()) == ("acme", CONTEXT)
        Scope("acme", child_of(CONTEXT))
        below = current()
    assert (current_tenant(), current()) == ("globex", None)

    between.leave()
    with turns:
        assert current() is below
    assert current_tenant() is None


def test_the_current_span_shows_no_id() -> None:
    Scope("acme", CONTEXT)

    shown = repr(get_current_span())

    assert TRACE_ID.hex() not in shown
    assert str(int.from_bytes(TRACE_ID, "big")) not in shown
