from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from typer.testing import Result

RAW = "from aiokafka import AIOKafkaProducer\n\nproducer = AIOKafkaProducer()\n"
LINE = (
    "shop.py:3:12: error: AIOKafkaProducer of aiokafka is not traced; give it to a wrapper of interceptors, "
    "or call instrument() of its bus [bus-not-traced]\n"
)


@pytest.fixture
def shop(folder: Path) -> Path:
    path = folder / "shop.py"
    path.write_text(RAW)
    return path


def test_a_finding_is_a_line_and_the_status_is_one(invoke: Callable[..., Result], shop: Path) -> None:
    result = invoke("check")
    assert (result.stdout, result.stderr, result.exit_code) == (LINE, "findings: 1\n", 1)
    assert invoke("check", "shop.py").stdout == LINE


def test_nothing_found_is_a_status_of_zero(invoke: Callable[..., Result], folder: Path) -> None:
    result = invoke("check")
    assert (result.stdout, result.stderr, result.exit_code) == ("", "findings: 0\n", 0)


def test_a_file_that_is_named_and_not_looked_at_is_wrong_use(
    spawn: Callable[..., CompletedProcess[str]], folder: Path
) -> None:
    (folder / "h.txt").write_text(RAW)
    result = spawn("check", "h.txt")
    assert (result.returncode, result.stdout) == (2, "")
    assert "h.txt: not looked at: " in result.stderr
    assert "findings: " not in result.stderr


def test_what_is_excluded_does_not_count(invoke: Callable[..., Result], shop: Path) -> None:
    assert invoke("check", "--exclude", "shop.*").exit_code == 0


@pytest.mark.parametrize(
    ("form", "count"),
    [
        ("json", lambda text: len(json.loads(text))),
        ("sarif", lambda text: len(json.loads(text)["runs"][0]["results"])),
        ("junit", lambda text: len(ET.fromstring(text).findall(".//failure"))),  # noqa: S314 - ours
        ("text", lambda text: text.count("\n")),
    ],
)
def test_a_report_goes_into_a_file(
    invoke: Callable[..., Result], shop: Path, form: str, count: Callable[[str], int]
) -> None:
    result = invoke("check", "--format", form, "--out", "report")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert count(Path("report").read_text()) == 1
    shown = invoke("check", "--format", form)
    assert shown.stdout == Path("report").read_text()


def test_what_is_in_the_baseline_does_not_count(invoke: Callable[..., Result], shop: Path) -> None:
    made = invoke("check", "--baseline", "baseline.json", "--write-baseline")
    assert (made.stdout, made.stderr, made.exit_code) == ("", "made baseline.json: findings: 1\n", 0)
    assert invoke("check", "--baseline", "baseline.json").exit_code == 0
    shop.write_text(f"{RAW}other = AIOKafkaProducer()\n")
    result = invoke("check", "--baseline", "baseline.json")
    assert (result.stdout.count("\n"), result.exit_code) == (1, 1)
    assert result.stdout.startswith("shop.py:4:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: there is no such file or folder"),
        (["--write-baseline"], "--write-baseline: say where with --baseline FILE"),
        (["--baseline", "none.json"], "none.json: it can't be read"),
        (["--out", "none/report"], "none/report: can't be written"),
        (["--mutate"], "--mutate: name one policy, a file"),
        (["--mutate", "."], "--mutate: name one policy, a file"),
        (["--mutate", "a.yaml", "b.yaml"], "--mutate: name one policy, a file"),
    ],
)
def test_wrong_use_is_a_status_of_two(
    invoke: Callable[..., Result], folder: Path, arguments: list[str], message: str
) -> None:
    result = invoke("check", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {message}")


def test_the_starter_says_what_is_missing(invoke: Callable[..., Result], starter: Path) -> None:
    result = invoke("check", "--format", "json")
    rules = {finding["rule"] for finding in json.loads(result.stdout)}
    # Who sends and who reads, nobody but the team can say.
    assert rules == {"channel-without-consumers", "channel-without-senders", "default-open"}


def test_mutation_tells_what_no_test_notices(invoke: Callable[..., Result], folder: Path) -> None:
    Path("policy.yaml").write_text("version: 1\ndefault:\n  accept: required\n  emit: sealed\n")
    Path("tests.py").write_text(
        "import sys\nsys.exit('accept: required' not in open('policy.yaml').read())\n"
    )
    command = f"'{sys.executable}' tests.py"
    result = invoke("check", "--mutate", "--test-command", command, "policy.yaml")
    assert result.stderr == "weakenings: 2, unnoticed: 1\nfindings: 1\n"
    assert result.stdout == (
        "policy.yaml:4:3: warning: no test notices default.emit: sealed → none; "
        "write a test that fails with it [weakening-unnoticed]\n"
    )
    assert result.exit_code == 1


def test_it_runs_without_a_bus_client(spawn: Callable[..., CompletedProcess[str]], shop: Path) -> None:
    done = spawn("check", without=("aiokafka", "aio_pika", "celery", "confluent_kafka"))
    assert (done.stdout, done.returncode) == (LINE, 1)
