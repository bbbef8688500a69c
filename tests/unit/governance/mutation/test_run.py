from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from interceptors import ConfigurationError
from interceptors.governance.mutation import Outcome, try_weakenings

POLICY = """\
version: 1
channels:
  - name: orders
    match: {kafka: [orders]}
    accept: required
    binding: message
"""
ASKS_FOR_ACCEPT = """\
import os, sys, pathlib, yaml
text = pathlib.Path({path}).read_text()
channels = yaml.safe_load(text).get("channels", [{{}}])
sys.exit(channels[0].get("accept") != "required")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "shop"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "policy.yaml").write_text(POLICY)
    (here / ".venv").mkdir()
    (here / ".venv" / "large").touch()
    return here


def command(path: str = "'policy.yaml'", text: str = ASKS_FOR_ACCEPT) -> str:
    """Write what stands for a user's tests, and give the command that runs it."""
    Path("tests.py").write_text(text.format(path=path))
    return f"'{sys.executable}' tests.py"


def tried(words: str, *, timeout: float = 60) -> Outcome:
    return try_weakenings(Path("policy.yaml"), words, timeout=timeout)


@pytest.mark.parametrize("path", ["'policy.yaml'", "os.environ['INTERCEPTORS_POLICY']"])
def test_what_no_test_notices_is_told_with_its_line(path: str) -> None:
    outcome = tried(command(path))
    assert outcome.tried == 3
    assert [(finding.path, finding.line, finding.what) for finding in outcome.unnoticed] == [
        ("policy.yaml", 6, "no test notices channels.orders.binding: message → channel"),
        ("policy.yaml", 6, "no test notices channels.orders.binding: message → type"),
    ]


def test_no_file_is_changed_and_nothing_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = folder.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    writes = "import pathlib\npathlib.Path('left').touch()\n" + ASKS_FOR_ACCEPT
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    tried(command(text=writes))
    (folder / "tests.py").unlink()
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert list(temporary.iterdir()) == []


def test_a_policy_that_is_a_link_is_left_as_it_is(folder: Path) -> None:
    (folder / "policy.yaml").rename(folder / "kept.yaml")
    (folder / "policy.yaml").symlink_to("kept.yaml")
    assert tried(command()).tried == 3
    assert (folder / "kept.yaml").read_text() == POLICY


def test_folders_of_others_are_not_copied() -> None:
    refuses = "import os, sys\nif os.path.exists('.venv'): sys.exit(0)\n" + ASKS_FOR_ACCEPT
    assert tried(command(text=refuses)).tried == 3  # had it been there, nothing would have been read


def test_tests_that_fail_as_it_is_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="fails with the policy as it is"):
        tried(command(text="raise SystemExit(1)"))


def test_tests_that_do_not_read_the_policy_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"passes without a policy.*INTERCEPTORS_POLICY names"):
        tried(command(text="raise SystemExit(0)"))


def test_a_run_that_takes_too_long_has_noticed_and_is_ended_with_all_that_it_started(folder: Path) -> None:
    pids = folder / "pids"
    hangs = (
        "import os, pathlib, subprocess, sys, yaml\n"
        "said = yaml.safe_load(pathlib.Path('policy.yaml').read_text())\n"
        "if not said['version']: sys.exit(1)\n"
        f"if said['channels'][0]['accept'] == 'required': sys.exit(0)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        f"pathlib.Path({str(pids)!r}).write_text(f'{{{{os.getpid()}}}} {{{{child.pid}}}}')\n"
        "child.wait()\n"
    )
    outcome = tried(command(text=hangs), timeout=3)
    assert (outcome.tried, len(outcome.unnoticed)) == (3, 2)
    for pid in map(int, pids.read_text().split()):
        state = Path(f"/proc/{pid}/stat")
        assert not state.exists() or re.search(r"\) [ZX] ", state.read_text())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "write a command"),
        ("'", "write a command"),
        ("./none --quiet", r"\./none can't be run \(No such file or directory\)"),
    ],
)
def test_a_command_that_can_not_be_run_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^--test-command: {message}"):
        tried(words)


def test_a_policy_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    with pytest.raises(ConfigurationError, match="it lies outside of the current folder"):
        try_weakenings(Path("..") / "policy.yaml", "true", timeout=60)


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    try_weakenings(
        Path("policy.yaml"), command(), timeout=60, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_the_tests_have_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SHOP", "open")
    asks = "import os, sys\nif os.environ.get('SHOP') != 'open': sys.exit(1)\n" + ASKS_FOR_ACCEPT
    assert tried(command(text=asks)).tried == 3
