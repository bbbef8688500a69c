"""The propagator `sealed`: by itself, under OpenTelemetry's own instrumentation, and as an entry point."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

import interceptors
from interceptors.context import Scope, current, current_baggage, current_tenant, new_root
from interceptors.envelope import HEADER_NAME, to_text
from interceptors.message import Message
from interceptors.otel import SealedPropagator
from interceptors.otel import propagator as propagator_module
from interceptors.spans import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import TextMapPropagator

    from interceptors import Tracing
    from interceptors.context import TraceContext
    from tests.conftest import Service, Services

DEADLINE = 60
MARK = "canary-0e93d1aa"
LABELLED = {"default": {"labels": {"region": {"values": ["eu"]}}}}
GROUP = "opentelemetry_propagator"


@pytest.fixture(autouse=True)
def _nothing_is_current() -> Iterator[None]:
    """Whatever a test makes current goes with it."""
    before = otel_context.attach(otel_context.Context())
    yield
    otel_context.detach(before)


@pytest.fixture
def checkout(service: Services) -> Service:
    return service("checkout", policy=LABELLED)


@pytest.fixture
def billing(service: Services) -> Service:
    """A service of another tenant than `checkout`."""
    return service("billing", policy=LABELLED, tenant="globex")


def within(span: TraceContext | None, tenant: str = "acme", **entries: str) -> Context:
    """OpenTelemetry's context, with a span, a tenant and baggage."""
    scope = Scope(tenant, span)
    context = otel_context.get_current()
    scope.leave()
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    return context


def injected(service: Service, context: Context) -> dict[str, Any]:
    carrier: dict[str, Any] = {}
    SealedPropagator(service.tracing).inject(carrier, context)
    return carrier


def test_what_one_injects_another_extracts(checkout: Service, billing: Service) -> None:
    span = new_root()
    carrier = injected(checkout, within(span, region="eu", user=MARK))

    extracted = SealedPropagator(billing.tracing).extract(carrier, within(new_root(), "globex", user=MARK))

    assert current(extracted) == span
    assert get_current_span(extracted).get_span_context().is_remote
    assert current_tenant(extracted) == "acme"
    assert current_baggage(extracted) == {"region": "eu"}
    assert current() is None


def test_one_header_is_carried_and_says_nothing_in_clear(checkout: Service) -> None:
    span = new_root()
    carrier = injected(checkout, within(span, region="eu", user=MARK))

    assert set(carrier) == SealedPropagator(checkout.tracing).fields == {HEADER_NAME}
    value = carrier[HEADER_NAME]
    assert value.isascii()
    assert not {MARK, "eu", span.trace_id.hex(), span.span_id.hex()} & {value}
    assert injected(checkout, within(span))[HEADER_NAME] != value


def test_carriers_may_have_a_channel_of_their_own(service: Services) -> None:
    listed = {
        "name": "requests",
        "match": {"opentelemetry": ["carrier"]},
        "max_age": "5m",
        "retry_window": "1m",
    }
    checkout, billing, other = (
        service(name, policy={"channels": channels})
        for name, channels in (("checkout", [listed]), ("billing", [listed]), ("other", []))
    )
    span = new_root()
    carrier = injected(checkout, within(span))

    assert current(SealedPropagator(billing.tracing).extract(carrier)) == span
    assert current(SealedPropagator(other.tracing).extract(carrier)) is None  # bound to another channel there
    old = injected(checkout, within(span))
    billing.clock.ahead_s = 301
    assert current(SealedPropagator(billing.tracing).extract(old)) is None
    assert billing.tracing.counts == {"stale": 1}


def test_without_a_context_the_current_one_counts(checkout: Service, billing: Service) -> None:
    span = new_root()
    carrier: dict[str, str] = {}
    scope = Scope("acme", span)
    SealedPropagator(checkout.tracing).inject(carrier)
    scope.leave()

    assert current(SealedPropagator(billing.tracing).extract(carrier)) == span
    here = otel_context.get_current()
    assert SealedPropagator(billing.tracing).extract({}) is here


@pytest.mark.parametrize("sampled", [True, False])
def test_whether_it_is_sampled_travels(checkout: Service, billing: Service, *, sampled: bool) -> None:
    carrier = injected(checkout, within(new_root(sampled=sampled)))

    extracted = current(SealedPropagator(billing.tracing).extract(carrier))

    assert extracted is not None
    assert extracted.sampled is sampled


def test_without_a_span_nothing_is_carried(checkout: Service) -> None:
    assert injected(checkout, within(None, region="eu")) == {}


def test_labels_that_the_receiver_does_not_name_do_not_become_baggage(
    checkout: Service, service: Services
) -> None:
    carrier = injected(checkout, within(new_root(), region="eu"))

    extracted = SealedPropagator(service("ledger").tracing).extract(carrier)

    assert current(extracted) is not None
    assert current_baggage(extracted) == {}


def test_what_is_sent_below_goes_on_with_it(checkout: Service, billing: Service) -> None:
    span = new_root()
    carrier = injected(checkout, within(span, region="eu"))
    otel_context.attach(SealedPropagator(billing.tracing).extract(carrier))

    with billing.tracing.send(Message("kafka", "orders")):
        pass

    sent = billing.span("send")
    assert (sent.context.trace_id, sent.parent_span_id) == (span.trace_id, span.span_id)
    assert (sent.tenant, sent.labels) == ("acme", {"region": "eu"})


def test_a_header_that_is_replayed_begins_a_new_trace(checkout: Service, billing: Service) -> None:
    propagator = SealedPropagator(billing.tracing)
    carrier = injected(checkout, within(new_root()))
    here = within(None)

    assert propagator.extract(carrier, here) is not here
    billing.clock.ahead_s = 121  # longer than a client tries again

    assert propagator.extract(carrier, here) is here
    assert billing.tracing.counts == {"replay": 1}


def test_a_header_of_last_week_begins_a_new_trace(checkout: Service, billing: Service) -> None:
    carrier = injected(checkout, within(new_root()))
    billing.clock.ahead_s = 8 * 24 * 3600
    here = within(None)

    assert SealedPropagator(billing.tracing).extract(carrier, here) is here


def test_a_header_of_a_message_is_none_of_a_carrier(checkout: Service, billing: Service) -> None:
    sending = checkout.tracing.send(Message("kafka", "orders"))
    here = within(None)

    assert sending.envelope is not None
    for envelope in (sending.envelope, bytearray(sending.envelope)):  # as a bus's instrumentation reads it
        assert SealedPropagator(billing.tracing).extract({HEADER_NAME: envelope}, here) is here
    assert billing.tracing.counts == {}
    text = to_text(sending.envelope)
    assert SealedPropagator(billing.tracing).extract({HEADER_NAME: text}, here) is here
    assert billing.tracing.counts == {"invalid": 1}


def test_a_key_that_is_not_held_yet_is_fetched(checkout: Service, service: Services) -> None:
    late = service("billing")
    carriers = [injected(checkout, within(new_root(), tenant)) for tenant in ("acme", "initech")]

    tenants = [current_tenant(SealedPropagator(late.tracing).extract(carrier)) for carrier in carriers]

    assert tenants == ["acme", "initech"]


def test_after_a_pause_nothing_is_carried_or_taken_up_under_a_key_that_was_revoked_meanwhile(
    checkout: Service, billing: Service, service: Services
) -> None:
    first, second = (injected(checkout, within(new_root())) for _ in range(2))
    assert current(SealedPropagator(billing.tracing).extract(first)) is not None
    (key,) = checkout.tracing._keyring.sealing_keys()
    for idle in (checkout, billing):  # as where no thread looks: before a first message, after a fork
        idle.tracing._outboxes.keeper.end()
        idle.clock.ahead_s = 10
    service.keys("administration").revoke(key.kid)

    assert current(SealedPropagator(billing.tracing).extract(second)) is None
    assert injected(checkout, within(new_root())) == {}


def test_a_provider_whose_own_requests_are_instrumented_gives_keys_all_the_same(
    checkout: Service, service: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key management service is asked over HTTP, and the request carries what the propagator injects."""
    provider: Any = checkout.tracing._keyring._provider
    carriers: list[dict[str, Any]] = []

    def asking(method: Callable[..., object]) -> Callable[..., object]:
        def ask(*arguments: object) -> object:
            carriers.append(injected(checkout, within(new_root())))
            return method(*arguments)

        return ask

    service.keys("administration").revoke(provider.sealing_key("globex").kid)  # there is a change to take up
    for name in ("refresh", "sealing_key", "opening_key"):
        monkeypatch.setattr(provider, name, asking(getattr(provider, name)))
    checkout.clock.ahead_s = 10

    assert HEADER_NAME in injected(checkout, within(new_root()))
    assert carriers == [{}] * 2  # of the look, and for the sealing key
    assert not [message for message in caplog.messages if "refreshed" in message or "failed" in message]


def test_a_key_of_strangers_opens_nothing(checkout: Service, service: Services) -> None:
    stranger = service("stranger", keys=service.foreign_keys("stranger"))
    here = within(None)

    assert SealedPropagator(checkout.tracing).extract(injected(stranger, within(new_root())), here) is here


# --- carriers of every kind ---------------------------------------------------------------------------------


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(MARK)

    def __iter__(self) -> Any:
        raise RuntimeError(MARK)

    def __setitem__(self, name: str, value: str) -> None:
        raise RuntimeError(MARK)


HOSTILE: list[Any] = [None, 7, "text", b"bytes", [], (), frozenset(), Hostile()]


@pytest.mark.parametrize("carrier", HOSTILE, ids=lambda carrier: type(carrier).__name__)
def test_a_carrier_that_is_none_carries_nothing_and_raises_nothing(
    checkout: Service, carrier: Any, caplog: pytest.LogCaptureFixture
) -> None:
    propagator, here = SealedPropagator(checkout.tracing), within(new_root())

    for _ in range(3):
        propagator.inject(carrier, here)
        assert propagator.extract(carrier, here) is here

    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2  # once each
    assert MARK not in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", b"", 7, 1.5, True, "text", b"bytes", MARK * 1000, "\ud800", Hostile()),
        *([], [None], [b""], ["a", "b"], {"a": "b"}, [Hostile()], ("E" * 164,), memoryview(b"view")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_header_of_any_type_leaves_the_context_as_it_was(
    checkout: Service, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    here = within(new_root(), region="eu")

    assert SealedPropagator(checkout.tracing).extract({HEADER_NAME: value}, here) is here
    assert MARK not in caplog.text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(value=st.one_of(st.text(), st.binary(), st.lists(st.one_of(st.text(), st.binary(), st.integers()))))
def test_whatever_a_header_says_the_context_stays(checkout: Service, value: Any) -> None:
    here = within(None)

    assert SealedPropagator(checkout.tracing).extract({HEADER_NAME: value}, here) is here


def test_two_headers_are_none(checkout: Service, billing: Service) -> None:
    values = [injected(checkout, within(new_root()))[HEADER_NAME] for _ in range(2)]
    here = within(None)

    assert SealedPropagator(billing.tracing).extract({HEADER_NAME: values}, here) is here
    assert billing.tracing.counts == {"invalid": 1}


# --- configured by the environment --------------------------------------------------------------------------


def test_without_the_variable_nothing_is_carried(
    checkout: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("INTERCEPTORS_CONFIG", raising=False)
    propagator, here = SealedPropagator(), within(new_root())
    carrier: dict[str, str] = {}

    propagator.inject(carrier, here)

    assert carrier == {}
    assert propagator.extract(injected(checkout, here), here) is here
    assert caplog.records == []


def test_a_configuration_that_does_not_hold_is_said_once_and_nothing_is_carried(
    checkout: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "interceptors.yaml"
    path.write_text(f"service: {MARK}")
    monkeypatch.setenv("INTERCEPTORS_CONFIG", str(path))
    propagator, here = SealedPropagator(), within(new_root())
    carrier: dict[str, str] = {}

    for _ in range(2):
        propagator.inject(carrier, here)
        assert propagator.extract(injected(checkout, here), here) is here

    assert carrier == {}
    (said,) = caplog.messages
    assert said == f"nothing is carried: {path}:1: tenant: this key is required; add it"


def test_whatever_else_keeps_it_from_being_made_is_said_once_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError(MARK)

    monkeypatch.setattr(propagator_module, "configured", fail)
    propagator = SealedPropagator()
    carrier: dict[str, str] = {}

    for _ in range(2):
        propagator.inject(carrier, within(new_root()))

    assert carrier == {}
    assert caplog.messages == ["nothing is carried: the tracing could not be made (OSError)"]


PROGRAM = """
from opentelemetry import baggage, context, propagate
from opentelemetry.trace import (
    NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context
)

span = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(1))
context.attach(baggage.set_baggage("user", "buyer", set_span_in_context(NonRecordingSpan(span))))
carrier = {}
propagate.inject(carrier)
found = get_current_span(propagate.extract(carrier, context.Context())).get_span_context()
print(sorted(carrier), found.trace_id, found.span_id, found.is_remote)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that finds our entry point, whether what is installed has it or not."""
    paths = [str(Path(interceptors.__file__).parents[1])]
    if not entry_points(group=GROUP, name="sealed"):
        metadata = tmp_path / "interceptors_entry-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: interceptors-entry\nVersion: 0\n")
        line = f"sealed = {SealedPropagator.__module__}:{SealedPropagator.__qualname__}"
        (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{line}\n")
        paths.append(str(tmp_path))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OTEL_PROPAGATORS": "sealed"}


def run(program: str, environment: dict[str, str], folder: Path, *arguments: str) -> str:
    """What a program prints."""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", program, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_variables_are_all_that_a_program_needs(tmp_path: Path, environment: dict[str, str]) -> None:
    init = "from interceptors.cli import main; main()"
    run(init, environment, tmp_path, "init", "tracing", "--service", "shop", "--tenant", "acme")

    with_it = run(PROGRAM, environment | {"INTERCEPTORS_CONFIG": "tracing/interceptors.yaml"}, tmp_path)
    without = run(PROGRAM, environment | {"INTERCEPTORS_CONFIG": ""}, tmp_path)

    assert with_it == "['sealed-trace'] 7 8 True\n"
    assert without == "[] 0 0 False\n"


# --- under OpenTelemetry's own instrumentation --------------------------------------------------------------


class Server:
    """An HTTP server that goes on with the trace of what it is asked, as an instrumentation would."""

    def __init__(self, tracing: Tracing, provider: TracerProvider) -> None:
        self.asked: queue.Queue[dict[str, str]] = queue.Queue()
        asked, propagator, tracer = self.asked, SealedPropagator(tracing), provider.get_tracer("server")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = dict(self.headers)
                token = otel_context.attach(propagator.extract(headers))
                with tracer.start_as_current_span("GET /"), tracing.send(Message("kafka", "orders")):
                    pass
                otel_context.detach(token)
                self.send_response(204)
                self.end_headers()
                asked.put(headers)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exported: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    yield provider
    provider.shutdown()


@pytest.fixture
def server(billing: Service, provider: TracerProvider) -> Iterator[Server]:
    made = Server(billing.tracing, provider)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def _instrumented(
    checkout: Service,
    provider: TracerProvider,
    set_propagator: Callable[[TextMapPropagator], None],
) -> Iterator[None]:
    """urllib3 is instrumented, and carries what `checkout` seals."""
    set_propagator(SealedPropagator(checkout.tracing))
    URLLib3Instrumentor().instrument(tracer_provider=provider)
    yield
    URLLib3Instrumentor().uninstrument()


@pytest.mark.usefixtures("_instrumented")
def test_a_request_is_one_trace_and_nothing_of_it_is_in_clear(
    server: Server, billing: Service, provider: TracerProvider, exported: InMemorySpanExporter
) -> None:
    for name, value in (("region", "eu"), ("user", MARK)):
        otel_context.attach(baggage.set_baggage(name, value))
    with provider.get_tracer("client").start_as_current_span("work"), urllib3.PoolManager() as pool:
        assert pool.request("GET", server.url, retries=False).status == 204

    headers = server.asked.get(timeout=DEADLINE)
    spans = {span.name: span for span in exported.get_finished_spans()}
    work, asking, answering = spans["work"], spans["GET"], spans["GET /"]
    sent = billing.span(Operation.SEND.operation)

    assert {span.context.trace_id for span in spans.values()} == {
        int.from_bytes(sent.context.trace_id, "big")
    }
    assert [span.parent and span.parent.span_id for span in (work, asking, answering)] == [
        None,
        work.context.span_id,
        asking.context.span_id,
    ]
    assert answering.parent is not None
    assert answering.parent.is_remote
    assert sent.parent_span_id == answering.context.span_id.to_bytes(8, "big")
    assert (sent.tenant, sent.labels) == ("acme", {"region": "eu"})

    assert {name.lower() for name in headers}.isdisjoint({"traceparent", "tracestate", "baggage"})
    assert HEADER_NAME in headers
    for secret in (MARK, format(work.context.trace_id, "032x"), format(asking.context.span_id, "016x")):
        assert secret not in str(headers)
