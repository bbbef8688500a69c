from __future__ import annotations

import logging
from collections import Counter

import pytest

from interceptors.policy import Channel, Screened
from interceptors.scan import Finding, Unscanned, Validation
from interceptors.tracing.findings import Findings
from interceptors.tracing.tally import Tally

CHANNEL = Channel("orders")
EMAIL = Finding("email", "personal.email", 3, 9, Validation.PATTERN, "", "$.to")
CARD = Finding("card_number", "payment.card", 3, 9, Validation.CHECKSUM, "", "$.card")


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def findings(counts: Counter[str], caplog: pytest.LogCaptureFixture) -> Findings:
    caplog.set_level(logging.WARNING, "interceptors")
    return Findings(counts, Tally())


def test_each_is_counted_and_each_class_said_once(
    findings: Findings, counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        findings.sent(CHANNEL, Screened(b"", (), (EMAIL, EMAIL, CARD)))
    findings.received(CHANNEL, Screened(b"", (), (EMAIL,)))

    assert counts == {"personal.email sent": 6, "payment.card sent": 3, "personal.email received": 1}
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "channel 'orders': personal.email at $.to in a message sent",
        "channel 'orders': payment.card at $.card in a message sent",
        "channel 'orders': personal.email at $.to in a message received",
    ]


def test_what_is_blocked_kept_or_not_scanned_is_counted(
    findings: Findings, counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        findings.sent(CHANNEL, Screened(b"", (), (), Unscanned.TIME, 2, ("personal.email at $.to",)))

    assert counts == {
        "blocked": 2,
        "found where nothing can be replaced": 4,
        "not scanned to the end": 2,
    }
    assert len(caplog.records) == 2


def test_what_is_masked_for_want_of_a_key_is_counted_and_said_once(
    findings: Findings, counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        findings.sent(CHANNEL, Screened(b"", (), masked=2))

    assert counts == {"masked, with no token key": 4}
    assert len(caplog.records) == 1
    assert "no token key" in caplog.text
