"""`interceptors check`."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from interceptors.errors import ConfigurationError
from interceptors.governance.checks import Baseline, Finding, Form, check_paths, report
from interceptors.governance.mutation import try_weakenings

_NS_PER_MS = 1_000_000


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Files and folders; with --mutate, one policy.", show_default="this folder"
        ),
    ] = None,
    *,
    format_: Annotated[Form, typer.Option("--format", help="How findings are written.")] = Form.TEXT,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them there.", show_default="standard output")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB", help="Leave out such paths or names; say it once for each.", show_default=False
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is in this baseline does not count.")
    ] = None,
    write_baseline: Annotated[
        bool, typer.Option("--write-baseline", help="Write all findings into the baseline, and show none.")
    ] = False,
    mutate: Annotated[
        bool,
        typer.Option(
            "--mutate", help="Weaken a policy line by line, and show which weakenings no test notices."
        ),
    ] = False,
    test_command: Annotated[
        str, typer.Option(metavar="COMMAND", help="With --mutate: what runs the tests.")
    ] = "pytest -q",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="With --mutate: how long one run may take.")
    ] = 60.0,
) -> None:
    """Check policies, configurations and Python sources. Never runs nor imports what it checks.

    Exit status 1 if anything was found, 2 for wrong use. A comment `# interceptors: ignore[rule] reason` on a
    line, or above it, answers for a finding.
    """
    if write_baseline and baseline is None:
        raise ConfigurationError("--write-baseline: say where with --baseline FILE")
    if mutate:
        findings = _mutated(paths or [], test_command, timeout)
    else:
        now_ms = time.time_ns() // _NS_PER_MS
        findings = check_paths(paths or [Path()], now_ms=now_ms, exclude=exclude or [])
    if baseline is not None and write_baseline:
        Baseline.of(findings).write(baseline)
        typer.echo(f"made {baseline}: findings: {len(findings)}", err=True)
        return
    if baseline is not None:
        findings = Baseline.read(baseline).new(findings)
    _write(report(findings, format_), out)
    if format_ is Form.TEXT:
        typer.echo(f"findings: {len(findings)}", err=True)
    raise typer.Exit(bool(findings))


def _mutated(paths: list[Path], command: str, timeout: float) -> list[Finding]:
    if len(paths) != 1 or not paths[0].is_file():
        raise ConfigurationError("--mutate: name one policy, a file")
    shows = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if shows:
            typer.echo(f"\rweakenings: {done} of {total}", nl=False, err=True)

    outcome = try_weakenings(paths[0], command, timeout=timeout, progress=progress)
    if shows:
        typer.echo("\r", nl=False, err=True)
    typer.echo(f"weakenings: {outcome.tried}, unnoticed: {len(outcome.unnoticed)}", err=True)
    return list(outcome.unnoticed)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out}: can't be written ({error.strerror}); name another file") from None
