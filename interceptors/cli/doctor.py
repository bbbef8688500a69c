"""`interceptors doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from interceptors.diagnosis import Status, diagnose

_COLOURS = {Status.OK: "green", Status.NOTE: "cyan", Status.WARNING: "yellow", Status.WRONG: "red"}


def doctor(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The service's configuration.")] = Path(
        "interceptors.yaml"
    ),
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="HOST:PORT", help="Try this broker, too, by a plain connection."),
    ] = None,
) -> None:
    """Try a service's configuration, keys and policy as the service would, and say how to mend what is wrong.

    Exit status 1 if anything is wrong; notes and warnings alone are none.
    """
    found = set()
    for check in diagnose(config, kafka=kafka):
        found.add(check.status)
        typer.echo(f"{typer.style(f'{check.status:7}', fg=_COLOURS[check.status])}  {check.text}")
    raise typer.Exit(1 if Status.WRONG in found else 0)
