"""`interceptors eval`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from typer.testing import Result

TEXT = "4111 1111 1111 1111"
RECORDS = (
    {"id": "found", "text": f"card {TEXT}", "labels": [{"class": "payment.card", "start": 5, "end": 24}]},
    {"id": "missed", "text": "card none", "labels": [{"class": "payment.card", "start": 5, "end": 9}]},
    {"id": "false", "text": f"card {TEXT}", "labels": []},
)
PEERS = ("presidio_analyzer", "detect_secrets", "datafog")


@pytest.fixture
def data(folder: Path) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    return path


def test_it_prints_a_table(invoke: Callable[..., Result], data: Path) -> None:
    result = invoke("eval", data)
    assert result.exit_code == 0
    assert ["payment.card", "2", "1", "1", "1", "0.500", "0.500", "0.500"] in [
        line.split() for line in result.stdout.splitlines()
    ]


def test_it_prints_json(spawn: Callable[..., CompletedProcess[str]], data: Path) -> None:
    result = spawn("eval", data, "--json")
    (ours,) = json.loads(result.stdout)["subjects"]
    assert ours["micro"] == {"found": 1, "missed": 1, "false": 1, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert [mistake["record"] for mistake in (*ours["missed"], *ours["false"])] == ["missed", "false"]


def test_it_writes_a_report(invoke: Callable[..., Result], folder: Path, data: Path) -> None:
    assert invoke("eval", data, "--report", "report.md").exit_code == 0
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "| missed | payment.card | 5 to 9 |  |" in report
    assert "| false | payment.card | 5 to 24 | card_number |" in report


@pytest.mark.parametrize("options", [[], ["--json"], ["--report", "report.md"]])
def test_it_never_shows_the_text(
    invoke: Callable[..., Result], folder: Path, data: Path, options: list[str]
) -> None:
    result = invoke("eval", data, *options)
    written = [path.read_text(encoding="utf-8") for path in folder.glob("*.md")]
    assert not any(TEXT in shown or "1111" in shown for shown in (result.output, *written))


def test_peers_that_are_not_installed_are_said_to_be(
    spawn: Callable[..., CompletedProcess[str]], data: Path
) -> None:
    result = spawn("eval", data, "--peers", without=PEERS)
    assert result.returncode == 0
    for name in ("Presidio", "detect-secrets", "DataFog"):
        assert f"{name} is not installed, and was left out" in result.stdout


def test_without_peers_none_is_imported(spawn: Callable[..., CompletedProcess[str]], data: Path) -> None:
    assert "not installed" not in spawn("eval", data, without=PEERS).stdout


def test_data_that_can_not_be_used_is_told_by_file_and_line(
    invoke: Callable[..., Result], data: Path
) -> None:
    data.write_text('{"text": "a"}\n{"text": 1}\n', encoding="utf-8")
    result = invoke("eval", data)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {data}:2: give either `text` or `base64`, and that as a text\n"


def test_a_report_that_can_not_be_written_is_told(invoke: Callable[..., Result], data: Path) -> None:
    result = invoke("eval", data, "--report", "nowhere/report.md")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: nowhere/report.md: No such file or directory; give --report another place\n"
    )
