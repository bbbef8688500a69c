"""The envelope for a message, and what is said where it gets none."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from interceptors.context import new_root
from interceptors.keys import Keyring, LocalKeys, MemoryKeys
from interceptors.message import Message
from interceptors.pipeline import Unsealed
from interceptors.policy import check_policy
from interceptors.tracing.sealing import Sealing
from interceptors.tracing.tally import Tally

if TYPE_CHECKING:
    from interceptors.context import TraceContext
    from interceptors.keys import KeyAdministration
    from interceptors.pipeline import Outgoing

NOW = 1_790_000_000_000
POLICY = check_policy(
    {
        "version": 1,
        "channels": [
            {"name": "bound", "match": {"kafka": ["bound"]}, "binding": "message"},
            {"name": "silent", "match": {"kafka": ["silent"]}, "emit": "none"},
        ],
    },
    "policy",
)


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def sealing(counts: Counter[str]) -> Sealing:
    return Sealing(Keyring(MemoryKeys("checkout")), counts, Tally())


def seal(
    sealing: Sealing,
    topic: str,
    *,
    body: object = None,
    context: TraceContext | None = None,
    tenant: str = "acme",
) -> Outgoing:
    """Seal a message that goes to a topic."""
    channel = POLICY.channels("kafka", topic)[0]
    return sealing.seal(Message("kafka", topic, body), context or new_root(), channel, tenant, NOW)


def test_a_message_of_a_sealed_channel_gets_an_envelope_and_nothing_is_said(
    sealing: Sealing, counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert seal(sealing, "orders").envelope is not None
    assert seal(sealing, "silent").envelope is None
    assert (counts, caplog.messages) == ({}, [])


def test_each_channel_and_reason_is_logged_once_and_counted_each_time(
    sealing: Sealing,
    counts: Counter[str],
    caplog: pytest.LogCaptureFixture,
    administration: KeyAdministration,
) -> None:
    keyless = Sealing(Keyring(LocalKeys(administration.files()[0])), counts, Tally())
    sent = [(sealing, "bound"), (keyless, "bound"), (keyless, "orders"), (keyless, "refunds")] * 2
    with caplog.at_level(logging.WARNING, "interceptors"):
        reasons = [
            seal(sealer, topic, body={"not": "bytes"}, tenant="globex").unsealed for sealer, topic in sent
        ]
    assert reasons == [Unsealed.BODY_NOT_BYTES, *[Unsealed.NO_KEY] * 3] * 2
    assert counts == {Unsealed.BODY_NOT_BYTES: 2, Unsealed.NO_KEY: 6}
    ours = [record.getMessage() for record in caplog.records if record.name == "interceptors"]
    assert ours == [
        f"messages of channel {channel!r} go without an envelope: {reason}"
        for channel, reason in (
            ("bound", Unsealed.BODY_NOT_BYTES),
            ("bound", Unsealed.NO_KEY),
            ("orders", Unsealed.NO_KEY),
            ("refunds", Unsealed.NO_KEY),
        )
    ]


def test_labels_that_are_left_out_are_counted(sealing: Sealing, counts: Counter[str]) -> None:
    labelled = new_root()._replace(labels={"": "no name", "long": "x" * 65, "region": "eu"})
    assert seal(sealing, "orders", context=labelled).envelope is not None
    assert counts == {"labels left out": 2}
