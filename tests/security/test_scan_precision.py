"""Precision: in messages that machines write, next to nothing is found.

The messages are those of the benchmark, from another seed.
"""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest

from interceptors.scan import Inspector

SCAN_DATA = Path(__file__).parents[2] / "benchmarks" / "scan_data.py"
MESSAGES = 6000
ALLOWED = 6
"""One in a thousand: a number of the right length may well have the right check digit."""


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    found: list[bytes] = runpy.run_path(str(SCAN_DATA))["some_clean_messages"](MESSAGES, seed=20_000)
    return found


def test_next_to_nothing_is_found_where_nothing_is(messages: list[bytes]) -> None:
    inspector = Inspector()

    false = Counter(
        finding.detector for message in messages for finding in inspector.inspect(message).findings
    )

    assert len(messages) == MESSAGES
    assert false.total() <= ALLOWED, false


def test_what_is_put_into_such_a_message_is_found_and_nothing_else(messages: list[bytes]) -> None:
    inspector = Inspector()
    mail = b' {"mail": "jo.doe@example.com"}'

    found = [
        [finding.detector for finding in inspector.inspect(message + mail).findings]
        for message in messages[:200]
    ]

    assert [each for each in found if "email" not in each] == []
    assert sum(len(each) - 1 for each in found) <= 1
