"""What holds for every row of the table."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from interceptors.scan.detector import Detector, widest, width_of
from interceptors.scan.detectors import DETECTORS
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.hyperscan_engine import HyperscanEngine
from interceptors.scan.scanner import Scanner

if TYPE_CHECKING:
    from interceptors.scan.finding import Finding

BY_NAME = {detector.name: detector for detector in DETECTORS}
CLASS = re.compile(r"(payment|personal|network|secret|trace)\.[a-z_]+")


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(DETECTORS, HyperscanEngine)


@pytest.fixture(scope="module")
def oracle() -> Scanner:
    return Scanner(DETECTORS, StdlibEngine)


def of(detector: Detector, found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.detector == detector.name]


def test_names_are_used_once() -> None:
    assert [
        name for name, count in Counter(detector.name for detector in DETECTORS).items() if count > 1
    ] == []


@pytest.mark.parametrize("name", BY_NAME)
def test_each_has_a_class_a_reason_and_examples(name: str) -> None:
    detector = BY_NAME[name]

    assert CLASS.fullmatch(detector.class_)
    assert re.fullmatch("[a-z][a-z0-9_]*", name)
    assert len(detector.reason) > 10
    assert detector.examples
    assert detector.counter_examples


@pytest.mark.parametrize("name", BY_NAME)
def test_triggers_have_one_width_and_patterns_a_bound(name: str) -> None:
    for rule in BY_NAME[name].rules:
        assert rule.triggers
        assert all(width_of(trigger) > 0 for trigger in rule.triggers)
        assert widest(rule.pattern) > 0
        assert set(re.compile(rule.pattern.encode()).groupindex) <= {"id"}


@pytest.mark.parametrize("name", BY_NAME)
def test_an_example_has_one_finding_of_it(name: str, scanner: Scanner) -> None:
    detector = BY_NAME[name]

    assert [len(of(detector, scanner.scan(text).findings)) for text in detector.examples] == [1] * len(
        detector.examples
    )


@pytest.mark.parametrize("name", BY_NAME)
def test_a_counter_example_has_none(name: str, scanner: Scanner) -> None:
    detector = BY_NAME[name]

    assert [text for text in detector.counter_examples if of(detector, scanner.scan(text).findings)] == []


@pytest.mark.parametrize("name", BY_NAME)
def test_both_engines_find_the_same(name: str, scanner: Scanner, oracle: Scanner) -> None:
    detector = BY_NAME[name]

    for text in (*detector.examples, *detector.counter_examples):
        assert scanner.scan(text) == oracle.scan(text)
