"""Which policy holds at a time: to the millisecond, and without anything that runs meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from interceptors.policy import Accept
from interceptors.policy.compiled import ALL_SAMPLED
from interceptors.policy.compiling import Compiler
from interceptors.policy.document import check_policy_document
from interceptors.tracing.enhancing import Enhancing
from interceptors.tracing.in_force import InForce, Phase, phases

FIRST, SECOND = 1_790_000_000_000, 1_790_000_000_500
"""When two exceptions end."""
LABELS = {"region": {"values": ["eu"]}}


def exception(name: str, expires: str, **rules: Any) -> dict[str, Any]:
    return {
        "id": name,
        "reason": "a migration",
        "requested_by": "payments",
        "approved_by": "security",
        "channels": ["orders"],
        "expires": expires,
        "rules": rules,
    }


DOCUMENT: dict[str, Any] = {
    "version": 1,
    "channels": [{"name": "orders", "match": {"kafka": ["orders"]}, "accept": "reject", "labels": LABELS}],
    "exceptions": [
        exception("EX-1", "2026-09-21T14:13:20.000Z", accept="optional"),
        exception("EX-2", "2026-09-21T14:13:20.500Z", accept="required", labels={}),
    ],
}


def phase(document: dict[str, Any] = DOCUMENT, now: int = FIRST - 10) -> Phase:
    compiler = Compiler(check_policy_document(document, "policy"), "policy")
    return phases(lambda time: compiler.compile("", time), now)


def accepted(in_force: InForce, now: int) -> Accept:
    return in_force.at(now).channels("kafka", "orders")[0].accept


@pytest.fixture
def in_force() -> InForce:
    return InForce(phase(), lambda: FIRST * 10**6)


@pytest.mark.parametrize(
    ("now", "accept"),
    [
        (FIRST - 10, Accept.REQUIRED),
        (FIRST - 1, Accept.REQUIRED),
        (FIRST, Accept.REQUIRED),
        (SECOND - 1, Accept.REQUIRED),
        (SECOND, Accept.REJECT),
        (SECOND + 10**12, Accept.REJECT),
    ],
)
def test_an_exception_ends_at_its_millisecond(in_force: InForce, now: int, accept: Accept) -> None:
    assert accepted(in_force, now) is accept


def test_exceptions_end_one_by_one() -> None:
    first, second = DOCUMENT["exceptions"]
    document = DOCUMENT | {"exceptions": [first | {"rules": {"max_age": "9d"}}, second]}
    in_force = InForce(phase(document), lambda: 0)
    days = [
        in_force.at(now).channels("kafka", "orders")[0].max_age_ms // 86_400_000
        for now in (FIRST - 1, FIRST, SECOND)
    ]
    assert days == [9, 7, 7]


def test_the_present_policy_goes_by_the_clock() -> None:
    now = [SECOND - 1]
    in_force = InForce(phase(), lambda: now[0] * 10**6 + 999_999)
    before = in_force.policy
    now[0] += 1
    assert before.channels("kafka", "orders")[0].accept is Accept.REQUIRED
    assert in_force.policy.channels("kafka", "orders")[0].accept is Accept.REJECT


def test_what_has_ended_does_not_come_back_with_a_clock_that_is_set_back(in_force: InForce) -> None:
    in_force.settle(SECOND)
    assert accepted(in_force, FIRST - 1) is Accept.REJECT
    in_force.enhance(Enhancing(labels=False))
    assert accepted(in_force, FIRST - 1) is Accept.REJECT


def test_all_phases_share_what_looks_into_payloads() -> None:
    document = DOCUMENT | {"default": {"payload": {"on_leak": "redact"}}}
    first = phase(document)
    assert first.later is not None
    payloads = [each.policy.channels("kafka", "orders")[0].payload for each in (first, first.later)]
    assert payloads[0] is not None
    assert payloads[1] is not None
    assert payloads[0].inspector is payloads[1].inspector


def test_labels_that_travel_only_once_an_exception_has_ended_are_known_before(in_force: InForce) -> None:
    assert not in_force.at(FIRST).labelled
    assert in_force.at(SECOND).labelled
    assert in_force.labelled


def test_a_compiled_policy_holds_always() -> None:
    policy = phase(now=SECOND).policy
    in_force = InForce.always(policy, lambda: 0)
    assert in_force.at(0) is in_force.at(1 << 64) is policy


def test_another_policy_is_taken_up_with_what_flags_turn_on(in_force: InForce) -> None:
    in_force.enhance(Enhancing(sampled=ALL_SAMPLED, verbose=True))
    assert in_force.verbose
    looked_into = DOCUMENT | {"default": {"payload": {"sample": 0.0}}, "exceptions": []}
    in_force.take_up(phase(looked_into), Enhancing(sampled=ALL_SAMPLED, verbose=True))
    payload = in_force.at(FIRST).channels("kafka", "orders")[0].payload
    assert payload is not None
    assert payload.sampled == ALL_SAMPLED
    in_force.take_up(phase(looked_into), Enhancing())
    payload = in_force.at(FIRST).channels("kafka", "orders")[0].payload
    assert payload is not None
    assert (payload.sampled, in_force.verbose) == (0, False)


def test_an_exception_that_has_ended_does_not_begin_anew_with_another_policy(in_force: InForce) -> None:
    in_force.settle(SECOND)
    # The clock was set back, and then the policy was read again.
    in_force.take_up(phase(), Enhancing())
    assert accepted(in_force, FIRST - 10) is Accept.REJECT
    in_force.enhance(Enhancing(verbose=True))
    assert (accepted(in_force, FIRST - 10), in_force.verbose) == (Accept.REJECT, True)


def test_flags_that_change_nothing_make_nothing_anew(in_force: InForce) -> None:
    before = in_force.at(FIRST)
    in_force.enhance(Enhancing(labels=False))
    changed = in_force.at(FIRST)
    assert changed is not before
    in_force.enhance(Enhancing(labels=False))
    assert in_force.at(FIRST) is changed
