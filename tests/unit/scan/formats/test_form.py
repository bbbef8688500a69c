from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.formats.form import EscapedView, FormView, sniff
from interceptors.scan.formats.view import Edit, spliced

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = b"user@example.com"


@pytest.mark.parametrize(
    "body",
    [
        b"email=user%40example.com",
        b"a=1&b=2",
        b"a=1&b=2\n",
        b"a=&b=",
        b"flag&a=1",
        b"a[0][b]=x&c.d=y",
        b"token=YWJj==&x=1",
        b"a=1&b=%41" + b"x" * 1000,
    ],
)
def test_a_form_is_told(body: bytes) -> None:
    assert sniff(body) is (not body.startswith(b"flag"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a=1",
        b"hello",
        b"level=info msg=a&b",
        b"https://example.com/?a=1&b=2",
        b'{"a":"b=1&c=2"}',
        b"a=1&b=2\nc=3&d=4",
        b"if (a==1 && b==2) {}",
        b"=1&b=2",
    ],
)
def test_what_only_looks_like_one_is_none(body: bytes) -> None:
    assert not sniff(body)


@given(st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), st.text(min_size=1), min_size=2))
def test_what_is_encoded_is_told_and_shown(fields: dict[str, str]) -> None:
    body = urlencode(fields, errors="replace").encode()

    assert sniff(body)
    view = FormView(body)
    assert view.data == b"&".join(
        f"{key}={value}".encode("utf-8", "replace") for key, value in fields.items()
    )


def test_a_place_covers_escapes_as_a_whole() -> None:
    body = b"a=x%C3%A9y+%2Bz"
    view = FormView(body)

    assert view.data == "a=xéy +z".encode()
    assert view.origin(3, 4) == (3, 6)
    assert view.origin(2, 6) == (2, 10)
    assert view.origin(4, 5) == (6, 9)
    assert view.origin(6, 8) == (10, 14)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"x=1&email=user%40example.com&y=2", "$.email"),
        (b"x=1&user%40example.com=1", "$.*"),
        (b"x=1&user%40example.com", "$.*"),
        (b"user[email]=user%40example.com", "$.user.email"),
        (b"user%5Bemail%5D=user%40example.com", "$.user.email"),
        (b"to[]=user%40example.com", "$.to[*]"),
        (b"to[2][address]=user%40example.com", "$.to[2].address"),
        (b"to[2=user%40example.com", "$.*"),
        (b"4111111111111111=user%40example.com", "$.*"),
        (b"n" * 5000 + b"=user%40example.com", "$.*"),
    ],
)
def test_paths(body: bytes, expected: str, path: Callable[..., str]) -> None:
    assert path(FormView(body), EMAIL) == expected


@pytest.mark.parametrize("token", [True, False])
def test_a_replacement_keeps_the_form(token: bool, replaced: Callable[..., bytes]) -> None:  # noqa: FBT001 - a parameter
    body = b"x=1%26&email=user%40example.com&name=Jo+Doe"

    new = replaced(FormView(body), body, EMAIL, b"Jo Doe", token=token)

    assert len(new) == len(body)
    fields = dict(parse_qsl(new.decode(), strict_parsing=True))
    assert fields["x"] == "1&"
    assert fields["email"] == ("tok1_aebagbafaydqqcik" if token else "*" * 18)[:18]
    assert fields["name"] == ("tok1_aebagbafaydqqcik" if token else "*" * 18)[:6]


def test_what_was_encoded_anew_is_escaped() -> None:
    body = b"a=1&b=eHg%2B"
    view = FormView(body)

    assert spliced(body, view.edits([Edit(6, 10, b"+/&=")])) == b"a=1&b=" + quote_plus("+/&=").encode()


def test_text_with_escapes_keeps_its_pluses() -> None:
    body = b"GET /?to=user%40example.com&n=1+1 100%"
    view = EscapedView(body)

    assert view.data == b"GET /?to=user@example.com&n=1+1 100%"
    assert view.paths([(9, 25)]) == [""]


@given(st.binary() | st.text(alphabet="a%4&=+[]").map(str.encode), st.data())
def test_each_place_lies_somewhere(body: bytes, data: st.DataObject) -> None:
    view = FormView(body)
    start = data.draw(st.integers(0, len(view.data)))
    end = data.draw(st.integers(start + 1, start + 9))
    if end > len(view.data):
        assert len(view.data) <= len(body)
        return

    begin, stop = view.origin(start, end)
    assert 0 <= begin < stop <= len(body)
    assert FormView(body[begin:stop]).data == view.data[start:end]
    assert view.paths([(start, end)])[0].startswith("$")


def test_a_name_that_holds_a_finding_is_shown_in_no_path() -> None:
    view = FormView(b"AKIAIOSFODNN7EXAMPLE=x&b=y")

    assert view.paths([(0, 20), (21, 22), (25, 26)]) == ["$.*", "$.*", "$.b"]
