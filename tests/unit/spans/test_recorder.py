from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from interceptors.context import RETRY_LABEL, Label, Scope, TraceContext, child_of, new_root, retry_of
from interceptors.envelope import Opened
from interceptors.errors import Answer
from interceptors.pipeline import Receipt
from interceptors.policy import Accept, Channel
from interceptors.replay import Verdict
from interceptors.spans import Link, MemorySink, Operation, Origin, Outbox, Recorder, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDERS, PAYMENTS = Channel("orders"), Channel("payments")
UNSAMPLED = new_root(sampled=False)
ISSUED = 1_790_000_000_000


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def outbox(sink: MemorySink) -> Iterator[Outbox]:
    outbox = Outbox(sink)
    yield outbox
    outbox.close(5)


@pytest.fixture
def recorder(outbox: Outbox) -> Recorder:
    """A recorder whose clock counts from 100."""
    return Recorder("checkout", [outbox], itertools.count(100).__next__)


def receipt(
    context: TraceContext | None = None,
    verdict: Verdict | None = Verdict.FRESH,
    *,
    channel: Channel = ORDERS,
    tenant: str = "acme",
    issued_at: int = 1,
) -> Receipt:
    opened = None if context is None else Opened(tenant, "billing", context, issued_at, bytes(40), 0)
    return Receipt(channel, verdict, None, opened)


def link(context: TraceContext) -> Link:
    return Link(context.trace_id, context.span_id)


def test_a_send_span_is_below_the_current_one(recorder: Recorder) -> None:
    parent = new_root()
    context = child_of(parent)
    span = recorder.sending(Operation.SEND, "kafka", ORDERS, context, Origin("acme", parent), 42)
    assert span is not None
    assert (span.operation, span.system, span.channel) == (Operation.SEND, "kafka", "orders")
    assert (span.context, span.parent_span_id, span.start) == (context, parent.span_id, 42)
    assert (span.service, span.tenant) == ("checkout", "acme")


def test_a_span_without_a_parent_starts_a_trace(recorder: Recorder) -> None:
    span = recorder.sending(Operation.SEND, "kafka", ORDERS, new_root(), Origin("acme", None), 42)
    assert span is not None
    assert span.parent_span_id is None


def test_what_is_not_sampled_is_not_recorded(recorder: Recorder, outbox: Outbox, sink: MemorySink) -> None:
    origin = Origin("acme", UNSAMPLED)
    context = child_of(UNSAMPLED)
    assert recorder.sending(Operation.SEND, "kafka", ORDERS, context, origin, 1) is None
    assert recorder.processing("kafka", receipt(UNSAMPLED), context, origin, None) is None
    scope = Scope("acme", UNSAMPLED)
    recorder.received("kafka", [receipt()], "acme", started=1, group=None)
    scope.leave()
    assert recorder.settling(Operation.ACK, "rabbitmq", receipt(UNSAMPLED), origin) is None
    outbox.flush(5)
    assert sink.spans == []


def test_without_an_outbox_nothing_is_recorded() -> None:
    recorder = Recorder("checkout", [], lambda: 1)
    context = new_root()
    assert recorder.sending(Operation.SEND, "kafka", ORDERS, context, Origin("acme", None), 1) is None
    assert recorder.processing("kafka", receipt(), context, Origin("acme", None), None) is None
    recorder.received("kafka", [receipt()], "acme", started=1, group=None)
    assert recorder.settling(Operation.ACK, "rabbitmq", receipt(), Origin("acme", None)) is None


def test_a_span_that_outlives_its_recorders_outbox_is_only_ended(recorder: Recorder) -> None:
    span = recorder.sending(Operation.SEND, "kafka", ORDERS, new_root(), Origin("acme", None), 1)
    assert span is not None
    Recorder("checkout", [], lambda: 7).end(span, None)
    assert span.end == 7


def test_a_process_span_continues_the_senders_trace(recorder: Recorder) -> None:
    sender = new_root()
    span = recorder.processing("kafka", receipt(sender), child_of(sender), Origin("acme", sender), "workers")
    assert span is not None
    assert (span.operation, span.start, span.consumer_group) == (Operation.PROCESS, 100, "workers")
    assert (span.parent_span_id, span.links) == (sender.span_id, ())
    assert (span.sender, span.verdict, span.answer) == ("billing", "fresh", None)


def test_a_process_span_that_starts_a_trace_is_linked_to_the_senders(recorder: Recorder) -> None:
    sender = new_root()
    stale = receipt(sender, Verdict.STALE)
    span = recorder.processing("kafka", stale, new_root(), Origin("acme", None), None)
    assert span is not None
    assert (span.parent_span_id, span.links, span.verdict) == (None, (link(sender),), "stale")


def test_a_process_span_says_why_an_envelope_did_not_open(recorder: Recorder) -> None:
    invalid = Receipt(ORDERS, Verdict.INVALID, Answer.UNKNOWN_KEY)
    span = recorder.processing("kafka", invalid, new_root(), Origin("acme", None), None)
    assert span is not None
    assert (span.verdict, span.answer, span.sender, span.links) == ("invalid", "unknown key", None, ())


def test_the_end_is_no_earlier_than_the_start(recorder: Recorder) -> None:
    for started, ended in ((50, 100), (5000, 5000)):
        span = recorder.sending(Operation.SEND, "kafka", ORDERS, new_root(), Origin("acme", None), started)
        assert span is not None
        recorder.end(span, None)
        assert span.end == ended
        assert span.error_type is None


class Outer:
    class PaymentError(Exception):
        pass


def test_of_an_error_the_class_is_kept_and_nothing_else(
    recorder: Recorder, outbox: Outbox, sink: MemorySink
) -> None:
    span = recorder.sending(Operation.SEND, "kafka", ORDERS, new_root(), Origin("acme", None), 1)
    assert span is not None
    recorder.end(span, Outer.PaymentError("card 4111"))
    outbox.flush(5)
    assert [ended.error_type for ended in sink.spans] == ["Outer.PaymentError"]


def test_a_batch_is_one_span_with_a_link_for_each_envelope(
    recorder: Recorder, outbox: Outbox, sink: MemorySink
) -> None:
    senders = [new_root(), new_root()]
    receipts = [receipt(senders[0]), receipt(None, None), receipt(senders[1], Verdict.STALE)]
    recorder.received("kafka", receipts, "acme", started=7, group="workers")
    outbox.flush(5)
    (span,) = sink.spans
    assert (span.operation, span.start, span.end) == (Operation.RECEIVE, 7, 100)
    assert span.links == tuple(map(link, senders))
    assert (span.batch_size, span.consumer_group, span.tenant) == (3, "workers", "acme")


def test_a_mixed_batch_is_a_span_for_each_channel_and_tenant(
    recorder: Recorder, outbox: Outbox, sink: MemorySink
) -> None:
    acme, globex = new_root(), new_root()
    receipts = [
        receipt(acme),
        receipt(globex, tenant="globex"),
        receipt(acme, channel=PAYMENTS),
        receipt(None, Verdict.MISSING),
        receipt(None, None, channel=Channel("silent", accept=Accept.NONE)),
    ]
    recorder.received("kafka", receipts, "local", started=1, group=None)
    outbox.flush(5)
    assert [(span.channel, span.tenant, span.batch_size, span.links) for span in sink.spans] == [
        ("orders", "acme", 1, (link(acme),)),
        ("orders", "globex", 1, (link(globex),)),
        ("payments", "acme", 1, (link(acme),)),
        ("orders", "local", 1, ()),
    ]
    assert len({span.context.trace_id for span in sink.spans}) == 4


def test_a_batch_that_is_received_inside_a_span_is_below_it(
    recorder: Recorder, outbox: Outbox, sink: MemorySink
) -> None:
    above = new_root()
    scope = Scope("acme", above)
    recorder.received("kafka", [receipt()], "acme", started=1, group=None)
    scope.leave()
    outbox.flush(5)
    (span,) = sink.spans
    assert (span.context.trace_id, span.parent_span_id) == (above.trace_id, above.span_id)


def test_a_batch_of_another_tenant_than_the_one_that_is_handled_starts_a_trace(
    recorder: Recorder, outbox: Outbox, sink: MemorySink
) -> None:
    above = new_root()
    scope = Scope("acme", above)
    recorder.received(
        "kafka",
        [receipt(new_root(), tenant=tenant) for tenant in ("acme", "globex")],
        "acme",
        started=1,
        group=None,
    )
    scope.leave()
    outbox.flush(5)
    assert [(span.tenant, span.parent_span_id) for span in sink.spans] == [
        ("acme", above.span_id),
        ("globex", None),
    ]
    assert sink.spans[1].context.trace_id != above.trace_id


# --- how long it was under way ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("issued_at", "queue_time"),
    [(ISSUED, 1500), (ISSUED + 1500, 0), (ISSUED + 1501, 0), (ISSUED + 60_000, 0)],
)
def test_the_queue_time_is_from_sealing_to_processing_and_never_less_than_none(
    outbox: Outbox, issued_at: int, queue_time: int
) -> None:
    recorder = Recorder("checkout", [outbox], lambda: (ISSUED + 1500) * 1_000_000 + 999_999)
    sender = new_root()
    for parent, verdict in ((sender, Verdict.FRESH), (None, Verdict.STALE)):
        opened = receipt(sender, verdict, issued_at=issued_at)
        span = recorder.processing("kafka", opened, new_root(), Origin("acme", parent), None)
        assert span is not None
        assert span.queue_time_ms == queue_time


def test_where_no_envelope_says_when_it_was_sent_there_is_no_queue_time(recorder: Recorder) -> None:
    span = recorder.processing("kafka", receipt(None, None), new_root(), Origin("acme", None), None)
    assert span is not None
    assert span.queue_time_ms is None


# --- retries ------------------------------------------------------------------------------------------------


def processed(recorder: Recorder, sender: TraceContext, verdict: Verdict = Verdict.FRESH) -> Span:
    origin = Origin("acme", sender if verdict.continues else None)
    span = recorder.processing("celery", receipt(sender, verdict), child_of(origin.parent), origin, None)
    assert span is not None
    return span


def test_attempts_are_siblings_and_each_is_linked_to_the_span_that_sent_it(recorder: Recorder) -> None:
    carried = sender = new_root()
    attempts, retries = [], []
    for _ in range(3):
        attempts.append(processed(recorder, carried))
        sending = child_of(attempts[-1].context)
        retries.append(sending)
        carried = retry_of(carried, sending)
    assert {attempt.parent_span_id for attempt in attempts} == {sender.span_id}
    assert {attempt.context.trace_id for attempt in attempts} == {sender.trace_id}
    assert [attempt.links for attempt in attempts] == [(), (link(retries[0]),), (link(retries[1]),)]


@pytest.mark.parametrize(
    "label", [b"", b"7 bytes", b"9 bytes!!", "8 chars!", "00f067aa0ba902b7", 7, True], ids=repr
)
def test_a_label_that_names_no_span_gives_no_link(recorder: Recorder, label: Label) -> None:
    sender = new_root()._replace(labels={RETRY_LABEL: label})
    span = processed(recorder, sender)
    assert (span.parent_span_id, span.links) == (sender.span_id, ())


def test_a_retry_whose_trace_may_not_continue_is_linked_to_the_sender_as_any_other(
    recorder: Recorder,
) -> None:
    attempt = new_root()
    carried = retry_of(attempt, child_of(attempt))
    span = processed(recorder, carried, Verdict.REPLAY)
    assert (span.parent_span_id, span.links) == (None, (link(attempt),))


# --- settling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [Operation.ACK, Operation.NACK, Operation.REJECT])
def test_a_settlement_is_a_span_below_what_it_settles(
    recorder: Recorder, outbox: Outbox, sink: MemorySink, operation: Operation
) -> None:
    above = new_root()
    span = recorder.settling(operation, "rabbitmq", receipt(new_root()), Origin("globex", above))
    assert span is not None
    recorder.end(span, ConnectionError("card 4111"))
    outbox.flush(5)
    (ended,) = sink.spans
    assert (ended.operation, ended.system, ended.channel) == (operation, "rabbitmq", "orders")
    assert (ended.context.trace_id, ended.parent_span_id) == (above.trace_id, above.span_id)
    assert (ended.tenant, ended.start, ended.end, ended.error_type) == ("globex", 100, 101, "ConnectionError")


# --- labels, templates, batches, boundaries -----------------------------------------------------------------


@pytest.mark.parametrize("operation", [Operation.SEND, Operation.CREATE])
def test_a_span_has_the_labels_that_its_context_carries(recorder: Recorder, operation: Operation) -> None:
    context = new_root()._replace(labels={"region": "eu"})
    span = recorder.sending(operation, "kafka", ORDERS, context, Origin("acme", None), 1)
    assert span is not None
    assert span.labels == {"region": "eu"}
    bare = recorder.sending(operation, "kafka", ORDERS, new_root(), Origin("acme", None), 1)
    assert bare is not None
    assert bare.labels == {}


def test_a_process_span_has_the_labels_that_the_policy_let_in_and_no_others(recorder: Recorder) -> None:
    sender = new_root()._replace(labels={"region": "eu", "user": "buyer"})
    taken = receipt(sender)._replace(labels={"region": "eu"})
    span = recorder.processing("kafka", taken, child_of(sender), Origin("acme", sender), None)
    assert span is not None
    assert span.labels == {"region": "eu"}
    span = recorder.processing("kafka", receipt(sender), child_of(sender), Origin("acme", sender), None)
    assert span is not None
    assert span.labels == {}


def test_baggage_that_no_label_came_of_is_on_no_span(recorder: Recorder) -> None:
    origin = Origin("acme", None, {"user": "buyer"})
    span = recorder.sending(Operation.SEND, "kafka", ORDERS, new_root(), origin, 1)
    assert span is not None
    assert span.labels == {}
    assert "buyer" not in repr(origin)


def test_spans_show_what_stands_for_the_channel(recorder: Recorder, outbox: Outbox, sink: MemorySink) -> None:
    unlisted = Channel("orders.12345", shown="orders.{id}")
    origin, got = Origin("acme", None), receipt(channel=unlisted)
    spans = [
        recorder.sending(Operation.SEND, "kafka", unlisted, new_root(), origin, 1),
        recorder.processing("kafka", got, new_root(), origin, None),
        recorder.settling(Operation.ACK, "kafka", got, origin),
    ]
    recorder.received("kafka", [got], "acme", started=1, group=None)
    outbox.flush(5)
    assert {span and span.channel for span in [*spans, *sink.spans]} == {"orders.{id}"}


def test_what_begins_beyond_a_boundary_has_a_link_to_what_was_left(recorder: Recorder) -> None:
    left = new_root()._replace(labels={"region": "eu"})
    for operation in (Operation.SEND, Operation.CREATE, Operation.SEND_BATCH):
        origin = Origin("globex", None, left=left)
        span = recorder.sending(operation, "kafka", ORDERS, new_root(), origin, 1)
        assert span is not None
        assert (span.tenant, span.parent_span_id) == ("globex", None)
        assert (span.links, span.labels) == ((link(left),), {})


def test_what_goes_on_there_has_a_parent_and_no_link(recorder: Recorder) -> None:
    parent = new_root()
    origin = Origin("globex", parent, left=new_root())
    span = recorder.sending(Operation.SEND, "kafka", ORDERS, child_of(parent), origin, 1)
    assert span is not None
    assert (span.parent_span_id, span.links) == (parent.span_id, ())


SILENT = Channel("silent", sampled=0)


def test_a_trace_that_begins_where_a_message_is_received_or_settled_is_sampled_by_its_channel(
    recorder: Recorder, outbox: Outbox, sink: MemorySink
) -> None:
    got = receipt(channel=SILENT)
    recorder.received("kafka", [got], "acme", started=1, group=None)
    assert recorder.settling(Operation.ACK, "kafka", got, Origin("acme", None)) is None
    above = new_root()
    assert recorder.settling(Operation.ACK, "kafka", got, Origin("acme", above)) is not None
    outbox.flush(5)
    assert sink.spans == []


def test_a_meter_is_given_all_spans_and_an_outbox_those_that_are_sampled(
    outbox: Outbox, sink: MemorySink
) -> None:
    metered = MemorySink()
    meter = Outbox(metered)
    recorder = Recorder("checkout", [outbox], lambda: 1, meter=meter)
    for context in (UNSAMPLED, new_root()):
        span = recorder.sending(Operation.SEND, "kafka", ORDERS, context, Origin("acme", None), 1)
        assert span is not None
        recorder.end(span, None)
    assert outbox.flush(5)
    assert meter.flush(5)
    meter.close(5)
    assert [span.context.sampled for span in metered.spans] == [False, True]
    assert sink.spans == metered.spans[1:]
