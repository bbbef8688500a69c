"""The catalog as a Markdown page."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from interceptors.governance.catalog.mermaid import as_mermaid
from interceptors.governance.catalog.tables import tables_of

if TYPE_CHECKING:
    from interceptors.governance.catalog.data_flow import Catalog
    from interceptors.governance.catalog.tables import Table

_MARKED = re.compile(r"([\\`*_{}\[\]#|!~])")


def as_markdown(catalog: Catalog) -> str:
    """Write a page: the map, then the tables.

    Args:
        catalog: of a policy.

    Returns:
        Markdown, with the map as a block of Mermaid. What the policy says is escaped.
    """
    where = f" in {_safe(catalog.environment)}" if catalog.environment else ""
    parts = [f"# Data catalog{where}\n", "## Data flow\n", f"```mermaid\n{as_mermaid(catalog)}```\n"]
    parts += [_table(table) for table in tables_of(catalog)]
    return "\n".join(parts)


def _table(table: Table) -> str:
    rows = [table.head, tuple("---" for _ in table.head), *(map(_safe, row) for row in table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return f"## {table.title}\n\n{table.intro}\n\n" + "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    """Write a text that is nothing but text in a cell."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return html.escape(_MARKED.sub(r"\\\1", plain), quote=False)
