"""Kafka as a child process: Java and Maven from Debian where they are missing, the jars from Maven."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from .ports import free_ports
from .readiness import wait_ready
from .settings import broker_settings

_POM = Path(__file__).parent / "kafka" / "pom.xml"
_PACKAGES = {"java": "default-jre-headless", "mvn": "maven"}
_START_SECONDS = 60
_STOP_SECONDS = 30
_TAIL_LINES = 40


def fetch() -> Path:
    """Have Java and the jars on this machine, and say where the jars are.

    Fetches at most once for each content of the pom: the folder is named for it, and appears only complete.

    Raises:
        RuntimeError: something can't be fetched; the text says what to do about it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interceptors-tests"
    jars = cache / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    missing = {tool for tool in ("java", "mvn") if not shutil.which(tool)}
    if jars.is_dir():
        missing.discard("mvn")
    if missing:
        _install_packages(sorted(_PACKAGES[tool] for tool in missing))
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            # A copy, so that Maven leaves nothing of its own in the repository.
            pom = str(shutil.copy(_POM, scratch))
            fetched = Path(scratch) / "jars"
            _run(
                *("mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", pom),
                *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"),
            )
            try:
                fetched.rename(jars)
            except OSError:
                if not jars.is_dir():  # otherwise somebody else was faster with the same
                    raise
    return jars


def _install_packages(packages: list[str]) -> None:
    names = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(
            f"a native Kafka needs {names}, which only root can install with apt-get. Either install that"
            " (Java 17 or later, and Maven), or start Docker, or name a broker in KAFKA_BOOTSTRAP_SERVERS,"
            " or leave out what needs one with BROKERS=none"
        )
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages)


def _run(*command: str) -> None:
    """Run a command that says nothing unless it fails, in which case what it said is in the error."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


class NativeKafka:
    """A broker on loopback, with its data and its log in a temporary folder of its own."""

    def __init__(self) -> None:
        """Fetch what is missing and set the broker up; it does not run yet.

        Raises:
            RuntimeError: see `fetch`.
        """
        self._java = (
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{fetch()}/*",
        )
        self._home = Path(tempfile.mkdtemp(prefix="kafka-"))
        self._properties = self._home / "server.properties"
        self._log = self._home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        port, controller_port = free_ports(2)
        self._bootstrap_servers = f"127.0.0.1:{port}"
        settings = broker_settings(port=port, controller_port=controller_port, listen_on="127.0.0.1")
        settings["log.dirs"] = str(self._home / "data")
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        try:
            cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            tool = ("kafka.tools.StorageTool", "format", "--cluster-id", cluster)
            _run(*self._java, *tool, "--config", str(self._properties))
        except RuntimeError:
            self.stop()
            raise

    @property
    def bootstrap_servers(self) -> str:
        """See `KafkaServer`."""
        return self._bootstrap_servers

    def start(self) -> None:
        """See `KafkaServer`. The error of a start that fails ends with the last lines of the log."""
        if self._process and self._process.poll() is None:
            return
        with self._log.open("ab") as log:
            # In a session of its own, so that Ctrl-C reaches the tests first, and they end the broker.
            self._process = subprocess.Popen(  # noqa: S603 - ours
                [*self._java, "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_ready(self._bootstrap_servers, timeout=_START_SECONDS, check=self._check_running)
        except TimeoutError as error:
            self.kill()
            raise RuntimeError(f"Kafka did not become ready:\n{self._log_tail()}") from error

    def _check_running(self) -> None:
        if self._process and self._process.poll() is not None:
            raise RuntimeError(f"Kafka ended with {self._process.returncode}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def kill(self) -> None:
        """See `KafkaServer`."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """See `KafkaServer`."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.start()

    def stop(self) -> None:
        """See `KafkaServer`. Its data is not wanted any more, so that SIGKILL is good enough."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)
