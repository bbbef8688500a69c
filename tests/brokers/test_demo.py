"""The demonstration, as `make demo` runs it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from interceptors.demo import run
from interceptors.demo.orders import SAMPLE, read_orders
from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

ORDER = '{"order_id": "A-1", "merchant": "acme", "customer": {"id": "c-1", "email": "c-1@example.com"}}'
OTHER = '{"order_id": "G-2", "merchant": "globex", "customer": {"id": "c-2", "email": "c-2@example.com"}}'


class Result:
    """What one run printed and wrote."""

    def __init__(self, out: Path, **arguments: Any) -> None:
        text = io.StringIO()
        self.status = run(out=out, console=Console(file=text, width=200), **arguments)
        self.printed = text.getvalue()
        self.topic = _lines(out / "topic.jsonl")
        self.spans = _lines(out / "spans.jsonl")
        self.folder = out


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return Result(tmp_path_factory.mktemp("sample"), input_path=None, kafka=None)


def test_everything_arrives_and_every_attack_is_recognised(sample: Result) -> None:
    assert sample.status == 0
    orders, _ = read_orders(SAMPLE)
    assert len(orders) >= 100
    arrived = 2 * len(orders) + 7 + 6  # each order and its payment; the attacks, and the payments of six
    assert f"{arrived} of {arrived} business messages arrived. 7 of 7 attacks" in sample.printed
    assert len(sample.topic) == arrived


def test_the_topic_holds_no_id_of_any_span(sample: Result) -> None:
    on_topic = "\n".join(json.dumps(line) for line in sample.topic)
    ids = {span[key] for span in sample.spans for key in ("traceId", "spanId")}
    assert len(ids) > 300
    assert not [found for found in ids if found in on_topic or found.encode().hex() in on_topic]


def test_every_genuine_record_carries_one_envelope_and_no_clear_context(sample: Result) -> None:
    names = [[name for name, _ in line["headers"]] for line in sample.topic]
    assert max(found.count("sealed-trace") for found in names) == 1
    assert sum("sealed-trace" not in found for found in names) == 2  # removed; replaced by a clear one
    assert sum("traceparent" in found for found in names) == 1


def test_one_trace_runs_through_three_services_in_each_tenant(sample: Result) -> None:
    services: dict[str, set[str]] = {}
    tenants: dict[str, set[str]] = {}
    for span in sample.spans:
        attributes = {item["key"]: item["value"].get("stringValue") for item in span["attributes"]}
        services.setdefault(span["traceId"], set()).add(attributes["service.name"])
        tenants.setdefault(span["traceId"], set()).add(attributes["interceptors.tenant"])
    orders, _ = read_orders(SAMPLE)
    whole = [trace for trace, found in services.items() if found == {"storefront", "checkout", "ledger"}]
    assert len(whole) == len(orders)
    assert {frozenset(found) for found in tenants.values()} == {frozenset({"acme"}), frozenset({"globex"})}


def test_the_report_shows_what_each_reader_sees(sample: Result) -> None:
    for said in (
        "the key holder of acme",
        "the key holder of globex",
        "without keys",
        "user.email=",
        "replay",
    ):
        assert said in sample.printed
    keys = (sample.folder / "keys" / "ledger.json").read_text()
    material = [line.split('"')[3] for line in keys.splitlines() if '"sender_key"' in line]
    assert material
    assert not [key for key in material if key in sample.printed]


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
    assert "7 of 7 attacks" in result.printed


def test_an_input_without_orders_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    with pytest.raises(ConfigurationError, match=r"orders\.jsonl: can't be read"):
        Result(tmp_path / "out", input_path=given, kafka=None)
    given.write_text("\n")
    with pytest.raises(ConfigurationError, match=r"orders\.jsonl: holds no order"):
        Result(tmp_path / "out", input_path=given, kafka=None)


def test_an_unreachable_broker_is_an_error_that_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1: KafkaConnectionError; check the address"):
        Result(tmp_path / "out", input_path=None, kafka="127.0.0.1:1")


def test_more_than_the_embedded_broker_keeps_is_refused_at_once(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(ORDER.replace("}}", '}, "note": "' + "x" * 800_000 + '"}\n') * 4)
    with pytest.raises(ConfigurationError, match="a broker with --kafka"):
        Result(tmp_path / "out", input_path=given, kafka=None)


def test_attacks_that_take_two_tenants_are_named_where_there_is_one(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n")
    result = Result(tmp_path / "out", input_path=given, kafka=None)
    assert result.status == 0
    assert "5 of 5 attacks" in result.printed
    assert "Attacks left out, since they take two tenants: 2." in result.printed


def test_it_runs_again_beside_what_it_left(tmp_path: Path) -> None:
    given = tmp_path / "orders.jsonl"
    given.write_text(f"{ORDER}\n")
    first = Result(tmp_path / "out", input_path=given, kafka=None)
    second = Result(tmp_path / "out", input_path=given, kafka=None)
    assert (first.status, second.status) == (0, 0)
    assert len(second.spans) == len(first.spans)


def test_on_a_real_broker(real_kafka: str, tmp_path: Path) -> None:
    result = Result(tmp_path / "out", input_path=None, kafka=real_kafka)
    assert result.status == 0
    assert "7 of 7 attacks" in result.printed
