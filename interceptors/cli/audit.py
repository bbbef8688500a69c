"""`interceptors audit`: whether a log holds, and what is in it."""

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interceptors.audit import Check, Checkpoint, Entry, Finding
from interceptors.audit import verify as verify_log
from interceptors.audit.export import instant, read_lines, write_csv
from interceptors.audit.signed_tree import checkpoint_path
from interceptors.errors import AuditError
from interceptors.keys.signing_key import read_signing_key, read_verification_key

app = typer.Typer(no_args_is_help=True, help="Check an audit log offline, and read it.")

Log = Annotated[Path, typer.Argument(metavar="LOG", help="The log.", exists=True, dir_okay=False)]


class Form(StrEnum):
    """The formats of an export."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command()
def verify(
    log: Log,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key", metavar="FILE", help="A public key that checkpoints are signed by; say it once for each."
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A checkpoint that was kept elsewhere; say it for each. The one beside the log counts too.",
        ),
    ] = None,
) -> None:
    """Say whether a log holds, and where it doesn't.

    Exit status 1 if it doesn't. Without a key, the records and their chain alone are checked.
    """
    found = verify_log(log, checkpoint or (), [read_verification_key(path) for path in key or ()])
    _answer(found.findings)
    typer.echo(f"holds: {found.records} records, {found.signed} of them under a signed checkpoint")
    if not key:
        typer.echo("note: without --key, what was cut off its end or written anew isn't found")


@app.command()
def show(
    log: Log,
    action: Annotated[
        str | None, typer.Option(metavar="A", help="This action, or those that begin with A and a dot.")
    ] = None,
    actor: Annotated[str | None, typer.Option(metavar="NAME", help="Who has acted.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"], help="From when on; UTC."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The last N of them.")] = None,
) -> None:
    """Print records, a line each: number, time, action, outcome, actor and details.

    Exit status 1 if a line doesn't hold; it is named on standard error.
    """
    start = _milliseconds(since) if since else 0
    findings: list[Finding] = []
    chosen = (
        entry
        for entry in _entries(log, findings)
        if (action is None or f"{entry.action}.".startswith(f"{action}."))
        and actor in (None, entry.actor)
        and entry.time >= start
    )
    for entry in chosen if limit is None else deque(chosen, limit):
        # In ASCII: what is in a record is not to steer a terminal.
        actor_and_details = (json.dumps(entry.actor), json.dumps(entry.details, sort_keys=True))
        what = (f"{entry.sequence}", instant(entry.time), entry.action, entry.outcome or "-")
        typer.echo("  ".join((*what, *actor_and_details)))
    _answer(findings, err=True)


@app.command()
def export(
    log: Log,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to; not there yet.")],
    form: Annotated[
        Form, typer.Option("--format", help="One record a line, as they are; or for spreadsheets.")
    ] = (Form.JSONL),
) -> None:
    """Write the records of a log into another file.

    Exit status 1 if a line doesn't hold; what is no record is left out.
    """
    findings: list[Finding] = []
    entries = _entries(log, findings)
    try:
        # As private as the log.
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            if form is Form.CSV:
                write_csv(entries, file)
            else:
                file.writelines(f"{entry.line().decode()}\n" for entry in entries)
    except OSError as error:
        raise AuditError(f"{out}: can't be written ({error.strerror}); give another name") from None
    typer.echo(f"wrote {out}")
    _answer(findings, err=True)


@app.command()
def checkpoint(
    log: Log,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key to sign by.")],
) -> None:
    """Check a log, and print a signed checkpoint to be kept where whoever writes the log can't reach it.

    Exit status 1 if the log doesn't hold; nothing is signed then.
    """
    signing_key = read_signing_key(key)
    keys = [signing_key.public] if checkpoint_path(log).exists() else []
    found = verify_log(log, keys=keys)
    # Records that came after the checkpoint beside the log are what this one is for.
    _answer([finding for finding in found.findings if finding.check is not Check.UNSIGNED])
    if not found.records:
        raise AuditError(f"{log}: has no records to make a checkpoint of")
    typer.echo(Checkpoint(found.origin, found.records, found.root).sign(signing_key), nl=False)


def _entries(log: Path, findings: list[Finding]) -> Iterator[Entry]:
    """Give the records of a log, and add what doesn't hold to the findings."""
    for line in read_lines(log):
        if line.finding:
            findings.append(line.finding)
        if line.entry:
            yield line.entry


def _answer(findings: Iterable[Finding], *, err: bool = False) -> None:
    """Print findings, and end here if there are any."""
    found = False
    for finding in findings:
        found = True
        typer.echo(f"{finding.check}: {finding.text}", err=err)
    if found:
        raise typer.Exit(1)


def _milliseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
