"""What the terminal shows at the end."""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from interceptors.demo.setup import BOOKINGS, DEADLINE_S, LEDGER, ORDERS, REDACTED, SERVICES, STOREFRONT
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from interceptors.demo.outcome import Outcome
    from interceptors.demo.wire import Lying
    from interceptors.spans import Span

_SHOWN_TENANTS = 4
_SHOWN_TRACES = 1
_SHOWN_ORDERS = 1
_NS_PER_MS = 1_000_000


def report(console: Console, outcome: Outcome, out: Path) -> None:
    """Print the report.

    Args:
        console: where.
        outcome: what happened.
        out: where the files are.
    """
    _trees(console, outcome)
    _without_keys(console, outcome)
    _attacks(console, outcome)
    _summary(console, outcome, out)


def _trees(console: Console, outcome: Outcome) -> None:
    traces: dict[str, dict[bytes, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for span in outcome.spans:
        traces[span.tenant][span.context.trace_id].append(span)
    for tenant, of_tenant in list(traces.items())[:_SHOWN_TENANTS]:
        console.rule(f"[bold]What the key holder of {escape(tenant)} sees", align="left")
        whole = [spans for spans in of_tenant.values() if {span.service for span in spans} == SERVICES]
        for spans in whole[:_SHOWN_TRACES]:
            # In a narrow terminal a line goes on below: cut to its width, the columns would say nothing.
            console.print(_tree(spans), soft_wrap=True)
        if len(of_tenant) > _SHOWN_TRACES:
            _say(console, f"… and {_counted(len(of_tenant) - _SHOWN_TRACES, 'more trace')}, in spans.jsonl")
        console.print()
    if len(traces) > _SHOWN_TENANTS:
        _say(console, f"… and {_counted(len(traces) - _SHOWN_TENANTS, 'more tenant')}, in spans.jsonl")
        console.print()


def _tree(spans: Sequence[Span]) -> Text:
    by_parent: dict[bytes | None, list[Span]] = defaultdict(list)
    known = {span.context.span_id for span in spans}
    for span in sorted(spans, key=lambda span: span.start):
        by_parent[span.parent_span_id if span.parent_span_id in known else None].append(span)
    rows = [("span", "service", "after parent", "took", "verdict")]

    def grow(parent: Span | None, depth: int) -> None:
        for span in by_parent[parent.context.span_id if parent else None]:
            words = (span.operation.operation, span.channel, span.task_name)
            rows.append(
                (
                    " " * depth + "└ " + " ".join(filter(None, words)),
                    span.service,
                    _ms(span.start - parent.start) if parent else "",
                    _ms(span.end - span.start),
                    span.verdict or "",
                )
            )
            grow(span, depth + 1)

    grow(None, 0)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    tree = [Text(f"trace {spans[0].context.trace_id.hex()}", style="cyan")]
    for row in rows:
        name, service, after, took, verdict = zip(row, widths, strict=True)
        line = Text("  ").join(
            (
                Text(str.ljust(*name)),
                Text(str.ljust(*service), style="bold"),
                Text(str.rjust(*after), style="magenta"),
                Text(str.rjust(*took)),
                Text(verdict[0], style="green"),
            )
        )
        line.rstrip()
        tree.append(line)
    return Text("\n").join(tree)


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / _NS_PER_MS:.1f} ms"


def _without_keys(console: Console, outcome: Outcome) -> None:
    console.rule("[bold]The same messages, to a reader of topics and queues without keys", align="left")
    table = Table(show_lines=True)
    table.add_column("message (on Kafka: partition/offset)", max_width=18)
    table.add_column("sealed: what lies in its headers", overflow="fold")
    table.add_column("in clear: what OpenTelemetry would write there", overflow="fold")
    sent = outcome.sent()
    traces = list(dict.fromkeys(span.context.trace_id for _, span in sent))
    emails = _emails(outcome, sent)
    for lying, span in sent:
        if span.context.trace_id not in traces[:_SHOWN_ORDERS]:
            continue
        envelope = lying.envelope or b""
        table.add_row(
            f"{span.channel}\n{lying.label}",
            f"{HEADER_NAME}: {envelope[:24].hex()}…\n{len(envelope)} bytes",
            escape("\n".join(f"{name}: {value}" for name, value in _in_clear(span, emails).items())),
        )
    console.print(table)
    _say(
        console,
        f"In clear, this reader would have put {len(sent)} of {len(outcome.genuine)} messages together into "
        f"{_counted(len(traces), 'trace')} across services, and, where an application puts them into "
        f"baggage, with each customer's e-mail address and tenant.",
    )
    _say(
        console,
        "Sealed, the reader learns of each envelope the sender key, the binding level and the length, and "
        "which envelopes one process sealed within one session: no trace, no span, no label.",
    )
    _say(
        console,
        "Keys, bodies and Celery's ids of a chain's tasks stay in clear: whoever reads them can still join "
        "messages, by an order's number for example.",
    )
    console.print()


def _in_clear(span: Span, emails: Mapping[bytes, str]) -> dict[str, str]:
    """Let OpenTelemetry's own propagators write the context, with baggage such as an application may add.

    OpenTelemetry adds none by itself.
    """
    headers: dict[str, str] = {}
    ids = SpanContext(
        int.from_bytes(span.context.trace_id, "big"),
        int.from_bytes(span.context.span_id, "big"),
        is_remote=False,
        trace_flags=TraceFlags(span.context.flags),
    )
    context = set_span_in_context(NonRecordingSpan(ids))
    if span.context.trace_id in emails:
        # interceptors: ignore[sensitive-baggage] what others send is what is shown
        context = baggage.set_baggage("user.email", emails[span.context.trace_id], context)
    context = baggage.set_baggage("tenant", span.tenant, context)
    # interceptors: ignore[context-injected] likewise
    TraceContextTextMapPropagator().inject(headers, context)
    # interceptors: ignore[context-injected] likewise
    W3CBaggagePropagator().inject(headers, context)
    return headers


def _emails(outcome: Outcome, sent: Sequence[tuple[Lying, Span]]) -> dict[bytes, str]:
    """Give the e-mail address of each trace's customer."""
    by_id = {order.order_id: order.email for order in outcome.orders}
    orders = {
        span.context.trace_id: json.loads(lying.message.body)["order_id"]
        for lying, span in sent
        if span.channel == ORDERS and isinstance(lying.message.body, bytes)
    }
    return {trace_id: by_id[order_id] for trace_id, order_id in orders.items() if order_id in by_id}


def _attacks(console: Console, outcome: Outcome) -> None:
    console.rule("[bold]What happened to the attacks", align="left")
    table = Table()
    for column in ("attack", "message", "verdict", "answer", "as expected"):
        table.add_column(column)
    for place, attack in outcome.attacks.items():
        arrival = outcome.arrivals.get(place)
        verdict = arrival.verdict if arrival else "-"
        right = verdict == attack.expected
        table.add_row(
            attack.name,
            f"arrived at {arrival.service}" if arrival else "[red]lost[/red]",
            f"[bold]{verdict}[/bold]",
            (arrival.answer or "") if arrival else "",
            "[green]yes[/green]" if right else f"[red]expected {attack.expected}[/red]",
        )
    console.print(table)


def _summary(console: Console, outcome: Outcome, out: Path) -> None:
    arrived = len(outcome.arrivals)
    expected = sum(outcome.expected.values())
    found = len(outcome.attacks) - len(outcome.unrecognised)
    _say(
        console,
        f"{arrived} of {expected} business messages arrived. "
        f"{found} of {len(outcome.attacks)} attacks got their verdict, and none of them held a message up.",
    )
    counts = outcome.setup.tracings[STOREFRONT].counts
    redacted = ", ".join(f"{counts[f'{what} sent']} of {what}" for what in REDACTED if counts[f"{what} sent"])
    if redacted:
        _say(console, f"Redacted in the orders before they left, as the policy says: {redacted}.")
    if outcome.lost:
        _say(console, f"{outcome.lost} did not arrive within {DEADLINE_S:.0f} seconds.", "red")
    if outcome.bad_lines:
        _say(console, f"Lines of the input that were no orders: {len(outcome.bad_lines)}.", "yellow")
    if outcome.left_out:
        _say(console, f"Attacks left out, since they take two tenants: {outcome.left_out}.")
    for text in (
        f"{out / 'topic.jsonl'}: {_counted(len(outcome.records), 'record')}, as on the topics",
        f"{out / 'queues.jsonl'}: {_counted(len(outcome.queued), 'message')}, as in the queues",
        f"{out / 'spans.jsonl'}: {_counted(len(outcome.spans), 'span')}",
    ):
        console.print(text, soft_wrap=True, markup=False)
    place = outcome.setup.place(BOOKINGS)
    booking = next((lying for lying in outcome.genuine if lying.lies_on == place), None)
    if booking is not None and booking.envelope is not None:
        console.print("Open an envelope by hand, as the ledger does:")
        program = sys.argv[0] if Path(sys.argv[0]).name == "interceptors" else "interceptors"
        keys = str(outcome.setup.key_file(LEDGER))
        words = [program, "open", "--keys", keys, "--channel", BOOKINGS, booking.envelope.hex()]
        console.print(shlex.join(words), soft_wrap=True, highlight=False, markup=False)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _say(console: Console, text: str, style: str = "") -> None:
    """Print a sentence. Wrapped here, since rich would leave blanks where it breaks a line."""
    console.print(textwrap.fill(text, console.width), style=style, soft_wrap=True, markup=False)
