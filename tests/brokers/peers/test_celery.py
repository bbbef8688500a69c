"""Celery and OpenTelemetry's instrumentation of it: where they break, and both beside ours.

That the spans of a child are there when it is recycled (contrib#4916) is shown with real children, in
`test_every_span_of_every_pool_arrives`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import secrets
import string
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, _state, chord, group, signals
from celery.contrib.testing.worker import start_worker
from celery.security.serialization import register_auth
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from kombu.serialization import unregister
from opentelemetry.trace import SpanKind

from interceptors.celery import connect
from interceptors.context import current
from interceptors.envelope import HEADER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from interceptors.context import TraceContext
    from interceptors.spans import Span
    from tests.conftest import Service, Services

    from .conftest import Peer

    Working = Callable[[], AbstractContextManager[TraceContext]]

DEADLINE = 20
FIRST, LAST = "the peer first", "the peer last"


class Shop:
    """An app on the in-memory broker."""

    def __init__(self) -> None:
        self.queue = "orders-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        self.app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
        self.app.conf.update(
            task_default_queue=self.queue,
            broker_transport_options={"polling_interval": 0.001},
            broker_connection_retry_on_startup=False,
        )

    def task(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        """Make a function a task of this app alone, under the function's name."""

        def make(function: Callable[..., Any]) -> Any:
            return self.app.task(shared=False, name=function.__name__, **options)(function)

        return make

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        with start_worker(self.app, pool="solo", perform_ping_check=False) as worker:
            try:
                yield
            finally:
                self.app.control.shutdown(destination=[worker.hostname])

    def run(self, *pending: Any) -> list[Any]:
        """Have a worker run what was sent; its results, an exception as a value."""
        with self.worker():
            return [one.get(timeout=DEADLINE, interval=0.01, propagate=False) for one in pending]

    def sent(self) -> list[Any]:
        """The messages that wait, taken out of the queue."""
        with self.app.connection_for_read() as connection:
            channel = connection.default_channel
            return list(iter(lambda: channel.basic_get(self.queue, no_ack=True), None))

    def put(self, message: Any, **headers: Any) -> None:
        """Publish a message again, as anybody could, with other headers."""
        with self.app.connection_for_write() as connection:
            self.app.amqp.Producer(connection, auto_declare=False).publish(
                message.body,
                headers=message.headers | headers,
                routing_key=self.queue,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                correlation_id=message.headers["id"],
            )


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An app that is not connected yet."""
    made = Shop()
    # A worker makes its app everybody's default. The peer knows tasks of the current app alone.
    monkeypatch.setattr(_state, "default_app", None)
    monkeypatch.setattr(_state._tls, "current_app", made.app)

    def leave_logging(**_: object) -> None:
        """Do nothing: pytest has set logging up."""

    signals.setup_logging.connect(leave_logging)
    yield made
    made.app.close()
    signals.setup_logging.disconnect(leave_logging)


@pytest.fixture
def connected(shop: Shop, checkout: Service) -> Shop:
    """The app, connected to `checkout`, which sends and receives."""
    connect(shop.app, checkout.tracing)
    return shop


@pytest.fixture(params=[FIRST, LAST])
def beside(
    request: pytest.FixtureRequest, shop: Shop, checkout: Service, install: Callable[[str], Peer]
) -> Peer:
    """The peer, installed before the app is connected, or after."""
    peer = install("celery")
    if request.param == FIRST:
        peer.install()
    connect(shop.app, checkout.tracing)
    if request.param == LAST:
        peer.install()
    return peer


def parents(service: Service, operation: str, *names: str) -> list[bytes | None]:
    return [span.parent_span_id for span in service.spans(operation) if span.task_name in names]


def test_beside_contrib_the_send_span_is_below_the_peers_and_nothing_stays_current(
    shop: Shop, checkout: Service, beside: Peer, working: Working
) -> None:
    """The peer's span is current while Celery publishes, for tasks that the app knows."""

    @shop.task()
    def order() -> None:
        """Do nothing."""

    with working() as work:
        order.delay()
        assert current() == work

    (outer,) = beside.spans(SpanKind.PRODUCER)
    assert outer.parent_span_id == work.span_id
    assert checkout.span("send").parent_span_id == outer.span_id
    (message,) = shop.sent()
    assert HEADER_NAME in message.headers
    assert {"traceparent", "baggage"} & message.headers.keys() == set()


def test_beside_contrib_no_task_leaves_its_span_current(shop: Shop, checkout: Service, beside: Peer) -> None:
    """Celery ends what was begun first first, and the peer puts back what was current when it began."""
    left: list[TraceContext | None] = []

    @shop.task(bind=True, max_retries=1)
    def order(task: Any, outcome: str) -> None:
        if outcome == "raises":
            raise ValueError(outcome)
        if outcome == "retries":
            raise task.retry(countdown=0)

    def look(**_: object) -> None:
        left.append(current())

    # Whoever is told of a message is told before a task of it begins.
    signals.task_received.connect(look)
    try:
        shop.run(*[order.delay(outcome) for outcome in ("returns", "raises", "retries", "returns")])
    finally:
        signals.task_received.disconnect(look)

    assert left == [None] * 5
    assert len(beside.spans(SpanKind.CONSUMER)) == len(checkout.spans("process")) == 5


@pytest.mark.parametrize("alone", [True, False])
def test_contrib_celery_retries_do_not_nest(
    shop: Shop, checkout: Service, install: Callable[[str], Peer], *, alone: bool
) -> None:
    """There, each retry lies one level deeper than the one before."""
    connect(shop.app, checkout.tracing)
    if not alone:
        install("celery").install()

    @shop.task(bind=True, max_retries=3, default_retry_delay=0)
    def order(task: Any) -> None:
        raise task.retry(exc=ValueError())

    (outcome,) = shop.run(order.delay())

    first, *resent = checkout.spans("send")
    assert isinstance(outcome, ValueError)
    assert parents(checkout, "process", "order") == [first.context.span_id] * 4
    assert [[link.span_id for link in span.links] for span in checkout.spans("process")] == [
        [],
        *([span.context.span_id] for span in resent),
    ]


def test_contrib_celery_group_chord_and_eta_are_told_apart_within_their_trace(
    connected: Shop, checkout: Service, working: Working
) -> None:
    """There, all of them land in one trace, and nothing tells which message led to which task."""

    @connected.task()
    def double(number: int) -> int:
        return 2 * number

    @connected.task()
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    with working() as work:
        soon = dt.datetime.now(dt.UTC)
        sent = [
            group(double.s(number) for number in range(2)).apply_async(),
            double.apply_async((2,), eta=soon),
            chord([double.s(3), double.s(4)])(total.s()),
        ]
    assert connected.run(*sent) == [[0, 2], 4, 14]

    spans = {span.context.span_id: span for kind in ("send", "process") for span in checkout.spans(kind)}

    def above(span: Span) -> Span:
        assert span.parent_span_id is not None
        return spans[span.parent_span_id]

    tasks = checkout.spans("process")
    sendings = [above(span) for span in tasks]
    assert {span.context.trace_id for span in spans.values()} == {work.trace_id}
    assert [sending.operation.operation for sending in sendings] == ["send"] * 6
    assert len({sending.context.span_id for sending in sendings}) == 6  # each has a message of its own
    (last,) = [span for span in tasks if span.task_name == "total"]
    assert above(above(last)).task_name == "double"  # the one that finished the chord
    assert {above(span).parent_span_id for span in tasks if span is not last} == {work.span_id}


def test_celery_no_text_about_arguments_or_origin_is_on_the_wire_or_in_an_event(connected: Shop) -> None:
    """There, `argsrepr`, `kwargsrepr` and `origin` travel in clear, and `task-sent` copies the first two."""
    connected.app.conf.task_send_sent_event = True
    events: list[dict[str, Any]] = []

    @connected.task()
    def order(*_: Any, **__: Any) -> None:
        """Do nothing."""

    with connected.app.connection_for_read() as connection:
        receiver = connected.app.events.Receiver(connection, handlers={"task-sent": events.append})
        with receiver.consumer_context() as (_, channel, _consumers):
            order.delay("canary-91c4@example.com", card="canary-d27b")
            while not events:
                channel.connection.client.drain_events(timeout=DEADLINE)

    (message,) = connected.sent()
    (event,) = events
    assert {"argsrepr", "kwargsrepr", "origin"} & message.headers.keys() == set()
    assert (event["args"], event["kwargs"]) == ("", "")
    told = json.dumps([message.headers, event], default=str)
    assert [secret for secret in ("canary-91c4", "canary-d27b") if secret in told] == []


def test_celery_a_receiver_of_before_task_publish_that_raises_leaves_the_task_sealed(
    connected: Shop, working: Working
) -> None:
    """There, what it raises is swallowed: a receiver that is to seal sends in clear instead."""

    def fail(headers: Any = None, **_: object) -> None:
        headers["traceparent"] = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
        raise ValueError

    signals.before_task_publish.connect(fail)
    try:
        with working():
            connected.app.send_task("order")
    finally:
        signals.before_task_publish.disconnect(fail)

    (message,) = connected.sent()
    assert HEADER_NAME in message.headers
    assert "traceparent" not in message.headers


def test_celery_a_retry_copies_the_programs_headers_and_no_envelope(
    connected: Shop, checkout: Service
) -> None:
    """There, `Task.retry` copies custom headers into the next publish, a stale envelope with them."""
    seen: list[dict[str, Any]] = []
    envelopes: list[Any] = []

    @connected.task(bind=True, max_retries=1, default_retry_delay=0)
    def order(task: Any) -> None:
        seen.append(dict(task.request.headers or {}))
        raise task.retry(exc=ValueError())

    def copy(headers: Any, **_: object) -> None:
        envelopes.append(headers.get(HEADER_NAME))

    signals.before_task_publish.connect(copy)
    try:
        connected.run(order.apply_async(headers={"name": "value", HEADER_NAME: "forged"}))
    finally:
        signals.before_task_publish.disconnect(copy)

    assert seen == [{"name": "value"}] * 2
    assert envelopes == ["forged", None]
    assert [span.verdict for span in checkout.spans("process")] == ["fresh", "fresh"]


def test_celery_the_envelope_is_no_attribute_of_the_request(connected: Shop) -> None:
    """There, every header that Celery doesn't know becomes an attribute of `task.request`."""
    seen: list[dict[str, Any]] = []

    @connected.task(bind=True)
    def order(task: Any) -> None:
        seen.append(dict(vars(task.request)))

    connected.run(order.apply_async(headers={"name": "value"}))

    (attributes,) = seen
    assert attributes["name"] == "value"
    assert HEADER_NAME not in attributes
    assert HEADER_NAME not in (attributes["headers"] or {})


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Celery's `auth` serializer, with a key and its certificate."""
    folder: Path = tmp_path_factory.mktemp("signing")
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
    (folder / "certificate.pem").write_bytes(public)
    register_auth(key=private, cert=public, store=str(folder / "certificate.pem"))
    yield
    unregister("auth")


@pytest.mark.parametrize("accept", ["required", "reject"])
def test_celery_auth_a_signed_body_under_another_tasks_name_is_found_out(
    shop: Shop, service: Services, signing: None, accept: str
) -> None:
    """There, the signature is of the body alone: re-published under another name, twice, it ran twice."""
    checkout = service("checkout", policy={"default": {"accept": accept}})
    connect(shop.app, checkout.tracing)
    shop.app.conf.update(task_serializer="auth", accept_content=["auth", "json"], result_serializer="json")
    ran: list[tuple[str, Any]] = []
    arrived = threading.Semaphore(0)

    @shop.task(bind=True)
    def quote(task: Any, amount: int) -> None:
        ran.append(("quote", (amount, task.request.receipt.verdict)))
        arrived.release()

    @shop.task(bind=True)
    def pay(task: Any, amount: int) -> None:
        ran.append(("pay", (amount, task.request.receipt.verdict)))
        arrived.release()

    quote.delay(100)
    (message,) = shop.sent()
    assert message.content_type == "application/data"
    shop.put(message, task="pay")
    shop.put(message, task="pay", id=str(uuid.uuid4()))
    shop.put(message)  # last, so that the others have been taken when it runs
    with shop.worker():
        for _ in range(1 if accept == "reject" else 3):
            assert arrived.acquire(timeout=DEADLINE)

    forged = [] if accept == "reject" else [("pay", (100, "invalid"))] * 2
    assert ran == [*forged, ("quote", (100, "fresh"))]
    assert checkout.tracing.counts["invalid"] == 2
    assert checkout.tracing.counts["rejected"] == (2 if accept == "reject" else 0)
