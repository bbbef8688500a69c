"""The cases of Celery: what it does itself, and OpenTelemetry's instrumentation of it."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from celery import Celery, chord, group, signals
from celery.security.serialization import register_auth
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from kombu.transport import memory
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from robustness_sides import FOREIGN, TRACE_HEADERS, Case, Recorded, Sealed, names

from interceptors import Tracing
from interceptors.celery import connect
from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys import MemoryKeys
from interceptors.spans import JsonLinesSink
from interceptors.spans.span import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 15.0
SECRETS = ("clerk@example.com", "4111111111111111")


class Theirs(Recorded):
    """OpenTelemetry's instrumentation. It listens to the signals of every app."""

    def connect(self, app: Celery) -> None:
        assert app
        CeleryInstrumentor().instrument(tracer_provider=self.provider, skip_dep_check=True)  # type: ignore[no-untyped-call]  # it has no types

    def connect_children(self, app: Celery, file: Path) -> None:
        """Have every child export to the file, as OpenTelemetry's documentation has it done."""
        assert app

        def instrument(**_: object) -> None:
            provider = TracerProvider()
            exporter = ConsoleSpanExporter(
                out=file.open("a", encoding="utf-8", buffering=1),
                formatter=lambda span: json.dumps({"kind": Kind[span.kind.name]}) + "\n",
            )
            provider.add_span_processor(BatchSpanProcessor(exporter))
            CeleryInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True)  # type: ignore[no-untyped-call]  # it has no types

        signals.worker_process_init.connect(instrument, weak=False)


class Plain:
    """Celery as it is. Its user puts a trace's headers beside a task, as its documentation allows."""

    def connect(self, app: Celery) -> None:
        """Do nothing."""

    def connect_failing(self, app: Celery) -> None:
        """Seal by a signal, which is the hook that Celery has; and fail to."""

        def seal(**_: object) -> None:
            raise RuntimeError

        assert app
        signals.before_task_publish.connect(seal, weak=False)


class Ours(Sealed):
    def connect(self, app: Celery) -> None:
        connect(app, self.tracing)

    def connect_failing(self, app: Celery) -> None:
        def refuse(_: MemoryKeys, tenant: str) -> Any:
            raise KeyProviderError(f"none for {tenant}", problem=KeyProblem.DENIED)

        MemoryKeys.sealing_key = refuse  # type: ignore[assignment, method-assign]  # in a process of its own
        self.connect(app)

    def connect_children(self, app: Celery, file: Path) -> None:
        connect(app, Tracing.for_development("shop", sink=JsonLinesSink(file)))


class Rejecting(Ours):
    """Ours, where the policy says that a task whose envelope doesn't hold is not to run."""

    def __init__(self) -> None:
        super().__init__({"default": {"accept": "reject"}})


class Shop:
    """An app on the broker in memory, and the headers of all tasks that have been sent over it."""

    def __init__(self, **settings: Any) -> None:
        self.app = Celery("shop", broker="memory://", backend="cache+memory://")
        self.app.conf.update(
            broker_transport_options={"polling_interval": 0.001},
            broker_connection_retry_on_startup=False,
            worker_hijack_root_logger=False,
            **settings,
        )
        self.app.set_default()  # in every thread, as a worker's is
        self.queue = self.app.conf.task_default_queue
        self.wire: list[dict[str, Any]] = []
        put = memory.Channel._put  # noqa: SLF001 - the only place that all messages come by

        def tapped(channel: Any, queue: str, message: Any, **options: Any) -> Any:
            if queue == self.queue:
                self.wire.append(message["headers"])
            return put(channel, queue, message, **options)

        memory.Channel._put = tapped  # noqa: SLF001 - as above

    def task(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        def make(function: Callable[..., Any]) -> Any:
            return self.app.task(name=function.__name__, **options)(function)

        return make

    def run(self, until: Callable[[], object], **options: Any) -> None:
        """Have a worker run what was sent, until that returns; then it ends as it does when asked to."""
        quiet = {"without_gossip": True, "without_heartbeat": True, "without_mingle": True}
        worker = self.app.WorkController(**{"pool": "solo"} | quiet | options)

        def stop() -> None:
            try:
                until()
            finally:
                self.app.control.shutdown()

        waiting = threading.Thread(target=stop)
        waiting.start()
        worker.start()
        waiting.join()

    def finish(self, *sent: Any, **options: Any) -> None:
        """Have a worker run tasks until they are done, however each ends."""
        waited = {"timeout": PATIENCE, "interval": 0.01, "propagate": False, "disable_sync_subtasks": False}
        self.run(lambda: [one.get(**waited) for one in sent], **options)


def retries(side: Theirs | Ours, _: str) -> str:
    shop = Shop()
    side.connect(shop.app)

    @shop.task(bind=True, max_retries=3, default_retry_delay=0)
    def order(task: Any) -> None:
        raise task.retry(exc=ValueError())

    shop.finish(order.delay())
    above = {s.span_id: s.parent_span_id for kind in ("PRODUCER", "CONSUMER") for s in side.spans(kind)}

    def depth(span: int | None) -> int:
        return 0 if span is None else 1 + depth(above.get(span))

    depths = [depth(span.parent_span_id) for span in side.spans("CONSUMER")]
    return f"runs at depth {', '.join(map(str, depths))}"


def canvas(side: Theirs | Ours, _: str) -> str:
    shop = Shop()
    side.connect(shop.app)

    @shop.task()
    def double(number: int) -> int:
        return 2 * number

    @shop.task()
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    work = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
    with use_span(work):
        sent = [
            group(double.s(number) for number in range(2)).apply_async(),
            double.apply_async((2,), eta=dt.datetime.now(dt.UTC)),
            chord([double.s(3), double.s(4)])(total.s()),
        ]
    shop.finish(*sent)
    runs, sends = side.spans("CONSUMER"), side.spans("PRODUCER")
    traces = {span.trace_id for span in runs}
    own = len({span.parent_span_id for span in runs} & {span.span_id for span in sends})
    return f"runs: {len(runs)}; traces: {len(traces)}; runs below a send of their own: {own}"


def recycled(side: Theirs | Ours, _: str) -> str:
    with TemporaryDirectory() as folder:
        file = Path(folder, "spans.jsonl")
        file.touch()
        shop = Shop(result_backend=f"file://{folder}")
        side.connect_children(shop.app, file)

        @shop.task()
        def order() -> None:
            """Do nothing."""

        @shop.task()
        def look() -> int:
            spans = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            return sum(span["kind"] == Kind.CONSUMER for span in spans)

        sent = [order.delay() for _ in range(3)]
        looked = look.delay()  # by a fourth child, which is there when the others are gone
        shop.finish(*sent, looked, pool="prefork", concurrency=1, max_tasks_per_child=1)
        return f"the spans of {looked.result} of 3 runs were exported"


def arguments(side: Plain | Ours, _: str) -> str:
    shop = Shop(task_send_sent_event=True)
    side.connect(shop.app)
    events: list[dict[str, Any]] = []

    @shop.task()
    def order(*_: Any, **__: Any) -> None:
        """Do nothing."""

    with shop.app.connection_for_read() as connection:
        receiver = shop.app.events.Receiver(connection, handlers={"task-sent": events.append})
        with receiver.consumer_context() as (_consumer, channel, _consumers):
            order.delay(SECRETS[0], card=SECRETS[1])
            while not events:
                channel.connection.client.drain_events(timeout=PATIENCE)
    (headers,), (event,) = shop.wire, events
    told = {"argsrepr", "kwargsrepr", "origin"} & headers.keys()
    in_headers, in_event = (
        sum(secret in json.dumps(where, default=str) for secret in SECRETS) for where in (headers, event)
    )
    return f"headers: {names(told)}; readable there: {in_headers} of 2, in `task-sent`: {in_event} of 2"


def unsealed(side: Plain | Ours, _: str) -> str:
    shop = Shop()
    side.connect_failing(shop.app)
    shop.app.send_task("order", headers={"traceparent": FOREIGN})
    (headers,) = shop.wire
    return f"sent with trace headers: {names(TRACE_HEADERS & headers.keys())}"


def copied(side: Plain | Ours, _: str) -> str:
    shop = Shop()
    side.connect(shop.app)

    @shop.task(bind=True, max_retries=1, default_retry_delay=0)
    def order(task: Any) -> None:
        raise task.retry(exc=ValueError())

    shop.finish(order.apply_async(headers={"traceparent": FOREIGN}))
    first, second = ({k: str(v) for k, v in headers.items() if k in TRACE_HEADERS} for headers in shop.wire)
    stale = [name for name, value in second.items() if first.get(name) == value]
    return f"trace headers of the retry: {names(second)}; as they came: {names(stale)}"


def attributes(side: Plain | Ours, _: str) -> str:
    shop = Shop()
    side.connect(shop.app)
    seen: list[set[str]] = []

    @shop.task(bind=True)
    def order(task: Any) -> None:
        seen.append(TRACE_HEADERS & vars(task.request).keys())

    shop.finish(order.apply_async(headers={"traceparent": FOREIGN, "baggage": "user=clerk"}))
    (headers,), (found,) = shop.wire, seen
    return f"on the wire: {names(TRACE_HEADERS & headers.keys())}; attributes: {names(found)}"


def sign(folder: Path) -> None:
    """Set Celery's `auth` serializer up, with a key and its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = certificate.public_bytes(pem)
    store = folder / "certificate.pem"
    store.write_bytes(public)
    register_auth(key=private, cert=public, store=str(store))


def signed(side: Plain | Rejecting, _: str) -> str:
    shop = Shop(task_serializer="auth", accept_content=["auth", "json"])
    side.connect(shop.app)
    ran: Counter[str] = Counter()
    done = threading.Event()

    @shop.task()
    def quote(_: int) -> None:
        ran["quote"] += 1
        done.set()

    @shop.task()
    def pay(_: int) -> None:
        ran["pay"] += 1

    with TemporaryDirectory() as folder:
        sign(Path(folder))
        quote.delay(100)
        with shop.app.connection() as connection:
            message = connection.default_channel.basic_get(shop.queue, no_ack=True)
            again = [{"task": "pay"}, {"task": "pay", "id": str(uuid.uuid4())}, {}]  # the last: as it was
            producer = shop.app.amqp.Producer(connection, auto_declare=False)
            for headers in again:
                producer.publish(
                    message.body,
                    headers=message.headers | headers,
                    routing_key=shop.queue,
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    correlation_id=message.headers["id"],
                )
        shop.run(lambda: done.wait(PATIENCE))
    return f"runs of `pay`: {ran['pay']}; of `quote`: {ran['quote']}"


CONTRIB, CELERY = "OpenTelemetry, Celery", "Celery"
CASES = [
    Case(CONTRIB, "a task that is retried 3 times", retries, Theirs, Ours),
    Case(CONTRIB, "a group, a chord and an eta", canvas, Theirs, Ours),
    Case(CONTRIB, "a child that is recycled after one task", recycled, Theirs, Ours),
    Case(CELERY, "two arguments, beside the body", arguments, Plain, Ours),
    Case(CELERY, "sealing the trace fails", unsealed, Plain, Ours),
    Case(CELERY, "`Task.retry`", copied, Plain, Ours),
    Case(CELERY, "attributes of `task.request`", attributes, Plain, Ours),
    Case("Celery's `auth`", "a signed `quote` is sent again as `pay`, twice", signed, Plain, Rejecting),
]
