from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import isbn, luhn, verhoeff
from stdnum.iso7064 import mod_97_10

from interceptors.scan.detector import Detector, width_of
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.finding import Validation
from interceptors.scan.hyperscan_engine import HyperscanEngine
from interceptors.scan.identifiers import CHECKS, declared
from interceptors.scan.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable


def found(detector: Detector, text: bytes) -> list[bytes]:
    results = [Scanner([detector], engine).scan(text).findings for engine in (HyperscanEngine, StdlibEngine)]
    assert results[0] == results[1]
    return [text[finding.start : finding.end] for finding in results[0]]


def test_one_with_a_prefix_is_found_wherever_it_is() -> None:
    detector = declared("customer", prefix="CUST-", pattern="[0-9]{4,6}")

    assert detector.class_ == "internal.customer"
    assert detector.validation is Validation.PATTERN
    assert found(
        detector, b'{"a":"CUST-1234","b":"xCUST-1234","c":"CUST-1234567"} of CUST-123456, CUST-123'
    ) == [
        b"CUST-1234",
        b"CUST-123456",
    ]
    assert found(detector, b"CUST-1234.5 CUST-1234. cust-1234") == [b"CUST-1234"]


def test_one_with_words_is_found_beside_them_alone() -> None:
    detector = declared("staff", pattern="[A-Z]{2}[0-9]{4}", words=("Staff_Number", "badge"))

    assert detector.validation is Validation.KEY
    assert found(detector, b'{"staffNumber":"AB1234","x":"AB9999"}') == [b"AB1234"]
    assert found(detector, b"badge: CD1234, EF1234") == [b"CD1234"]


def test_prefix_and_words_are_asked_for_both() -> None:
    detector = declared("staff", prefix="S", pattern="[0-9]{4}", words=("badge",))

    assert found(detector, b"S1234 badge=1234 badge=S1234") == [b"S1234"]
    assert found(detector, b"S1234 badge=1234") == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\d{3}", b"ID-123"),
        (r"\w\w", b"ID-a_"),
        ("(?:ab|cd|e)[x-z_-]?", b"ID-cdz"),
        ("(?:[a-f]?-){2}", b"ID-a--"),
        ("a.b".replace(".", r"\."), b"ID-a.b"),
        ("[#&~ ]x", b"ID-#x"),
        ("A{2}B{0,2}", b"ID-AAB"),
    ],
)
def test_what_a_pattern_may_be_made_of(pattern: str, text: bytes) -> None:
    detector = declared("own", prefix="ID-", pattern=pattern)

    assert found(detector, b'"' + text + b'"') == [text]
    assert all(width_of(trigger) for rule in detector.rules for trigger in rule.triggers)


@pytest.mark.parametrize(
    ("pattern", "way_out"),
    [
        ("a*", "{1,20} for +"),
        ("a+", "{1,20} for +"),
        ("a{2,}", "{1,20} for +"),
        ("a{300}", "too high"),
        ("a{0,4}?", "write that"),
        ("a{1,4}+", "without the +"),
        ("(?:a{2}){3}", "within a repeat"),
        ("(a)", "(?:…)"),
        ("(?P<id>a)", "(?:…)"),
        ("(?i:a)", "(?:…)"),
        ("(?i)a", "flags"),
        (".", "write a class"),
        ("[^a]", "write what may"),
        ("[^a-c]", "write what may"),
        (r"\s", "write a class"),
        (r"\D", "write a class"),
        ("^a", "anchors"),
        (r"\ba", "anchors"),
        ("a(?=b)", "only literals"),
        ("(?:a|b){2}(?!c)", "only literals"),
        ("(?>a)", "only literals"),
        ("\n", "printable"),
        (r"[\x00-\xff]", "printable"),
        (r"\x80", "printable"),
        ("ä", "ASCII"),
        ("(", "correct it"),
        ("[[a]", "correct it"),
        ("a{99999999999}", "correct it"),
        ("a?" * 20, "too many ways"),
        ("[0-9]{0,99}[0-9]{0,99}", "too many ways"),
        ("(?:a|a[bc]){9}(?:b|bb|bbb){9}", "too many ways"),
        ("a" * 300, "256 characters"),
        ("(?:)", "1 to"),
        ("a?", "1 to"),
        ("[a-z]{200}[a-z]{100}", "1 to"),
    ],
)
def test_what_a_pattern_may_not_be_made_of(pattern: str, way_out: str) -> None:
    with pytest.raises(ValueError, match=re.escape(way_out)):
        declared("own", prefix="ID-", pattern=pattern)


@pytest.mark.parametrize(
    ("fields", "way_out"),
    [
        ({"name": "Own"}, "lower-case"),
        ({"name": ""}, "lower-case"),
        ({"prefix": ""}, "or words"),
        ({"prefix": "I"}, "or words"),
        ({"prefix": "I D"}, "visible ASCII"),
        ({"prefix": "É-"}, "visible ASCII"),
        ({"prefix": "x" * 41}, "visible ASCII"),
        ({"pattern": ""}, "say what follows"),
        ({"check": "mod13"}, "luhn, mod97, verhoeff, mod11"),
        ({"words": ("x",)}, "two letters"),
        ({"words": ("",)}, "two letters"),
        ({"words": ("a b c d e",)}, "two letters"),
        ({"words": ("kundennummer", "Straße")}, "two letters"),
        ({"words": ("1st",)}, "two letters"),
    ],
)
def test_what_else_is_refused(fields: dict[str, object], way_out: str) -> None:
    declare: Callable[..., Detector] = declared

    with pytest.raises(ValueError, match=re.escape(way_out)):
        declare(**{"name": "own", "prefix": "ID-", "pattern": "[0-9]{4}", **fields})


@pytest.mark.parametrize(
    ("check", "oracle", "characters"),
    [
        ("luhn", luhn, "0123456789"),
        ("verhoeff", verhoeff, "0123456789"),
        ("mod97", mod_97_10, "0123456789ABXYZ"),
        ("mod11", isbn, "0123456789"),
    ],
)
def test_checks_agree_with_those_of_a_library(check: str, oracle: object, characters: str) -> None:
    chosen = random.Random(5)
    valid: Callable[[str], bool] = oracle.is_valid  # type: ignore[attr-defined]  # a module of theirs
    numbers = ["".join(chosen.choices(characters, k=9)) for _ in range(40)]
    last = [number + end for number in numbers for end in ("0123456789X" if check == "mod11" else characters)]

    assert [number for number in last if CHECKS[check](number)] == [
        number for number in last if valid(number)
    ]
    assert any(map(CHECKS[check], last))


def test_a_check_is_of_what_follows_the_prefix() -> None:
    detector = declared("order", prefix="A7-", pattern="[0-9]{4}-[0-9]{4}", check="luhn")

    assert detector.validation is Validation.CHECKSUM
    assert "luhn" in detector.reason
    assert found(detector, b"A7-1234-5674 A7-1234-5675") == [b"A7-1234-5674"]


@pytest.mark.parametrize("check", CHECKS)
@given(text=st.text(alphabet="0123456789ABCXYZabcxyz"))
def test_a_check_has_an_answer_for_all_letters_and_digits(check: str, text: str) -> None:
    assert CHECKS[check](text) in {True, False}


PIECES = st.sampled_from(
    [
        "a",
        "[0-9]",
        "[a-f_]",
        "x?",
        "(?:ab|c)",
        "(?:a?b)?",
        r"\d{2}",
        "[A-Z]{1,4}",
        "(",
        ")",
        "|",
        "*",
        "{3}",
        "?",
        "^",
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=8).map("".join))
def test_a_pattern_is_refused_or_found_as_it_is_written(pattern: str) -> None:
    try:
        detector = declared("own", prefix="ID-", pattern=pattern)
    except ValueError:
        return
    for text in (b"ID-a0a", b"ID-ab12", b"ID-abcABCD", b"ID-0", b"ID-cab"):
        whole = re.fullmatch(f"ID-(?:{pattern})".encode(), text) is not None
        assert (found(detector, text) == [text]) is whole
