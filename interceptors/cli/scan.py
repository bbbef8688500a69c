"""`interceptors scan`."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from interceptors.cli.table import table
from interceptors.errors import ConfigurationError
from interceptors.scan import DETECTORS, Format
from interceptors.scanning.job import Options, scan_targets
from interceptors.scanning.report import Problems, Tally


def scan(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH|-|kafka://HOST:PORT/TOPIC",
            help="Files, folders, standard input, or a topic (several brokers: HOST:PORT,HOST:PORT).",
            show_default=False,
        ),
    ] = None,
    *,
    format_: Annotated[
        Format,
        typer.Option("--format", help="What the files are; auto goes by their names, then by their content."),
    ] = Format.AUTO,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one finding a line, as JSON; with --summary, one count.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print how many there are of each, and no findings.")
    ] = False,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What this policy declares does not count."),
    ] = None,
    channel: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The channel of the policy that goes for them all.",
            show_default="a topic's own; for files, the default's rules",
        ),
    ] = "",
    list_: Annotated[
        bool, typer.Option("--list", help="Print all that can be looked for, and scan nothing.")
    ] = False,
    group: Annotated[
        str,
        typer.Option(
            metavar="GROUP",
            help="The consumer group of a topic. Processes of one group share the topic, and go on where it "
            "stopped.",
        ),
    ] = "interceptors-scan",
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            metavar="NAME=VALUE",
            help="A property of librdkafka, such as security.protocol=SSL; say it once for each.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on at the end of a topic until interrupted.")
    ] = False,
) -> None:
    """Look for identifiers in files and topics. Never prints the text that was found.

    Exit status 1 if any was found that the policy does not declare, 2 if anything could not be scanned.
    """
    if list_:
        _list()
        return
    if not targets:
        raise ConfigurationError("nothing to scan; name files, folders, - or kafka://host:port/topic")
    options = Options(format_, policy, channel, group, _named(properties or []), follow)
    problems, tally = Problems(), Tally()
    with _ended_early(problems):
        for found in scan_targets(
            targets, options, problems=problems, progress=_progress, written=sys.stdout.flush
        ):
            tally.add(found)
            if not summary:
                sys.stdout.write((found.as_json() if as_json else found.as_line()) + "\n")
    if summary:
        _summarize(tally, as_json=as_json)
    elif not as_json:
        typer.echo(f"findings: {tally.total}", err=True)
    texts = list(problems.texts())
    for text in texts:
        typer.echo(f"error: {text}", err=True)
    raise typer.Exit(2 if texts else bool(tally.total))


@contextmanager
def _ended_early(problems: Problems) -> Iterator[None]:
    """Say why a scan did not come to its end."""
    try:
        yield
    except KeyboardInterrupt:
        problems.add("interrupted; not all was scanned")
    except BrokenPipeError:
        raise  # nobody reads on
    except OSError as error:
        raise ConfigurationError(
            f"the standard output can't be written ({error.strerror}), and not all was scanned; give it "
            "another place"
        ) from None


def _summarize(tally: Tally, *, as_json: bool) -> None:
    if not as_json:
        table(("class", "detector", "count"), tally.rows())
        return
    for class_, detector, count in tally.rows():
        typer.echo(json.dumps({"class": class_, "detector": detector, "count": count}))


def _list() -> None:
    rows = [
        (row.class_, row.name, "on" if row.default else "off", row.validation, row.reason)
        for row in sorted(DETECTORS, key=lambda row: (row.class_, row.name))
    ]
    table(("class", "detector", "default", "validation", "reason"), rows)


def _named(properties: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in properties]
    # What has no name may be a password.
    if not all(name and sign for name, sign, _ in pairs):
        raise ConfigurationError("--property: write each as NAME=VALUE, such as security.protocol=SSL")
    return {name: value for name, _, value in pairs}


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr, if that is a terminal."""
    # Where findings go to the terminal as well, the bar has to know of them.
    shared = sys.stdout.isatty()
    with Progress(
        console=Console(stderr=not shared),
        transient=True,
        redirect_stdout=shared,
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("scanning", total=total or None)
        yield lambda count: bar.advance(task, count)
