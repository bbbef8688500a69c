"""Running a user's tests on a copy of their tree, whose policy is weakened."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError
from interceptors.governance.checks.files import EXCLUDED
from interceptors.governance.checks.finding import Finding, Rule, Severity
from interceptors.governance.mutation.weakenings import weakenings
from interceptors.tracing.configuration import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNNOTICED = Rule(
    "weakening-unnoticed",
    Severity.WARNING,
    "a weakening of the policy that no test notices",
    "Somebody can make it, by mistake or not, and everything stays green.",
    "write a test that fails with it",
)
VARIABLE = "INTERCEPTORS_POLICY"
"""Where the tests are told the path of the policy that they are to load."""

_NOTHING = "version: 0 # no policy: tests that pass all the same do not read it\n"


class Outcome(NamedTuple):
    """What the tests made of the weakenings."""

    tried: int
    unnoticed: tuple[Finding, ...]


def try_weakenings(
    policy: Path, command: str, *, timeout: float, progress: Callable[[int, int], None] | None = None
) -> Outcome:
    """Weaken a policy, one change at a time, and run the tests each time.

    The tests run in a copy of the current folder; no file of it is changed. They find the policy where it
    lies in the copy, or where the variable `INTERCEPTORS_POLICY` says.

    Args:
        policy: the policy, below the current folder.
        command: what runs the tests, such as `pytest -q tests/policy`. No shell reads it.
        timeout: how long one run may take, in seconds. A run that takes longer has noticed.
        progress: told how many were tried, and of how many, before each.

    Returns:
        Which were not noticed.

    Raises:
        ConfigurationError: a policy that does not hold or lies elsewhere, a command that can't be run, and
            tests that fail with the policy as it is or pass without any.
        PolicyError: the policy does not hold.
    """
    here = Path.cwd().resolve()
    if not policy.resolve().is_relative_to(here):
        msg = f"{policy}: it lies outside of the current folder, which is what is copied; run this above it"
        raise ConfigurationError(msg)
    words = _words(command)
    text = read_text(policy, "interceptors init")
    changes = weakenings(text, str(policy))
    lines = text.splitlines()
    with tempfile.TemporaryDirectory(prefix="interceptors-check-") as folder:
        copy = Path(folder).resolve() / (here.name or "copy")
        shutil.copytree(
            here, copy, symlinks=True, ignore=shutil.ignore_patterns(*EXCLUDED), ignore_dangling_symlinks=True
        )
        target = copy / policy.resolve().relative_to(here)
        run = _Run(words, copy, target, timeout)
        if not run.passes(text):
            msg = f"{command}: fails with the policy as it is; mend the tests, or give --timeout more seconds"
            raise ConfigurationError(msg)
        if run.passes(_NOTHING):
            msg = (
                f"{command}: passes without a policy, so that it does not read {policy}; let the tests load "
                f"the file that {VARIABLE} names, or find it from the current folder"
            )
            raise ConfigurationError(msg)
        unnoticed = []
        for number, change in enumerate(changes):
            if progress is not None:
                progress(number, len(changes))
            if run.passes(change.text):
                what = f"no test notices {change.what}"
                shown = Path(os.path.relpath(policy)).as_posix()
                text_of_line = lines[change.line - 1]
                unnoticed.append(Finding(shown, change.line, change.column, UNNOTICED, what, text_of_line))
    return Outcome(len(changes), tuple(unnoticed))


def _words(command: str) -> Sequence[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise ConfigurationError('--test-command: write a command, such as "pytest -q tests/policy"')
    return words


class _Run(NamedTuple):
    """How the tests are run."""

    words: Sequence[str]
    folder: Path
    policy: Path
    timeout: float

    def passes(self, text: str) -> bool:
        """Run the tests with a policy, and tell whether all is well.

        Raises:
            ConfigurationError: the command can't be run.
        """
        self.policy.unlink()  # it may be a link to the original
        self.policy.write_text(text, encoding="utf-8")
        environment = os.environ | {VARIABLE: str(self.policy), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command
                self.words,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that what it starts can be ended as well
            )
        except OSError as error:
            msg = f"--test-command: {self.words[0]} can't be run ({error.strerror}); give one that can"
            raise ConfigurationError(msg) from None
        with process:
            try:
                return process.wait(self.timeout) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended
                    os.killpg(process.pid, signal.SIGKILL)
