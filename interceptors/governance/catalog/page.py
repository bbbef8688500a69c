"""The catalog as one HTML page that needs nothing else: no script, no font, no other file."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from interceptors.governance.catalog.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from interceptors.governance.catalog.data_flow import Catalog
    from interceptors.governance.catalog.tables import Table

_STYLE = """\
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #8886; padding: .3rem .5rem; text-align: left; vertical-align: top;
  min-width: 5.5rem; overflow-wrap: anywhere }
th { background: #8882 }
svg { max-width: 100%; height: auto } svg text { font: 13px system-ui, sans-serif; fill: currentColor }
svg text.note { font-size: 10px }
svg rect { fill: #8881; stroke: currentColor } svg rect.leak { stroke-dasharray: 4 3 }
svg path { fill: none; stroke: currentColor; opacity: .55 }
@media print { body { margin: 0; max-width: none; font-size: 10px } h2 { break-after: avoid }
  tr, svg { break-inside: avoid } thead { display: table-header-group } .wide { overflow: visible } }
"""
_NOTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'"
_WIDTH, _HEIGHT, _GAP, _STEP = 250, 40, 130, 56
_SHOWN = 34
"""Characters of a name on the map; the tables have it in full."""


def as_html(catalog: Catalog) -> str:
    """Write a page: the map, then the tables.

    Args:
        catalog: of a policy.

    Returns:
        HTML. What the policy says is escaped.
    """
    title = "Data catalog" + (f" in {catalog.environment}" if catalog.environment else "")
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{_NOTHING_ELSE}">
<title>{escape(title)}</title>
<style>
{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<h2>Data flow</h2>
{_map(catalog)}{"".join(map(_table, tables_of(catalog)))}</body>
</html>
"""


def _table(table: Table) -> str:
    rows = "".join(f"<tr>{_cells('td', row)}</tr>\n" for row in table.rows)
    return (
        f'<h2>{escape(table.title)}</h2>\n<p>{escape(table.intro)}</p>\n<div class="wide"><table>\n'
        f"<thead><tr>{_cells('th', table.head)}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _map(catalog: Catalog) -> str:
    """Draw three columns: who sends, the channels, who reads."""
    flows = catalog.flows
    senders = [*dict.fromkeys(name for flow in flows for name in flow.senders)]
    readers = [*dict.fromkeys(name for flow in flows for name in flow.consumers)]
    rows = max(len(senders), len(flows), len(readers))
    width, height = 3 * _WIDTH + 2 * _GAP + 2, rows * _STEP
    named = "Services, the channels that they send on, and the services that read those"
    box = f'viewBox="-1 -1 {width} {height}" width="{width}"'
    parts = [f'<svg {box} role="img" aria-label="{named}">\n']
    for number, flow in enumerate(flows):
        parts += (_line(0, senders.index(name), number) for name in flow.senders)
        parts += (_line(1, number, readers.index(name)) for name in flow.consumers)
    parts += _column(0, senders)
    leaky = [bool(flow.leaks) for flow in flows]
    tenants = [f"tenants: {', '.join(flow.tenants)}" if flow.tenants else "" for flow in flows]
    parts += _column(1, [flow.name for flow in flows], leaky, tenants)
    parts += _column(2, readers)
    return "".join((*parts, "</svg>\n<p>A dashed box is a channel with a place where data may leave.</p>\n"))


def _column(
    column: int, names: Sequence[str], leaky: Sequence[bool] = (), notes: Sequence[str] = ()
) -> Iterator[str]:
    x = column * (_WIDTH + _GAP)
    for row, name in enumerate(names):
        y = row * _STEP
        kind = ' class="leak"' if leaky and leaky[row] else ""
        note = notes[row] if notes else ""
        title = f"{name}; {note}" if note else name
        small = f'<text class="note" x="{x + 10}" y="{y + 33}">{escape(_short(note))}</text>' if note else ""
        yield (
            f'<g><title>{escape(title)}</title><rect{kind} x="{x}" y="{y}" width="{_WIDTH}" '
            f'height="{_HEIGHT}" rx="6"/>'
            f'<text x="{x + 10}" y="{y + (18 if note else 25)}">{escape(_short(name))}</text>{small}</g>\n'
        )


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[: _SHOWN - 1]}…"


def _line(gap: int, left: int, right: int) -> str:
    x = gap * (_WIDTH + _GAP) + _WIDTH
    y, to = left * _STEP + _HEIGHT // 2, right * _STEP + _HEIGHT // 2
    bend = _GAP // 2
    return f'<path d="M{x},{y} C{x + bend},{y} {x + bend},{to} {x + _GAP},{to}"/>\n'
