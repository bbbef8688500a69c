from __future__ import annotations

import re
import shlex
import socket
import struct
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from interceptors.keys import LocalKeys
from interceptors.keys.signing_key import write_signing_key
from interceptors.signatures import SigningKey
from interceptors.testing.embedded_kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from typer.testing import Result

    Answering = Callable[[bytes], str]

STARTER = "kafka: orders, orders.retry, orders.dead-letter"
"""Where the channel of the starter's policy lies."""


def lines(result: Result, status: str) -> list[str]:
    """What was found with a status, and that the exit status fits: 1 with anything wrong, else 0."""
    assert result.exit_code == (1 if re.search(r"^wrong ", result.stdout, re.MULTILINE) else 0)
    assert result.stderr == ""
    found = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    return [text for word, text in found if word == status]


def write_policy(starter: Path, text: str) -> None:
    (starter.parent / "policy.yaml").write_text("version: 1\n" + text, encoding="utf-8")


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Starts a server on a port of its own that gives one answer, whatever it is asked."""
    servers: list[tuple[socket.socket, threading.Thread]] = []

    def start(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        servers.append((server, thread))
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server, thread in servers:
        thread.join()
        server.close()


def test_a_process_tells_each_check_and_leaves_nothing(
    starter: Path, spawn: Callable[..., CompletedProcess[str]]
) -> None:
    before = {file for file in starter.parent.rglob("*") if file.is_file()}
    kid = LocalKeys("keys/my-service.json").sealing_key("development").kid.hex()
    result = spawn("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()] == [
        line.split()
        for line in (
            "ok configuration: interceptors.yaml: service 'my-service', tenant 'development', development",
            f"ok keys: keys/my-service.json: seals under {kid}; keys: 1",
            "ok policy: policy.yaml: channels: 1",
            f"ok channel 'orders' ({STARTER}): emit sealed, accept optional",
            "ok channel default: emit sealed, accept optional",
            "ok export: spans.jsonl: can be written",
        )
    ]
    assert {file for file in starter.parent.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (None, "other.yaml: can't be read"),
        ("a: [", "other.yaml:1: not readable as YAML"),
        (
            "service: a\ntenant: b\nkeys: c\npolicy: d\nexprt: {}",
            "other.yaml:5: exprt: unknown key; did you mean",
        ),
        ("service: a", "other.yaml:1: tenant: this key is required"),
    ],
    ids=["missing", "no YAML", "unknown key", "incomplete"],
)
def test_a_configuration_that_does_not_hold_is_the_only_line(
    folder: Path, invoke: Callable[..., Result], content: str | None, place: str
) -> None:
    if content is not None:
        (folder / "other.yaml").write_text(content, encoding="utf-8")
    result = invoke("doctor", "other.yaml")
    assert len(result.stdout.splitlines()) == 1
    assert lines(result, "wrong")[0].startswith(f"configuration: {place}")


def test_a_key_file_that_others_can_read_is_wrong(starter: Path, invoke: Callable[..., Result]) -> None:
    file = starter.parent / "keys" / "my-service.json"
    file.chmod(0o640)
    (wrong,) = lines(invoke("doctor"), "wrong")
    assert wrong.endswith("run: chmod 600 keys/my-service.json")
    file.chmod(0o600)
    assert lines(invoke("doctor"), "wrong") == []


def test_keys_of_another_service_are_wrong(starter: Path, invoke: Callable[..., Result]) -> None:
    replace(starter, 'service: "my-service"', "service: other")
    (wrong,) = lines(invoke("doctor"), "wrong")
    assert "holds the keys of 'my-service', and this is 'other'" in wrong


def test_a_tenant_without_a_key_is_wrong(starter: Path, invoke: Callable[..., Result]) -> None:
    replace(starter, 'tenant: "development"', "tenant: acme")
    (wrong,) = lines(invoke("doctor"), "wrong")
    assert wrong.endswith("run: interceptors keys grant my-service --tenant acme")


def test_a_revoked_key_of_its_own_is_wrong_until_replaced(
    starter: Path, invoke: Callable[..., Result]
) -> None:
    kid = LocalKeys("keys/my-service.json").sealing_key("development").kid.hex()
    invoke("keys", "revoke", kid, "--roots", "keys/roots.json")
    (wrong,) = lines(invoke("doctor"), "wrong")
    assert f"the key {kid}, which should seal for 'development', is revoked" in wrong
    remedies = re.findall("interceptors (keys [a-z]+ [a-z]+)", wrong)
    for remedy in remedies:
        assert invoke(*remedy.split(), "--roots", "keys/roots.json").exit_code == 0
    assert lines(invoke("doctor"), "wrong") == []


def test_a_policy_that_does_not_hold_is_wrong(starter: Path, invoke: Callable[..., Result]) -> None:
    write_policy(starter, "default: {emit: clear}")
    result = invoke("doctor")
    (wrong,) = lines(result, "wrong")
    assert wrong.startswith("policy: policy.yaml:2: default.emit: ")
    assert any(line.startswith("export: ") for line in lines(result, "ok"))


@pytest.mark.parametrize("accept", ["required", "reject"])
def test_a_channel_that_nobody_can_send_on_is_wrong(
    starter: Path, invoke: Callable[..., Result], accept: str
) -> None:
    write_policy(
        starter,
        f"channels: [{{name: a, match: {{kafka: ['a*']}}, accept: {accept}}}]\ndefault: {{emit: none}}",
    )
    result = invoke("doctor")
    (wrong,) = lines(result, "wrong")
    assert wrong.startswith(
        f"channel 'a' (kafka: a*): nobody can send here: accept is {accept}, and emit is none"
    )
    assert "channel default: emit none, accept optional" in lines(result, "ok")


def test_a_sender_that_cannot_be_read_is_a_warning_until_granted(
    starter: Path, invoke: Callable[..., Result]
) -> None:
    write_policy(starter, "channels: [{name: a, match: {kafka: [a]}, senders: [checkout, my-service]}]")
    invoke(
        *("keys", "grant", "my-service", "--tenant", "development", "--reads", "billing"),
        *("--roots", "keys/roots.json", "--out", "keys/my-service.json"),
    )
    (warning,) = lines(invoke("doctor"), "warning")
    assert warning.startswith(
        "channel 'a' (kafka: a): no valid key of 'checkout'; if this service consumes here"
    )
    remedy = shlex.split(warning.split("run: interceptors ")[1])
    assert invoke(*remedy, "--roots", "keys/roots.json").exit_code == 0
    assert lines(invoke("doctor"), "warning") == []
    assert [
        row.split()[1] for row in invoke("keys", "list", "keys/my-service.json").stdout.splitlines()[1:]
    ] == [
        "my-service",
        "billing",
        "checkout",
    ]


def test_a_sender_whose_key_is_revoked_is_a_warning(starter: Path, invoke: Callable[..., Result]) -> None:
    write_policy(starter, "default: {senders: [checkout]}")
    roots = ("--roots", "keys/roots.json")
    invoke("keys", "grant", "checkout", "--tenant", "development", "--out", "keys/checkout.json", *roots)
    own = ("--out", "keys/my-service.json")
    invoke("keys", "grant", "my-service", "--tenant", "development", "--reads", "checkout", *own, *roots)
    assert lines(invoke("doctor"), "warning") == []
    kid = LocalKeys("keys/checkout.json").sealing_key("development").kid.hex()
    invoke("keys", "revoke", kid, *roots)
    (warning,) = lines(invoke("doctor"), "warning")
    assert warning.startswith("channel default: no valid key of 'checkout'")


def test_a_channel_that_is_not_opened_needs_no_keys(starter: Path, invoke: Callable[..., Result]) -> None:
    write_policy(
        starter,
        "channels: [{name: a, match: {kafka: [a]}, accept: none}]\n"
        "default: {senders: [my-service], binding: message}",
    )
    result = invoke("doctor")
    assert lines(result, "warning") == []
    assert "channel 'a' (kafka: a): emit sealed, accept none" in lines(result, "ok")


def test_each_channel_is_shown_with_where_it_lies_on_each_bus(
    starter: Path, invoke: Callable[..., Result]
) -> None:
    write_policy(
        starter,
        "channels:\n"
        "- {name: a, match: {celery: [jobs], kafka: [a, 'a-*'], rabbitmq: [a.in]}}\n"
        "- {name: b, match: {rabbitmq: [b]}, accept: required}\n"
        "- {name: c, match: {celery: [c]}, lowest_level: type}",  # a level too tight for any other bus
    )
    assert lines(invoke("doctor"), "ok")[3:6] == [
        "channel 'a' (kafka: a, a-*; rabbitmq: a.in; celery: jobs): emit sealed, accept optional",
        "channel 'b' (rabbitmq: b): emit sealed, accept required",
        "channel 'c' (celery: c): emit sealed, accept optional",
    ]


@pytest.mark.parametrize(
    ("match", "rules", "warned"),
    [
        ("celery: [a]", "accept: reject", "write `binding: message`"),
        ("celery: [a]", "accept: reject, binding: type", "write `binding: message`"),
        ("celery: [a]", "accept: reject, binding: message, lowest_level: type", "raise `lowest_level`"),
        ("celery: [a]", "accept: reject, binding: message", None),
        ("celery: [a]", "accept: required", None),
        ("kafka: [a]", "accept: reject", None),
    ],
)
def test_a_celery_channel_that_refuses_without_binding_the_message_is_a_warning(
    starter: Path, invoke: Callable[..., Result], match: str, rules: str, warned: str | None
) -> None:
    write_policy(starter, f"channels: [{{name: a, match: {{{match}}}, {rules}}}]")
    warnings = lines(invoke("doctor"), "warning")
    assert len(warnings) == (warned is not None)
    for warning in warnings:
        assert warning.startswith("channel 'a' (celery: a): on Celery, accept reject lets a copied envelope")
        assert str(warned) in warning


@pytest.mark.parametrize(
    ("channels", "warned"),
    [
        ("", True),
        ("channels: [{name: a, match: {celery: [a]}, accept: optional}]", True),
        ("channels: [{name: a, match: {kafka: [a]}}]", False),
    ],
    ids=["no channel", "one of Celery's", "none of Celery's"],
)
def test_the_default_is_tried_as_celerys_unless_only_other_buses_are_listed(
    starter: Path, invoke: Callable[..., Result], *, channels: str, warned: bool
) -> None:
    write_policy(starter, f"{channels}\ndefault: {{accept: reject}}")
    warnings = [line.split(",")[0] for line in lines(invoke("doctor"), "warning")]
    assert warnings == ["channel default: on Celery"] * warned


@pytest.mark.parametrize(("match", "warned"), [("kafka: [a]", True), ("kafka: [a], celery: [a]", False)])
def test_task_metadata_of_a_channel_without_celery_is_a_warning(
    starter: Path, invoke: Callable[..., Result], *, match: str, warned: bool
) -> None:
    write_policy(starter, f"channels: [{{name: a, match: {{{match}}}, task_metadata: kept}}]")
    warnings = lines(invoke("doctor"), "warning")
    assert [warning.rsplit(": ", 1)[1] for warning in warnings] == [
        "`task_metadata` is Celery's, and `match` lists no queue of it; list one, or leave it out"
    ] * warned


@pytest.mark.parametrize(
    ("rules", "noted"),
    [
        ("match: {kafka: [a, 'x-*'], rabbitmq: [a]}, accept: reject", ["kafka: a:", "kafka: x-*:"]),
        ("match: {kafka: [a, 'x-*']}", []),
        ("match: {kafka: ['*'], celery: [a]}, accept: required", []),
        ("match: {opentelemetry: [carrier]}, max_age: 5m", []),
    ],
    ids=["other rules", "the same rules", "other places", "carriers"],
)
def test_a_place_of_channels_with_different_rules_is_a_note(
    starter: Path, invoke: Callable[..., Result], rules: str, noted: list[str]
) -> None:
    write_policy(
        starter, f"channels: [{{name: old, match: {{kafka: ['x-*', a, a]}}}}, {{name: new, {rules}}}]"
    )
    result = invoke("doctor")
    notes = lines(result, "note")
    assert sorted(note.split(" lies on ")[0] for note in notes) == noted
    assert all("different rules, 'old', 'new': producers go by the first" in note for note in notes)
    assert lines(result, "warning") == []


def test_what_does_not_open_again_is_wrong(
    starter: Path, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # a clock that has not been set
    wrong = lines(invoke("doctor"), "wrong")
    assert [line.rsplit(" (", 1)[0] for line in wrong] == [
        f"channel 'orders' ({STARTER}): what this service seals does not open again",
        "channel default: what this service seals does not open again",
    ]


@pytest.mark.parametrize(("installed", "status"), [(True, "ok"), (False, "warning")])
def test_payloads_that_are_scanned_by_the_slow_engine_are_a_warning(
    starter: Path,
    invoke: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    *,
    installed: bool,
    status: str,
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "interceptors.scan.hyperscan_engine", None)
    write_policy(starter, "default: {payload: {on_leak: observe}}")

    (said,) = [line for line in lines(invoke("doctor"), status) if "payloads:" in line]

    assert ("interceptors[scan]" in said) is not installed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("new/folder/spans.jsonl", "ok"),
        ("policy.yaml", "ok"),
        ("keys", "wrong"),
        ("policy.yaml/spans", "wrong"),
    ],
)
def test_the_export_is_tried_without_a_trace(
    starter: Path, invoke: Callable[..., Result], path: str, status: str
) -> None:
    replace(starter, "spans.jsonl", path)
    policy = (starter.parent / "policy.yaml").read_bytes()
    assert [line for line in lines(invoke("doctor"), status) if line.startswith(f"export: {path}: can")]
    assert not (starter.parent / "new").exists()
    assert (starter.parent / "policy.yaml").read_bytes() == policy


def test_no_export_is_a_warning(starter: Path, invoke: Callable[..., Result]) -> None:
    text = starter.read_text(encoding="utf-8")
    starter.write_text(text[: text.index("export:")], encoding="utf-8")
    (warning,) = lines(invoke("doctor"), "warning")
    assert warning.startswith("export: no spans are recorded")


BUS = "bus: {collector_key: collector.pub, kafka: {bootstrap_servers: 'localhost:9092', topic: spans}}"


@pytest.mark.parametrize(
    ("export", "status", "text"),
    [
        ("otlp: {}", "ok", "export: otlp: holds"),
        ("otlp: {endpoint: 'ftp://localhost'}", "wrong", "export: export.otlp.endpoint"),
        (BUS, "wrong", "export: collector.pub: can't be read"),
    ],
)
def test_an_export_to_elsewhere_is_built_as_the_service_would(
    starter: Path, invoke: Callable[..., Result], export: str, status: str, text: str
) -> None:
    starter.write_text(
        starter.read_text(encoding="utf-8").partition("export:")[0] + f"export: {{{export}}}\n", "utf-8"
    )
    result = invoke("doctor")
    (found,) = [line for line in lines(result, status) if line.startswith("export:")]
    assert found.startswith(text)
    assert not [line for line in lines(result, "warning") if line.startswith("export:")]


def test_a_broker_that_takes_headers_is_ok(starter: Path, invoke: Callable[..., Result]) -> None:
    with EmbeddedKafka() as kafka:
        result = invoke("doctor", starter, "--kafka", kafka.bootstrap_servers)
    assert lines(result, "ok")[-1] == f"kafka: {kafka.bootstrap_servers}: answers, and takes headers"
    assert lines(result, "wrong") == []


def test_a_broker_is_tried_though_the_configuration_does_not_hold(invoke: Callable[..., Result]) -> None:
    assert len(lines(invoke("doctor", "--kafka", "nowhere"), "wrong")) == 2


def test_a_broker_that_is_not_there_is_wrong(starter: Path, invoke: Callable[..., Result]) -> None:
    with closing(socket.socket()) as bound:  # bound, so that nobody else takes it; but nobody listens
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        (wrong,) = lines(invoke("doctor", starter, "--kafka", address), "wrong")
    assert wrong.startswith(f"kafka: {address}: can't be reached (Connection refused)")


@pytest.mark.parametrize("address", ["localhost", ":9092", "localhost:kafka", "localhost:65536"])
def test_an_address_without_host_and_port_is_wrong(
    starter: Path, invoke: Callable[..., Result], address: str
) -> None:
    (wrong,) = lines(invoke("doctor", starter, "--kafka", address), "wrong")
    assert wrong == f"kafka: {address!r} is no address; write it as host:port"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack(">iihi", 16, 0, 0, 1),
        struct.pack(">iihi", 10, 0, 35, 0),
    ],
    ids=["nothing", "HTTP", "cut off", "an error"],
)
def test_what_is_no_broker_is_wrong(
    starter: Path, invoke: Callable[..., Result], answering: Answering, answer: bytes
) -> None:
    address = answering(answer)
    (wrong,) = lines(invoke("doctor", starter, "--kafka", address), "wrong")
    assert wrong.startswith(f"kafka: {address}: no Kafka answers")


def test_a_broker_from_before_headers_is_wrong(
    starter: Path, invoke: Callable[..., Result], answering: Answering
) -> None:
    address = answering(struct.pack(">iihihhh", 16, 0, 0, 1, 0, 0, 2))
    (wrong,) = lines(invoke("doctor", starter, "--kafka", address), "wrong")
    assert wrong == f"kafka: {address}: has no headers; they need Kafka 0.11 or later"


@pytest.mark.usefixtures("starter")
def test_without_its_extra_it_says_what_to_install(spawn: Callable[..., CompletedProcess[str]]) -> None:
    result = spawn("doctor", "--kafka", "localhost:9092", without=("aiokafka",))
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.splitlines()[-1].endswith("pip install 'interceptors[kafka]'")


# --- trust, and what ends -----------------------------------------------------------------------------------


def at(days: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def excepted(days: float) -> str:
    return (
        "channels: [{name: orders, match: {kafka: [orders]}}]\n"
        "exceptions: [{id: EX-1, reason: a migration, requested_by: payments, approved_by: security, "
        f"channels: [orders], expires: '{at(days)}', rules: {{max_age: 9d}}}}]\n"
    )


@pytest.mark.parametrize(
    ("text", "warned", "noted"),
    [
        (f"expires: '{at(3)}'\n", ["policy: expires "], []),
        (f"expires: '{at(-1)}'\n", ["policy: expired "], []),
        (f"expires: '{at(100)}'\n", [], []),
        (excepted(3), ["exception EX-1 on orders: ends "], []),
        (excepted(100), [], ["exception EX-1 on orders: ends "]),
        (excepted(-1), [], []),
    ],
    ids=["expires-soon", "expired", "expires-late", "exception-ends-soon", "exception", "exception-over"],
)
def test_what_ends_soon_is_said(
    starter: Path, invoke: Callable[..., Result], text: str, warned: list[str], noted: list[str]
) -> None:
    write_policy(starter, text)
    result = invoke("doctor", starter)
    for status, expected in (("warning", warned), ("note", noted)):
        found = [line for line in lines(result, status) if line.startswith(("policy: ", "exception "))]
        assert len(found) == len(expected)
        assert all(line.startswith(begin) for line, begin in zip(found, expected, strict=True))


def test_it_says_by_whom_the_policy_is_signed_and_refuses_what_the_service_would(
    starter: Path, invoke: Callable[..., Result]
) -> None:
    folder = starter.parent
    write_signing_key(folder / "clerk.key", SigningKey(bytes(32)))
    invoke(
        "policy", "trust", "--policy", folder / "clerk.pub", "--threshold", 1, "--out", folder / "trust.yaml"
    )
    with starter.open("a", encoding="utf-8") as file:
        file.write("trust: trust.yaml\n")
    (wrong,) = lines(invoke("doctor", starter), "wrong")
    assert wrong.startswith("policy: ")
    assert "policy.yaml: not signed" in wrong

    write_policy(starter, "serial: 7\n")
    policy = folder / "policy.yaml"
    invoke("policy", "sign", policy, "--key", folder / "clerk.key", "--out", policy)
    result = invoke("doctor", starter)
    assert any(line.endswith("; serial 7, signed by clerk") for line in lines(result, "ok"))
    assert not policy.with_name("policy.yaml.seen").exists()


def test_an_audit_log_that_can_not_be_written_is_wrong(starter: Path, invoke: Callable[..., Result]) -> None:
    with starter.open("a", encoding="utf-8") as file:
        file.write("audit: {log: audit.jsonl}\n")
    log = starter.parent / "audit.jsonl"
    assert f"audit: {log}: can be written" in lines(invoke("doctor", starter), "ok")
    assert not log.exists()
    log.write_text("no record\n")
    assert any(
        line.startswith(f"audit: {log}: not a record") for line in lines(invoke("doctor", starter), "wrong")
    )
    log.unlink()
    log.symlink_to("missing/audit.jsonl")
    assert any(
        line.startswith(f"audit: {log}: can't be written (No such file")
        for line in lines(invoke("doctor", starter), "wrong")
    )
    log.unlink()
    log.mkdir()
    assert any(
        line.startswith(f"audit: {log}: can't be written")
        for line in lines(invoke("doctor", starter), "wrong")
    )
    replace(starter, "{log: audit.jsonl}", "{log: other.jsonl, key: missing.key}")
    assert any("missing.key: can't be read" in line for line in lines(invoke("doctor", starter), "wrong"))
