"""A revocation reaches a running service by itself, once its key file is there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import interceptors
from interceptors import Tracing, Verdict
from interceptors.errors import Answer
from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.message import Message
from interceptors.policy import check_policy
from interceptors.spans import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interceptors.pipeline import Receipt
    from interceptors.spans import Span, SpanSink

ORDERS = Message("kafka", "orders")
PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


class Clock:
    """Shows the time, and what a pause added to it."""

    ahead_s = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_s * 1_000_000_000


class HangingSink(MemorySink):
    """A sink that is stuck in its first export until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = threading.Event()
        self.release = threading.Event()

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        self.stuck.set()
        self.release.wait(PATIENCE)
        return super().export(spans, timeout)


@pytest.fixture
def administration(tmp_path: Path) -> KeyAdministration:
    """An administration that has granted `checkout` and `billing`, which reads it, their keys for `acme`."""
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", [], tmp_path / "checkout.json")
    administration.grant("billing", "acme", ["checkout"], tmp_path / "billing.json")
    return administration


@pytest.fixture
def running(administration: KeyAdministration, tmp_path: Path) -> Iterator[Callable[..., Tracing]]:
    """Starts a service on its key file."""
    services: list[Tracing] = []

    def start(service: str, sink: SpanSink | None = None, clock: Callable[[], int] = time.time_ns) -> Tracing:
        assert administration.services("acme") >= {service}
        tracing = Tracing(
            service=service,
            tenant="acme",
            policy=check_policy({"version": 1}, "policy"),
            keys=LocalKeys(tmp_path / f"{service}.json"),
            sink=sink,
            clock=clock,
        )
        services.append(tracing)
        return tracing

    yield start
    for tracing in services:
        tracing.close(0)


def sealed(tracing: Tracing) -> bytes | None:
    wanted = tracing.sealing_key_wanted()
    if wanted is not None:
        wanted()
    with tracing.send(ORDERS) as sending:
        return sending.envelope


def received(tracing: Tracing, envelope: bytes | None, consumer: str) -> Receipt:
    assert envelope is not None
    wanted = tracing.opening_keys_wanted([envelope])
    if wanted is not None:
        wanted()
    return tracing.receive(ORDERS._replace(envelopes=(envelope,)), consumer=consumer)


def run(script: str, folder: Path) -> None:
    """Run a script in another process, which exits with 0."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(interceptors.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about, and that tells nobody."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline


def test_a_running_reader_and_a_running_sender_take_a_revocation_up_by_themselves(
    administration: KeyAdministration, running: Callable[..., Tracing]
) -> None:
    checkout, billing = running("checkout"), running("billing")
    envelope = sealed(checkout)
    assert received(billing, envelope, "before").verdict is Verdict.FRESH

    administration.revoke_sender("checkout", "acme", reason="a test")

    until(lambda: received(billing, envelope, "after").answer is Answer.REVOKED_KEY)
    assert received(billing, envelope, "later").verdict is Verdict.INVALID
    until(lambda: sealed(checkout) is None)
    # And a new epoch, too: the sender seals again, and is believed again.
    administration.rotate("acme", now=True)
    until(lambda: sealed(checkout) is not None)
    until(lambda: received(billing, sealed(checkout), "again").verdict is Verdict.FRESH)
    assert received(billing, envelope, "still").answer is Answer.REVOKED_KEY


def hold(wanted: Callable[[], object] | None) -> None:
    """Fetch a key, as before a message that then doesn't come: so no thread has begun to look for changes."""
    assert wanted is not None
    wanted()


@pytest.mark.parametrize("ended", [False, True])
def test_a_service_that_nothing_looks_for_believes_and_seals_nothing_under_what_was_revoked(
    administration: KeyAdministration, running: Callable[..., Tracing], *, ended: bool
) -> None:
    clock = Clock()
    sender, idle_sender, idle_reader = (
        running("checkout"),
        *(running(service, clock=clock) for service in ("checkout", "billing")),
    )
    envelope = sealed(sender)
    hold(idle_sender.sealing_key_wanted())
    hold(idle_reader.opening_keys_wanted([envelope]))
    if ended:  # the thread that looked is gone, and nobody has noticed
        gone = threading.Thread()
        gone.start()
        gone.join()
        for tracing in (idle_sender, idle_reader):
            tracing._outboxes.keeper._thread = gone
    administration.revoke_sender("checkout", "acme", reason="a test")
    clock.ahead_s = 10

    assert sealed(idle_sender) is None
    assert received(idle_reader, envelope, "first").answer is Answer.REVOKED_KEY
    # And so it goes on, message by message.
    administration.rotate("acme", now=True)
    clock.ahead_s = 20
    assert received(idle_reader, sealed(idle_sender), "second").verdict is Verdict.FRESH


def test_after_its_close_a_service_looks_no_more(
    administration: KeyAdministration, running: Callable[..., Tracing]
) -> None:
    clock = Clock()
    checkout = running("checkout", clock=clock)
    hold(checkout.sealing_key_wanted())
    checkout.close()
    administration.revoke_sender("checkout", "acme", reason="a test")
    clock.ahead_s = 10
    assert sealed(checkout) is not None


def test_an_exporter_that_hangs_keeps_no_revocation_up(
    administration: KeyAdministration, running: Callable[..., Tracing]
) -> None:
    sink = HangingSink()
    checkout, billing = running("checkout"), running("billing", sink=sink)
    envelope = sealed(checkout)
    with billing.process("kafka", received(billing, envelope, "before")):
        pass
    assert sink.stuck.wait(PATIENCE)
    administration.revoke_sender("checkout", "acme", reason="a test")
    until(lambda: received(billing, envelope, "after").answer is Answer.REVOKED_KEY)
    sink.release.set()


def test_a_withdrawn_service_seals_nothing_more_and_opens_nothing_more(
    administration: KeyAdministration, running: Callable[..., Tracing]
) -> None:
    checkout, billing = running("checkout"), running("billing")
    envelope = sealed(checkout)
    assert received(billing, envelope, "before").verdict is Verdict.FRESH
    administration.withdraw("billing")
    until(lambda: sealed(billing) is None)
    until(lambda: received(billing, envelope, "after").answer is Answer.UNKNOWN_KEY)
    assert sealed(checkout) is not None


def test_a_forked_child_takes_a_revocation_up_whose_parent_was_in_use(
    administration: KeyAdministration, tmp_path: Path
) -> None:
    script = """
        import os, sys, time, warnings
        from interceptors import Tracing
        from interceptors.keys import KeyAdministration, LocalKeys
        from interceptors.message import Message
        from interceptors.policy import check_policy

        warnings.simplefilter("ignore", DeprecationWarning)  # `os.fork` beside a thread, from 3.12 on
        tracing = Tracing(
            service="checkout",
            tenant="acme",
            policy=check_policy({"version": 1}, "policy"),
            keys=LocalKeys("checkout.json"),
        )
        orders = Message("kafka", "orders")
        assert tracing.send(orders).envelope is not None
        pid = os.fork()
        if pid == 0:
            assert tracing.send(orders).envelope is not None
            KeyAdministration("roots.json").revoke_sender("checkout", "acme", reason="a test")
            # It sends and receives nothing meanwhile: it is its thread that has to see it.
            deadline = time.monotonic() + 30
            while not tracing._keyring.keys.revoked and time.monotonic() < deadline:
                pass
            os._exit(tracing.send(orders).envelope is not None)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert administration.files()
    run(script, tmp_path)


def test_the_first_message_of_a_forked_child_is_sealed_under_nothing_that_was_revoked_meanwhile(
    administration: KeyAdministration, tmp_path: Path
) -> None:
    script = """
        import os, sys, time
        from interceptors import Tracing
        from interceptors.keys import KeyAdministration, LocalKeys
        from interceptors.message import Message
        from interceptors.policy import check_policy

        ahead_s = 0
        tracing = Tracing(
            service="checkout",
            tenant="acme",
            policy=check_policy({"version": 1}, "policy"),
            keys=LocalKeys("checkout.json"),
            clock=lambda: time.time_ns() + ahead_s * 1_000_000_000,
        )
        tracing.sealing_key_wanted()()  # the parent holds the key, and has met no message
        tracing._looking._beginning.acquire()  # as another thread of the parent may have
        pid = os.fork()
        if pid == 0:
            KeyAdministration("roots.json").revoke_sender("checkout", "acme", reason="a test")
            ahead_s = 10
            tracing.sealing_key_wanted()()
            os._exit(tracing.send(Message("kafka", "orders")).envelope is not None)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert administration.files()
    run(script, tmp_path)
