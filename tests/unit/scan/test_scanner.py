from __future__ import annotations

import threading
from itertools import count

import pytest

from interceptors.scan import Detector, Rule, Unscanned, Validation
from interceptors.scan.detector import literal_in
from interceptors.scan.engine import Engine, StdlibEngine
from interceptors.scan.hyperscan_engine import HyperscanEngine
from interceptors.scan.scanner import OWN_TRACE_ID, Scanned, Scanner


def detector(
    name: str, trigger: str, pattern: str, validation: Validation = Validation.PATTERN, before: int = 0
) -> Detector:
    rule = Rule((trigger,), pattern, before)
    return Detector(name, f"test.{name}", (rule,), validation, "a reason of the test's")


CODE = detector("code", "CODE-", r"CODE-(?P<id>[0-9]{2,6})(?![0-9])")
AROUND = detector("around", "@", r"(?<![a-z])[a-z]{1,9}@[a-z]{1,9}", before=9)
ENGINES = [StdlibEngine, HyperscanEngine]


def spans(scanned: Scanned) -> list[tuple[str, int, int]]:
    return [(found.detector, found.start, found.end) for found in scanned.findings]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> type[Engine]:
    kind: type[Engine] = request.param
    return kind


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"CODE-", []),
        (b"CODE-1", []),
        (b"CODE-12", [("code", 5, 7)]),
        (b"CODE-1234567", []),
        (b"x CODE-12 CODE-345", [("code", 7, 9), ("code", 15, 18)]),
        (b"a@b", [("around", 0, 3)]),
        (b"to ab@cd, ef@gh", [("around", 3, 8), ("around", 10, 15)]),
        (b"@", []),
        (b"@@@", []),
        (b"abcdefghij@x", []),
    ],
)
def test_a_finding_is_what_the_pattern_says_where_a_trigger_lies(
    data: bytes, expected: list[tuple[str, int, int]], engine: type[Engine]
) -> None:
    assert spans(Scanner([CODE, AROUND], engine).scan(data)) == expected


def test_what_overlaps_is_settled_by_what_was_checked_then_by_length(engine: type[Engine]) -> None:
    weak = detector("weak", "KEY ", "KEY [0-9a-z ]{2,20}", Validation.KEY)
    short = detector("short", "12", "12", Validation.CHECKSUM)
    long = detector("long", "12", "1234", Validation.CHECKSUM)

    scanned = Scanner([weak, short, long], engine).scan(b"KEY 1234, KEY 99, 12")

    assert spans(scanned) == [("long", 4, 8), ("weak", 10, 16), ("short", 18, 20)]


def test_findings_that_touch_are_both_kept(engine: type[Engine]) -> None:
    ab, cd = detector("ab", "ab", "ab"), detector("cd", "cd", "cd")

    assert spans(Scanner([ab, cd], engine).scan(b"abcd")) == [("ab", 0, 2), ("cd", 2, 4)]


def test_one_that_two_others_overlap_does_not_take_both_along(engine: type[Engine]) -> None:
    left = detector("left", "aab", "aab", Validation.CHECKSUM)
    bridge = detector("bridge", "bcc", "bcccd", Validation.KEY)
    right = detector("right", "dde", "dde", Validation.CHECKSUM)

    assert spans(Scanner([left, bridge, right], engine).scan(b"aabcccdde")) == [
        ("left", 0, 3),
        ("right", 6, 9),
    ]


def test_the_own_trace_id_is_found_each_time() -> None:
    own = b"0af7651916cd43dd8448eb211c80319c"
    scanned = Scanner([CODE], StdlibEngine).scan(b"%b CODE-12 %b" % (own, own), own=own)

    assert spans(scanned) == [("own_trace_id", 0, 32), ("code", 38, 40), ("own_trace_id", 41, 73)]
    assert OWN_TRACE_ID.class_ == "trace.context"


@pytest.mark.parametrize("shift", range(-12, 3))
def test_a_finding_at_the_edge_of_a_block_is_found_once(engine: type[Engine], shift: int) -> None:
    begin = (1 << 16) + shift
    data = bytearray(b" " * ((1 << 17) + 10))
    data[begin : begin + 9] = b"CODE-1234"

    assert spans(Scanner([CODE, AROUND], engine).scan(bytes(data))) == [("code", begin + 5, begin + 9)]


def test_more_findings_than_are_kept_are_said_so(engine: type[Engine]) -> None:
    scanned = Scanner([CODE], engine).scan(b"CODE-12 " * 2000)

    assert len(scanned.findings) == 1000
    assert scanned.unscanned is Unscanned.FINDINGS


@pytest.mark.parametrize("data", [b"CODE-x " * 1000, b"CODE-x " * 40_000])
def test_time_that_is_spent_ends_a_scan(engine: type[Engine], data: bytes) -> None:
    asked = count()

    scanned = Scanner([CODE], engine).scan(data, spent=lambda: next(asked) > 5)

    assert scanned.unscanned is Unscanned.TIME
    assert next(asked) == 7


def test_what_may_have_to_be_decoded_is_given_apart(engine: type[Engine]) -> None:
    encoded = Rule(("<<",), "<<(?P<id>[a-z]{1,9})>>")

    scanned = Scanner([CODE], engine, encoded=encoded).scan(b"CODE-12 <<abc>>")

    assert scanned.encoded == [(10, 13)]
    assert spans(scanned) == [("code", 5, 7)]


@pytest.mark.parametrize(
    ("trigger", "pattern", "problem"),
    [
        ("a{1,2}", "ab", "fixed width"),
        ("a", "ab*", "bound"),
        ("(", "ab", "regular expression"),
        ("ä", "ab", "ASCII"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(trigger: str, pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Scanner([detector("bad", trigger, pattern)], StdlibEngine)


@pytest.mark.parametrize(
    ("trigger", "literal"),
    [
        ("CODE-", b"CODE-"),
        ("(?i:ab[cd]efg)", b"efg"),
        (r"\bAKIA[A-Z]{3}", b"AKIA"),
        ("a{3}", b""),
        ("[0-9]{2}", b""),
        ("(?:ab|cd)e", b"e"),
    ],
)
def test_a_literal_is_of_every_match(trigger: str, literal: bytes) -> None:
    assert literal_in(trigger) == literal


def test_threads_scan_at_the_same_time() -> None:
    scanner = Scanner([CODE, AROUND], HyperscanEngine)
    data = b"CODE-12 " * 50 + b" " * 5000
    wrong: list[object] = []

    def scan() -> None:
        for _ in range(200):
            found = scanner.scan(data)
            if len(found.findings) != 50:
                wrong.append(found)

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_scan_within_a_scan_has_a_scratch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = HyperscanEngine(["CODE-"])
    inner: list[list[tuple[int, int]]] = []

    def keep(number: int, _start: int, end: int, _flags: int, hits: list[tuple[int, int]]) -> None:
        if not inner:
            inner.append([])
            inner[0] = engine.hits(b"xx CODE-")  # as from a signal handler
        hits.append((number, end))

    monkeypatch.setattr("interceptors.scan.hyperscan_engine._keep", keep)

    assert engine.hits(b"CODE- CODE-") == [(0, 5), (0, 11)]
    assert inner == [[(0, 8)]]
