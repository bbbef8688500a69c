"""Tables on the standard output."""

from collections.abc import Sequence

import typer


def table(head: tuple[str, ...], rows: Sequence[tuple[str | int, ...]]) -> None:
    """Print rows under a head, their columns as wide as they need to be."""
    cells = [head, *(tuple(map(str, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
