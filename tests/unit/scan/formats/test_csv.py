from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.formats.csv_ import CsvView, columns, sniff
from interceptors.scan.formats.view import Edit, View

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = b"user@example.com"
TABLE = b'name,email,ssn\r\nJo,user@example.com,078-05-1120\r\n"Doe, J","j""d@example.com",078-05-1121\r\n'

CELLS = st.text(alphabet='ab1@ ,;"\r\n\té', max_size=9)


def written(rows: list[list[str]], separator: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode()


def named(*names: bytes) -> Callable[[bytes], bool]:
    return lambda label: label.removesuffix(b": ") in names


@pytest.mark.parametrize(
    "body",
    [
        TABLE,
        b"\xef\xbb\xbf" + TABLE,
        b"id;first name\n1;Jo",
        b"id\tmail\n1\tx\n2\ty\n",
        b'a|b\n1|"x\n|y"\n',
        b'"a","b"\n,\n',
        b"\na,b\n1,2",
    ],
)
def test_a_table_is_told(body: bytes) -> None:
    assert sniff(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"name,email",
        b"name,email\n",
        b"name\nJo\n",
        b"name,email\nJo\n",
        b"name,email\nJo,x,y\n",
        b"Hello, world\nHello, you\n",
        b"a,a\n1,2\n",
        b"1,2\n3,4\n",
        b"2026-01-01,INFO\n2026-01-02,INFO\n",
        b"a,b" * 5000 + b"\n1,2",
        b",".join(b"c%d" % number for number in range(1100)) + b"\n1",
    ],
)
def test_what_only_looks_like_one_is_none(body: bytes) -> None:
    assert not sniff(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"name,mail\nx,user@example.com\n", "$[0].mail"),
        (b"name,mail\r\n\r\nx,y\r\nx,user@example.com", "$[1].mail"),
        (b"name,mail\rx,y\rx,user@example.com", "$[1].mail"),
        (b'name,mail\n"x,\ny",user@example.com', "$[0].mail"),
        (b'name;mail\n"x;"";";"my user@example.com"', "$[0].mail"),
        (b"name,e mail\nx,user@example.com", "$[0].*"),
        (b"name,mail\nx,y,user@example.com", "$[0].*"),
        (b"name,user@example.com\nx,y", "$[*].*"),
        (b'name,mail\nx,"user@example.com', "$[0].mail"),
    ],
)
def test_paths(body: bytes, expected: str, path: Callable[..., str]) -> None:
    assert path(CsvView(body), EMAIL) == expected


def test_all_paths_are_found_in_one_pass() -> None:
    view = CsvView(TABLE)
    spans = [(16, 20), (21, 37), (38, 49), (52, 55)]

    assert view.paths(spans) == ["$[0].name", "$[0].email", "$[0].ssn", "$[1].name"]
    assert CsvView(b"").paths([]) == []


def test_a_mask_leaves_what_makes_the_table(replaced: Callable[..., bytes]) -> None:
    new = replaced(CsvView(TABLE), TABLE, EMAIL, b'Doe, J","j""d@example.com')

    rows = list(csv.reader(io.StringIO(new.decode())))
    assert rows[1] == ["Jo", "*" * 16, "078-05-1120"]
    assert rows[2] == ["***,**", '*"*************', "078-05-1121"]


def test_a_token_needs_a_place_of_its_own(replaced: Callable[..., bytes]) -> None:
    new = replaced(CsvView(TABLE), TABLE, EMAIL, b"Doe, J", token=True)

    assert b"Jo,tok1_aebagbafayd,078" in new
    assert b'"***,**"' in new


def test_columns_that_matter_are_shown_by_their_name() -> None:
    (view,) = columns(CsvView(TABLE), named(b"ssn"))

    assert view.data == b"ssn: 078-05-1120\nssn: 078-05-1121\n"
    assert view.paths([(5, 16), (22, 33)]) == ["$[0].ssn", "$[1].ssn"]
    assert TABLE[slice(*view.origin(22, 33))] == b"078-05-1121"


def test_where_no_column_matters_there_is_no_view() -> None:
    assert list(columns(CsvView(TABLE), named())) == []
    assert list(columns(CsvView(b"a,b\n,1\n"), named(b"a"))) == []


def test_something_in_a_column_is_replaced_in_its_cell(replaced: Callable[..., bytes]) -> None:
    (view,) = columns(CsvView(TABLE), named(b"ssn", b"name"))

    new = replaced(view, TABLE, b"078-05-1121", b"Doe, J")

    assert new == TABLE.replace(b"078-05-1121", b"*" * 11).replace(b"Doe, J", b"***,**")
    assert view.edits([Edit(0, 4, b"****")]) == []


def test_a_long_table_is_shown_in_parts() -> None:
    body = b"id,ssn\n" + b"".join(b"%d,078-05-%04d\n" % (number, number) for number in range(10_000))

    views = list(columns(CsvView(body), named(b"ssn")))

    assert len(views) > 1
    assert max(len(view.data) for view in views) < 1 << 17
    assert b"".join(view.data for view in views).count(b"\n") == 10_000
    assert views[-1].paths([(5, 16)]) == [f"$[{10_000 - views[-1].data.count(b'ssn')}].ssn"]


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from(",;\t|"))
def test_each_cell_that_is_written_is_shown(rows: list[list[str]], separator: str) -> None:
    body = written([["first", "second", "third"], *rows], separator)

    # Python's reader is no oracle for a bare CR within a quoted cell, so what was written is.
    shown = b"".join(view.data for view in columns(CsvView(body), lambda _: True))

    names = (b"first", b"second", b"third")
    assert shown == b"".join(
        name + b": " + cell.replace('"', '""').encode() + b"\n"
        for row in rows
        for name, cell in zip(names, row, strict=True)
        if cell
    )


@given(st.binary() | st.text(alphabet='a,;"\r\n ').map(str.encode), st.data())
def test_whatever_it_is_made_of_there_is_an_answer(body: bytes, data: st.DataObject) -> None:
    assert sniff(body) in {True, False}
    views: list[View] = [CsvView(body), *columns(CsvView(body), lambda _: True)]
    for view in views:
        start = data.draw(st.integers(0, max(0, len(view.data) - 1)))
        end = data.draw(st.integers(start, len(view.data)))
        begin, stop = view.origin(start, end)
        assert 0 <= begin <= stop <= len(body)
        assert len(view.paths([(start, end)])) == 1
        assert len(view.replacement(start, end, None)) == end - start


def test_a_name_that_holds_a_finding_is_shown_in_no_path() -> None:
    view = CsvView(b"AKIAIOSFODNN7EXAMPLE,b\nx,y\n")
    (below,) = columns(view, lambda _: True)

    assert view.paths([(0, 20), (23, 24), (25, 26)]) == ["$[*].*", "$[0].*", "$[0].b"]
    assert below.paths([(22, 23), (27, 28)]) == ["$[0].*", "$[0].b"]
