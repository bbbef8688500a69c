from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.places import Paths, check_path, path_matches


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("$", "$"),
        ("$.customer.email", "$.customer.email"),
        ("$.items[*].email", "$.items[17].email"),
        ("$.items[0].x", "$.items[0].x"),
        ("$[*]", "$[3]"),
        ("$.*.email", "$.customer.email"),
        ("$.*", "$.*"),
        ("$.customer.*", "$.customer.*"),
        ("$.items.*", "$.items[2]"),
        ("$..email", "$.email"),
        ("$..email", "$.a[1].b.email"),
        ("$..email", "$.email.email"),
        ("$.a..b.c", "$.a.b.b.c"),
        ("$..a..b", "$.x.a.a.x.b"),
        ("$..*", "$.a.b.c"),
        ("$..items[0]", "$.x.items[0]"),
        ("$.first-name", "$.first-name"),
    ],
)
def test_a_path_fits(pattern: str, path: str) -> None:
    check_path(pattern)
    assert path_matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("$", "$.a"),
        ("$", ""),
        ("$.a", ""),
        ("$.a", "a"),
        ("$.a", "$.a.b"),
        ("$.a.b", "$.a"),
        ("$.a", "$.ab"),
        ("$.ab", "$.a"),
        ("$.a", "$.*"),
        ("$.a[1]", "$.a[11]"),
        ("$.items[*].email", "$.items.email"),
        ("$.customer.*", "$.customer"),
        ("$.customer.*", "$.customer.a.b"),
        ("$..email", "$.email.x"),
        ("$..a.b", "$.a.x.b"),
        ("$.a", "$.a junk["),
        ("$..*", "$"),
    ],
)
def test_a_path_does_not_fit(pattern: str, path: str) -> None:
    assert not path_matches(pattern, path)


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("", "begin with $"),
        ("customer.email", "begin with $"),
        ("$customer", "write .name"),
        ("$.", "write .name"),
        ("$..", "write .name"),
        ("$...a", "write .name"),
        ("$..[0]", "write .name"),
        ("$.a[", "write .name"),
        ("$.a[-1]", "write .name"),
        ("$.a[01]", "write .name"),
        ("$.a[1:2]", "write .name"),
        ("$['a']", "write .name"),
        ("$.user@example", "write .* in"),
        ("$.a b", "write .* in"),
        ("$.k12345", "write .* in"),
        ("$.k4111-1111-1111-1111", "write .* in"),
    ],
)
def test_a_path_that_would_never_fit_is_refused(text: str, way_out: str) -> None:
    with pytest.raises(ValueError, match=re.escape(way_out)):
        check_path(text)


STEPS = st.lists(st.sampled_from([".a", ".b", "[0]", "[1]"]), max_size=8)
WANTED = st.lists(st.sampled_from([".a", ".b", "[0]", ".*", "[*]", "..a", "..b", "..*"]), max_size=6)


@given(WANTED, STEPS)
def test_it_agrees_with_an_expression_of_the_same_meaning(wanted: list[str], steps: list[str]) -> None:
    any_step = r"(?:\.[a-z]|\[[0-9]\])"
    expression = "".join(
        (f"{any_step}*" if step.startswith("..") else "")
        + (any_step if step.strip(".[]") == "*" else re.escape(step.replace("..", ".")))
        for step in wanted
    )
    path = "".join(steps)

    assert path_matches("$" + "".join(wanted), "$" + path) is (re.fullmatch(expression, path) is not None)


@given(st.text(alphabet="$.*[]a1b-'\" "), st.text(alphabet="$.*[]a1"))
def test_it_answers_or_refuses(pattern: str, path: str) -> None:
    try:
        check_path(pattern)
    except ValueError:
        with pytest.raises(ValueError, match=r"no path|would never"):
            path_matches(pattern, path)
    else:
        assert path_matches(pattern, path) in {True, False}


def test_many_depths_take_no_longer_than_their_product() -> None:
    assert not path_matches("$" + "..a" * 30 + ".b", "$" + ".a" * 2000)


def test_paths_are_followed_all_at_once() -> None:
    paths = Paths(["$.a.b", "$.a[*]", "$..c", "$.a[2]"])

    def at(*steps: str) -> tuple[int, ...]:
        state = paths.start
        for step in steps:
            names, otherwise = paths.steps(state)
            state = names.get(step, otherwise)
        return paths.ended(state)

    assert at(".a", ".b") == (0, 1)
    assert at(".a", "[2]") == (1, 3)
    assert at(".a", ".x", ".c") == (2,)
    assert at(".c", ".c") == (2,)
    assert at(".a") == ()


@given(
    st.lists(
        st.sampled_from(["$.a", "$.a.b", "$..b", "$.*.b", "$[*][0]", "$..a[1]", "$"]), unique=True, max_size=4
    ),
    st.lists(st.sampled_from([".a", ".b", ".c", ".*", "[0]", "[1]"]), max_size=5),
)
def test_following_paths_agrees_with_matching_each(patterns: list[str], steps: list[str]) -> None:
    paths = Paths(patterns)
    state = paths.start
    for step in steps:
        names, otherwise = paths.steps(state)
        state = names.get(step, otherwise)
    found = "$" + "".join(steps)
    matching = {number for number, pattern in enumerate(patterns) if path_matches(pattern, found)}
    assert set(paths.ended(state)) == matching
