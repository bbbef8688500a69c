"""What goes with a message that is sent: its parent, its tenant, its labels, and whether it is sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context

from interceptors import LeakError
from interceptors.context import Scope, current, new_root
from interceptors.message import Message
from interceptors.spans import Link, MemorySink, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors import Tracing
    from interceptors.pipeline import Receipt
    from interceptors.spans import Span
    from interceptors.tracing import SpanView

ORDERS = Message("kafka", "orders", b"2 apples")
LABELS: dict[str, Any] = {"region": {"values": ["eu", "us"]}}
LABELLED = {"default": {"labels": LABELS}}


@pytest.fixture(autouse=True)
def _nothing_is_current() -> Iterator[None]:
    """Whatever a test makes current goes with it."""
    before = otel_context.attach(otel_context.Context())
    yield
    otel_context.detach(before)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def tracing(development: Callable[..., Tracing], sink: MemorySink) -> Callable[..., Tracing]:
    """Makes a tracing of `acme`, whose spans go to the sink."""

    def make(policy: dict[str, Any] | None = None, **options: Any) -> Tracing:
        return development(tenant="acme", policy=policy or LABELLED, sink=sink, **options)

    return make


def carry(**entries: object) -> None:
    """Have baggage."""
    for name, value in entries.items():
        otel_context.attach(baggage.set_baggage(name, value))


def spans(tracing: Tracing, sink: MemorySink, operation: Operation) -> list[Span]:
    assert tracing.flush()
    return [span for span in sink.spans if span.operation is operation]


def received(tracing: Tracing, envelope: bytes | None, message: Message = ORDERS) -> Receipt:
    return tracing.receive(message._replace(envelopes=(envelope,)), consumer="workers")


def send(tracing: Tracing, message: Message = ORDERS) -> Receipt:
    """Send and receive."""
    with tracing.send(message) as sending:
        return received(tracing, sending.envelope, message)


# --- labels -------------------------------------------------------------------------------------------------


def test_baggage_that_the_policy_names_travels_and_stands_on_both_spans(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing()
    carry(region="eu", user="buyer")

    receipt = send(made)
    with made.process("kafka", receipt):
        assert baggage.get_all() == {"region": "eu"}

    assert receipt.parent is not None
    assert receipt.parent.labels == {"region": "eu"}
    for operation in (Operation.SEND, Operation.PROCESS):
        assert [span.labels for span in spans(made, sink, operation)] == [{"region": "eu"}]
    assert baggage.get_all() == {"region": "eu", "user": "buyer"}


def test_labels_go_on_with_what_a_handler_sends(tracing: Callable[..., Tracing]) -> None:
    made = tracing()
    carry(region="eu")
    first = send(made)
    otel_context.attach(otel_context.Context())

    with made.process("kafka", first):
        second = send(made)

    assert second.labels == {"region": "eu"}


def test_a_value_that_the_policy_does_not_allow_is_counted(tracing: Callable[..., Tracing]) -> None:
    made = tracing()
    carry(region="buyer", user="buyer")

    assert send(made).labels is None
    assert made.counts == {"labels left out": 1}


def test_each_channel_has_its_own_labels(tracing: Callable[..., Tracing]) -> None:
    entry = {"name": "orders", "match": {"kafka": ["orders"]}, "labels": LABELS}
    made = tracing({"channels": [entry]})
    carry(region="eu")

    assert send(made).labels == {"region": "eu"}
    assert send(made, Message("kafka", "refunds")).labels is None
    assert made.counts == {}


def test_the_hook_of_the_sender_sets_what_travels(tracing: Callable[..., Tracing], sink: MemorySink) -> None:
    def by_body(span: SpanView, message: Message) -> None:
        assert (span.sender, span.verdict) == (None, None)
        span.set_label("region", "us" if message.body == ORDERS.body else "buyer")

    made = tracing(on_send=by_body)
    carry(region="eu")

    assert send(made).labels == {"region": "us"}
    assert send(made, ORDERS._replace(body=b"2 pears")).labels == {"region": "eu"}
    assert [span.labels["region"] for span in spans(made, sink, Operation.SEND)] == ["us", "eu"]
    assert made.counts == {"labels left out": 1}


def test_the_hook_of_the_receiver_sets_what_is_current_in_the_handler(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    def by_sender(span: SpanView, _: Message) -> None:
        assert span.verdict == "fresh"
        if span.sender == "checkout":
            span.set_label("region", "us")

    made = tracing(on_receive=by_sender)
    receipt = send(made)

    assert receipt.labels == {"region": "us"}
    with made.process("kafka", receipt):
        assert baggage.get_all() == {"region": "us"}
    assert [span.labels for span in spans(made, sink, Operation.PROCESS)] == [{"region": "us"}]
    assert received(made, None).labels is None


def test_hooks_that_fail_cost_neither_message_nor_trace(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    def fail(*_: object) -> None:
        raise OSError

    made = tracing(on_send=fail, on_receive=fail)
    carry(region="eu")

    receipt = send(made)

    assert (receipt.verdict, receipt.labels) == ("fresh", {"region": "eu"})
    assert len(spans(made, sink, Operation.SEND)) == 1
    assert made.counts == {"hooks failed": 2}


def test_a_retry_carries_the_labels_of_the_attempt_that_asked_for_it(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing()
    carry(region="eu")
    first = send(made)
    otel_context.attach(otel_context.Context())

    with (
        made.process("kafka", first) as processing,
        made.send(ORDERS, attempt=processing.attempt) as retrying,
    ):
        retry = received(made, retrying.envelope)

    assert retry.labels == {"region": "eu"}
    assert (retry.parent and retry.parent[:2]) == (first.parent and first.parent[:2])
    assert [span.labels for span in spans(made, sink, Operation.SEND)] == [{"region": "eu"}] * 2


def test_of_a_channel_that_emits_nothing_nothing_is_recorded(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing({"default": {"emit": "none", "labels": LABELS}})
    carry(region="eu")

    with made.send(ORDERS) as sending:
        assert (sending.envelope, sending.span) == (None, None)
    batch, sendings = made.send_batch([(ORDERS, made.origin())])

    assert ([outgoing.envelope for outgoing in batch], sendings) == ([None], [])
    assert made.flush()
    assert sink.spans == []


def test_what_is_blocked_is_not_sent_and_its_span_says_so(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing({"default": {"payload": {"on_leak": "block"}}})

    with pytest.raises(LeakError):
        made.send(ORDERS._replace(body=b'{"to": "buyer@example.com"}'))
    assert send(made).verdict == "fresh"

    assert [span.error_type for span in spans(made, sink, Operation.SEND)] == ["LeakError", None]


# --- tenants ------------------------------------------------------------------------------------------------


def test_at_a_boundary_the_trace_starts_anew_with_a_link_and_without_labels(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing()
    carry(region="eu")
    with made.process("kafka", send(made)), made.tenant("globex"):
        receipt = send(made)

    (handled,) = spans(made, sink, Operation.PROCESS)
    sent = spans(made, sink, Operation.SEND)[-1]
    assert (receipt.tenant, receipt.labels) == ("globex", None)
    assert (sent.tenant, sent.parent_span_id, sent.labels) == ("globex", None, {})
    assert sent.links == (Link(handled.context.trace_id, handled.context.span_id),)
    assert sent.context.trace_id != handled.context.trace_id


def test_a_hook_may_label_what_is_sent_beyond_it(tracing: Callable[..., Tracing]) -> None:
    made = tracing(on_send=lambda span, _: span.set_label("region", "eu" if span.tenant == "acme" else "us"))

    with made.process("kafka", send(made)), made.tenant("globex"):
        assert send(made).labels == {"region": "us"}


# --- sampling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0, 1])
def test_where_a_trace_starts_its_channel_says_whether_it_is_sampled(
    tracing: Callable[..., Tracing], sink: MemorySink, ratio: int
) -> None:
    made = tracing({"default": {"sampling_ratio": ratio}})

    receipt = send(made)
    with made.process("kafka", receipt):
        inside = current()

    assert receipt.parent is not None
    assert inside is not None
    assert (receipt.parent.sampled, inside.sampled) == (bool(ratio), bool(ratio))
    assert inside.trace_id == receipt.parent.trace_id
    assert made.flush()
    assert len(sink.spans) == 2 * ratio


@pytest.mark.parametrize("sampled", [True, False])
def test_a_parent_has_decided_already(
    tracing: Callable[..., Tracing], sink: MemorySink, *, sampled: bool
) -> None:
    made = tracing({"default": {"sampling_ratio": 0 if sampled else 1}})
    Scope("acme", new_root(sampled=sampled))

    receipt = send(made)

    assert receipt.parent is not None
    assert receipt.parent.sampled is sampled
    assert len(spans(made, sink, Operation.SEND)) == sampled


def test_a_trace_that_starts_with_the_receiver_is_sampled_by_its_channel(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing({"default": {"sampling_ratio": 0}})

    with made.process("kafka", received(made, None)):
        inside = current()

    assert inside is not None
    assert not inside.sampled
    assert spans(made, sink, Operation.PROCESS) == []


# --- batches ------------------------------------------------------------------------------------------------


def send_batch(tracing: Tracing, origins: list[Any]) -> list[Receipt]:
    batch, sendings = tracing.send_batch([(ORDERS, origin) for origin in origins])
    for sending in sendings:
        sending.end()
    return [received(tracing, outgoing.envelope) for outgoing in batch]


def test_each_message_of_a_batch_is_created_and_the_batch_is_sent(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing()
    origins = []
    for region in ("eu", "us", "nowhere"):
        carry(region=region)
        origins.append(made.origin())

    receipts = send_batch(made, origins)

    created, (sent,) = (spans(made, sink, each) for each in (Operation.CREATE, Operation.SEND_BATCH))
    assert [receipt.parent and receipt.parent[:2] for receipt in receipts] == [
        span.context[:2] for span in created
    ]
    assert [receipt.labels for receipt in receipts] == [{"region": "eu"}, {"region": "us"}, None]
    assert [span.labels for span in created] == [{"region": "eu"}, {"region": "us"}, {}]
    assert len({span.context.trace_id for span in [*created, sent]}) == 4
    assert sent.links == tuple(Link(*span.context[:2]) for span in created)
    assert (sent.batch_size, sent.labels, sent.parent_span_id) == (3, {}, None)


def test_a_batch_beyond_a_boundary_has_links_to_what_was_left_and_to_its_messages(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing()
    left = new_root()
    Scope("acme", left)
    with made.tenant("globex"):
        send_batch(made, [made.origin()])

    (created,), (sent,) = (spans(made, sink, each) for each in (Operation.CREATE, Operation.SEND_BATCH))
    assert (created.tenant, sent.tenant) == ("globex", "globex")
    assert created.links == (Link(*left[:2]),)
    assert sent.links == (Link(*left[:2]), Link(*created.context[:2]))


def test_a_batch_is_sampled_where_any_of_its_messages_is(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing({"default": {"sampling_ratio": 0.5}})

    receipts: list[Receipt] = []
    while len({receipt.parent and receipt.parent.sampled for receipt in receipts}) < 2:
        sink.spans.clear()
        receipts = send_batch(made, [made.origin()] * 64)  # 1 in 2^63 is all of one kind

    sampled = [receipt.parent[:2] for receipt in receipts if receipt.parent and receipt.parent.sampled]
    created, (sent,) = (spans(made, sink, each) for each in (Operation.CREATE, Operation.SEND_BATCH))
    assert [span.context[:2] for span in created] == sampled
    assert sent.links == tuple(Link(*ids) for ids in sampled)
    assert (sent.context.sampled, sent.batch_size) == (True, 64)


def test_of_a_batch_that_is_not_sampled_nothing_is_recorded(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing({"default": {"sampling_ratio": 0}})

    receipts = send_batch(made, [made.origin()] * 2)

    assert [receipt.parent and receipt.parent.sampled for receipt in receipts] == [False, False]
    assert made.flush()
    assert sink.spans == []


def test_what_is_blocked_in_a_batch_fails_its_span_and_not_those_of_the_messages(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing({"default": {"payload": {"on_leak": "block"}}})
    email = ORDERS._replace(body=b'{"to": "buyer@example.com"}')

    with pytest.raises(LeakError):
        made.send_batch([(ORDERS, made.origin()), (email, made.origin())])

    assert [span.error_type for span in spans(made, sink, Operation.CREATE)] == [None, None]
    assert [span.error_type for span in spans(made, sink, Operation.SEND_BATCH)] == ["LeakError"]


# --- what others carry --------------------------------------------------------------------------------------


def test_what_is_carried_is_the_current_span_itself(
    tracing: Callable[..., Tracing], sink: MemorySink
) -> None:
    made = tracing()
    span = new_root(sampled=False)
    scope = Scope("globex", span, {"region": "eu"})
    carry(user="buyer")
    given = otel_context.get_current()
    scope.leave()
    otel_context.attach(otel_context.Context())

    receipt = received(made, made.carry(ORDERS, given))

    assert receipt.parent == span._replace(labels={"region": "eu"})
    assert (receipt.tenant, receipt.labels) == ("globex", {"region": "eu"})
    assert made.flush()
    assert sink.spans == []


def test_without_a_span_nothing_is_carried(tracing: Callable[..., Tracing]) -> None:
    made = tracing()
    carry(region="eu")

    assert made.carry(ORDERS, otel_context.get_current()) is None


def test_what_the_policy_does_not_seal_is_not_carried(tracing: Callable[..., Tracing]) -> None:
    made = tracing({"default": {"emit": "none"}})
    Scope("acme", new_root())

    assert made.carry(ORDERS, otel_context.get_current()) is None
