from __future__ import annotations

import shlex
import stat
from typing import TYPE_CHECKING

import pytest

from interceptors import Tracing
from interceptors.keys import LocalKeys
from interceptors.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from typer.testing import Result

FILES = ["interceptors.yaml", "policy.yaml", "keys/roots.json", "keys/my-service.json"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_it_makes_these_files_and_no_others(
    folder: Path, spawn: Callable[..., CompletedProcess[str]]
) -> None:
    result = spawn("init")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        *(f"made {file}" for file in FILES),
        "next: interceptors doctor interceptors.yaml",
    ]
    assert set(contents(folder)) == {*FILES, "keys/.gitignore"}


def test_keys_are_for_their_owner_and_not_for_git(starter: Path) -> None:
    keys = starter.parent / "keys"
    assert [stat.S_IMODE(file.stat().st_mode) for file in keys.glob("*.json")] == [0o600, 0o600]
    assert (keys / ".gitignore").read_text(encoding="utf-8") == "*.json\n"


@pytest.mark.parametrize(
    ("service", "tenant"), [("my-service", "development"), ("Küche: a 'b' # c", 'x\\"y {z}'), ("yes", "1")]
)
def test_what_it_makes_seals_and_opens(
    folder: Path, invoke: Callable[..., Result], service: str, tenant: str
) -> None:
    assert invoke("init", "deep/er", "--service", service, "--tenant", tenant).exit_code == 0
    with Tracing.from_file(folder / "deep" / "er" / "interceptors.yaml") as tracing:
        envelope = tracing.send(Message("kafka", "orders", b"")).envelope
        receipt = tracing.receive(Message("kafka", "orders.retry", b"", envelopes=(envelope,)), consumer="c")
    assert (receipt.verdict, receipt.channel.name) == ("fresh", "orders")
    assert (receipt.sender, receipt.tenant) == (service, tenant)


def test_the_export_that_it_proposes_holds(starter: Path, invoke: Callable[..., Result]) -> None:
    text = starter.read_text(encoding="utf-8")
    starter.write_text(text.replace("# otlp:", "otlp:"), encoding="utf-8")
    assert "export: otlp: holds" in invoke("doctor").stdout


@pytest.mark.usefixtures("starter")
def test_the_doctor_finds_nothing_wrong_with_it(invoke: Callable[..., Result]) -> None:
    result = invoke("doctor")
    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"ok"}


def test_a_second_time_it_keeps_everything(starter: Path, invoke: Callable[..., Result]) -> None:
    before = contents(starter.parent)
    result = invoke("init")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:-1] == [f"kept {file}: it was there already" for file in FILES]
    assert contents(starter.parent) == before


@pytest.mark.parametrize("there", FILES)
def test_what_is_there_is_kept_and_named(folder: Path, invoke: Callable[..., Result], there: str) -> None:
    (folder / "keys").mkdir()
    (folder / there).write_text("mine", encoding="utf-8")
    result = invoke("init")
    assert result.exit_code == 1
    assert f"kept {there}: it was there already" in result.stdout.splitlines()
    assert (folder / there).read_text(encoding="utf-8") == "mine"
    made = {line.removeprefix("made ") for line in result.stdout.splitlines() if line.startswith("made ")}
    together = set(FILES[2:]) if there in FILES[2:] else {there}
    assert made == set(FILES) - together
    assert made <= set(contents(folder))


def test_keys_that_were_not_made_come_of_the_command_that_it_names(
    starter: Path, invoke: Callable[..., Result]
) -> None:
    said = invoke("init", "--service", "a 'b'").stdout.splitlines()
    (missing,) = [line for line in said if line.startswith("not made ")]
    reason, command = missing.split("; run: interceptors ")
    assert reason == "not made keys/a 'b'.json: keys/roots.json was there already"
    assert invoke(*shlex.split(command)).exit_code == 0
    assert LocalKeys(starter.parent / "keys" / "a 'b'.json").sealing_key("development").sender == "a 'b'"


def test_roots_are_not_made_beside_keys_of_other_roots(folder: Path, invoke: Callable[..., Result]) -> None:
    (folder / "keys").mkdir()
    (folder / "keys" / "my-service.json").write_text("mine", encoding="utf-8")
    reason = "keys/my-service.json was there already, and belongs to other roots"
    assert f"not made keys/roots.json: {reason}" in invoke("init").stdout.splitlines()


@pytest.mark.parametrize("before", ["other\n", "other", "*.json\nother\n"])
def test_a_list_of_what_git_ignores_is_extended(
    folder: Path, invoke: Callable[..., Result], before: str
) -> None:
    ignored = folder / "keys" / ".gitignore"
    ignored.parent.mkdir()
    ignored.write_text(before, encoding="utf-8")
    assert invoke("init").exit_code == 0
    assert sorted(ignored.read_text(encoding="utf-8").splitlines()) == ["*.json", "other"]


@pytest.mark.parametrize(
    "words", [["--service", "a/b"], ["--service", "roots"], ["--service", ""], ["--tenant", ""], ["file"]]
)
def test_wrong_use_writes_nothing(folder: Path, invoke: Callable[..., Result], words: list[str]) -> None:
    (folder / "file").touch()
    result = invoke("init", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert contents(folder) == {"file": b""}


def test_a_folder_that_takes_no_files_is_named(folder: Path, invoke: Callable[..., Result]) -> None:
    (folder / "keys" / ".gitignore").mkdir(parents=True)
    result = invoke("init")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: keys/.gitignore: can't be written")
