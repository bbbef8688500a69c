"""A server as a child process, whose data and log are in a temporary folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .readiness import wait_ready

if TYPE_CHECKING:
    from .kind import Kind

_START_SECONDS = 60
_TAIL_LINES = 40


def _known(user: str | None) -> str | None:
    """The user to start a server as: the one asked for, where that is possible, otherwise who we are."""
    known = os.geteuid() == 0 and user in {entry.pw_name for entry in pwd.getpwall()}
    return user if known else None


class _Child:
    """A command that runs at most once at a time."""

    def __init__(self, command: tuple[str, ...], *, home: Path, user: str | None, log: Path) -> None:
        self._command = command
        self._home = home
        self._user = user
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Start it, unless it runs."""
        if self.running:
            return
        with self._log.open("ab") as log:
            # In a session of its own, so that Ctrl-C reaches the tests first, and they end it.
            self._process = subprocess.Popen(  # noqa: S603 - ours
                self._command,
                cwd=self._home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """What it ended with, if it has."""
        return self._process.returncode if self._process else None

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process and self.running:
            os.killpg(self._process.pid, signal.SIGKILL)  # a script must not leave what it waits for
            self._process.wait()


class NativeServer:
    """A server on loopback."""

    def __init__(self, kind: Kind) -> None:
        """Fetch what is missing and set the server up; it does not run yet.

        Raises:
            RuntimeError: see `Kind.fetch`.
        """
        self._kind = kind
        self._home = Path(tempfile.mkdtemp(prefix=f"{kind.name.lower()}-"))
        self._log = self._home / "server.log"
        try:
            launch = kind.launch(self._home)
        except RuntimeError:
            shutil.rmtree(self._home)
            raise
        user = _known(kind.user)
        if user:
            shutil.chown(self._home, user, user)
        self._address = launch.address
        self._environment = os.environ | launch.environment
        self._server = _Child(launch.command, home=self._home, user=user, log=self._log)
        self._helper = (
            _Child(launch.helper, home=self._home, user=user, log=self._log) if launch.helper else None
        )

    @property
    def address(self) -> str:
        """See `Server`."""
        return self._address

    def start(self) -> None:
        """See `Server`. The error of a start that fails ends with the last lines of the log."""
        if self._server.running:
            return
        if self._helper:
            self._helper.start(self._environment)
        self._server.start(self._environment)
        try:
            wait_ready(self._kind, self._address, timeout=_START_SECONDS, check=self._check_running)
        except TimeoutError as error:
            self.kill()
            raise RuntimeError(f"{self._kind.name} did not become ready:\n{self._log_tail()}") from error

    def _check_running(self) -> None:
        if not self._server.running:
            raise RuntimeError(f"{self._kind.name} ended with {self._server.status}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def kill(self) -> None:
        """See `Server`."""
        self._server.kill()

    def stop(self) -> None:
        """See `Server`. Its data is not wanted any more, so that SIGKILL is good enough."""
        self.kill()
        if self._helper:
            self._helper.kill()
        shutil.rmtree(self._home, ignore_errors=True)
