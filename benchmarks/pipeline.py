"""A message's whole way through `Tracing`, out and in, without a transport.

What an adapter does for a message: it looks whether a key has to be fetched, sends (span, sealing, header)
and receives (opening, replay window, span, current context, headers stripped), with both spans handed to a
sink whose thread's work is counted in. Beside it, the same in clear with OpenTelemetry's SDK. `--profile`
gives the steps one by one, and what the policy is asked.
"""

from __future__ import annotations

import os
import time
from itertools import count
from typing import TYPE_CHECKING

from decision import decided
from measure import Case, Report, arguments, each
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import SpanKind
from recording import Counting, counted_provider

from interceptors import Tracing
from interceptors.context import Scope, child_of, new_root
from interceptors.envelope import (
    HEADER_NAME,
    Binding,
    Candidate,
    KeySet,
    Opener,
    Sealer,
    derive_sender_key,
)
from interceptors.envelope.format import parse
from interceptors.envelope.plaintext import decode, encode
from interceptors.headers import envelopes, stripped
from interceptors.keys import MemoryKeys
from interceptors.message import Message
from interceptors.pipeline import Receipt
from interceptors.policy import Channel
from interceptors.replay import ReplayWindow, Verdict
from interceptors.spans import Operation, Origin, Outbox, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_US = 25
TOPIC = "orders"
BODY = os.urandom(1024)
HEADERS = [("content-type", b"application/json"), ("schema", b"order/2")]
MESSAGE = Message("kafka", TOPIC, BODY)


def sealed(binding: str) -> Case:
    sink, keys = Counting(), MemoryKeys("checkout")
    policy = {"default": {"binding": binding}}
    checkout = Tracing.for_development("checkout", keys=keys, policy=policy, sink=sink)
    billing = Tracing.for_development("billing", keys=keys, policy=policy, sink=sink)
    offsets = count()

    def message() -> int:
        wanted = checkout.sealing_key_wanted()
        if wanted is not None:
            wanted()
        sending = checkout.send(MESSAGE)
        headers = [*stripped(HEADERS), (HEADER_NAME, sending.envelope)]
        sending.end()

        found = envelopes(headers)
        wanted = billing.opening_keys_wanted(found)
        if wanted is not None:
            wanted()
        coordinate = (TOPIC, 0, next(offsets))
        receipt = billing.receive(
            Message("kafka", TOPIC, BODY, envelopes=found, coordinate=coordinate), consumer="billing"
        )
        assert receipt.verdict is Verdict.FRESH
        stripped(headers)
        with billing.process("kafka", receipt, group="billing"):
            return len(headers)

    def run(times: int) -> None:
        each(message)(times)
        checkout.flush()
        billing.flush()

    return Case(f"sealed, bound to the {binding}", run, lambda _: sink.taken())


def in_clear() -> Case:
    sink = Counting()
    provider = counted_provider(sink)
    tracer = provider.get_tracer("benchmark")
    attributes = {"messaging.system": "kafka", "messaging.destination.name": TOPIC}

    def message() -> None:
        carrier: dict[str, str] = {}
        with tracer.start_as_current_span("send", Context(), SpanKind.PRODUCER, attributes):
            inject(carrier)
        headers = [*HEADERS, *((name, value.encode()) for name, value in carrier.items())]
        parent = extract({name: value.decode() for name, value in headers}, Context())
        with tracer.start_as_current_span("process", parent, SpanKind.CONSUMER, attributes):
            pass

    def run(times: int) -> None:
        each(message)(times)
        provider.force_flush()

    return Case("in clear, by OpenTelemetry's SDK", run, lambda _: sink.taken())


def steps() -> list[Case]:
    """Give the steps of a message bound to its channel, each apart; the first is the whole."""
    key = derive_sender_key(os.urandom(32), "acme", "checkout")
    sealer, opener, keys, window = Sealer(key), Opener(), KeySet([key]), ReplayWindow()
    recorder, outbox = Recorder("checkout", [Outbox(Counting())], time.time_ns), Outbox(Counting())
    context, channel, binding = new_root(), Channel(TOPIC), Binding(TOPIC)
    now = time.time_ns() // 1_000_000
    envelope, _ = sealer.seal(context, channel.level, binding, now)
    candidates = [Candidate(binding, channel.lowest_level)]
    opened = opener.open(envelope, keys, candidates)
    plaintext, _ = encode(context, now)
    origin, receipt = Origin("acme", context), Receipt(channel, Verdict.FRESH, None, opened)
    headers = [*HEADERS, (HEADER_NAME, envelope)]
    tracing = Tracing.for_development("checkout")
    ids = (number.to_bytes(40) for number in count())
    span = recorder.sending(Operation.SEND, "kafka", channel, context, origin, time.time_ns())
    assert span is not None

    def send_span() -> None:
        opened = recorder.sending(Operation.SEND, "kafka", channel, context, origin, time.time_ns())
        assert opened is not None
        recorder.end(opened, None)

    def process_span() -> None:
        opened = recorder.processing("kafka", receipt, context, origin, "billing")
        assert opened is not None
        recorder.end(opened, None)

    def judge() -> None:
        window.judge(
            next(ids),
            (TOPIC, 0, 1),
            issued_at=now,
            now=now,
            max_age_ms=channel.max_age_ms,
            retry_window_ms=channel.retry_window_ms,
        )

    apart: dict[str, Callable[[], object]] = {
        "out: is a key to be fetched": tracing.sealing_key_wanted,
        "out: origin (tenant and span that are current)": tracing.origin,
        "out: the span's context": lambda: child_of(context),
        "out: channel": lambda: tracing.policy.channels("kafka", TOPIC),
        "out: seal": lambda: sealer.seal(context, channel.level, binding, now),
        "out:   of which plaintext": lambda: encode(context, now),
        "out: span, opened and put": send_span,
        "out: strip headers": lambda: stripped(HEADERS),
        "in: is a key to be fetched": lambda: tracing.opening_keys_wanted([envelope]),
        "in: message, with its envelope found": lambda: Message(
            "kafka", TOPIC, BODY, envelopes=envelopes(headers), coordinate=(TOPIC, 0, 1)
        ),
        "in: open": lambda: opener.open(envelope, keys, candidates),
        "in:   of which parse": lambda: parse(envelope),
        "in:   of which plaintext": lambda: decode(plaintext),
        "in: judge": judge,
        "in: the span's context": lambda: child_of(context),
        "in: span, opened and put": process_span,
        "in: make current, and put back": lambda: Scope("acme", context).leave(),
        "in: strip headers": lambda: stripped(headers),
        "each way: span into the outbox": lambda: outbox.put(span),
    }
    whole = sealed("channel")._replace(name="whole", check=lambda _: None)
    return [whole, *(Case(name, each(step), lambda _: None) for name, step in apart.items())]


def main() -> None:
    parser = arguments(__doc__, rounds=15, operations=1000)
    parser.add_argument("--profile", action="store_true", help="time the steps apart instead")
    options = parser.parse_args()
    report = Report(options)
    if options.profile:
        report.compare("a message's steps, out and in, each apart", steps())
        decided(report)
    else:
        cases = [sealed("channel"), sealed("message"), in_clear()]
        found = report.compare("a message, out and in", cases)[cases[0].name].cpu_us
        report.goal(f"a message takes at most {LIMIT_US} µs CPU, out and in", found, LIMIT_US)
    report.write()


if __name__ == "__main__":
    main()
