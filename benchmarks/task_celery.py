"""A task over Celery: published on the broker in memory, taken from there, and run.

Each operation publishes a task with two arguments, takes its message from the queue, and runs it with what
Celery's worker runs it with: plain Celery, Celery traced, and Celery under OpenTelemetry's instrumentation,
in clear. The two record a span for the publishing and one for the run. What a worker does around that (its
loop, its pool, acknowledging) would cost each side the same, and is left out.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import Celery
from celery.app.trace import build_tracer
from measure import Case, Report, arguments
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from recording import Counting, counted_provider

from interceptors import Tracing, Verdict, celery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Ran(NamedTuple):
    """What a task has seen."""

    result: int
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


def plain(name: str, queue: str) -> Side:
    app = Celery(queue, broker="memory://", set_as_current=False)
    app.conf.update(task_default_queue=queue, task_ignore_result=True)
    ran: list[Ran] = []

    @app.task(bind=True, name="add", shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def add(self: Any, left: int, right: int) -> None:
        ran.append(Ran(left + right, self.request.get("receipt"), self.request.get("traceparent")))

    return Side(name, app, add, ran)


def traced() -> Side:
    sink = Counting()
    tracing = Tracing.for_development("shop", sink=sink)
    side = plain("Celery, traced", "traced")
    celery.connect(side.app, tracing)

    @contextmanager
    def around() -> Iterator[None]:
        yield
        tracing.flush()

    def check(ran: list[Ran]) -> None:
        assert all(one.receipt.verdict is Verdict.FRESH for one in ran)
        assert sink.taken() == 2 * len(ran)

    return side._replace(around=around, check=check)


def instrumented() -> Side:
    """Under OpenTelemetry's instrumentation. It listens to every app, so it does for its rounds only."""
    sink = Counting()
    provider = counted_provider(sink)
    instrumentor = CeleryInstrumentor()  # type: ignore[no-untyped-call]  # it has no types

    @contextmanager
    def around() -> Iterator[None]:
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
        try:
            yield
        finally:
            instrumentor.uninstrument()
            provider.force_flush()

    def check(ran: list[Ran]) -> None:
        assert all(one.traceparent for one in ran)
        assert sink.taken() == 2 * len(ran)

    return plain("Celery, OpenTelemetry in clear", "in-clear")._replace(around=around, check=check)


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
                side.task.delay(number, 1)
                message = channel.basic_get(queue, no_ack=True)
                handle(channel.message_to_python(message), None, None, None, ())
        return [*side.ran]

    def check(ran: list[Ran]) -> object:
        side.check(ran)
        return [one.result for one in ran]

    return Case(side.name, run, check)


def main() -> None:
    report = Report(arguments(__doc__, rounds=9, operations=500).parse_args())
    sides = [plain("Celery", "bare"), traced(), instrumented()]
    report.compare("a task, published and run", [case(side) for side in sides])
    report.write()


if __name__ == "__main__":
    main()
