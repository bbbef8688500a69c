"""The demonstration, as `make demo` runs it."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from rich.console import Console

import interceptors
from interceptors.demo import run
from interceptors.demo.orders import SAMPLE, read_orders
from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from .conftest import OtlpSink

BROKER_GOES_AWAY = """
import asyncio, sys
from pathlib import Path
from rich.console import Console
from interceptors.demo import run, traffic
from interceptors.errors import ConfigurationError
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

storefront = traffic.storefront

async def send_and_close(*arguments):
    await storefront(*arguments)
    await asyncio.to_thread(broker.close)

traffic.storefront = send_and_close
with EmbeddedRabbitMQ() as broker:
    try:
        run(input_path=None, out=Path("out"), kafka=None, console=Console(), **{sys.argv[1]: broker.url})
    except ConfigurationError as error:
        print(error)
"""

ORDER = '{"order_id": "A-1", "merchant": "acme", "customer": {"id": "c-1", "email": "c-1@example.com"}}'
OTHER = '{"order_id": "G-2", "merchant": "globex", "customer": {"id": "c-2", "email": "c-2@example.com"}}'


class Result:
    """What one run printed and wrote."""

    def __init__(self, out: Path, *, width: int = 200, **arguments: Any) -> None:
        text = io.StringIO()
        self.status = run(out=out, console=Console(file=text, width=width), **arguments)
        self.printed = text.getvalue()
        self.topic = _lines(out / "topic.jsonl")
        self.queues = _lines(out / "queues.jsonl")
        self.spans = _lines(out / "spans.jsonl")
        self.folder = out


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: item["value"].get("stringValue") for item in span["attributes"]}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return Result(tmp_path_factory.mktemp("sample"), input_path=None, kafka=None)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run with one order, in a terminal of 60 columns."""
    folder = tmp_path_factory.mktemp("narrow")
    given = folder / "orders.jsonl"
    given.write_text(f"{ORDER}\n")
    return Result(folder / "out", width=60, input_path=given, kafka=None)


def test_everything_arrives_and_every_attack_is_recognised(sample: Result) -> None:
    assert sample.status == 0
    orders, _ = read_orders(SAMPLE)
    assert len(orders) >= 100
    on_topics = 3 * (len(orders) + 6) + 1 + 1  # order, payment, booking; a record moved, a task's refund
    in_queues = 2 * (len(orders) + 6) + 1  # two tasks each; one re-published
    arrived = on_topics + in_queues
    assert f"{arrived} of {arrived} business messages arrived. 8 of 8 attacks" in sample.printed
    assert (len(sample.topic), len(sample.queues)) == (on_topics, in_queues)


def test_topics_and_queues_hold_no_id_of_any_span(sample: Result) -> None:
    on_topic = "\n".join(json.dumps(line) for line in [*sample.topic, *sample.queues])
    ids = {span[key] for span in sample.spans for key in ("traceId", "spanId")}
    assert len(ids) > 1000
    assert not [found for found in ids if found in on_topic or found.encode().hex() in on_topic]


def test_every_genuine_record_carries_one_envelope_and_no_clear_context(sample: Result) -> None:
    names = [[name for name, _ in line["headers"]] for line in sample.topic]
    assert max(found.count("sealed-trace") for found in names) == 1
    assert sum("sealed-trace" not in found for found in names) == 2  # removed; replaced by a clear one
    assert sum("traceparent" in found for found in names) == 1


def test_every_task_carries_one_envelope_and_nothing_of_its_arguments_in_its_headers(sample: Result) -> None:
    tasks = [line["headers"] for line in sample.queues]
    assert all("sealed-trace" in headers and "traceparent" not in headers for headers in tasks)
    assert not [headers for headers in tasks if "total" in json.dumps(headers)]
    assert {headers["task"] for headers in tasks} == {"authorize", "capture", "refund"}


def test_no_message_holds_the_address_of_a_customer(sample: Result) -> None:
    values = [bytes.fromhex(line["value"]) for line in sample.topic]
    values += [bytes.fromhex(line["body"]) for line in sample.queues]
    orders, _ = read_orders(SAMPLE)
    assert [value for value in values if orders[0].customer_id.encode() in value]
    assert not [order for order in orders for value in values if order.email.encode() in value]


def test_one_trace_runs_through_five_services_in_each_tenant(sample: Result) -> None:
    services: dict[str, set[str]] = {}
    tenants: dict[str, set[str]] = {}
    for span in sample.spans:
        attributes = _attributes(span)
        services.setdefault(span["traceId"], set()).add(attributes["service.name"])
        tenants.setdefault(span["traceId"], set()).add(attributes["interceptors.tenant"])
    orders, _ = read_orders(SAMPLE)
    flow = {"storefront", "checkout", "billing", "worker", "ledger"}
    whole = [trace for trace, found in services.items() if found == flow]
    assert len(whole) == len(orders)
    assert {frozenset(found) for found in tenants.values()} == {frozenset({"acme"}), frozenset({"globex"})}


def test_the_report_shows_what_each_reader_sees(sample: Result) -> None:
    for said in (
        "the key holder of acme",
        "the key holder of globex",
        "without keys",
        "user.email=",
        "process charges capture",
        "Celery authorize",
        "replay",
    ):
        assert said in sample.printed
    keys = (sample.folder / "keys" / "ledger.json").read_text()
    material = [line.split('"')[3] for line in keys.splitlines() if '"sender_key"' in line]
    assert material
    assert not [key for key in material if key in sample.printed]


def test_what_the_report_says_of_a_reader_without_keys_is_so(sample: Result) -> None:
    said = " ".join(sample.printed.split())
    # OpenTelemetry adds no baggage of its own.
    assert "where an application puts them into baggage, with each customer's e-mail address" in said
    envelopes = [dict(line["headers"]).get("sealed-trace", "") for line in sample.topic]
    levels = {envelope[2:4] for envelope in envelopes if envelope}
    assert "the binding level" in said
    assert levels == {"01", "03"}
    assert "which envelopes one process sealed within one session" in said
    sessions = {envelope[4:60] for envelope in envelopes if envelope}  # sender key and salt
    assert len(sessions) < len(envelopes) / 10
    assert "can still join messages, by an order's number" in said
    orders, _ = read_orders(SAMPLE)
    bodies = [bytes.fromhex(line["value"]) for line in sample.topic]
    assert all(sum(order.order_id.encode() in body for body in bodies) >= 3 for order in orders)


def test_columns_are_called_as_everywhere_else(sample: Result) -> None:
    heads = [" ".join(line.split()) for line in sample.printed.splitlines()]
    assert "span service after parent took verdict" in heads
    assert "┃ attack ┃ message ┃ verdict ┃ answer ┃ as expected ┃" in heads
    assert "partition/offset" in sample.printed


def test_a_narrow_terminal_cuts_no_line_of_a_trace(narrow: Result) -> None:
    assert narrow.status == 0
    rows = (re.sub(r"[\d.]+ ms", "T ms", line) for line in narrow.printed.splitlines())
    assert "└ process charges capture worker T ms T ms fresh" in [" ".join(row.split()) for row in rows]


def test_no_line_ends_in_a_blank(sample: Result, narrow: Result) -> None:
    for line in [*sample.printed.splitlines(), *narrow.printed.splitlines()]:
        assert line == line.rstrip()


def test_one_of_a_thing_is_not_called_many(narrow: Result) -> None:
    said = " ".join(narrow.printed.split())
    assert "put 5 of 5 messages together into 1 trace across" in said
    assert not re.search(r"\b1 (more )?(traces|tenants|records|messages|spans)\b", said)


def test_a_bad_line_is_named_skipped_and_counted(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    large = b'{"order_id": "' + b"9" * 2_000_000 + b'"}\n'
    given.write_bytes(
        b"\xef\xbb\xbf"
        + f'{ORDER}\nno order\n\n{{"order_id": "A-3"}}\n{OTHER}\n'.encode()
        + b"\xff\n"
        + large
    )
    result = Result(tmp_path / "out", input_path=given, kafka=None)
    assert result.status == 1
    for number in (2, 4, 6, 7):
        assert f"{given}:{number}: skipped" in result.printed.replace("\n", "")
    assert "no orders: 4." in result.printed
    assert "8 of 8 attacks" in result.printed


def test_an_input_without_orders_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    with pytest.raises(ConfigurationError, match=r"orders\.jsonl: can't be read"):
        Result(tmp_path / "out", input_path=given, kafka=None)
    given.write_text("\n")
    with pytest.raises(
        ConfigurationError, match=r"orders\.jsonl: holds no order; .* customer \(id, email\)$"
    ):
        Result(tmp_path / "out", input_path=given, kafka=None)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--kafka", {"kafka": "127.0.0.1:1"}),
        ("--rabbitmq", {"rabbitmq": "amqp://shop:secret@127.0.0.1:1/"}),
        ("--celery-broker", {"celery_broker": "amqp://shop:secret@127.0.0.1:1/"}),
        ("--celery-broker", {"celery_broker": "redis://:secret@127.0.0.1:1/0"}),
    ],
)
def test_an_unreachable_broker_is_one_error_that_names_the_option_and_no_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str, given: dict[str, Any]
) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"^{option} 127\.0\.0\.1:1: .*; check the address"
    ) as caught:
        Result(tmp_path / "out", input_path=None, **{"kafka": None, **given})
    assert "secret" not in str(caught.value)
    assert caplog.text == ""  # the clients' own words beside ours
    assert logging.getLogger("aiokafka").isEnabledFor(logging.ERROR)  # afterwards, they may speak again
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n")
    with pytest.raises(ConfigurationError, match=r"orders\.jsonl/keys/demo-roots\.json: can't be"):
        Result(given, input_path=given, kafka=None)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--kafka", {"kafka": "127.0.0.1:port"}),
        ("--kafka", {"kafka": ""}),
        ("--rabbitmq", {"rabbitmq": "redis://:secret@127.0.0.1/"}),
        ("--rabbitmq", {"rabbitmq": "amqp://shop:secret@127.0.0.1:port/"}),
        ("--rabbitmq", {"rabbitmq": "secret"}),
        ("--celery-broker", {"celery_broker": "http://shop:secret@127.0.0.1/"}),
        ("--celery-broker", {"celery_broker": "redis://"}),
        ("--otlp", {"otlp": "127.0.0.1:4318"}),
        ("--otlp", {"otlp": "https://shop:secret@"}),
    ],
)
def test_what_is_no_address_is_refused_unshown(tmp_path: Path, option: str, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{option}: not .*; give one such as ") as caught:
        Result(tmp_path / "out", input_path=None, **{"kafka": None, **given})
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_more_than_the_embedded_broker_keeps_is_refused_at_once(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(ORDER.replace("}}", '}, "note": "' + "x" * 800_000 + '"}\n') * 4)
    with pytest.raises(ConfigurationError, match="a broker with --kafka"):
        Result(tmp_path / "out", input_path=given, kafka=None)


def test_attacks_that_take_two_tenants_are_named_where_there_is_one(narrow: Result) -> None:
    said = " ".join(narrow.printed.split())
    assert "6 of 6 attacks" in said
    assert "Attacks left out, since they take two tenants: 2." in said


def test_it_runs_again_beside_what_it_left(narrow: Result) -> None:
    again = Result(narrow.folder, input_path=narrow.folder.parent / "orders.jsonl", kafka=None)
    assert (narrow.status, again.status) == (0, 0)
    assert len(again.spans) == len(narrow.spans)


def test_spans_are_exported_to_what_speaks_otlp_as_each_services_own(
    tmp_path: Path, otlp_sink: OtlpSink
) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n{OTHER}\n")

    result = Result(tmp_path / "out", input_path=given, kafka=None, otlp=otlp_sink.url)

    assert result.status == 0
    assert f"The same spans were exported by OTLP: {len(result.spans)}" in result.printed
    for trace_id in {span["traceId"] for span in result.spans}:
        written = [span for span in result.spans if span["traceId"] == trace_id]
        arrived = otlp_sink.trace(bytes.fromhex(trace_id), len(written))
        assert {(one.span.span_id.hex(), one.span.name, one.resource["service.name"]) for one in arrived} == {
            (span["spanId"], span["name"], _attributes(span)["service.name"]) for span in written
        }


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("{nobody}", r"^--otlp 127\.0\.0\.1:1: TimeoutError; check the address"),
        ("{sink}/elsewhere", r"^--otlp: \d+ of \d+ spans were refused; check that the address"),
    ],
)
def test_what_takes_no_spans_is_an_error_after_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, otlp_sink: OtlpSink, path: str, error: str
) -> None:
    monkeypatch.setattr("interceptors.demo.exporting.TIMEOUT_S", 1.0)
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n")
    url = path.format(nobody="http://shop:secret@127.0.0.1:1", sink=otlp_sink.url)

    with pytest.raises(ConfigurationError, match=error) as caught:
        Result(tmp_path / "out", input_path=given, kafka=None, otlp=url)

    assert "secret" not in str(caught.value)
    assert _lines(tmp_path / "out" / "spans.jsonl")


def test_payments_and_tasks_through_rabbitmq(embedded_rabbitmq: str, tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n{OTHER}\n")
    result = Result(
        tmp_path / "out",
        input_path=given,
        kafka=None,
        rabbitmq=embedded_rabbitmq,
        celery_broker=embedded_rabbitmq,
    )
    assert result.status == 0, result.printed
    assert "9 of 9 attacks" in result.printed
    assert {line["bus"] for line in result.queues} == {"rabbitmq", "celery"}
    assert not [line for line in result.topic if line["topic"].endswith(".payments")]


@pytest.mark.parametrize("option", ["rabbitmq", "celery_broker"])
def test_a_broker_that_goes_away_ends_the_run(tmp_path: Path, option: str) -> None:
    # In a process of its own: an aiokafka client that is cancelled while it connects leaves its socket to the
    # garbage collector, which would complain about it in some other test.
    result = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", BROKER_GOES_AWAY, option],
        cwd=tmp_path,
        # The same package as in this process, wherever that was found.
        env=os.environ | {"PYTHONPATH": str(Path(interceptors.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = r"a broker went away: [A-Za-z]+; check that each is running, and run it again\n"
    assert re.fullmatch(said, result.stdout), f"{result.stdout}{result.stderr}"


def test_nothing_of_it_stays_with_celerys_broker(real_redis: str, tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n")
    result = Result(tmp_path / "out", input_path=given, kafka=None, celery_broker=real_redis)
    assert result.status == 0, result.printed
    run_of_its_own, _, _ = result.queues[0]["queue"].partition(".")
    with Redis.from_url(real_redis) as redis:
        assert not list(redis.scan_iter(f"*{run_of_its_own}*"))
