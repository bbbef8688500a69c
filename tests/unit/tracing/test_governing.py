"""The policy in force follows its file, its exceptions and flags; what is refused is an alarm."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import ConfigurationError, Tracing
from interceptors.audit import AuditLog
from interceptors.keys import MemoryKeys
from interceptors.message import Message
from interceptors.policy import check_policy
from interceptors.policy.document import check_policy_document
from interceptors.spans import MemorySink
from interceptors.tracing import governing as governing_module
from interceptors.tracing.enhancing import LABELS, VERBOSE_SPANS
from interceptors.tracing.governing import REFUSED, Governing
from interceptors.tracing.policy_file import PolicyFile
from interceptors.tracing.tally import Tally
from interceptors.tracing.trusting import read_trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""
ENDS = 1_790_000_000_000
EXCEPTION = """
serial: {serial}
channels: [{{name: orders, match: {{kafka: [orders]}}, accept: reject}}]
exceptions:
- id: EX-1
  reason: a migration
  requested_by: payments
  approved_by: security
  channels: [orders]
  expires: 2026-09-21T14:13:20Z
  rules: {{accept: optional}}
"""


class Clock:
    """A clock that a test sets, in milliseconds."""

    def __init__(self) -> None:
        self.now = ENDS - 1000

    def __call__(self) -> int:
        return self.now * 10**6


class Governed:
    """A service whose policy is in a file, and what it says of that."""

    def __init__(self, signers: Any, *, audited: bool = True) -> None:
        self.clock = Clock()
        self.counts: Counter[str] = Counter()
        self.tally = Tally()
        self.log = signers.folder / "audit.jsonl"
        audit = AuditLog(self.log, actor="checkout", clock=self.clock) if audited else None
        file = PolicyFile(signers.policy, "staging", trust=read_trust(signers.trust))
        self.governing = Governing.of_file(file, "staging", self.clock, audit)
        self.governing.begin(self.counts, self.tally, None)

    @property
    def accept(self) -> str:
        return self.governing.in_force.policy.channels("kafka", "orders")[0].accept.value

    def labelled(self) -> bool:
        return self.governing.in_force.labelled

    def records(self) -> list[tuple[str, dict[str, Any]]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [(line["action"], line["details"]) for line in lines]


@pytest.fixture
def governed(signers: Any) -> Governed:
    return Governed(signers)


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about, and that tells nobody."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def test_a_changed_policy_is_taken_up_and_on_record_before(governed: Governed, signers: Any) -> None:
    assert (governed.accept, governed.tally.policy_serial) == ("optional", 1)
    signers.publish("serial: 2\ndefault: {accept: required}\n")
    governed.governing.look()
    assert (governed.accept, governed.tally.policy_serial) == ("required", 2)
    (_, first), (action, details) = governed.records()
    assert action == "policy.change"
    assert (first["serial"], details["serial"], details["signers"]) == (1, 2, ["privacy", "security"])
    assert len(details["digest"]) == 64
    governed.governing.look()
    assert (len(governed.records()), governed.counts) == (2, {})


def test_channels_of_a_new_policy_are_counted_by_name(governed: Governed, signers: Any) -> None:
    for number in range(2000):
        governed.tally.channels.of(f"unlisted-{number}")
    signers.publish("serial: 2\nchannels: [{name: refunds, match: {kafka: [refunds]}}]\n")
    governed.governing.look()
    assert governed.tally.channels.of("refunds") == "refunds"
    assert governed.tally.channels.of("another") == "(other)"


@pytest.mark.parametrize(
    ("text", "signed_by", "said", "problem"),
    [
        ("serial: 2\n", ["privacy"], "1 of the 2 signatures", "too few signatures"),
        ("serial: 2\nchanels: []\n", [], "chanels: unknown key", "PolicyError"),
        ("serial: 2\nexpires: 2020-01-01T00:00:00Z\n", [], "has expired", "expired"),
        ("default: {accept: none}\n", [], "a policy that is signed has a serial", "rolled back"),
    ],
)
def test_a_policy_that_does_not_count_is_an_alarm_once_and_the_last_one_stays(
    *,
    governed: Governed,
    signers: Any,
    caplog: pytest.LogCaptureFixture,
    text: str,
    signed_by: list[str],
    said: str,
    problem: str,
) -> None:
    before = governed.governing.in_force.policy
    signers.publish(text, *(getattr(signers, name) for name in signed_by))
    for _ in range(3):
        governed.governing.look()
    signers.policy.touch()
    governed.governing.look()
    (alarm,) = alarms(caplog)
    assert said in alarm
    assert governed.governing.in_force.policy is before
    assert (governed.counts[REFUSED], governed.tally.policies_refused) == (1, 1)
    (_, (action, details)) = governed.records()
    assert (action, details["problem"]) == ("policy.refused", problem)

    signers.publish("serial: 3\ndefault: {accept: required}\n")
    governed.governing.look()
    assert governed.accept == "required"


def test_each_bad_content_is_an_alarm_of_its_own(
    governed: Governed, signers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for serial in (2, 3):
        signers.publish(f"serial: {serial}\n", signers.privacy)
        governed.governing.look()
    assert (len(alarms(caplog)), governed.counts[REFUSED]) == (2, 2)


def test_the_policy_in_force_put_back_is_no_change_and_ends_the_alarm(
    governed: Governed, signers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        signers.publish("serial: 2\n", signers.privacy)
        governed.governing.look()
        signers.publish("serial: 1\n")
        governed.governing.look()
    assert len(alarms(caplog)) == 2
    assert [action for action, _ in governed.records()].count("policy.change") == 1


def test_a_file_that_is_gone_is_an_alarm_and_taken_up_once_it_is_back(
    governed: Governed, signers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    signers.policy.unlink()
    for _ in range(3):
        governed.governing.look()
    assert len(alarms(caplog)) == 1
    signers.publish("serial: 2\ndefault: {accept: required}\n")
    governed.governing.look()
    assert governed.accept == "required"


def test_a_change_that_can_not_be_put_on_record_waits_until_it_can(
    governed: Governed, signers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kept = governed.log.read_bytes()
    governed.log.unlink()
    governed.log.mkdir()
    signers.publish("serial: 2\ndefault: {accept: required}\n")
    for _ in range(3):
        governed.governing.look()
    assert (governed.accept, len(alarms(caplog)), governed.counts[REFUSED]) == ("optional", 1, 1)
    assert json.loads((signers.folder / "policy.yaml.seen").read_text())["serial"] == 1

    governed.log.rmdir()
    governed.log.write_bytes(kept)
    governed.log.chmod(0o600)
    governed.governing.look()
    assert (governed.accept, governed.records()[-1][1]["serial"]) == ("required", 2)


def test_what_was_seen_can_not_be_kept_is_tried_again_and_on_record_once(
    governed: Governed, signers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    signers.publish("serial: 2\ndefault: {accept: required}\n")
    with monkeypatch.context() as patch:
        patch.setattr("interceptors.tracing.policy_file.replace_file", full)
        for _ in range(3):
            governed.governing.look()
    assert (governed.accept, governed.counts[REFUSED]) == ("optional", 1)
    governed.governing.look()
    assert governed.accept == "required"
    actions = [(action, details.get("serial")) for action, details in governed.records()]
    assert actions == [("policy.change", 1), ("policy.change", 2), ("policy.refused", None)]


def test_nothing_begins_whose_beginning_can_not_be_put_on_record(signers: Any) -> None:
    (signers.folder / "audit.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match=r"policy\.yaml: .*audit\.jsonl: can't be written"):
        Governed(signers)
    assert not (signers.folder / "policy.yaml.seen").exists()


@pytest.mark.parametrize("audited", [True, False], ids=["audited", "not-audited"])
def test_an_exception_ends_by_itself_and_its_beginning_and_end_are_on_record(
    signers: Any, caplog: pytest.LogCaptureFixture, *, audited: bool
) -> None:
    signers.publish(EXCEPTION.format(serial=1))
    governed = Governed(signers, audited=audited)
    assert governed.accept == "optional"
    governed.governing.look()
    governed.clock.now = ENDS - 1
    assert governed.accept == "optional"
    governed.clock.now = ENDS
    assert governed.accept == "reject"  # nothing has looked since
    with caplog.at_level(logging.INFO, "interceptors"):
        governed.governing.look()
        governed.governing.look()
    assert caplog.messages.count("the exception EX-1 of the policy has ended") == 1
    governed.clock.now = ENDS - 1
    assert governed.accept == "reject"
    if audited:
        (_, change), *exceptions = governed.records()
        assert change["exceptions"] == ["EX-1"]
        assert exceptions == [
            (
                "policy.exception",
                {
                    "id": "EX-1",
                    "state": "in force",
                    "channels": ["orders"],
                    "approved_by": "security",
                    "expires": "2026-09-21T14:13:20Z",
                },
            ),
            ("policy.exception", {"id": "EX-1", "state": "ended"}),
        ]


def test_an_end_that_can_not_be_put_on_record_is_an_end_all_the_same(
    signers: Any, caplog: pytest.LogCaptureFixture
) -> None:
    signers.publish(EXCEPTION.format(serial=1))
    governed = Governed(signers)
    governed.log.unlink()
    governed.log.mkdir()
    governed.clock.now = ENDS
    governed.governing.look()
    assert governed.accept == "reject"
    (alarm,) = alarms(caplog)
    assert alarm.startswith("the end of an exception is not on record: ")


def test_an_exception_of_a_policy_that_is_taken_up_later_ends_too(governed: Governed, signers: Any) -> None:
    signers.publish(EXCEPTION.format(serial=2))
    governed.governing.look()
    assert governed.accept == "optional"
    governed.clock.now = ENDS
    assert governed.accept == "reject"


class Flags:
    """Flags as a test sets them."""

    def __init__(self, **values: object) -> None:
        self.values = values

    def look(self) -> None:
        """Nothing is to be asked."""


LABELLED = """
serial: {serial}
default: {{labels: {{region: {{values: [eu]}}}}}}
enhancements: {{labels: {{environments: [{where}]}}}}
"""


def test_flags_count_where_the_policy_in_force_lets_them(signers: Any) -> None:
    signers.publish(LABELLED.format(serial=1, where="staging"))
    governed = Governed(signers)
    assert not governed.labelled()
    flags: Any = Flags(**{LABELS: True})
    governed.governing.begin(governed.counts, governed.tally, flags)
    assert governed.labelled()
    signers.publish(LABELLED.format(serial=2, where="development"))
    governed.governing.look()
    assert not governed.labelled()
    signers.publish(LABELLED.format(serial=3, where="development, staging"))
    governed.governing.look()
    assert governed.labelled()
    flags.values = {}
    governed.governing.look()
    assert not governed.labelled()


def test_a_flag_that_is_turned_off_while_a_policy_is_taken_up_is_off(signers: Any) -> None:
    signers.publish(LABELLED.format(serial=1, where="development"))
    governed = Governed(signers)

    class TurnedOff(Flags):
        def look(self) -> None:
            self.values = {}

    flags: Any = TurnedOff(**{LABELS: True})
    governed.governing._flags = flags
    signers.publish(LABELLED.format(serial=2, where="staging"))
    governed.governing.look()
    assert not governed.labelled()


def test_what_looks_into_spans_is_made_before_a_new_policy_is_taken_up(
    governed: Governed, signers: Any
) -> None:
    in_force = governed.governing.in_force
    signers.publish("serial: 2\n")
    governed.governing.look()
    assert "inspector" not in vars(in_force.policy.spans)
    assert in_force.policy.spans.inspector is not None
    signers.publish(EXCEPTION.format(serial=3))
    governed.governing.look()
    assert "inspector" in vars(in_force.policy.spans)
    governed.clock.now = ENDS
    assert "inspector" in vars(in_force.policy.spans)


def test_a_compiled_policy_and_a_document_need_no_looking_at() -> None:
    clock = Clock()
    policy = check_policy({"version": 1}, "policy")
    governing = Governing.of_policy(policy, clock)
    governing.begin(Counter(), Tally(), None)
    governing.look()
    assert governing.in_force.policy is policy

    document = check_policy_document({"version": 1, "default": {"accept": "none"}}, "policy")
    governing = Governing.of_document(document, "policy", "staging", clock)
    governing.look()
    assert governing.in_force.policy.channels("kafka", "orders")[0].accept == "none"


# --- of a whole tracing -------------------------------------------------------------------------------------


@pytest.fixture
def tracing(signers: Any, sink: MemorySink) -> Iterator[Callable[..., Tracing]]:
    """Makes a tracing whose policy is in a file."""
    made: list[Tracing] = []

    def make(**options: Any) -> Tracing:
        file = PolicyFile(signers.policy, "staging", trust=read_trust(signers.trust))
        clock = options.pop("clock", Clock())
        made.append(
            Tracing(
                service="checkout",
                tenant="acme",
                policy=Governing.of_file(file, "staging", clock),
                keys=MemoryKeys("checkout"),
                environment="staging",
                clock=clock,
                sink=sink,
                **options,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


def test_sending_and_receiving_follow_the_policy(
    tracing: Callable[..., Tracing], signers: Any, tmp_path: Path
) -> None:
    assert tmp_path == signers.folder
    service = tracing()
    message = Message("kafka", "orders", b"2 apples", coordinate=("orders", 0, 1))
    assert service.send(message).envelope is not None
    assert service.receive(message, consumer="c").verdict is None
    signers.publish("serial: 2\ndefault: {emit: none, accept: required}\n")
    service._governing.look()
    assert service.policy.channels("kafka", "orders")[0].emit == "none"
    sending = service.send(message)
    assert (sending.envelope, sending.seals) == (None, False)
    assert service.receive(message, consumer="c").verdict == "missing"


def test_a_message_meets_an_exceptions_end_to_the_millisecond(
    tracing: Callable[..., Tracing], signers: Any
) -> None:
    signers.publish(EXCEPTION.format(serial=1))
    clock = Clock()
    service = tracing(clock=clock)
    message = Message("kafka", "orders", b"2 apples", coordinate=("orders", 0, 1))
    clock.now = ENDS - 1
    assert not service.receive(message, consumer="c").rejected
    clock.now = ENDS
    assert service.receive(message, consumer="c").rejected


def test_spans_say_how_large_messages_are_where_a_flag_asks_for_it(
    tracing: Callable[..., Tracing], signers: Any, sink: MemorySink
) -> None:
    signers.publish("serial: 1\nenhancements: {verbose_spans: {environments: [staging]}}\n")
    service = tracing()
    flags: Any = Flags(**{VERBOSE_SPANS: True})

    def exchange() -> None:
        message = Message("kafka", "orders", b"2 apples", coordinate=("orders", 0, 1))
        sending = service.send(message)
        sending.end()
        _, spans = service.send_batch([(message, service.origin())])
        for span in spans:
            span.end()
        received = message._replace(envelopes=(sending.envelope,))
        with service.process("kafka", service.receive(received, consumer="c")):
            pass
        service.flush()

    exchange()
    assert {span.body_size for span in sink.spans} == {None}
    sink.spans.clear()
    service._governing.begin(service.counts, Tally(), flags)
    exchange()
    sizes = {span.operation.name: span.body_size for span in sink.spans}
    assert sizes == {"SEND": 8, "CREATE": 8, "SEND_BATCH": None, "PROCESS": 8}


def test_keys_that_fail_keep_no_policy_from_being_taken_up(
    tracing: Callable[..., Tracing], signers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tracing()

    def fail() -> None:
        raise OSError

    monkeypatch.setattr(service._keyring, "refresh", fail)
    signers.publish("serial: 2\ndefault: {accept: required}\n")
    service._outboxes.keeper.work_once()
    until(lambda: service.policy.channels("kafka", "orders")[0].accept == "required")


def test_an_audit_log_that_hangs_keeps_no_revocation_waiting(
    tracing: Callable[..., Tracing], signers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tracing()
    hanging, release = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hanging.set()
        release.wait(PATIENCE)

    monkeypatch.setattr(governing_module, "_record", hang)
    signers.publish("serial: 2\ndefault: {accept: required}\n")
    service._outboxes.keeper.work_once()
    assert hanging.wait(PATIENCE)
    with service.send(Message("kafka", "orders")) as sending:
        assert sending.envelope is not None
    (key,) = service._keyring.sealing_keys()
    provider: Any = service._keyring._provider
    provider.revoke(key.kid)
    service._outboxes.keeper.work_once()
    assert service._keyring.keys.revoked == {key.kid}
    assert service.policy.channels("kafka", "orders")[0].accept == "optional"
    release.set()
    until(lambda: service.policy.channels("kafka", "orders")[0].accept == "required")


def test_a_child_that_is_forked_in_the_midst_of_a_change_takes_it_up_by_itself(
    governed: Governed, signers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    signers.publish("serial: 2\ndefault: {accept: required}\n")

    def fork(*_: object) -> None:
        raise _ForkedError

    for place in ("_record", "_warm"):  # the thread that is at it is not in the child
        with monkeypatch.context() as patch:
            patch.setattr(governing_module, place, fork)
            with pytest.raises(_ForkedError):
                governed.governing.look()
        governed.governing.in_child()
        assert governed.accept == "optional"
    governed.governing.look()
    assert governed.accept == "required"


class _ForkedError(Exception):
    """Stands for the end of a thread."""
