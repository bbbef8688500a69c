"""Sealing and opening a trace context, beside OpenTelemetry's inject and extract in clear, Fernet and JWE.

OpenTelemetry's default propagator writes `traceparent`, and `baggage` where there is any, into a dict, which
is the carrier that costs it least. Fernet and JWE are given the envelope's padded plaintext ready-made, so
theirs is the cipher and its format alone, and they bind it to nothing. Keys are prepared beforehand on all
sides, and so is what all messages of a channel share.
"""

from __future__ import annotations

import json
import os
import time
from functools import partial
from itertools import count, cycle, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.fernet import Fernet
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from measure import Case, Report, arguments, each
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from interceptors.context import new_root
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
)
from interceptors.envelope.plaintext import decode, encode
from interceptors.envelope.sealer import SESSION_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.envelope import Opened

LIMIT = 1.3
SESSIONS = 5000
"""More than an opener keeps subkeys of, so that a subkey is gone before its envelope comes again."""

CONTEXT = new_root()
NOW = time.time_ns() // 1_000_000


class Way(NamedTuple):
    """One way of getting a context across."""

    name: str
    outbound: Callable[[], Any]
    inbound: Callable[[Any], Any]
    ids: Callable[[Any], tuple[bytes, bytes]]
    """Reads trace id and span id out of what `inbound` gave."""


def sealed(name: str, nows: Iterator[int], *, signed: bool = False) -> Way:
    names = os.urandom(32), "acme", "checkout"
    signing = derive_signing_key(*names) if signed else None
    key = SenderKey("acme", "checkout", derive_sender_key(*names).key, signing=signing)
    sealer, opener, keys, binding = Sealer(key), Opener(), KeySet([key]), Binding("orders")
    candidates = [Candidate(binding, Level.CHANNEL, signed=signed)]

    def outbound() -> bytes:
        return sealer.seal(CONTEXT, Level.CHANNEL, binding, next(nows), signed=signed).envelope

    def inbound(envelope: bytes) -> Opened:
        return opener.open(envelope, keys, candidates)

    return Way(name, outbound, inbound, lambda opened: opened.context[:2])


def in_clear(name: str, entries: int) -> Way:
    propagator = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    span = SpanContext(
        int.from_bytes(CONTEXT.trace_id),
        int.from_bytes(CONTEXT.span_id),
        is_remote=False,
        trace_flags=TraceFlags(CONTEXT.flags),
    )
    context = set_span_in_context(NonRecordingSpan(span), Context())
    for entry in range(entries):
        context = baggage.set_baggage(f"entry-{entry}", f"value-{entry}", context)

    def outbound() -> dict[str, str]:
        carrier: dict[str, str] = {}
        propagator.inject(carrier, context)
        return carrier

    def inbound(carrier: dict[str, str]) -> Context:
        return propagator.extract(carrier, Context())

    def ids(found: Context) -> tuple[bytes, bytes]:
        assert len(baggage.get_all(found)) == entries
        span = get_current_span(found).get_span_context()
        return span.trace_id.to_bytes(16), span.span_id.to_bytes(8)

    return Way(name, outbound, inbound, ids)


def fernet(plaintext: bytes) -> Way:
    cipher = Fernet(Fernet.generate_key())
    return Way("Fernet", partial(cipher.encrypt, plaintext), cipher.decrypt, plaintext_ids)


def jwe(plaintext: bytes) -> Way:
    key = JWK.generate(kty="oct", size=256)
    protected = json.dumps({"alg": "dir", "enc": "A256GCM"})

    def outbound() -> Any:
        token = JWE(plaintext, protected)
        token.add_recipient(key)
        return token.serialize(compact=True)

    def inbound(serialized: Any) -> Any:
        token = JWE()
        token.deserialize(serialized, key)
        return token.payload

    return Way("JWE (dir, A256GCM)", outbound, inbound, plaintext_ids)


def plaintext_ids(plaintext: bytes) -> tuple[bytes, bytes]:
    return decode(plaintext).context[:2]


def outbound(way: Way) -> Case:
    return Case(way.name, each(way.outbound), lambda sent: way.ids(way.inbound(sent)))


def inbound(way: Way) -> Case:
    carriers = cycle([way.outbound() for _ in range(SESSIONS)])
    return Case(way.name, each(lambda: way.inbound(next(carriers))), way.ids)


def both(way: Way) -> Case:
    return Case(way.name, each(lambda: way.inbound(way.outbound())), way.ids)


def main() -> None:
    report = Report(arguments(__doc__, rounds=15, operations=500).parse_args())
    plaintext, _ = encode(CONTEXT, NOW)
    clear, kept = in_clear("OpenTelemetry, no baggage", 0), sealed("sealed, subkey kept", repeat(NOW))
    ways = [
        clear,
        in_clear("OpenTelemetry, two entries", 2),
        kept,
        sealed("sealed, first of a session", count(NOW, SESSION_MS)),
        sealed("sealed and signed (suite 2)", repeat(NOW), signed=True),
        fernet(plaintext),
        jwe(plaintext),
    ]
    report.compare("seal, inject or encrypt", [outbound(way) for way in ways])
    report.compare("open, extract or decrypt", [inbound(way) for way in ways])
    rows = report.compare("both", [both(way) for way in ways])
    ratio = rows[kept.name].ratio
    report.goal(f"seal + open takes at most {LIMIT} of inject + extract", ratio, LIMIT)
    report.write()


if __name__ == "__main__":
    main()
