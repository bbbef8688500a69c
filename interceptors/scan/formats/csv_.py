"""Comma-separated values (RFC 4180; also with semicolons, tabs or bars) whose first row names the columns."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.formats.paths import member
from interceptors.scan.formats.plain import PlainView
from interceptors.scan.formats.rendered import Rendered
from interceptors.scan.formats.view import never, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interceptors.scan.formats.view import Edit
    from interceptors.scan.token import Token

_SNIFFED = 1 << 13
"""Bytes within which a header and a row have to end."""
_COLUMNS = 1024
"""The most columns that are known by name."""
_BLOCK = 1 << 16
"""How long a text of columns becomes before another one is begun."""
_SEPARATORS = (b",", b";", b"\t", b"|")
_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.()#/-]{0,63}(?: [A-Za-z0-9_.()#/-]{1,32}){0,4}")
# A cell in quotes, in which two are one, or a bare one; and what ends it. Quantifiers that give nothing back
# (`*+`) keep it linear where a quote is never closed.
_CELLS = {
    separator: re.compile(
        rb'(?:"(?P<quoted>[^"]*+(?:""[^"]*+)*+)(?:"|\Z)[^%b\r\n]*+|(?P<bare>[^%b\r\n]*+))(?P<end>%b|\r?\n|\r|\Z)'
        % ((re.escape(separator),) * 3)
    )
    for separator in _SEPARATORS
}


class _Cell(NamedTuple):
    """What stands in a row and a column, without its quotes."""

    row: int
    """-1 for the row of the names."""
    column: int
    start: int
    end: int
    last: bool
    """Whether it ends its row."""


def _cells(body: bytes, separator: bytes) -> Iterator[_Cell]:
    """Read the cells, row by row. Rows that hold nothing at all don't count."""
    row, column = -1, 0
    size = len(body)
    for match in _CELLS[separator].finditer(body, len(_BOM) if body.startswith(_BOM) else 0):
        start, end = match.span("quoted" if match["bare"] is None else "bare")
        last = match["end"] != separator
        if not column and last and match.start() == match.start("end"):
            continue
        yield _Cell(row, column, start, end, last)
        if last:
            row, column = row + 1, 0
            if match.end() == size:
                return
        else:
            column += 1


def _first_row(body: bytes, separator: bytes) -> list[bytes]:
    names: list[bytes] = []
    for cell in islice(_cells(body, separator), _COLUMNS):
        names.append(body[cell.start : cell.end])
        if cell.last:
            break
    return names


def _separator(body: bytes) -> bytes:
    """Give what the columns are most likely separated by."""
    head = body[:_SNIFFED].split(b"\n", 1)[0]
    return max(_SEPARATORS, key=head.count)


def sniff(body: bytes) -> bool:
    """Tell whether a body has a row of names, and below it a row of as many cells.

    Names are words without spaces around, and each is another one: a sentence with commas is no row of names.

    Args:
        body: anything; its first bytes are looked at.
    """
    separator = _separator(body)
    head = body[:_SNIFFED]
    names: list[bytes] = []
    cells = 0
    for cell in _cells(head, separator):
        if cell.row < 0:
            names.append(head[cell.start : cell.end])
            if _NAME.fullmatch(names[-1]) is None or len(names) > _COLUMNS:
                return False
        else:
            cells += 1
        if cell.last and cell.row >= 0:
            break
    return 1 < len(names) == cells and len(set(names)) == cells


class _Table:
    """What the views of one body share: where its cells are, and how something in one is replaced."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.separator = _separator(body)
        self.names = _first_row(body, self.separator)
        self.hidden: set[int] = set()
        """The columns whose names hold a finding."""
        self._form = re.compile(rb'[^"\r\n%b]' % re.escape(self.separator))

    def path(self, cell: _Cell) -> str:
        row = "[*]" if cell.row < 0 else f"[{cell.row}]"
        if cell.row < 0:
            self.hidden.add(cell.column)
        if cell.column in self.hidden or cell.column >= len(self.names):
            return f"${row}.*"
        return f"${row}{member(self.names[cell.column].strip().decode('utf-8', 'replace'))}"

    def replacement(self, text: bytes, token: Token | None) -> bytes:
        """Give as many bytes; quotes, separators and ends of lines stay."""
        masked = self._form.sub(b"*", text)
        if token is None or masked.strip(b"*"):
            return masked
        return PlainView(b"").replacement(0, len(text), token)


class CsvView:
    """The whole as it lies, with paths: `$[0].email` is in the first row below the names."""

    def __init__(self, body: bytes) -> None:
        """Read the names.

        Args:
            body: anything.
        """
        self.data = body
        self.table = _Table(body)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the place itself."""
        return start, end

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give row and column of the cell in which each begins; `$[*].*` for a name."""
        cells = _cells(self.data, self.table.separator)
        cell: _Cell | None = None
        paths: list[str] = []
        for start, _ in spans:
            while cell is None or cell.end <= start:
                found = next(cells, None)
                if found is None:
                    break
                cell = found
            paths.append("" if cell is None else self.table.path(cell))
        return paths

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give as many bytes; quotes, separators and ends of lines stay."""
        return self.table.replacement(self.data[start:end], token)

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give the replacements themselves; none of them ends a cell."""
        return edits


class ColumnsView:
    """Some cells with the name of the column before each: `ssn: 078…`, a line each."""

    def __init__(self, table: _Table, cells: list[_Cell], rendered: Rendered) -> None:
        """Keep what `columns` made."""
        self.data = bytes(rendered.text)
        self._table = table
        self._cells = cells
        self._rendered = rendered

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the place in the cell."""
        return self._rendered.origin(start, end)

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give row and column of the cell in which each begins."""
        return [self._table.path(self._cells[self._rendered.piece(*span)]) for span in spans]

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give as many bytes; quotes, separators and ends of lines stay."""
        return self._table.replacement(self.data[start:end], token)

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give the same within the cells."""
        return list(self._rendered.edits(edits))


def columns(
    whole: CsvView, matters: Callable[[bytes], object], spent: Callable[[], bool] = never
) -> Iterator[ColumnsView]:
    """Show each cell with the name of its column, since some values count only beside a name.

    Args:
        whole: the view of the whole.
        matters: says whether a name may be one of those, so that the other columns cost nothing.
        spent: says whether the time is over; what comes then is not shown.

    Yields:
        A view for each part of the body; none where no column matters.
    """
    body, table = whole.data, whole.table
    labels = {
        number: name.strip()[:64] + b": "
        for number, name in enumerate(table.names)
        if matters(name.strip()[:64] + b": ")
    }
    if not labels:
        return
    cells: list[_Cell] = []
    rendered = Rendered()
    for cell in within(_cells(body, table.separator), spent):
        if cell.row < 0 or cell.start == cell.end or cell.column not in labels:
            continue
        rendered.text += labels[cell.column]
        rendered.add(body[cell.start : cell.end], cell.start, cell.end)
        rendered.text += b"\n"
        cells.append(cell)
        if len(rendered.text) >= _BLOCK:
            yield ColumnsView(table, cells, rendered)
            cells, rendered = [], Rendered()
    if cells:
        yield ColumnsView(table, cells, rendered)
