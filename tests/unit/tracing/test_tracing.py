from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from interceptors import ConfigurationError, PolicyError, Tracing, Verdict
from interceptors.context import Scope, current, new_root
from interceptors.errors import Answer
from interceptors.keys import KeyAdministration, LocalKeys, MemoryKeys
from interceptors.keys.keyring import MISSES_PER_SECOND
from interceptors.message import Message
from interceptors.policy import check_policy
from interceptors.spans import MemorySink, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from interceptors.pipeline import Receipt
    from interceptors.spans import Span

    Development = Callable[..., Tracing]

PATIENCE = 30.0
MINUTE = 60 * 10**9
ORDERS = Message("kafka", "orders", b"body")


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def tracing(development: Development, sink: MemorySink) -> Tracing:
    return development(sink=sink)


def hand_over(sender: Tracing, receiver: Tracing, message: Message = ORDERS) -> Receipt:
    """Send a message and receive it."""
    sending = sender.send(message)
    sending.end()
    envelopes = () if sending.envelope is None else (sending.envelope,)
    fetch = receiver.opening_keys_wanted(envelopes)
    if fetch is not None:
        fetch()
    return receiver.receive(message._replace(envelopes=envelopes), consumer="workers")


def flushed(tracing: Tracing, sink: MemorySink) -> list[Span]:
    assert tracing.flush(PATIENCE)
    return sink.spans


# --- how one is made ----------------------------------------------------------------------------------------


def test_from_file_wires_what_the_files_say(configuration: Path) -> None:
    configuration.write_text(configuration.read_text() + "export: {file: {path: spans.jsonl}}\n")
    with Tracing.from_file(configuration) as tracing:
        assert repr(tracing) == "Tracing(service='checkout')"
        receipt = hand_over(tracing, tracing)
        assert (receipt.verdict, receipt.tenant, receipt.sender) == (Verdict.FRESH, "acme", "checkout")
    assert "send orders" in (configuration.parent / "spans.jsonl").read_text()


def test_from_file_looks_here_for_interceptors_yaml(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, sink: MemorySink
) -> None:
    monkeypatch.chdir(configuration.parent)
    with Tracing.from_file(sink=sink) as tracing:
        hand_over(tracing, tracing)
    assert [span.service for span in sink.spans] == ["checkout"]


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("interceptors.yaml", None, r"interceptors\.yaml: can't be read .*interceptors init"),
        ("interceptors.yaml", "service: a", r"interceptors\.yaml:1: tenant: this key is required"),
        ("policy.yaml", None, r"policy\.yaml: can't be read .*interceptors init"),
        ("policy.yaml", "version: 2", r"policy\.yaml:1: version: should be 1"),
        ("keys.json", None, r"keys\.json: can't be read .*interceptors keys grant"),
        ("keys.json", "{}", r"keys\.json: service: missing; grant the keys anew"),
        (
            "keys.json",
            '{"service": "billing"}',
            r"interceptors\.yaml: keys: .*holds the keys of 'billing'.* grant",
        ),
    ],
)
def test_a_file_that_does_not_hold_is_named_with_place_and_remedy(
    configuration: Path, file: str, content: str | None, problem: str
) -> None:
    path = configuration.parent / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=problem):
        Tracing.from_file(configuration)


def test_for_development_is_refused_in_production(
    development: Development, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"refused .* production; use Tracing\.from_file"):
        development(environment="production")
    for name in ("Production", "prod", "production-eu"):
        with pytest.raises(ConfigurationError, match="refused"):
            development(environment=name)
    monkeypatch.setenv("INTERCEPTORS_ENVIRONMENT", "staging")
    assert development(environment="staging").service == "checkout"
    monkeypatch.setenv("INTERCEPTORS_ENVIRONMENT", "production")
    with pytest.raises(ConfigurationError, match="refused"):
        development()


def test_for_development_takes_a_policy_as_mapping_or_file(development: Development, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\ndefault: {emit: none}\n")
    for policy in (
        {"default": {"emit": "none"}},
        {"version": 1, "default": {"emit": "none"}},
        path,
        str(path),
    ):
        assert development(policy=policy).send(ORDERS).envelope is None
    assert development().send(ORDERS).envelope is not None


def test_for_development_refuses_what_does_not_hold(development: Development) -> None:
    with pytest.raises(
        PolicyError, match=r"policy: default\.emmit: unknown key; did you mean 'emit'"
    ) as raised:
        development(policy={"default": {"emmit": "none"}})
    assert raised.value.path == "default.emmit"
    with pytest.raises(ConfigurationError, match=r"export: fil: unknown key; did you mean 'file'"):
        development(export={"fil": {}})


def test_for_development_refuses_a_key_without_a_value(development: Development) -> None:
    channel = {"name": "orders", "match": {"kafka": ["orders"]}, "senders": None}
    with pytest.raises(PolicyError, match=r"^policy: channels\[0\]\.senders: this key has no value"):
        development(policy={"channels": [channel]})
    with pytest.raises(ConfigurationError, match=r"^export: file: this key has no value"):
        development(export={"file": None})


def test_an_option_that_there_is_none_of_is_refused(
    development: Development, configuration: Path, sink: MemorySink
) -> None:
    options: dict[str, Any] = {"snik": sink}
    with pytest.raises(TypeError, match="snik"):
        development(**options)
    with pytest.raises(TypeError, match="snik"):
        Tracing.from_file(configuration, **options)


def test_for_development_takes_keys_of_another_tracing_or_of_a_file(
    development: Development, administration: KeyAdministration
) -> None:
    store = MemoryKeys("store")
    checkout, billing = development(keys=store), development("billing", keys=store)
    assert hand_over(checkout, billing).sender == "checkout"
    assert hand_over(checkout, development("billing")).answer is Answer.UNKNOWN_KEY
    (path,) = administration.files()
    from_file = development(keys=path, tenant="acme")
    assert hand_over(from_file, from_file).tenant == "acme"
    with pytest.raises(ConfigurationError, match=r"holds the keys of 'checkout', and this is 'billing'"):
        development("billing", keys=str(path))


def test_for_development_exports_to_a_file(development: Development, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    tracing = development(export={"file": {"path": str(path)}})
    tracing.send(ORDERS).end()
    tracing.close()
    assert len(path.read_text().splitlines()) == 1


# --- sending ------------------------------------------------------------------------------------------------


def test_a_sent_message_has_an_envelope_and_a_span(tracing: Tracing, sink: MemorySink) -> None:
    sending = tracing.send(ORDERS)
    assert sending.envelope is not None
    assert sending.span is not None
    sending.end(TimeoutError("secret"))
    (span,) = flushed(tracing, sink)
    assert (span.operation, span.channel, span.service) == (Operation.SEND, "orders", "checkout")
    assert (span.tenant, span.error_type) == ("development", "TimeoutError")
    assert 0 < span.start <= span.end


def test_two_messages_can_not_be_told_to_be_of_one_trace(tracing: Tracing) -> None:
    scope = Scope(None, new_root())
    first, second = (tracing.send(ORDERS).envelope for _ in range(2))
    scope.leave()
    assert first is not None
    assert second is not None
    assert len(first) == len(second) == 122
    assert first[:30] == second[:30]  # kid and session: which sender it is may be seen
    assert first[30:42] != second[30:42]
    assert first[42:] != second[42:]


def test_the_span_that_is_current_in_opentelemetry_is_the_parent(tracing: Tracing, sink: MemorySink) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("business") as above:
        receipt = hand_over(tracing, tracing)
    (span,) = flushed(tracing, sink)
    context = above.get_span_context()
    assert span.context.trace_id == context.trace_id.to_bytes(16, "big")
    assert span.parent_span_id == context.span_id.to_bytes(8, "big")
    assert receipt.parent == span.context


def test_a_trace_that_is_not_sampled_is_sealed_and_not_recorded(tracing: Tracing, sink: MemorySink) -> None:
    scope = Scope(None, new_root(sampled=False))
    receipt = hand_over(tracing, tracing)
    scope.leave()
    assert receipt.parent is not None
    assert not receipt.parent.sampled
    with tracing.process("kafka", receipt) as processing:
        assert processing.span is None
        above = current()
        assert above is not None
        assert (above.trace_id, above.sampled) == (receipt.parent.trace_id, False)
    assert flushed(tracing, sink) == []


def test_a_channel_that_emits_none_is_neither_sealed_nor_recorded(
    development: Development, sink: MemorySink
) -> None:
    tracing = development(policy={"default": {"emit": "none"}}, sink=sink)
    sending = tracing.send(ORDERS)
    sending.end()
    assert (sending.envelope, flushed(tracing, sink), tracing.counts) == (None, [], {})


def test_what_goes_without_an_envelope_is_recorded_counted_and_logged_once(
    development: Development, sink: MemorySink, caplog: pytest.LogCaptureFixture
) -> None:
    tracing = development(policy={"default": {"binding": "message"}}, sink=sink)
    with caplog.at_level(logging.WARNING, "interceptors"):
        for _ in range(3):
            sending = tracing.send(ORDERS._replace(body={"order": 7}))
            assert sending.envelope is None
            sending.end()
    reason = "the channel binds the body, which is not bytes yet"
    assert tracing.counts == {reason: 3}
    assert caplog.messages == [f"messages of channel 'orders' go without an envelope: {reason}"]
    assert len(flushed(tracing, sink)) == 3


def test_labels_that_do_not_fit_are_counted(tracing: Tracing, monkeypatch: pytest.MonkeyPatch) -> None:
    # No policy lets a label travel yet; a context that has some is what one would.
    labelled = new_root()._replace(labels={"": "no name", "region": "eu"})
    monkeypatch.setattr("interceptors.tracing.sender.child_of", lambda *_: labelled)
    assert tracing.send(ORDERS).envelope is not None
    assert tracing.counts["labels left out"] == 1


def test_without_a_sealing_key_messages_pass(
    development: Development, administration: KeyAdministration
) -> None:
    tracing = development(keys=administration.files()[0], tenant="globex")
    assert hand_over(tracing, tracing).verdict is None
    assert tracing.counts == {"no sealing key for the tenant": 1}


def test_messages_that_are_sent_as_one_are_a_span_for_each_tenant_and_parent(
    tracing: Tracing, sink: MemorySink
) -> None:
    origins = []
    parent = new_root()
    for tenant, above in (("acme", parent), ("globex", parent), ("acme", None), ("acme", parent)):
        scope = Scope(tenant, above)
        origins.append(tracing.origin())
        scope.leave()
    batch, sendings = tracing.send_batch([(ORDERS, origin) for origin in origins])
    for sending in sendings:
        sending.end()
    flushed(tracing, sink)
    created = [span for span in sink.spans if span.operation is Operation.CREATE]
    sent = [span for span in sink.spans if span.operation is Operation.SEND_BATCH]
    assert len(sink.spans) == len(created) + len(sent)
    assert [(span.tenant, span.parent_span_id, span.batch_size) for span in sent] == [
        ("acme", parent.span_id, 2),
        ("globex", parent.span_id, 1),
        ("acme", None, 1),
    ]
    received = [
        tracing.receive(ORDERS._replace(envelopes=(outgoing.envelope,)), consumer="workers")
        for outgoing in batch
    ]
    assert [receipt.tenant for receipt in received] == ["acme", "globex", "acme", "acme"]
    assert [receipt.parent for receipt in received] == [span.context for span in created]
    assert [span.parent_span_id for span in created] == [
        parent.span_id,
        parent.span_id,
        None,
        parent.span_id,
    ]
    assert [[link.span_id for link in span.links] for span in sent] == [
        [created[place].context.span_id for place in places] for places in ((0, 3), (1,), (2,))
    ]


def test_a_batch_of_a_channel_that_emits_none_has_no_span(development: Development) -> None:
    tracing = development(policy={"default": {"emit": "none"}}, sink=MemorySink())
    batch, sendings = tracing.send_batch([(ORDERS, tracing.origin())])
    assert ([outgoing.envelope for outgoing in batch], sendings) == ([None], [])


# --- tenants ------------------------------------------------------------------------------------------------


def test_a_tenant_holds_for_the_code_below_and_nests(tracing: Tracing) -> None:
    def tenant() -> str | None:
        return hand_over(tracing, tracing).tenant

    assert tenant() == "development"
    with tracing.tenant("acme"):
        assert tenant() == "acme"
        with tracing.tenant("globex"):
            assert tenant() == "globex"
        assert tenant() == "acme"
    assert tenant() == "development"


def test_a_tenant_is_left_with_an_exception_too(tracing: Tracing) -> None:
    with pytest.raises(ZeroDivisionError), tracing.tenant("acme"):
        raise ZeroDivisionError
    assert tracing.origin().tenant == "development"


def test_threads_have_tenants_of_their_own(tracing: Tracing) -> None:
    inside = threading.Barrier(4)

    def work(name: str) -> str | None:
        with tracing.tenant(name):
            inside.wait(PATIENCE)
            return hand_over(tracing, tracing).tenant

    names = [f"tenant-{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, names)) == names


async def test_tasks_have_tenants_of_their_own(tracing: Tracing) -> None:
    inside = asyncio.Barrier(4)

    async def work(name: str) -> str | None:
        with tracing.tenant(name):
            await inside.wait()
            return hand_over(tracing, tracing).tenant

    names = [f"tenant-{number}" for number in range(4)]
    assert await asyncio.gather(*map(work, names)) == names


def test_a_handler_starts_with_the_tenant_of_its_messages_sender(tracing: Tracing) -> None:
    with tracing.tenant("acme"):
        receipt = hand_over(tracing, tracing)
    with tracing.process("kafka", receipt):
        assert hand_over(tracing, tracing).tenant == "acme"
    assert hand_over(tracing, tracing).tenant == "development"


# --- receiving ----------------------------------------------------------------------------------------------


def test_the_process_span_is_current_inside_and_what_was_before_after(
    tracing: Tracing, sink: MemorySink
) -> None:
    receipt = hand_over(tracing, tracing)
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("consumer loop") as loop:
        with tracing.process("kafka", receipt, group="workers") as processing:
            assert processing.span is not None
            inside = get_current_span().get_span_context()
            assert inside.span_id.to_bytes(8, "big") == processing.span.context.span_id
            assert inside.trace_flags.sampled
            with tracer.start_as_current_span("business") as business:
                assert business.get_span_context().trace_id == inside.trace_id
        assert get_current_span() is loop
    sent, processed = flushed(tracing, sink)
    assert (processed.operation, processed.consumer_group) == (Operation.PROCESS, "workers")
    assert (processed.context.trace_id, processed.parent_span_id) == (
        sent.context.trace_id,
        sent.context.span_id,
    )


def test_a_trace_that_may_not_continue_starts_anew_with_a_link(
    development: Development, sink: MemorySink
) -> None:
    clock = [1_790_000_000_000_000_000]
    tracing = Tracing(
        service="checkout",
        tenant="development",
        policy=check_policy({"version": 1}, "policy"),
        keys=MemoryKeys("checkout"),
        sink=sink,
        clock=lambda: clock[0],
    )
    sending = tracing.send(ORDERS)
    sending.end()
    verdicts = []
    for place, minutes in ((0, 0), (0, 1), (1, 1), (2, 2), (2, 0)):
        clock[0] += minutes * MINUTE
        message = ORDERS._replace(envelopes=(sending.envelope,), coordinate=("orders", 0, place))
        receipt = tracing.receive(message, consumer="workers")
        verdicts.append(receipt.verdict)
        with tracing.process("kafka", receipt):
            pass
    assert verdicts == ["fresh", "redelivery", "duplicate", "replay", "replay"]
    assert tracing.counts == {"redelivery": 1, "duplicate": 1, "replay": 2}
    sent, *processed = flushed(tracing, sink)
    continued = [span.context.trace_id == sent.context.trace_id for span in processed]
    assert continued == [True, True, True, False, False]
    assert [bool(span.links) for span in processed] == [False, False, False, True, True]
    tracing.close()
    assert development().now() != clock[0]


def test_the_queue_time_is_by_the_clocks_of_sender_and_receiver(sink: MemorySink) -> None:
    clock = [1_790_000_000_000_000_000]
    tracing = Tracing(
        service="checkout",
        tenant="development",
        policy=check_policy({"version": 1}, "policy"),
        keys=MemoryKeys("checkout"),
        sink=sink,
        clock=lambda: clock[0],
    )
    receipt = hand_over(tracing, tracing)
    clock[0] += MINUTE
    with tracing.process("kafka", receipt):
        pass
    assert [span.queue_time_ms for span in flushed(tracing, sink)] == [None, 60_000]
    tracing.close()


def test_each_consumer_has_a_memory_of_its_own(tracing: Tracing) -> None:
    message = ORDERS._replace(envelopes=(tracing.send(ORDERS).envelope,), coordinate=("orders", 0, 1))
    assert [tracing.receive(message, consumer=name).verdict for name in ("a", "b", "a", "b")] == [
        Verdict.FRESH,
        Verdict.FRESH,
        Verdict.REDELIVERY,
        Verdict.REDELIVERY,
    ]


def test_a_message_that_the_policy_refuses_is_counted_and_logged(
    development: Development, caplog: pytest.LogCaptureFixture
) -> None:
    tracing = development(policy={"default": {"accept": "reject"}})
    with caplog.at_level(logging.WARNING, "interceptors"):
        assert tracing.receive(ORDERS, consumer="workers").rejected
    assert tracing.counts == {"missing": 1, "rejected": 1}
    assert caplog.messages == ["channel 'orders' rejects a message: missing"]


def test_a_channel_that_accepts_none_is_not_recorded_and_changes_nothing(
    development: Development, sink: MemorySink
) -> None:
    tracing = development(policy={"default": {"accept": "none"}}, sink=sink)
    receipt = tracing.receive(ORDERS._replace(envelopes=(b"anything",)), consumer="workers")
    with tracing.tenant("acme"), tracing.process("kafka", receipt) as processing:
        assert processing.span is None
        assert tracing.origin() == ("acme", None, {}, None)
    assert flushed(tracing, sink) == []


def test_a_batch_that_was_received_is_recorded(tracing: Tracing, sink: MemorySink) -> None:
    receipts = [hand_over(tracing, tracing) for _ in range(2)]
    tracing.received("kafka", receipts, started=tracing.now(), group="workers")
    *sent, received = flushed(tracing, sink)
    assert (received.operation, received.batch_size) == (Operation.RECEIVE, 2)
    assert [link.span_id for link in received.links] == [span.context.span_id for span in sent]


# --- settling -----------------------------------------------------------------------------------------------


SETTLING = [Operation.ACK, Operation.NACK, Operation.REJECT]


@pytest.mark.parametrize("operation", SETTLING)
def test_a_settlement_is_below_the_processing_of_its_message(
    tracing: Tracing, sink: MemorySink, operation: Operation
) -> None:
    with tracing.tenant("acme"):
        receipt = hand_over(tracing, tracing)
    with tracing.process("rabbitmq", receipt) as processing:
        inside = current()
        with tracing.settle(operation, "rabbitmq", receipt, processing):
            assert current() is inside
    _, settled, processed = flushed(tracing, sink)
    assert (settled.operation, settled.system, settled.channel) == (operation, "rabbitmq", "orders")
    assert (settled.context.trace_id, settled.parent_span_id, settled.tenant) == (
        processed.context.trace_id,
        processed.context.span_id,
        "acme",
    )
    assert settled.error_type is None


def test_a_settlement_may_come_after_the_processing_has_ended(tracing: Tracing, sink: MemorySink) -> None:
    receipt = hand_over(tracing, tracing)
    with tracing.process("rabbitmq", receipt) as processing:
        pass
    tracing.settle(Operation.ACK, "rabbitmq", receipt, processing).end()
    _, processed, settled = flushed(tracing, sink)
    assert settled.parent_span_id == processed.context.span_id


def test_a_settlement_without_a_processing_is_below_the_sender(tracing: Tracing, sink: MemorySink) -> None:
    receipt = hand_over(tracing, tracing)
    tracing.settle(Operation.ACK, "rabbitmq", receipt, None).end()
    sent, settled = flushed(tracing, sink)
    assert (settled.context.trace_id, settled.parent_span_id) == (sent.context.trace_id, sent.context.span_id)


def test_a_settlement_of_what_has_no_sender_starts_a_trace_of_the_services_tenant(
    tracing: Tracing, sink: MemorySink
) -> None:
    receipt = tracing.receive(ORDERS, consumer="workers")
    tracing.settle(Operation.ACK, "rabbitmq", receipt, None).end()
    (settled,) = flushed(tracing, sink)
    assert (settled.parent_span_id, settled.tenant) == (None, "development")


def test_a_settlement_that_fails_says_the_class_of_the_error(tracing: Tracing, sink: MemorySink) -> None:
    receipt = hand_over(tracing, tracing)
    with (
        pytest.raises(ConnectionError, match="secret"),
        tracing.settle(Operation.NACK, "rabbitmq", receipt, None),
    ):
        raise ConnectionError("secret")
    assert flushed(tracing, sink)[-1].error_type == "ConnectionError"


def test_nothing_is_recorded_of_settling_what_is_not_traced(
    development: Development, sink: MemorySink
) -> None:
    tracing = development(policy={"default": {"accept": "none"}}, sink=sink)
    receipt = tracing.receive(ORDERS, consumer="workers")
    with tracing.process("rabbitmq", receipt) as processing:
        for given in (processing, None):
            with tracing.settle(Operation.ACK, "rabbitmq", receipt, given) as settling:
                assert settling.span is None
    assert flushed(tracing, sink) == []


def test_nothing_is_recorded_of_settling_what_is_not_sampled(tracing: Tracing, sink: MemorySink) -> None:
    scope = Scope(None, new_root(sampled=False))
    receipt = hand_over(tracing, tracing)
    scope.leave()
    with tracing.process("rabbitmq", receipt) as processing:
        tracing.settle(Operation.ACK, "rabbitmq", receipt, processing).end()
    assert flushed(tracing, sink) == []


# --- retries ------------------------------------------------------------------------------------------------


TASK = Message("celery", "orders", type="orders.charge", id="1")


def test_retries_are_siblings_and_each_is_linked_to_the_span_that_sent_it(
    tracing: Tracing, sink: MemorySink
) -> None:
    sending = tracing.send(TASK)
    sending.end()
    for attempt in range(3):
        message = TASK._replace(envelopes=(sending.envelope,), coordinate=("1", attempt))
        receipt = tracing.receive(message, consumer="workers")
        assert receipt.verdict is Verdict.FRESH
        with tracing.process("celery", receipt) as processing:
            sending = tracing.send(TASK, attempt=processing.attempt)
            sending.end()
    first, *rest = flushed(tracing, sink)
    sent, attempts = rest[::2], rest[1::2]
    assert {span.context.trace_id for span in rest} == {first.context.trace_id}
    assert [span.parent_span_id for span in attempts] == [first.context.span_id] * 3
    assert [span.parent_span_id for span in sent] == [span.context.span_id for span in attempts]
    assert [[link.span_id for link in span.links] for span in attempts] == [
        [],
        [sent[0].context.span_id],
        [sent[1].context.span_id],
    ]


def test_a_retry_that_is_sent_outside_of_its_trace_is_a_message_like_any_other(
    tracing: Tracing, sink: MemorySink
) -> None:
    with tracing.process("celery", hand_over(tracing, tracing, TASK)) as processing:
        attempt = processing.attempt
    retry = tracing.send(TASK, attempt=attempt)
    assert retry.span is not None
    assert attempt is not None
    receipt = tracing.receive(TASK._replace(envelopes=(retry.envelope,)), consumer="workers")
    assert receipt.parent == retry.span.context
    assert receipt.parent.trace_id != attempt.trace_id
    with tracing.process("celery", receipt):
        pass
    assert flushed(tracing, sink)[-1].links == ()


def test_a_retry_of_what_began_here_goes_on_from_that(tracing: Tracing) -> None:
    receipt = tracing.receive(TASK, consumer="workers")
    with tracing.process("celery", receipt) as processing:
        assert processing.attempt == processing.context
        retry = tracing.send(TASK, attempt=processing.attempt)
    again = tracing.receive(TASK._replace(envelopes=(retry.envelope,)), consumer="workers")
    assert again.parent is not None
    assert processing.context is not None
    assert again.parent[:3] == processing.context[:3]


# --- what goes in clear -------------------------------------------------------------------------------------


def test_a_destination_seals_where_its_channel_says_so(development: Development) -> None:
    silent = {"name": "silent", "match": {"kafka": ["silent"], "celery": ["quiet"]}, "emit": "none"}
    tracing = development(policy={"channels": [silent]})
    places = [("kafka", "silent"), ("celery", "quiet"), ("kafka", "quiet"), ("rabbitmq", "silent")]
    assert [tracing.send(Message(*place)).seals for place in places] == [False, False, True, True]


def test_what_has_no_key_seals_all_the_same(
    development: Development, administration: KeyAdministration
) -> None:
    tracing = development(keys=administration.files()[0], tenant="globex")
    sending = tracing.send(ORDERS)
    assert (sending.envelope, sending.seals, sending.channel.name) == (None, True, "orders")


# --- keys ---------------------------------------------------------------------------------------------------


def test_keys_are_wanted_until_they_are_held(development: Development) -> None:
    store = MemoryKeys("store")
    checkout, billing = development(keys=store), development("billing", keys=store)
    wanted = checkout.sealing_key_wanted()
    assert wanted is not None
    wanted()
    assert checkout.sealing_key_wanted() is None
    with checkout.tenant("acme"):
        assert checkout.sealing_key_wanted() is not None
    envelope = checkout.send(ORDERS).envelope
    hostile = (None, 7, "é", b"", object())
    fetch = billing.opening_keys_wanted([envelope, *hostile, envelope])
    assert fetch is not None
    fetch()
    assert billing.opening_keys_wanted([envelope, *hostile]) is None
    assert billing.receive(ORDERS._replace(envelopes=(envelope,)), consumer="w").sender == "checkout"


def test_what_nobody_wants_any_more_is_not_fetched(development: Development) -> None:
    class Counting(MemoryKeys):
        asked = 0

        def opening_key(self, kid: bytes) -> Any:
            self.asked += 1
            return super().opening_key(kid)

    keys = Counting("billing")
    tracing = Tracing(
        service="billing", tenant="acme", policy=check_policy({"version": 1}, "policy"), keys=keys
    )
    kids = [b"\x11\x01" + number.to_bytes(120, "big") for number in range(10**30, 10**38, 10**36)]
    flood = [b"\x11\x01" + os.urandom(120) for _ in range(10 * MISSES_PER_SECOND)]
    first, again = tracing.opening_keys_wanted(kids[:1]), tracing.opening_keys_wanted(kids[:1])
    assert first is not None
    assert again is not None
    first()
    again()  # another task had it fetched meanwhile
    assert keys.asked == 1
    fetch = tracing.opening_keys_wanted(flood)
    assert fetch is not None
    fetch()
    assert keys.asked <= 2 * MISSES_PER_SECOND  # the clock may have come to the next second
    tracing.close()


def test_a_changed_key_file_is_taken_up_by_a_running_service(
    configuration: Path, administration: KeyAdministration
) -> None:
    with Tracing.from_file(configuration) as tracing:
        before = tracing.send(ORDERS).envelope
        assert before is not None
        administration.rotate("acme")
        administration.promote("acme")
        tracing._outboxes.keeper.work_once()  # what its thread does each second
        after = tracing.send(ORDERS).envelope
        assert after is not None
        assert (
            after[2:18]
            == LocalKeys(configuration.parent / "keys.json").sealing_key("acme").kid
            != before[2:18]
        )
        assert tracing.receive(ORDERS._replace(envelopes=(before,)), consumer="w").verdict is Verdict.FRESH


# --- spans --------------------------------------------------------------------------------------------------


class FailingSink:
    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - the protocol's
        raise OSError(str(spans))

    def close(self) -> None:
        pass


def test_a_failing_sink_costs_spans_and_is_counted(development: Development) -> None:
    tracing = development(sink=FailingSink())
    assert hand_over(tracing, tracing).verdict is Verdict.FRESH
    tracing.flush(PATIENCE)
    assert tracing.spans_dropped == 1


def test_a_full_outbox_costs_spans_and_is_counted(tracing: Tracing) -> None:
    tracing._outboxes.exporting[0]._capacity = 0
    assert hand_over(tracing, tracing).verdict is Verdict.FRESH
    assert tracing.spans_dropped == 1


def test_a_closed_tracing_seals_and_verifies_and_records_nothing_more(
    tracing: Tracing, sink: MemorySink
) -> None:
    hand_over(tracing, tracing)
    tracing.close()
    assert hand_over(tracing, tracing).verdict is Verdict.FRESH
    assert (len(sink.spans), tracing.spans_dropped) == (1, 1)
    tracing.close()


def test_leaving_its_block_closes_it_and_lets_errors_out(development: Development, sink: MemorySink) -> None:
    tracing = development(sink=sink)
    hand_over(tracing, tracing)
    with pytest.raises(ZeroDivisionError), tracing:
        raise ZeroDivisionError
    assert len(sink.spans) == 1


def test_without_a_sink_nothing_is_recorded(development: Development) -> None:
    tracing = development()
    sending = tracing.send(ORDERS)
    assert sending.span is None
    assert sending.envelope is not None
    sending.end()
    assert tracing.spans_dropped == 0


def test_threads_may_share_one(tracing: Tracing, sink: MemorySink) -> None:
    workers, each = 4, 25
    together = threading.Barrier(workers)

    def work(worker: int) -> set[Verdict | None]:
        together.wait(PATIENCE)
        verdicts = set()
        for number in range(each):
            sending = tracing.send(ORDERS)
            sending.end()
            message = ORDERS._replace(envelopes=(sending.envelope,), coordinate=("orders", worker, number))
            receipt = tracing.receive(message, consumer=f"new {number}")
            verdicts.add(receipt.verdict)
        return verdicts

    with ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, range(workers))) == [{Verdict.FRESH}] * workers
    assert len(flushed(tracing, sink)) == workers * each
    assert len(tracing._receiver._windows) == each


# --- processes ----------------------------------------------------------------------------------------------


def run(script: str, *arguments: str) -> None:
    code = textwrap.dedent(script)
    found = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        text=True,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_what_waits_at_exit_is_exported(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    script = """
        import sys
        from interceptors import Tracing
        from interceptors.message import Message

        tracing = Tracing.for_development("checkout", export={"file": {"path": sys.argv[1]}})
        tracing.send(Message("kafka", "orders")).end()
    """
    run(script, str(path))
    assert len(path.read_text().splitlines()) == 1


def test_a_child_seals_verifies_records_and_flushes_after_a_fork() -> None:
    script = """
        import os, sys, warnings
        from interceptors import Tracing
        from interceptors.message import Message
        from interceptors.spans import MemorySink

        # From Python 3.12 on, `os.fork` warns of the thread that a Tracing in use has.
        warnings.simplefilter("ignore", DeprecationWarning)
        sink = MemorySink()
        tracing = Tracing.for_development("checkout", sink=sink)
        message = Message("kafka", "orders")
        before = tracing.send(message).envelope
        tracing.send(message).end()  # waits, and is the parent's to export
        exporting, keeper = tracing._outboxes.exporting[0], tracing._outboxes.keeper
        locks = [tracing._receiver._receiving, tracing._keyring._lock]
        locks += [exporting._draining, keeper._draining]
        for lock in locks:
            lock.acquire()  # as another thread of the parent may have
        pid = os.fork()
        if pid == 0:
            faults = []
            sending = tracing.send(message)
            sending.end()
            if sending.envelope[18:30] == before[18:30]:
                faults.append("the session of the parent is used on")
            with tracing.tenant("acme"):
                other = tracing.send(message)
                other.end()
            for envelope, tenant in ((before, "development"), (other.envelope, "acme")):
                receipt = tracing.receive(message._replace(envelopes=(envelope,)), consumer="workers")
                if (receipt.verdict, receipt.tenant) != ("fresh", tenant):
                    faults.append(repr(receipt))
            if not tracing.flush(10):
                faults.append("not flushed")
            if [span.tenant for span in sink.spans] != ["development", "acme"]:
                faults.append(repr(sink.spans))
            if not (exporting._thread.is_alive() and keeper._thread.is_alive()):
                faults.append("no thread")
            print(faults, file=sys.stderr) if faults else None
            os._exit(len(faults))
        for lock in locks:
            lock.release()
        status = os.waitpid(pid, 0)[1]
        tracing.close()
        if len(sink.spans) != 1:
            sys.exit("the parent lost its span")
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    run(script)


def test_one_that_is_not_in_use_yet_has_no_thread_to_fork_with() -> None:
    script = """
        import os, sys, threading
        from interceptors import Tracing
        from interceptors.message import Message

        tracing = Tracing.for_development("checkout")
        if threading.active_count() != 1:
            sys.exit("there is a thread")
        pid = os.fork()
        if pid == 0:
            tracing.receive(Message("kafka", "orders"), consumer="workers")
            os._exit(threading.active_count())
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) - 2)
    """
    run(script)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Callable[[], None]]]:
    """What would be called in a child after a fork, and at exit."""
    found: dict[str, list[Callable[[], None]]] = {"fork": [], "exit": []}
    monkeypatch.setattr(
        os, "register_at_fork", lambda *, after_in_child: found["fork"].append(after_in_child)
    )
    monkeypatch.setattr("atexit.register", found["exit"].append)
    return found


def test_its_hooks_serve_it_while_it_lives(
    hooks: dict[str, list[Callable[[], None]]], sink: MemorySink
) -> None:
    tracing = Tracing.for_development("checkout", sink=sink)
    tracing._receiver._receiving.acquire()
    for hook in hooks["fork"]:
        hook()
    assert hand_over(tracing, tracing).verdict is Verdict.FRESH
    for hook in hooks["exit"]:
        hook()
    assert len(sink.spans) == 1


def test_its_hooks_do_not_keep_it_alive(hooks: dict[str, list[Callable[[], None]]]) -> None:
    tracing = Tracing.for_development("checkout")
    hand_over(tracing, tracing)
    wake = tracing._outboxes.keeper._wake
    thread = tracing._outboxes.keeper._thread
    assert thread is not None
    del tracing
    gc.collect()
    for hook in (*hooks["fork"], *hooks["exit"]):
        hook()
    wake.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_name_is_never_nobody(development: Development, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="tenant: a name is a text"), development().tenant(name):
        pass
    with pytest.raises(ConfigurationError, match="tenant: a name is a text"):
        development(tenant=name)
