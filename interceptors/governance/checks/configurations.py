"""What is wrong with the configurations of services, and with key files that lie in the tree."""

from __future__ import annotations

import contextlib
import fnmatch
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from interceptors.errors import ConfigurationError, SignatureError
from interceptors.governance.checks.document import Document
from interceptors.governance.checks.finding import Finding, Rule, Severity
from interceptors.governance.checks.policy_file import invalid
from interceptors.policy import PolicyDocument
from interceptors.policy.signed import is_signed
from interceptors.policy.yaml_document import DocumentError, parse_document
from interceptors.signatures import parse_signed
from interceptors.tracing.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interceptors.governance.checks.document import Step
    from interceptors.governance.checks.files import File

INVALID = Rule(
    "configuration-invalid",
    Severity.ERROR,
    "a configuration that can't be used",
    "The service does not start with it.",
    "mend it; `interceptors doctor` shows the same error",
)
UNSIGNED = Rule(
    "policy-unsigned",
    Severity.ERROR,
    "a policy that nobody has signed, in production",
    "Whoever can write to the deployment decides what may be traced.",
    "sign it with `interceptors policy sign`, and name the signed file",
)
DEVELOPMENT = Rule(
    "development-in-production",
    Severity.ERROR,
    "keys or a tenant for development, in production",
    "Such keys are made on somebody's machine and shared.",
    "grant the service keys of the production's own roots",
)
UNBOUNDED = Rule(
    "environment-unnamed",
    Severity.WARNING,
    "an environment that the policy has no bounds for, where it has some for others",
    "A slip in the name, and what nobody may go below there doesn't hold.",
    "name the environment as the policy does, or give it an entry under `environments`",
)
OTLP = Rule(
    "otlp-in-clear",
    Severity.ERROR,
    "spans that leave in clear",
    "Whoever is on the way reads them, and can write others.",
    "give an https:// address, or one of a collector on this host",
)
BUS = Rule(
    "bus-export-in-clear",
    Severity.WARNING,
    "a broker that spans are sent to over a connection in clear",
    "The batches are sealed; name and password of the connection, and who sends how much, are not.",
    "use TLS: SASL_SSL or SSL, or amqps://",
)
CREDENTIAL = Rule(
    "credential-in-configuration",
    Severity.ERROR,
    "a password in a configuration",
    "Whoever reads the repository, now or later, has it.",
    "leave it to the environment (INTERCEPTORS_BUS_URL), and change the one that stood here",
)
OPEN_KEYS = Rule(
    "key-file-readable",
    Severity.ERROR,
    "a key file that others may read",
    "Every user of the machine can open, and forge, what the keys are for; and it is refused when loaded.",
    "chmod 600 it, and rotate its keys",
)
COMMITTED = Rule(
    "key-file-committed",
    Severity.ERROR,
    "a key file in the repository's tree that git does not ignore",
    "Whoever reads the repository, now or later, has the keys.",
    "list it in .gitignore, take it out of the history, and rotate its keys",
)
RULES = (INVALID, UNSIGNED, DEVELOPMENT, UNBOUNDED, OTLP, BUS, CREDENTIAL, OPEN_KEYS, COMMITTED)

_PRODUCTION = "prod"
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")
_DEVELOPMENT = ("dev", "development", "example", "local", "localhost", "sandbox", "test", "testing")
_IN_CLEAR = ("PLAINTEXT", "SASL_PLAINTEXT")


def check_configuration(file: File) -> Iterator[Finding]:
    """Find what is wrong with a configuration."""
    for finding in _found(file):
        # The key alone: of a line with a short password, which YAML needs no quotes for, a baseline must not
        # hold a digest.
        yield finding._replace(text=finding.text.partition(":")[0])


def _found(file: File) -> Iterator[Finding]:
    try:
        parse_document(Configuration, file.text, file.shown)
    except DocumentError as error:
        yield invalid(INVALID, file.shown, file.text, str(error))
        return
    document = Document(file.shown, file.text)
    said = yaml.safe_load(file.text)
    named = _environments(file.path.parent / str(said["policy"]))
    if named and str(said.get("environment", "development")).casefold() not in named:
        key = "environment" if "environment" in said else "policy"
        yield document.finding(UNBOUNDED, (key,), "the policy's `environments` doesn't name the environment")
    if str(said.get("environment", "")).casefold().startswith(_PRODUCTION):
        yield from _production(document, said, file.path)
    yield from _export(document, said.get("export", {}))


def _environments(policy: Path) -> set[str]:
    """Give the environments that a policy has bounds for; none where it can't be read."""
    with contextlib.suppress(OSError, SignatureError, ConfigurationError, UnicodeDecodeError):
        content = policy.read_bytes()
        text = parse_signed(content).payload if is_signed(content) else content
        found = parse_document(PolicyDocument, text.decode(), str(policy))
        return {name.casefold() for name in found.environments}
    return set()


def _production(document: Document, said: dict[str, Any], path: Path) -> Iterator[Finding]:
    policy = path.parent / str(said["policy"])
    try:
        signed = is_signed(policy.read_bytes())
    except OSError:
        signed = True  # it is put there later
    if not signed:
        yield document.finding(UNSIGNED, ("policy",), "the policy is not signed")
    keys = said["keys"]
    file = keys.get("file", "") if isinstance(keys, dict) else keys
    for key, name in (("tenant", said["tenant"]), ("keys", file)):
        words = (
            str(name).lower().replace("/", " ").replace("-", " ").replace("_", " ").replace(".", " ").split()
        )
        if not set(words).isdisjoint(_DEVELOPMENT):
            yield document.finding(DEVELOPMENT, (key,), f"`{key}` is named for development")


def _export(document: Document, export: dict[str, Any]) -> Iterator[Finding]:
    otlp: tuple[Step, ...] = ("export", "otlp", "endpoint")
    endpoint = str((export.get("otlp") or {}).get("endpoint") or "")
    if _scheme(endpoint) == "http" and not _is_loopback(endpoint):
        yield document.finding(OTLP, otlp, "the endpoint is reached without TLS")
    bus = export.get("bus") or {}
    kafka, rabbitmq = bus.get("kafka") or {}, bus.get("rabbitmq") or {}
    protocol = str(kafka.get("security_protocol", "PLAINTEXT"))
    if kafka and protocol in _IN_CLEAR and not _is_loopback(f"kafka://{kafka['bootstrap_servers']}"):
        key = "security_protocol" if "security_protocol" in kafka else "bootstrap_servers"
        yield document.finding(BUS, ("export", "bus", "kafka", key), "the broker is reached without TLS")
    url = str(rabbitmq.get("url") or "")
    if _scheme(url) == "amqp" and not _is_loopback(url):
        yield document.finding(BUS, ("export", "bus", "rabbitmq", "url"), "the broker is reached without TLS")
    for steps, address in ((otlp, endpoint), (("export", "bus", "rabbitmq", "url"), url)):
        if "@" in address.partition("://")[2].partition("/")[0]:
            yield document.finding(CREDENTIAL, steps, "the address holds a password")


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower()


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return host.startswith(_LOOPBACK)


def check_keys(file: File) -> Iterator[Finding]:
    """Find what is wrong with where a key file lies."""
    mode = stat.S_IMODE(file.path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(file.shown, 1, 1, OPEN_KEYS, f"its mode is {mode:04o}")
    folders = list(file.path.resolve().parents)
    top = next((number for number, folder in enumerate(folders) if (folder / ".git").exists()), None)
    if top is not None and not any(_ignores(folder, file.path.resolve()) for folder in folders[: top + 1]):
        yield Finding(file.shown, 1, 1, COMMITTED, "no .gitignore lists it")


def _ignores(folder: Path, path: Path) -> bool:
    """Tell whether a folder's .gitignore lists a file: by its name, its path, or a folder that it is in."""
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    within = path.relative_to(folder)
    parts = [within, *within.parents[:-1]]
    for line in lines:
        glob = line.strip().removeprefix("/").removesuffix("/").removeprefix("**/")
        if not glob or glob.startswith(("#", "!")):
            continue
        if any(
            fnmatch.fnmatch(part.as_posix(), glob) or ("/" not in glob and fnmatch.fnmatch(part.name, glob))
            for part in parts
        ):
            return True
    return False
