"""Metrics as OpenTelemetry's own SDK collects them."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from interceptors import LeakError, Tracing
from interceptors.keys import KeyAdministration, LocalKeys, MemoryKeys
from interceptors.message import Message
from interceptors.policy import check_policy
from interceptors.spans import MemorySink, Operation
from interceptors.tracing import metrics
from interceptors.tracing.metrics import BUCKETS, MOST_ERRORS
from interceptors.tracing.tally import MOST_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interceptors.pipeline import Receipt

    Development = Callable[..., Tracing]

DEADLINE = 30
"""Seconds that anything may take before it is given up."""
ORDERS = Message("kafka", "orders", b"body")
UNSAMPLED = {"default": {"sampling_ratio": 0}}
CANARY = "canary-4111"
CARD = b'{"card": "4111 1111 1111 1111", "to": "canary@example.com"}'
BLOCKING = {"default": {"payload": {"on_leak": "redact", "actions": {"payment": "block"}}}}


class Reader:
    """Collects what has been measured, and gives it by name."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def metrics(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        scopes = (
            [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        )
        assert {scope.scope.name for scope in scopes} <= {"interceptors"}
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> dict[frozenset[tuple[str, Any]], Any]:
        """What was measured, by attributes: a counter's or gauge's value, or how many a histogram holds."""
        metric = self.metrics().get(name)
        return {
            frozenset(point.attributes.items()): point.value if hasattr(point, "value") else point.count
            for point in (metric.data.data_points if metric else ())
        }

    def text(self) -> str:
        """All that would be exported."""
        data = self._reader.get_metrics_data()
        return data.to_json() if data else ""


def attributes(**given: str) -> frozenset[tuple[str, Any]]:
    """Attributes by short names."""
    long = {
        "system": "messaging.system",
        "name": "messaging.operation.name",
        "type": "messaging.operation.type",
        "channel": "messaging.destination.name",
        "group": "messaging.consumer.group.name",
        "error": "error.type",
        "verdict": "interceptors.verdict",
        "direction": "interceptors.direction",
        "class_": "interceptors.finding.class",
        "action": "interceptors.action",
        "tenant": "interceptors.tenant",
    }
    return frozenset((long[name], value) for name, value in given.items())


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.provider.shutdown()


@pytest.fixture
def measured(development: Development, reader: Reader) -> Development:
    """Makes tracings that are measured."""

    def make(**given: Any) -> Tracing:
        return development(**({"sink": MemorySink(), "meter_provider": reader.provider} | given))

    return make


def send(tracing: Tracing, message: Message = ORDERS, error: BaseException | None = None) -> Message:
    """Send a message, and give it as it arrives."""
    sending = tracing.send(message)
    sending.end(error)
    return message._replace(envelopes=(sending.envelope,))


def receive(tracing: Tracing, message: Message) -> Receipt:
    """Receive a message and process it."""
    receipt = tracing.receive(message, consumer="workers")
    with tracing.process(message.system, receipt, group="workers"):
        return receipt


def flush(tracing: Tracing) -> None:
    assert tracing.flush(DEADLINE)


# --- the conventions' ---------------------------------------------------------------------------------------


def test_what_the_conventions_name_is_measured_as_they_say(measured: Development, reader: Reader) -> None:
    tracing = measured()
    started = tracing.now()
    receipt = receive(tracing, send(tracing))
    tracing.received("kafka", [receipt], started=started, group="workers")
    tracing.settle(Operation.ACK, "kafka", receipt, None).end()
    flush(tracing)

    kafka = {"system": "kafka", "channel": "orders"}
    assert reader.points("messaging.client.operation.duration") == {
        attributes(**kafka, name="send", type="send"): 1,
        attributes(**kafka, name="receive", type="receive", group="workers"): 1,
        attributes(**kafka, name="ack", type="settle"): 1,
    }
    assert reader.points("messaging.process.duration") == {
        attributes(**kafka, name="process", group="workers"): 1
    }
    assert reader.points("messaging.client.sent.messages") == {attributes(**kafka, name="send"): 1}
    assert reader.points("messaging.client.consumed.messages") == {attributes(**kafka, name="receive"): 1}


def test_units_and_kinds_are_the_conventions_and_so_are_the_buckets(
    measured: Development, reader: Reader
) -> None:
    tracing = measured(policy=BLOCKING | {"serial": 3})
    receive(tracing, send(tracing, Message("kafka", "orders", b'{"to": "canary@example.com"}')))
    flush(tracing)
    found = reader.metrics()
    assert {name: (metric.unit, type(metric.data).__name__) for name, metric in found.items()} == {
        "messaging.client.operation.duration": ("s", "Histogram"),
        "messaging.process.duration": ("s", "Histogram"),
        "messaging.client.sent.messages": ("{message}", "Sum"),
        "messaging.client.consumed.messages": ("{message}", "Sum"),
        "interceptors.messages.verified": ("{message}", "Sum"),
        "interceptors.findings": ("{finding}", "Sum"),
        "interceptors.redaction.coverage": ("1", "Gauge"),
        "interceptors.spans.dropped": ("{span}", "Sum"),
        "interceptors.policy.refused": ("{policy}", "Sum"),
        "interceptors.policy.serial": ("1", "Gauge"),
    }
    for name, metric in found.items():
        if metric.unit == "s":
            (point,) = metric.data.data_points
            assert point.explicit_bounds == BUCKETS, name
        elif type(metric.data).__name__ == "Sum":
            assert metric.data.is_monotonic, name


def test_durations_are_those_of_the_spans(measured: Development, reader: Reader) -> None:
    sink = MemorySink()
    tracing = measured(sink=sink)
    receive(tracing, send(tracing))
    flush(tracing)
    for metric, span in zip(
        ("messaging.client.operation.duration", "messaging.process.duration"), sink.spans, strict=True
    ):
        (point,) = reader.metrics()[metric].data.data_points
        assert point.sum == pytest.approx((span.end - span.start) / 1e9)


def test_the_class_of_an_error_is_told_and_nothing_of_its_text(measured: Development, reader: Reader) -> None:
    tracing = measured()
    send(tracing, error=TimeoutError(CANARY))
    flush(tracing)
    failed = attributes(system="kafka", channel="orders", name="send", error="TimeoutError")
    assert reader.points("messaging.client.sent.messages") == {failed: 1}
    assert CANARY not in reader.text()


def test_a_batch_counts_its_messages(measured: Development, reader: Reader) -> None:
    tracing = measured()
    _, sendings = tracing.send_batch([(ORDERS, tracing.origin())] * 3)
    for sending in sendings:
        sending.end()
    flush(tracing)
    sent = attributes(system="kafka", channel="orders", name="send")
    assert reader.points("messaging.client.sent.messages") == {sent: 3}
    assert list(reader.points("messaging.client.operation.duration").values()) == [1]


def test_what_the_policy_blocks_was_not_sent(measured: Development, reader: Reader) -> None:
    tracing = measured(policy=BLOCKING)
    with pytest.raises(LeakError):
        tracing.send(Message("kafka", "orders", CARD))
    flush(tracing)
    assert reader.points("messaging.client.sent.messages") == {}
    (operation,) = reader.points("messaging.client.operation.duration")
    assert ("error.type", "LeakError") in operation


def test_what_is_not_sampled_is_measured_all_the_same(measured: Development, reader: Reader) -> None:
    sink = MemorySink()
    tracing = measured(sink=sink, policy=UNSAMPLED)
    receive(tracing, send(tracing))
    _, (sending,) = tracing.send_batch([(ORDERS, tracing.origin())] * 3)
    sending.end()
    flush(tracing)
    assert sink.spans == []
    assert sum(reader.points("messaging.client.sent.messages").values()) == 4
    assert sum(reader.points("messaging.process.duration").values()) == 1


def test_what_the_policy_does_not_trace_is_not_measured(measured: Development, reader: Reader) -> None:
    tracing = measured(policy={"default": {"emit": "none", "accept": "none"}})
    receive(tracing, send(tracing)._replace(envelopes=()))
    flush(tracing)
    assert set(reader.metrics()) == {"interceptors.spans.dropped", "interceptors.policy.refused"}


def test_an_exemplar_leads_to_the_trace_of_what_is_sampled(measured: Development, reader: Reader) -> None:
    sink = MemorySink()
    tracing = measured(sink=sink)
    unsampled = measured(policy=UNSAMPLED)
    send(unsampled, Message("kafka", "refunds"))
    send(tracing)
    flush(unsampled)
    flush(tracing)
    found = {
        point.attributes["messaging.destination.name"]: [
            (exemplar.trace_id, exemplar.span_id) for exemplar in point.exemplars
        ]
        for point in reader.metrics()["messaging.client.operation.duration"].data.data_points
    }
    (span,) = sink.spans
    ids = (int.from_bytes(span.context.trace_id, "big"), int.from_bytes(span.context.span_id, "big"))
    assert found == {"orders": [ids], "refunds": []}


# --- ours ---------------------------------------------------------------------------------------------------


def test_verdicts_are_counted(measured: Development, reader: Reader) -> None:
    tracing = measured()
    message = send(tracing)._replace(coordinate=("orders", 0, 1))
    receive(tracing, message)
    receive(tracing, message._replace(coordinate=("orders", 0, 2)))
    tampered = bytearray(message.envelopes[0])  # type: ignore[call-overload]  # it is bytes
    tampered[-1] ^= 1
    receive(tracing, message._replace(envelopes=(bytes(tampered),)))
    receive(tracing, message._replace(envelopes=()))
    points = reader.points("interceptors.messages.verified")
    kafka = {"system": "kafka", "channel": "orders"}
    assert points[attributes(**kafka, verdict="fresh")] == 1
    assert points[attributes(**kafka, verdict="none")] == 1
    assert len(points) == 4
    assert sum(points.values()) == sum(reader.points("messaging.client.consumed.messages").values()) == 4


def test_findings_are_counted_by_class_and_by_what_became_of_them(
    measured: Development, reader: Reader
) -> None:
    tracing = measured(policy=BLOCKING)
    assert reader.points("interceptors.redaction.coverage") == {}  # nothing was found yet
    mail = Message("kafka", "orders", b'{"to": "canary@example.com"}')
    send(tracing, mail)
    receive(tracing, mail)
    with pytest.raises(LeakError):
        tracing.send(Message("kafka", "orders", CARD))
    found = {"channel": "orders", "direction": "sent"}
    assert reader.points("interceptors.findings") == {
        attributes(**found, class_="personal.email", action="redact"): 2,
        attributes(**found, class_="payment.card", action="block"): 1,
        attributes(channel="orders", direction="received", class_="personal.email", action="observe"): 1,
    }
    assert reader.points("interceptors.redaction.coverage") == {frozenset(): 1.0}


def test_coverage_is_the_part_that_did_not_leave(measured: Development, reader: Reader) -> None:
    rules = {"on_leak": "observe", "actions": {"personal.email": "redact"}}
    tracing = measured(policy={"default": {"payload": rules}})
    send(tracing, Message("kafka", "orders", CARD))
    assert reader.points("interceptors.redaction.coverage") == {frozenset(): 0.5}


class FailingSink(MemorySink):
    """Loses what it is given."""

    def export(self, *_: object) -> int:
        raise OSError(CANARY)


def test_lost_spans_are_counted(measured: Development, reader: Reader) -> None:
    tracing = measured(sink=FailingSink())
    send(tracing)
    flush(tracing)
    assert reader.points("interceptors.spans.dropped") == {frozenset(): 1}
    # Lost to the sink, and measured.
    assert sum(reader.points("messaging.client.sent.messages").values()) == 1


@pytest.fixture
def granted(tmp_path: Path, administration: KeyAdministration) -> Callable[[str], LocalKeys]:
    """Gives the keys of a service, which were made now."""

    def grant(service: str) -> LocalKeys:
        administration.grant(service, "acme", [], tmp_path / f"{service}.json")
        return LocalKeys(tmp_path / f"{service}.json")

    return grant


def test_the_age_of_a_key_counts_from_when_it_was_made(
    granted: Callable[[str], LocalKeys], tmp_path: Path, reader: Reader
) -> None:
    made = json.loads((tmp_path / "roots.json").read_text())["roots"][0]["created"]
    later = {"checkout": 60, "billing": 90}
    tracings = [
        Tracing(
            service=service,
            tenant="acme",
            policy=check_policy({"version": 1}, "policy"),
            keys=granted(service),
            clock=lambda seconds=seconds: (made + seconds) * 10**9,  # type: ignore[misc]  # an int
            meter_provider=reader.provider,
        )
        for service, seconds in later.items()
    ]
    assert reader.points("interceptors.key.age") == {}  # no key is in use yet
    ages = []
    for tracing in reversed(tracings):
        send(tracing)
        ages.append(reader.points("interceptors.key.age"))
    assert ages == [{attributes(tenant="acme"): 90.0}] * 2  # the oldest of one tenant's
    for tracing in tracings:
        tracing.close()


def test_a_key_that_nobody_knows_the_age_of_has_none(measured: Development, reader: Reader) -> None:
    tracing = measured(keys=MemoryKeys("checkout"))
    send(tracing)
    assert reader.points("interceptors.key.age") == {}


# --- who measures -------------------------------------------------------------------------------------------


def running() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "interceptors-outbox"}


def test_without_a_provider_nothing_is_measured_and_there_are_two_threads(development: Development) -> None:
    """One for the sink, which may be slow, and one for the keys, which must not wait for it."""
    before = running()
    tracing = development(sink=MemorySink())
    assert tracing._outboxes.meter is None
    receive(tracing, send(tracing))
    assert len(running() - before) == 2


def test_without_one_of_its_own_a_tracing_takes_the_global_provider(
    development: Development, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: reader.provider)
    tracing = development()
    send(tracing)
    flush(tracing)
    assert sum(reader.points("messaging.client.sent.messages").values()) == 1


def test_the_provider_that_was_set_globally_measures_what_is_made_after_it() -> None:
    script = """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        from interceptors import Tracing
        from interceptors.message import Message

        before = Tracing.for_development("checkout")
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        after = Tracing.for_development("checkout")
        for tracing, channel in ((before, "before"), (after, "after")):
            tracing.send(Message("kafka", channel)).end()
            assert tracing.flush(30)
        (resource,) = reader.get_metrics_data().resource_metrics
        (scope,) = resource.scope_metrics
        (sent,) = (metric for metric in scope.metrics if metric.name == "messaging.client.sent.messages")
        print([point.attributes["messaging.destination.name"] for point in sent.data.data_points])
    """
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        check=False,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['after']\n", "")


def test_two_services_of_one_provider_are_both_counted(measured: Development, reader: Reader) -> None:
    keys = MemoryKeys("checkout")
    first, second = measured(keys=keys, sink=FailingSink()), measured(service="billing", keys=keys)
    message = send(first)
    for tracing in (first, second):
        receive(tracing, message)
        flush(tracing)
    consumed = attributes(system="kafka", channel="orders", name="receive")
    assert reader.points("messaging.client.consumed.messages") == {consumed: 2}
    assert sum(reader.points("interceptors.messages.verified").values()) == 2
    assert reader.points("interceptors.spans.dropped") == {frozenset(): first.spans_dropped}
    assert first.spans_dropped > 0


def test_a_provider_does_not_keep_a_tracing_alive(reader: Reader) -> None:
    tracing = Tracing.for_development("checkout", meter_provider=reader.provider)
    receive(tracing, send(tracing))
    assert sum(reader.points("interceptors.messages.verified").values()) == 1
    tracing.close()
    alive: list[weakref.ref[Any]] = [weakref.ref(tracing), weakref.ref(tracing._keyring)]
    for outbox in tracing._outboxes._all:
        if outbox._thread is not None:
            outbox._thread.join(DEADLINE)
    del tracing, outbox
    gc.collect()
    assert [one() for one in alive] == [None, None]
    assert reader.points("interceptors.messages.verified") == {}
    assert reader.points("interceptors.spans.dropped") == {frozenset(): 0}


# --- what is in no metric -----------------------------------------------------------------------------------


def test_nothing_that_a_message_holds_is_in_a_metric(measured: Development, reader: Reader) -> None:
    rules = {"labels": {"region": {"pattern": "[a-z0-9-]{1,64}"}}, "payload": {"on_leak": "redact"}}
    tracing = measured(policy={"default": rules})
    message = Message(
        "rabbitmq",
        "orders",
        f'{{"{CANARY}": "canary@example.com"}}'.encode(),
        type=CANARY,
        id=CANARY,
        key=CANARY.encode(),
        headers=((CANARY, CANARY.encode()),),
    )
    token = context.attach(baggage.set_baggage("region", CANARY))
    try:
        sent = send(tracing, message, ValueError(CANARY))
    finally:
        context.detach(token)
    receipt = receive(tracing, sent)
    assert receipt.labels == {"region": CANARY}
    flush(tracing)
    text = reader.text()
    assert "interceptors.findings" in text
    assert "canary" not in text


def names_in(reader: Reader, metric: str) -> set[str]:
    return {dict(point)["messaging.destination.name"] for point in reader.points(metric)}


def letters(number: int) -> str:
    """A name for a number, which no template makes another one's of."""
    return "".join(chr(ord("g") + int(digit)) for digit in str(number))


def test_there_are_only_so_many_channels_whoever_makes_them_up(measured: Development, reader: Reader) -> None:
    listed = {"name": "listed", "match": {"kafka": ["listed"]}}
    tracing = measured(policy={"channels": [listed], "default": {"payload": {"on_leak": "observe"}}})
    made_up = [letters(number) for number in range(MOST_CHANNELS + 50)]
    for name in (*made_up, "listed", "amq.gen-3sJ"):
        message = send(tracing, Message("kafka", name, b'{"to": "canary@example.com"}'))
        receive(tracing, message)
        flush(tracing)
    for metric in (
        "messaging.client.operation.duration",
        "messaging.process.duration",
        "messaging.client.sent.messages",
        "messaging.client.consumed.messages",
        "interceptors.messages.verified",
        "interceptors.findings",
    ):
        assert names_in(reader, metric) == {*made_up[:MOST_CHANNELS], "listed", "(other)"}, metric
    points = reader.points("messaging.client.sent.messages")
    assert points[attributes(system="kafka", channel="(other)", name="send")] == 51
    assert sum(points.values()) == MOST_CHANNELS + 52


def test_names_that_identify_somebody_are_shown_as_on_spans(measured: Development, reader: Reader) -> None:
    tracing = measured()
    for name in ("amq.gen-3sJ", "mail.one@example.com", "mail.two@example.com"):
        receive(tracing, send(tracing, Message("rabbitmq", name)))
    assert names_in(reader, "interceptors.messages.verified") == {"(temporary)", "{id}"}


def test_there_are_only_so_many_errors(measured: Development, reader: Reader) -> None:
    tracing = measured()
    for number in range(MOST_ERRORS + 5):
        made_up: type[Exception] = type(f"Error{number}", (Exception,), {})
        send(tracing, error=made_up())
    flush(tracing)
    points = reader.points("messaging.client.sent.messages")
    assert len(points) == MOST_ERRORS + 1
    assert points[attributes(system="kafka", channel="orders", name="send", error="_OTHER")] == 5
