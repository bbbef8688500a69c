"""`interceptors catalog`."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interceptors.cli.policy_text import read_policy_text
from interceptors.errors import ConfigurationError
from interceptors.governance.catalog import as_html, as_markdown, as_mermaid, catalog_of
from interceptors.policy.document import parse_policy_document
from interceptors.tracing.configuration import read_configuration

_NS_PER_MS = 1_000_000


class _Format(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"
    MERMAID = "mermaid"


_WRITERS = {_Format.MARKDOWN: as_markdown, _Format.HTML: as_html, _Format.MERMAID: as_mermaid}


def catalog(
    *,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy.")] = Path("policy.yaml"),
    config: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A service's interceptors.yaml, to show where its spans go; say it once for each.",
            show_default=False,
        ),
    ] = None,
    environment: Annotated[str, typer.Option(metavar="NAME", help="The deployment environment.")] = "",
    format_: Annotated[_Format, typer.Option("--format", help="How it is written.")] = _Format.MARKDOWN,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there.", show_default="standard output")
    ] = None,
) -> None:
    """Draw which data flows where and where it may leave, and list each field: for people to sign off."""
    found = catalog_of(
        parse_policy_document(read_policy_text(policy), str(policy)),
        str(policy),
        environment=environment,
        now=time.time_ns() // _NS_PER_MS,
        configurations=[read_configuration(path) for path in config or ()],
    )
    page = _WRITERS[format_](found)
    if out is None:
        typer.echo(page, nl=False)
        return
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out}: can't be written ({error.strerror}); name another file") from None
