"""The JSON Schemas say what the code does: they are up to date, and both accept and refuse the same."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from interceptors import ConfigurationError, Tracing
from interceptors.context import Scope, TraceContext, new_root
from interceptors.message import Message
from interceptors.policy import PolicyDocument
from interceptors.policy.trust import TrustDocument
from interceptors.policy.yaml_document import validate_document
from interceptors.spans import JsonLinesSink, Link, Operation, Span, to_otlp_json
from interceptors.token_vault.access import VaultDocument
from interceptors.tracing import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = Path(__file__).parents[2] / "schemas"
MODELS: dict[str, type[PolicyDocument | Configuration | TrustDocument | VaultDocument]] = {
    "policy": PolicyDocument,
    "configuration": Configuration,
    "trust": TrustDocument,
    "vault": VaultDocument,
}
CHANNEL = {"name": "orders", "match": {"kafka": ["orders"]}}
ROLE = {"tenants": ["acme"], "domains": ["customer"], "purposes": ["customer-request"]}
VAULT = {"version": 1, "domains": {"customer": {}}, "roles": {"support": ROLE}}
SERVICE = {"service": "checkout", "tenant": "acme", "keys": "keys.json", "policy": "policy.yaml"}


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def both_accept(name: str, document: dict[str, Any]) -> tuple[bool, bool]:
    try:
        validate_document(MODELS[name], document, name)
    except ConfigurationError:
        accepted = False
    else:
        accepted = True
    return accepted, validator(name).is_valid(document)


def generate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, folder / "generate.py", *arguments], capture_output=True, check=False, text=True
    )


def test_the_generated_schemas_are_up_to_date() -> None:
    found = generate(SCHEMAS, "--check")
    assert (found.returncode, found.stderr) == (0, "")


def test_the_check_notices_what_is_not_up_to_date_and_writing_mends_it(tmp_path: Path) -> None:
    (tmp_path / "generate.py").write_bytes((SCHEMAS / "generate.py").read_bytes())
    found = generate(tmp_path, "--check")
    assert found.returncode == 1
    assert "not up to date: policy.schema.json, configuration.schema.json" in found.stderr
    assert generate(tmp_path).returncode == 0
    assert generate(tmp_path, "--check").returncode == 0
    (tmp_path / "policy.schema.json").write_text("{}")
    assert generate(tmp_path, "--check").returncode == 1


@pytest.mark.parametrize("name", [*MODELS, "span", "audit-record"])
def test_each_schema_names_its_dialect_and_no_place_of_its_own(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in schema


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("policy", {"version": 1}),
        ("policy", {"version": 1, "channels": [CHANNEL]}),
        (
            "policy",
            {
                "version": 1,
                "channels": [CHANNEL | {"emit": "none", "accept": "reject", "senders": ["checkout"]}],
                "default": {
                    "binding": "message",
                    "lowest_level": "tenant",
                    "max_age": "7d",
                    "retry_window": "0ms",
                },
            },
        ),
        (
            "policy",
            {
                "version": 1,
                "channels": [
                    {"name": "a", "match": {"rabbitmq": ["a", "a.*"], "celery": ["a"]}},
                    {"name": "b", "match": {"celery": ["b"]}, "task_metadata": "kept"},
                ],
                "default": {"task_metadata": "removed"},
            },
        ),
        ("configuration", SERVICE),
        (
            "configuration",
            SERVICE | {"environment": "production", "export": {"file": {"path": "spans.jsonl"}}},
        ),
        ("configuration", SERVICE | {"export": {}}),
        ("vault", VAULT),
        ("vault", VAULT | {"limit": {"per_minute": 6, "burst": 1}, "callers": {"desk": ["support"]}}),
    ],
)
def test_schema_and_code_accept(name: str, document: dict[str, Any]) -> None:
    assert both_accept(name, document) == (True, True)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("vault", {"version": 1}),
        ("vault", VAULT | {"limit": {"per_minute": 0}}),
        ("vault", VAULT | {"roles": {"support": {"tenants": ["acme"], "domains": ["customer"]}}}),
        ("policy", {}),
        ("policy", {"version": 2}),
        ("policy", {"version": 1, "chanels": []}),
        ("policy", {"version": 1, "channels": [{"name": "orders"}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"name": ""}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"match": {"kafka": []}}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"match": {"kafka": "orders"}}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"match": {}}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"match": {"rabbitmq": []}}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"match": {"celery": [""]}}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"match": {"amqp": ["orders"]}}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"task_metadata": "clear"}]}),
        ("policy", {"version": 1, "channels": [CHANNEL | {"emit": "clear"}]}),
        ("policy", {"version": 1, "default": {"binding": "body"}}),
        ("policy", {"version": 1, "default": {"max_age": 7}}),
        ("policy", {"version": 1, "default": {"max_age": "about 7d or so"}}),
        ("policy", {"version": 1, "default": {"max_age": "٣d"}}),
        ("configuration", {}),
        ("configuration", SERVICE | {"service": ""}),
        ("configuration", SERVICE | {"service": 7}),
        ("configuration", SERVICE | {"keys": "k" * 256}),
        ("configuration", SERVICE | {"exporter": {}}),
        ("configuration", SERVICE | {"export": {"file": {}}}),
        ("configuration", SERVICE | {"export": {"file": {"path": "a", "mode": "w"}}}),
    ],
)
def test_schema_and_code_refuse(name: str, document: dict[str, Any]) -> None:
    assert both_accept(name, document) == (False, False)


# --- spans --------------------------------------------------------------------------------------------------


def span(**fields: Any) -> Span:
    usual: dict[str, Any] = {
        "operation": Operation.SEND,
        "system": "kafka",
        "channel": "orders",
        "context": TraceContext(b"\xab" * 16, b"\xcd" * 8),
        "parent_span_id": None,
        "start": 1_790_000_000_000_000_000,
        "service": "checkout",
        "tenant": "acme",
        "end": 1_790_000_000_000_000_001,
    }
    return Span(**(usual | fields))


FULL = {
    "operation": Operation.PROCESS,
    "parent_span_id": b"\x01" * 8,
    "error_type": "TimeoutError",
    "sender": "billing",
    "verdict": "invalid",
    "answer": "not authentic",
    "links": (Link(b"\x02" * 16, b"\x03" * 8),),
    "partition": 0,
    "offset": 0,
    "consumer_group": "workers",
    "batch_size": 7,
    "tombstone": True,
    "task_name": "orders.charge",
    "queue_time_ms": 0,
    "body_size": 0,
}


def test_the_fields_that_are_tried_are_all_that_a_span_may_have() -> None:
    given = {field.name for field in dataclasses.fields(Span) if field.default is dataclasses.MISSING}
    assert {field.name for field in dataclasses.fields(Span)} == given | set(FULL) | {"end"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        FULL,
        *({name: value} for name, value in FULL.items()),
        *({"operation": operation} for operation in Operation),
    ],
)
def test_every_span_is_of_the_schema(fields: dict[str, Any]) -> None:
    validator("span").validate(to_otlp_json(span(**fields)))


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda written: written.pop(key)


def attribute(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda written: written["attributes"].append({"key": key, "value": value})


@pytest.mark.parametrize(
    "spoil",
    [
        without("traceId"),
        without("status"),
        lambda written: written.update(events=[]),
        lambda written: written.update(traceId="0" * 32),
        lambda written: written.update(spanId="AB" * 8),
        lambda written: written.update(flags=0),
        lambda written: written.update(kind=1),
        lambda written: written.update(name="GET orders"),
        lambda written: written.update(startTimeUnixNano=1),
        lambda written: written["status"].update(message="card 4111 refused"),
        lambda written: written["links"].append({"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": []}),
        lambda written: written["attributes"].pop(0),
        attribute("messaging.kafka.message.key", {"stringValue": "customer 7"}),
        attribute("exception.message", {"stringValue": "card 4111 refused"}),
        attribute("interceptors.verdict", {"stringValue": "maybe"}),
        attribute("messaging.operation.name", {"stringValue": "settle"}),
        attribute("messaging.operation.type", {"stringValue": "ack"}),
        attribute("interceptors.queue_time_ms", {"stringValue": "7"}),
        attribute("messaging.kafka.offset", {"intValue": 7}),
        attribute("messaging.kafka.offset", {"stringValue": "7"}),
        attribute("error.type", {"stringValue": "TimeoutError", "intValue": "7"}),
        attribute("error.type", {"bytesValue": "AAAA"}),
    ],
)
def test_the_schema_has_no_place_for_anything_else(spoil: Callable[[dict[str, Any]], object]) -> None:
    written = to_otlp_json(span())
    spoil(written)
    assert not validator("span").is_valid(written)


def test_what_a_service_writes_into_its_file_is_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    message = Message("kafka", "orders", b"body", coordinate=("orders", 0, 1))
    scope = Scope(None, new_root())
    with Tracing.for_development("checkout", sink=JsonLinesSink(path)) as tracing:
        sending = tracing.send(message)
        sending.end(TimeoutError())
        for envelopes in ((sending.envelope,), (b"not one",), ()):
            receipt = tracing.receive(message._replace(envelopes=envelopes), consumer="workers")
            tracing.received("kafka", [receipt], started=tracing.now(), group="workers")
            with tracing.process("kafka", receipt) as processing:
                tracing.settle(Operation.REJECT, "kafka", receipt, processing).end()
    scope.leave()
    lines = path.read_text().splitlines()
    assert len(lines) == 10
    for line in lines:
        validator("span").validate(json.loads(line))
