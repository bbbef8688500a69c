"""`interceptors keys`: the verbs that move epochs and token roots through their life."""

from datetime import UTC, datetime
from typing import Annotated

import pydantic
import typer

from interceptors.cli.administered import (
    ROOTS,
    Audit,
    AuditKey,
    Roots,
    Tenant,
    administration,
    next_step,
    wrote,
)
from interceptors.errors import ConfigurationError
from interceptors.keys.schedule import Step
from interceptors.policy.quantities import Duration

Version = Annotated[int, typer.Option("--version", metavar="N", help="The version to destroy.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]

_BRING = "bring each key file to where its service reads it"
_DURATION: pydantic.TypeAdapter[int] = pydantic.TypeAdapter(Duration)
_DONE = {
    "rotate": "added epoch {epoch} of {tenant!r}, which opens only",
    "promote": "epoch {epoch} of {tenant!r} seals now",
    "destroy": "destroyed epoch {epoch} of {tenant!r}",
}


def rotate(
    tenant: Tenant,
    now: Annotated[
        bool, typer.Option("--now", help="Let the new epoch seal at once, as after a revocation.")
    ] = False,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Add a new epoch, which opens only until it is promoted."""
    administered = administration(roots, audit, audit_key)
    epoch = administered.rotate(tenant, now=now)
    typer.echo(f"added epoch {epoch} of {tenant!r}, which {'seals at once' if now else 'opens only'}")
    wrote(roots, *administered.files(tenant))
    if now:
        next_step(f"{_BRING}, those of the readers first; whoever is late opens nothing that is sealed now")
    else:
        next_step(f"{_BRING}; once all of them are there: interceptors keys promote {tenant}")


def promote(tenant: Tenant, roots: Roots = ROOTS, audit: Audit = None, audit_key: AuditKey = None) -> None:
    """Let the newest epoch seal; the ones before it open only."""
    administered = administration(roots, audit, audit_key)
    epoch = administered.promote(tenant)
    typer.echo(f"epoch {epoch} of {tenant!r} seals now; the ones before it open only")
    wrote(roots, *administered.files(tenant))
    next_step(
        f"{_BRING}; once no message sealed under an older epoch is "
        f"left to read, dead letters included: interceptors keys destroy {tenant} --epoch N"
    )


def destroy(
    tenant: Tenant,
    *,
    epoch: Annotated[int, typer.Option("--epoch", metavar="N", help="The epoch to destroy.")],
    yes: Yes = False,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Destroy an epoch: its root, and every key out of it.

    What was sealed under it can never be opened again, by anybody.
    """
    if not yes:
        typer.confirm(
            f"Destroy epoch {epoch} of {tenant!r}? Nothing sealed under it can ever be opened again.",
            abort=True,
        )
    administered = administration(roots, audit, audit_key)
    administered.destroy(tenant, epoch)
    typer.echo(f"destroyed epoch {epoch} of {tenant!r}")
    wrote(roots, *administered.files(tenant))
    next_step(f"{_BRING}, and destroy copies and backups of the old ones")


def schedule(
    tenant: Tenant,
    *,
    every: Annotated[str, typer.Option(metavar="TIME", help="How long an epoch seals, such as 90d.")] = "",
    overlap: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="How long the next epoch is in every key file before it seals, such as 7d."
        ),
    ] = "",
    retire: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long an epoch opens after it has sealed; then it is destroyed: longer than any message "
            "is kept, dead letters included.",
        ),
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="Rotate by hand from now on.")] = False,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Have `interceptors keys tick` rotate the keys of a tenant."""
    administered = administration(roots, audit, audit_key)
    if off:
        administered.rotation.unschedule(tenant)
        typer.echo(f"the keys of {tenant!r} are rotated by hand from now on")
        wrote(roots)
        return
    times = {"every": every, "overlap": overlap, "retire": retire}
    seconds = {name: _seconds(f"--{name}", text) for name, text in times.items()}
    administered.rotation.schedule(tenant, **seconds)
    typer.echo(f"the keys of {tenant!r} seal for {every}, overlap for {overlap}, and open {retire} longer")
    wrote(roots)
    _coming([step for step in administered.rotation.due() if step.tenant == tenant])
    next_step("have a job run each day, or more often: interceptors keys tick")


def tick(roots: Roots = ROOTS, audit: Audit = None, audit_key: AuditKey = None) -> None:
    """Do what is due by the schedules: rotate, promote, destroy. Asks nothing: for a job that runs each day.

    It makes up for runs that were missed, and keeps the times between the steps whatever was missed.
    """
    administered = administration(roots, audit, audit_key)
    done: list[Step] = []

    def report(step: Step) -> None:
        done.append(step)
        typer.echo(_DONE[step.action].format(epoch=step.epoch, tenant=step.tenant))

    try:
        administered.rotation.tick(report)
    finally:  # what was done for other tenants has still to be brought where it belongs
        if done:
            changed = {file for step in done for file in administered.files(step.tenant)}
            wrote(roots, *sorted(changed))
            next_step(_BRING)
        else:
            typer.echo("nothing was due")
        _coming(administered.rotation.due())


def token_root(tenant: Tenant, roots: Roots = ROOTS, audit: Audit = None, audit_key: AuditKey = None) -> None:
    """Make the first root of a tenant's token keys."""
    administration(roots, audit, audit_key).tokens.root(tenant)
    typer.echo(f"made the token root of {tenant!r}, version 1, which is current")
    wrote(roots)
    next_step(f"let services tokenize: interceptors keys grant SERVICE --tenant {tenant} --tokens DOMAIN")


def rotate_tokens(
    tenant: Tenant, roots: Roots = ROOTS, audit: Audit = None, audit_key: AuditKey = None
) -> None:
    """Make a new version of a tenant's token keys current; the former ones stay, for aliases."""
    administered = administration(roots, audit, audit_key)
    version = administered.tokens.rotate(tenant)
    typer.echo(f"version {version} of the token keys of {tenant!r} is current; the ones before it are former")
    wrote(roots, *administered.files(tenant))
    next_step(
        f"{_BRING}; once no token of a former version is left that has to be joined: "
        f"interceptors keys destroy-tokens {tenant} --version N"
    )


def destroy_tokens(
    tenant: Tenant,
    *,
    version: Version,
    yes: Yes = False,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Destroy a former version of a tenant's token keys.

    A token of it can never again be told to be of the same identifier as another one.
    """
    if not yes:
        typer.confirm(
            f"Destroy version {version} of the token keys of {tenant!r}? Its tokens can't be joined again.",
            abort=True,
        )
    administered = administration(roots, audit, audit_key)
    administered.tokens.destroy(tenant, version)
    typer.echo(f"destroyed version {version} of the token keys of {tenant!r}")
    wrote(roots, *administered.files(tenant))
    next_step(f"{_BRING}, and destroy copies and backups of the old ones")
    next_step(f"where there are aliases, delete those of that version: interceptors tokens init {tenant}")


def day(seconds: int) -> str:
    """Write a time as people read it.

    Args:
        seconds: since the epoch.
    """
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):  # beyond what a calendar holds
        return f"{seconds} s"


def _coming(due: list[Step]) -> None:
    for step in due:
        typer.echo(f"due: {step.action} epoch {step.epoch} of {step.tenant!r} at {day(step.at)}")


def _seconds(option: str, text: str) -> int:
    try:
        return _DURATION.validate_python(text) // 1000
    except pydantic.ValidationError:
        pass
    raise ConfigurationError(
        f"{option}: write a time as a number and a unit (s, m, h, d), such as 7d; a schedule needs all three"
    )
