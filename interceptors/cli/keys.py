"""`interceptors keys`: roots, grants and their life."""

from pathlib import Path
from typing import Annotated

import typer

from interceptors.cli.table import table
from interceptors.errors import ConfigurationError
from interceptors.keys import KeyAdministration
from interceptors.keys.administration import list_keys
from interceptors.keys.key_file import KeyringFile, read_key_file

app = typer.Typer(no_args_is_help=True, help="Make keys, grant them, and move them through their life.")

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Whose messages the keys are for.")]
Roots = Annotated[
    Path, typer.Option("--roots", metavar="FILE", help="The administration's file; give it to no service.")
]
ROOTS = Path("roots.json")


@app.command()
def root(tenant: Tenant, roots: Roots = ROOTS) -> None:
    """Make the first root of a tenant."""
    KeyAdministration(roots).root(tenant)
    typer.echo(f"made the root of {tenant!r}, epoch 1, which seals")
    _wrote(roots)
    _next(f"give each service its keys: interceptors keys grant SERVICE --tenant {tenant}")


@app.command()
def grant(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service, as it calls itself.")],
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="TENANT", help="Whose messages the keys are for.")
    ],
    reads: Annotated[
        list[str] | None,
        typer.Option(
            "--reads", metavar="SENDER", help="A service whose envelopes it may open; say it once for each."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The service's key file.",
            show_default="where it is, or SERVICE-keys.json",
        ),
    ] = None,
    roots: Roots = ROOTS,
) -> None:
    """Give a service its own key for a tenant, and those of the senders that it may read; nothing else.

    It replaces what the service was granted for that tenant before.
    """
    readable = reads or []
    administration = KeyAdministration(roots)
    file = out or administration.file_of(service) or Path(file_name(service, "-keys.json", "give --out"))
    former = administration.grant(service, tenant, readable, file)
    also = f" and may read {', '.join(map(repr, readable))}" if readable else ""
    typer.echo(f"granted: {service!r} seals for {tenant!r}{also}")
    _wrote(roots, file)
    if former is not None:
        typer.echo(f"note: {former} is not kept up to date any more; destroy it and its copies")
    for sender in set(readable) - administration.services(tenant):
        typer.echo(f"note: {sender!r} has no grant for {tenant!r} yet; see that the name is right")
    _next(f"put {file} where the service's interceptors.yaml says under `keys`, with mode 0600")


@app.command()
def rotate(tenant: Tenant, roots: Roots = ROOTS) -> None:
    """Add a new epoch, which opens only until it is promoted."""
    administration = KeyAdministration(roots)
    epoch = administration.rotate(tenant)
    typer.echo(f"added epoch {epoch} of {tenant!r}, which opens only")
    _wrote(roots, *administration.files(tenant))
    _next(
        f"bring each key file to where its service reads it; once all of them are there: "
        f"interceptors keys promote {tenant}"
    )


@app.command()
def promote(tenant: Tenant, roots: Roots = ROOTS) -> None:
    """Let the newest epoch seal; the ones before it open only."""
    administration = KeyAdministration(roots)
    epoch = administration.promote(tenant)
    typer.echo(f"epoch {epoch} of {tenant!r} seals now; the ones before it open only")
    _wrote(roots, *administration.files(tenant))
    _next(
        "bring each key file to where its service reads it; once no message sealed under an older epoch is "
        f"left to read, dead letters included: interceptors keys destroy {tenant} --epoch N"
    )


@app.command()
def revoke(
    kid: Annotated[
        str, typer.Argument(metavar="KID", help="The key's id, as `interceptors keys list` shows it.")
    ],
    roots: Roots = ROOTS,
) -> None:
    """Let nothing be opened or sealed under one key any more."""
    administration = KeyAdministration(roots)
    administration.revoke(kid)
    typer.echo(f"revoked {kid.lower()}: nothing opens or is sealed under it")
    _wrote(roots, *administration.files())
    _next(
        "bring each key file to where its service reads it; the sender of a revoked key goes without "
        "envelopes until its tenant's keys are rotated and promoted"
    )


@app.command()
def destroy(
    tenant: Tenant,
    epoch: Annotated[int, typer.Option("--epoch", metavar="N", help="The epoch to destroy.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    roots: Roots = ROOTS,
) -> None:
    """Destroy an epoch: its root, and every key out of it.

    What was sealed under it can never be opened again, by anybody.
    """
    if not yes:
        typer.confirm(
            f"Destroy epoch {epoch} of {tenant!r}? Nothing sealed under it can ever be opened again.",
            abort=True,
        )
    administration = KeyAdministration(roots)
    administration.destroy(tenant, epoch)
    typer.echo(f"destroyed epoch {epoch} of {tenant!r}")
    _wrote(roots, *administration.files(tenant))
    _next("bring each key file to where its service reads it, and destroy copies and backups of the old ones")


@app.command()
def write(roots: Roots = ROOTS) -> None:
    """Write every key file that was granted anew, where a change could not be written to one of them."""
    administration = KeyAdministration(roots)
    administration.write()
    _wrote(*administration.files())
    _next("bring each key file to where its service reads it")


@app.command("list")
def list_(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A service's key file; without one, everything that was granted."
        ),
    ] = None,
    roots: Roots = ROOTS,
) -> None:
    """List keys: whose they are, their kid and their use. Never the keys themselves."""
    if file is None and not roots.exists():
        raise ConfigurationError(
            f"{roots}: there is no such file; name the administration's with --roots, or a service's key file"
        )
    if file is None:
        administration = KeyAdministration(roots)
        table(("tenant", "epoch", "root"), administration.roots())
        typer.echo()
        lines = administration.keys()
    else:
        keyring = read_key_file(file, KeyringFile)
        try:
            lines = list_keys(keyring)
        except ValueError as error:
            raise ConfigurationError(f"{file}: {error}") from None
    table(("tenant", "sender", "epoch", "kid", "use", "held by"), lines)


def file_name(service: str, ending: str, remedy: str) -> str:
    """Give a service's file name.

    Raises:
        ConfigurationError: the service's name, a SPIFFE id say, is none.
    """
    name = service + ending
    if not service or Path(name).name != name:
        raise ConfigurationError(f"{service!r} can't be part of a file name; {remedy}")
    return name


def _wrote(*files: Path) -> None:
    for file in files:
        typer.echo(f"wrote {file}")


def _next(step: str) -> None:
    typer.echo(f"next: {step}")
