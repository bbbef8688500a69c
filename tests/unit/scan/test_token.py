from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan import DETECTORS, Inspector
from interceptors.scan.token import Token, is_token, parse_token

TOKENS = st.builds(Token, st.binary(min_size=16, max_size=16), st.integers(0, 9999))
EVERYTHING = Inspector(DETECTORS)


@given(TOKENS)
def test_a_token_is_read_as_it_was_written(token: Token) -> None:
    assert parse_token(str(token)) == token
    assert is_token(token.text)
    assert is_token(token.number)


@given(TOKENS)
def test_a_token_of_which_only_a_part_had_room_is_one(token: Token) -> None:
    start = str(token).index("_") + 2
    assert all(is_token(token.text[:end]) for end in range(start, len(token.text)))
    assert is_token(token.text + b"**")


@given(TOKENS, st.sampled_from(["{}", "password={}", '{{"card": "{}", "email": "{}"}}', "iban: {}"]))
def test_nothing_is_found_in_a_token(token: Token, record: str) -> None:
    assert EVERYTHING.inspect(record.replace("{}", str(token)).encode()).findings == ()


@given(TOKENS)
def test_nothing_is_found_in_a_token_that_is_a_number(token: Token) -> None:
    assert len(token.number) == 19
    assert int(token.number) < 1 << 63
    assert EVERYTHING.inspect(b'{"card": %s}' % token.number).findings == ()


def test_the_text_tells_where_a_token_is_from() -> None:
    assert str(Token(bytes(16), 12)) == "tok12_" + "a" * 26
    assert str(Token(bytes(16))) == "tokv_" + "a" * 26


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tok1_",
        "tok1_" + "a" * 25,
        "tok1_" + "a" * 27,
        "tok1_" + "a" * 25 + "b",  # another way to write it
        "tok1_" + "A" * 26,
        "tok0_" + "a" * 26,
        "tok01_" + "a" * 26,
        "tok10000_" + "a" * 26,
        "tok1_" + "a" * 26 + "\n",
        "tok_" + "a" * 26,
    ],
)
def test_what_is_no_whole_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no token") as caught:
        parse_token(text)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "text", [b"", b"tok1_", b"tok1_!", b"tok_aaaa", b"908000000000000000", b"4111111111111111"]
)
def test_what_only_looks_like_one_is_none(text: bytes) -> None:
    assert not is_token(text)
