from __future__ import annotations

import contextvars
import itertools
import pickle
from typing import TYPE_CHECKING

import pytest
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
    child_of,
    current,
    current_tenant,
    from_traceparent,
    new_root,
    retry_of,
    to_traceparent,
)

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
