from __future__ import annotations

import errno
import gzip
import importlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from interceptors.scan import DETECTORS, Inspector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from typer.testing import Result

scan_module = importlib.import_module("interceptors.cli.scan")  # the package has the function by that name

CLEAN = b'{"id": 1, "state": "paid"}\n'
LEAK = b'{"id": 2, "customer": {"email": "user@example.com"}}\n'
ADDRESS = b"user@example.com"
REASON = next(detector.reason for detector in DETECTORS if detector.name == "email")


@pytest.fixture(autouse=True, scope="module")
def _compiled_once() -> Any:
    """What is on where nothing is said, compiled for all tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        default = Inspector()
        patch.setattr("interceptors.scanning.declared.Inspector", default.with_limits)
        yield


@pytest.fixture
def orders(folder: Path) -> Path:
    path = folder / "orders.jsonl"
    path.write_bytes(CLEAN + LEAK)
    return path


def findings(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_finding_is_a_line_that_says_where_and_why_and_never_what(
    invoke: Callable[..., Result], orders: Path
) -> None:
    result = invoke("scan", "orders.jsonl")
    assert result.exit_code == 1
    assert result.stdout == f"orders.jsonl:1  $.customer.email  personal.email  email  {REASON}\n"
    assert result.stderr == "findings: 1\n"


def test_a_finding_as_json(invoke: Callable[..., Result], orders: Path) -> None:
    result = invoke("scan", orders, "--json")
    start = LEAK.index(ADDRESS)
    assert findings(result) == [
        {
            "file": str(orders),
            "record": 1,
            "path": "$.customer.email",
            "start": start,
            "end": start + len(ADDRESS),
            "detector": "email",
            "class": "personal.email",
            "validation": "pattern",
            "reason": REASON,
        }
    ]
    assert (result.exit_code, result.stderr) == (1, "")
    assert ADDRESS.decode() not in result.output


def test_a_clean_file_is_exit_status_0(invoke: Callable[..., Result], folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(CLEAN)
    result = invoke("scan", "a.jsonl")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "findings: 0\n")


def test_what_cannot_be_read_is_told_at_the_end_and_costs_no_other_file(
    invoke: Callable[..., Result], orders: Path
) -> None:
    result = invoke("scan", "missing", orders, "--json")
    assert result.exit_code == 2
    assert [finding["record"] for finding in findings(result)] == [1]
    assert result.stderr.startswith("error: missing: No such file or directory; ")


def test_a_folder_and_standard_input(invoke: Callable[..., Result], orders: Path) -> None:
    packed = orders.parent / "z" / "b.log.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(b"started\n\nmail to " + ADDRESS + b"\n"))
    result = invoke("scan", ".", "-", "--json", stdin=LEAK)
    assert [(finding["file"], finding["record"], finding["start"]) for finding in findings(result)] == [
        ("./orders.jsonl", 1, LEAK.index(ADDRESS)),
        ("./z/b.log.gz", 2, len("mail to ")),
        ("-", 0, LEAK.index(ADDRESS)),
    ]


def test_a_summary_counts(invoke: Callable[..., Result], orders: Path) -> None:
    orders.write_bytes(LEAK * 3)
    result = invoke("scan", orders, "--summary")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["class", "detector", "count"],
        ["personal.email", "email", "3"],
    ]
    assert result.exit_code == 1
    assert findings(invoke("scan", orders, "--summary", "--json")) == [
        {"class": "personal.email", "detector": "email", "count": 3}
    ]


def test_a_format_goes_before_the_name(invoke: Callable[..., Result], orders: Path) -> None:
    (finding,) = findings(invoke("scan", orders, "--json", "--format", "bytes"))
    assert (finding["record"], finding["start"]) == (0, len(CLEAN) + LEAK.index(ADDRESS))
    assert invoke("scan", orders, "--format", "no-format").exit_code == 2


def test_what_a_policy_declares_does_not_count(invoke: Callable[..., Result], orders: Path) -> None:
    (orders.parent / "policy.yaml").write_text(
        "version: 1\n"
        "channels:\n"
        "  - name: orders\n"
        "    match: {kafka: [orders]}\n"
        "    payload: {allow: [{class: email, path: $.customer.email}]}\n",
        encoding="utf-8",
    )
    assert invoke("scan", orders, "--policy", "policy.yaml", "--channel", "orders").exit_code == 0
    assert invoke("scan", orders, "--policy", "policy.yaml").exit_code == 1
    orders.write_bytes(b'{"seller": "user@example.com"}')
    assert invoke("scan", orders, "--policy", "policy.yaml", "--channel", "orders").exit_code == 1


def test_a_policy_that_cannot_be_used_is_an_error(invoke: Callable[..., Result], orders: Path) -> None:
    result = invoke("scan", orders, "--policy", "missing.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "missing.yaml" in result.stderr


def test_all_detectors_are_listed(invoke: Callable[..., Result]) -> None:
    result = invoke("scan", "--list")
    listed = {tuple(line.split()[:4]) for line in result.stdout.splitlines()[1:]}
    assert listed == {
        (each.class_, each.name, "on" if each.default else "off", str(each.validation)) for each in DETECTORS
    }
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((), "name files, folders, - or kafka://host:port/topic"),
        (("a", "--channel", "orders"), "--policy"),
        (("a", "--property", "hunter2"), "write each as NAME=VALUE"),
        (("kafka://user:hunter2@broker:9092/orders",), "kafka://host:port[,host:port]/topic"),
    ],
)
def test_wrong_use_is_told_with_the_way_out_and_no_secret(
    invoke: Callable[..., Result], arguments: tuple[str, ...], remedy: str
) -> None:
    result = invoke("scan", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert remedy in result.stderr
    assert "hunter2" not in result.stderr


def test_a_topic_and_a_file_in_one_run(
    invoke: Callable[..., Result], orders: Path, embedded_kafka: str
) -> None:
    topic = f"scan-{orders.parent.name}"
    producer = Producer({"bootstrap.servers": embedded_kafka, "log_level": 0})
    producer.list_topics(topic, 10.0)
    producer.produce(topic, LEAK.strip(), partition=1, headers={"x-user": ADDRESS})
    producer.flush()
    address = f"kafka://{embedded_kafka}/{topic}"
    options = ("--group", topic, "--property", "fetch.wait.max.ms=50")
    result = invoke("scan", address, orders, "--json", *options)
    assert (result.exit_code, result.stderr) == (1, "")
    file, *rest = findings(result)
    assert file["file"] == str(orders)
    names = ("file", "partition", "offset", "part", "path")
    assert [tuple(finding[name] for name in names) for finding in rest] == [
        (address, 1, 0, "body", "$.customer.email"),
        (address, 1, 0, "headers", "headers.x-user"),
    ]


def test_a_scan_that_is_interrupted_is_an_error(
    invoke: Callable[..., Result], orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scan_module, "scan_targets", interrupted)
    result = invoke("scan", orders)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "error: interrupted; not all was scanned"


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 2), (errno.EPIPE, 1)])
def test_an_output_that_cannot_be_written_is_an_error_unless_nobody_reads_on(
    invoke: Callable[..., Result], orders: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def unwritable(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(scan_module, "scan_targets", unwritable)
    result = invoke("scan", orders)
    assert result.exit_code == status
    assert ("give it another place" in result.stderr) is (status == 2)


@pytest.mark.parametrize("kind", ["terminal", "file"])
def test_there_is_a_bar_only_on_a_terminal(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return kind == "terminal" and self is stderr

    stdout, stderr = Stream(), Stream()
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    with scan_module._progress(100) as advanced:
        advanced(100)
        sys.stdout.write("a line\n")
    assert stdout.getvalue() == "a line\n"
    assert ("100%" in stderr.getvalue()) is (kind == "terminal")


def test_files_are_scanned_without_the_client_of_kafka_and_topics_name_its_extra(
    spawn: Callable[..., CompletedProcess[str]], orders: Path
) -> None:
    result = spawn("scan", "kafka://broker:9092/orders", orders, "--json", without=("confluent_kafka",))
    assert result.returncode == 2
    assert json.loads(result.stdout)["detector"] == "email"
    assert "interceptors[confluent]" in result.stderr
