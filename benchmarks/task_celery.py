"""A task over Celery: published on the broker in memory, taken from there, and run.

Each operation publishes a task with two arguments, one of them 1 KB of clean JSON, takes its message from the
queue, and runs it with what Celery's worker runs it with: plain Celery, Celery traced, traced and scanned,
and under OpenTelemetry's instrumentation, in clear. All but the first record a span for the publishing and
one for the run, and send them to an OTLP backend in another process. What a worker does around that (its
loop, its pool, acknowledging) would cost each side the same, and is left out.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from aside import aside, otlp
from celery import Celery
from celery.app.trace import build_tracer
from measure import Case, Report, arguments, goals
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from recording import SCANNED, Backend, Instrumented, Traced
from scan_data import clean_kilobytes

from interceptors import Verdict, celery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

TEXTS = [body.decode() for body in clean_kilobytes(50)]
BARE, TRACED, SCANNING, IN_CLEAR = (
    "Celery",
    "Celery, traced",
    "Celery, traced and scanned",
    "Celery, OpenTelemetry in clear",
)


class Ran(NamedTuple):
    """What a task has seen."""

    result: str
    receipt: Any
    traceparent: Any


class Side(NamedTuple):
    """An app, and what its tasks have seen."""

    name: str
    app: Celery
    task: Any
    ran: list[Ran]
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    """What a round runs in: at its end the spans are handed over."""
    check: Callable[[list[Ran]], None] = lambda _: None
    """Asserts that the tasks were traced."""


def plain(name: str) -> Side:
    app = Celery(name, broker="memory://", set_as_current=False)
    app.conf.update(task_default_queue=name, task_ignore_result=True)
    ran: list[Ran] = []

    @app.task(bind=True, name="note", shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def note(self: Any, text: str, number: int) -> None:
        ran.append(Ran(text[number:], self.request.get("receipt"), self.request.get("traceparent")))

    return Side(name, app, note, ran)


def traced(name: str, ours: Traced) -> Side:
    side = plain(name)
    celery.connect(side.app, ours.checkout)

    def check(ran: list[Ran]) -> None:
        assert all(one.receipt.verdict is Verdict.FRESH for one in ran)
        assert ours.taken() == 2 * len(ran)

    return side._replace(around=ours.around, check=check)


def instrumented(name: str, theirs: Instrumented) -> Side:
    """Under OpenTelemetry's instrumentation. It listens to every app, so it does for its rounds only."""

    def check(ran: list[Ran]) -> None:
        assert all(one.traceparent for one in ran)
        assert theirs.taken() == 2 * len(ran)

    return plain(name)._replace(around=theirs.around, check=check)


def strategies(side: Side) -> dict[str, Callable[..., Any]]:
    """Give what a worker's consumer hands messages to, after the app's own steps have had them."""
    task = side.task

    def run(message: Any, *_: Any) -> None:
        args, kwargs, _embedded = message.payload
        request = message.headers | {"delivery_info": message.delivery_info}
        # What tracers listen to is looked up when this is made; a worker makes it once.
        build(message.headers["id"], args, kwargs, request)

    build = build_tracer(task.name, task, app=side.app)
    found: dict[str, Callable[..., Any]] = {}
    consumer = SimpleNamespace(
        strategies=found,
        connection_errors=(),
        task_consumer=side.app.amqp.TaskConsumer(side.app.connection().channel()),
        update_strategies=lambda: found.update({task.name: run}),
    )
    for step in side.app.steps["consumer"]:
        step(consumer).create(consumer)
    consumer.update_strategies()
    return found


def case(side: Side) -> Case:
    handle = strategies(side)[side.task.name]
    queue = side.app.conf.task_default_queue
    channel = side.app.connection().channel()

    def run(times: int) -> list[Ran]:
        side.ran.clear()
        with side.around():
            for number in range(times):
                side.task.delay(TEXTS[number % len(TEXTS)], number)
                message = channel.basic_get(queue, no_ack=True)
                handle(channel.message_to_python(message), None, None, None, ())
        return [*side.ran]

    def check(ran: list[Ran]) -> object:
        side.check(ran)
        return [one.result for one in ran]

    return Case(side.name, run, check)


def main() -> None:
    report = Report(arguments(__doc__, rounds=9, operations=500).parse_args())
    with ExitStack() as opened:
        url = opened.enter_context(aside(otlp))

        def ours(name: str, policy: Mapping[str, object] | None = None) -> Traced:
            return opened.enter_context(closing(Traced(Backend(url, name), policy)))

        instrumentor = CeleryInstrumentor()  # type: ignore[no-untyped-call]  # it has no types
        theirs = opened.enter_context(closing(Instrumented(Backend(url, "in-clear"), instrumentor)))
        sides = [
            plain(BARE),
            traced(TRACED, ours("traced")),
            traced(SCANNING, ours("scanned", SCANNED)),
            instrumented(IN_CLEAR, theirs),
        ]
        rows = report.compare("a task, published and run", [case(side) for side in sides])
        goals(report, rows, ours=TRACED, scanning=SCANNING, theirs=IN_CLEAR)
    report.write()


if __name__ == "__main__":
    main()
