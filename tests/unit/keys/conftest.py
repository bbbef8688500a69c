"""Key files to read, and what a keyring makes of envelopes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.audit import AuditLog, parse_entry
from interceptors.context import new_root
from interceptors.envelope import Binding, Candidate, Level, Opener
from interceptors.errors import EnvelopeError
from interceptors.keys import KeyAdministration
from interceptors.testing.key_wrapping import MemoryWrapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from interceptors.keys import Keyring

NOW = 1_790_000_000_000
BINDING = Binding("orders")


@pytest.fixture
def entry() -> Callable[..., dict[str, Any]]:
    """Makes an entry of a key file; what is not given is a sealing key of `checkout` for `acme`."""

    def make(**fields: Any) -> dict[str, Any]:
        usual = {"tenant": "acme", "sender": "checkout", "sender_key": "11" * 32, "use": "seal"}
        return usual | fields

    return make


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a key file of `checkout`, anew each time (another inode), and gives its path."""
    path = tmp_path / "keys.json"

    def write(*entries: dict[str, Any], **fields: Any) -> Path:
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps({"service": "checkout", "keys": entries} | fields))
        return new.replace(path)

    return write


@pytest.fixture
def administration(tmp_path: Path) -> KeyAdministration:
    """An administration whose tenant `acme` has a root."""
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    return administration


@pytest.fixture
def seal() -> Callable[..., bytes]:
    """Seals an envelope with a keyring, for `acme` if no other tenant is given."""

    def seal(keyring: Keyring, tenant: str = "acme") -> bytes:
        sealer = keyring.sealer(tenant, NOW)
        assert sealer is not None
        return sealer.seal(new_root(), Level.CHANNEL, BINDING, NOW).envelope

    return seal


@pytest.fixture
def opens() -> Callable[[Keyring, bytes], str]:
    """Opens an envelope with a keyring: gives its sender, or the answer why it does not open."""

    def opens(keyring: Keyring, envelope: bytes) -> str:
        kid = envelope[2:18]
        if keyring.wants(kid, NOW):
            keyring.fetch(kid, NOW)
        try:
            return Opener().open(envelope, keyring.keys, [Candidate(BINDING)]).sender
        except EnvelopeError as error:
            return error.answer.value

    return opens


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[Any]]]:
    """Runs a function in a thread, and gives its future."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.fixture
def wrapping() -> MemoryWrapping:
    """What gives a wrapper by its URI; keys wrapped under one URI are not unwrapped under another one."""
    return MemoryWrapping()


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    """An audit log."""
    return AuditLog(tmp_path / "audit.jsonl", actor="operator")


@pytest.fixture
def recorded(audit: AuditLog) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """Gives action and details of each record in the audit log."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        if not audit.path.exists():
            return []
        entries = [parse_entry(line) for line in audit.path.read_bytes().splitlines()]
        return [(entry.action, dict(entry.details)) for entry in entries]

    return read


@pytest.fixture
def administer(tmp_path: Path, audit: AuditLog, wrapping: MemoryWrapping) -> Callable[..., KeyAdministration]:
    """Opens the administration of `roots.json`, with the audit log and the wrapping of the test."""

    def open_(clock: Callable[[], float] = lambda: 1_000_000) -> KeyAdministration:
        return KeyAdministration(tmp_path / "roots.json", audit=audit, wrappers=wrapping, clock=clock)

    return open_
