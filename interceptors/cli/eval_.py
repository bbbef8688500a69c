"""`interceptors eval`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from interceptors.errors import ConfigurationError
from interceptors.evaluation.comparison import compare
from interceptors.evaluation.labelled import read_labelled
from interceptors.evaluation.report import as_document, as_markdown, tables


def eval_(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labelled data: one JSON object a line.")],
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a report there, in Markdown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", help="Evaluate Presidio, detect-secrets and DataFog too, where they are installed."
        ),
    ] = False,
) -> None:
    """Say how right the scanner is: precision, recall and F1 by class, on labelled data."""
    labelled = read_labelled(data)
    shown = Console(stderr=True)
    comparison = compare(
        labelled,
        peers=peers,
        track=lambda records, name: track(
            records, name, console=shown, transient=True, disable=not shown.is_terminal
        ),
    )
    if report is not None:
        try:
            report.write_text(as_markdown(comparison), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{report}: {error.strerror}; give --report another place") from None
    if as_json:
        typer.echo(json.dumps(as_document(comparison)))
        return
    console = Console()
    for part in tables(comparison):
        console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
