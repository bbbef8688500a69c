"""What one service remembers of what it has received."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from interceptors.context import new_root
from interceptors.keys import Keyring, MemoryKeys
from interceptors.message import Message
from interceptors.policy import check_policy
from interceptors.replay import Verdict
from interceptors.spans import Recorder
from interceptors.tracing.hooks import Labelling
from interceptors.tracing.in_force import InForce
from interceptors.tracing.receiver import Receiver
from interceptors.tracing.sealing import Sealing
from interceptors.tracing.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_790_000_000_000
POLICY = check_policy(
    {
        "version": 1,
        "channels": [
            {"name": "orders", "match": {"rabbitmq": ["orders", "checkout"]}},
            {"name": "strict", "match": {"rabbitmq": ["strict"]}, "accept": "reject"},
        ],
    },
    "policy",
)


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring(MemoryKeys("checkout"))


@pytest.fixture
def receiver(keyring: Keyring, counts: Counter[str]) -> Receiver:
    return Receiver(
        InForce.always(POLICY, lambda: NOW * 10**6),
        keyring,
        Labelling(None, counts, lambda _: None),
        Recorder("billing", [], lambda: NOW * 10**6),
        counts,
        Tally(),
        tenant="acme",
    )


@pytest.fixture
def sealed(keyring: Keyring) -> Callable[[str], Message]:
    """Makes messages of an exchange, as its queue has them."""
    sealing = Sealing(keyring, Counter(), Tally())

    def make(exchange: str, queue: str = "") -> Message:
        channel = POLICY.channels("rabbitmq", exchange)[0]
        envelope = sealing.seal(Message("rabbitmq", exchange), new_root(), channel, "acme", NOW).envelope
        assert envelope is not None
        queue = queue or exchange
        return Message("rabbitmq", queue, envelopes=(envelope,), coordinate=(queue,), via=exchange)

    return make


def test_verdicts_other_than_fresh_are_counted(
    receiver: Receiver, sealed: Callable[..., Message], counts: Counter[str]
) -> None:
    message = sealed("orders")._replace(redelivered=False)
    seen = [
        receiver.receive(
            message._replace(redelivered=redelivered), consumer="workers", now=NOW + after
        ).verdict
        for redelivered, after in ((False, 0), (True, 1), (False, 2), (False, 120_001), (True, 120_002))
    ]
    assert seen == ["fresh", "redelivery", "duplicate", "replay", "replay"]
    assert counts == {"redelivery": 1, "duplicate": 1, "replay": 2}


def test_what_the_channel_of_the_exchange_says_counts_for_a_queue_that_nobody_lists(
    receiver: Receiver, sealed: Callable[..., Message], counts: Counter[str]
) -> None:
    receipt = receiver.receive(sealed("checkout", "mailer"), consumer="workers", now=NOW)
    assert (receipt.channel.name, receipt.verdict) == ("orders", Verdict.FRESH)
    # What was routed to a listed queue is held to that queue's channel.
    spliced = receiver.receive(sealed("checkout", "strict"), consumer="workers", now=NOW)
    assert (spliced.channel.name, spliced.verdict, spliced.rejected) == ("strict", Verdict.INVALID, True)
    assert counts == {"invalid": 1, "rejected": 1}


def test_a_refusal_is_counted_and_logged_without_what_the_message_holds(
    receiver: Receiver, counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "interceptors"):
        receiver.receive(Message("rabbitmq", "strict", b"4711", "4711", "4711"), consumer="w", now=NOW)
    assert counts == {"missing": 1, "rejected": 1}
    assert caplog.messages == ["channel 'strict' rejects a message: missing"]


def test_consumers_remember_apart_and_a_forgotten_one_starts_anew(
    receiver: Receiver, sealed: Callable[..., Message]
) -> None:
    message = sealed("orders")

    def verdicts() -> list[Verdict | None]:
        return [receiver.receive(message, consumer=name, now=NOW).verdict for name in ("a", "b")]

    assert verdicts() == [Verdict.FRESH] * 2
    receiver.forget("a")
    receiver.forget("nobody")
    assert verdicts() == [Verdict.FRESH, Verdict.REDELIVERY]


def test_in_a_child_it_receives_though_another_thread_held_its_lock(
    receiver: Receiver, sealed: Callable[..., Message]
) -> None:
    receiver._receiving.acquire()
    receiver.in_child()
    assert receiver.receive(sealed("orders"), consumer="workers", now=NOW).verdict is Verdict.FRESH


def test_what_does_not_open_is_said_once_for_each_channel_and_reason(
    receiver: Receiver,
    counts: Counter[str],
    sealed: Callable[[str], Message],
    caplog: pytest.LogCaptureFixture,
) -> None:
    genuine = sealed("orders")
    altered = genuine._replace(envelopes=(b"\x1f" + bytes(121),))
    elsewhere = sealed("orders")._replace(destination="other", via="other")
    for message in (altered, altered, elsewhere, altered, genuine):
        receiver.receive(message, consumer="c", now=NOW)

    said = [record.getMessage() for record in caplog.records]
    assert [(("'orders'" in line), line.split(": ")[1].split(";")[0]) for line in said] == [
        (True, "unsupported version"),
        (False, "not authentic"),
    ]
    assert counts["invalid"] == 4
