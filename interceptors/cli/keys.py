"""`interceptors keys`: roots, grants and their life."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from interceptors.cli import epochs
from interceptors.cli.administered import (
    ROOTS,
    Audit,
    AuditKey,
    Roots,
    SignersAudit,
    Tenant,
    Wrapping,
    administration,
    next_step,
    signers_act,
    wrote,
)
from interceptors.cli.table import table
from interceptors.errors import ConfigurationError
from interceptors.keys import KeyAdministration
from interceptors.keys.derivation import list_keys
from interceptors.keys.key_file import KeyringFile, read_key_file
from interceptors.keys.root_file import Grant
from interceptors.keys.signing_key import write_signing_key
from interceptors.signatures import SigningKey

app = typer.Typer(no_args_is_help=True, help="Make keys, grant them, and move them through their life.")

Service = Annotated[str, typer.Argument(metavar="SERVICE", help="The service, as it calls itself.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]

_BRING = "bring each key file to where its service reads it"
_DAY = 86400


@app.command()
def root(
    tenant: Tenant,
    wrapping: Wrapping = None,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Make the first root of a tenant."""
    administration(roots, audit, audit_key).root(tenant, wrapping)
    typer.echo(f"made the root of {tenant!r}, epoch 1, which seals")
    wrote(roots)
    next_step(f"give each service its keys: interceptors keys grant SERVICE --tenant {tenant}")


@app.command()
def grant(
    service: Service,
    *,
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="TENANT", help="Whose messages the keys are for.")
    ],
    reads: Annotated[
        list[str] | None,
        typer.Option(
            "--reads", metavar="SENDER", help="A service whose envelopes it may open; say it once for each."
        ),
    ] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(
            "--tokens",
            metavar="DOMAIN",
            help="A domain in which it may tokenize identifiers; say it once for each.",
        ),
    ] = None,
    signs: Annotated[
        bool, typer.Option("--signs", help="Give it a signing key, for channels that are `signed`.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The service's key file.",
            show_default="where it is, or SERVICE-keys.json",
        ),
    ] = None,
    wrapping: Wrapping = None,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Give a service its own key for a tenant, and those of the senders that it may read; nothing else.

    It replaces what the service was granted for that tenant before.
    """
    readable = reads or []
    administered = administration(roots, audit, audit_key)
    file = out or administered.file_of(service) or Path(file_name(service, "-keys.json", "give --out"))
    former = administered.grant(
        service, tenant, readable, file, tokens=tokens or [], signs=signs, wrapping=wrapping
    )
    also = f" and may read {', '.join(map(repr, readable))}" if readable else ""
    typer.echo(f"granted: {service!r} seals{' and signs' if signs else ''} for {tenant!r}{also}")
    if tokens:
        typer.echo(f"granted: {service!r} tokenizes in {', '.join(map(repr, tokens))}")
    wrote(roots, file)
    if former is not None:
        typer.echo(f"note: {former} is not kept up to date any more; destroy it and its copies")
    for sender in set(readable) - administered.services(tenant):
        typer.echo(f"note: {sender!r} has no grant for {tenant!r} yet; see that the name is right")
    next_step(f"put {file} where the service's interceptors.yaml says under `keys`, with mode 0600")


@app.command()
def withdraw(
    service: Service,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="Only the grant for this tenant.")
    ] = None,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """End the grants of a service, and empty its key file: it seals and opens nothing any more."""
    file = administration(roots, audit, audit_key).withdraw(service, tenant)
    typer.echo(f"withdrawn: {service!r} has no grant any more{f' for {tenant!r}' if tenant else ''}")
    wrote(roots, file)
    next_step(
        f"bring {file} to where the service reads it; if anybody else may have had its keys, revoke them"
    )


app.command()(epochs.rotate)
app.command()(epochs.promote)


@app.command()
def revoke(
    kid: Annotated[
        str | None, typer.Argument(metavar="[KID]", help="A key's id, as `interceptors keys list` shows it.")
    ] = None,
    *,
    sender: Annotated[
        str | None,
        typer.Option("--sender", metavar="SENDER", help="Instead: every key of this sender, for --tenant."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="Whose messages, with --sender.")
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service",
            metavar="SERVICE",
            help="Instead: every key that this service holds or ever held. Its grants end.",
        ),
    ] = None,
    reason: Reason = "",
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Let nothing be opened or sealed under a key any more: one, all of a sender, or all that a service held.

    With --sender or --service, a --reason is needed.
    """
    administered = administration(roots, audit, audit_key)
    files = administered.files()  # of a service that is to have no grant, too
    grants, file = administered.grants(service or ""), administered.file_of(service or "")
    match kid, sender, tenant, service:
        case str(), None, None, None:
            administered.revoke(kid, reason=reason)
            kids = [kid.lower()]
        case None, str(), str(), None:
            kids = administered.revoke_sender(sender, tenant, reason=reason)
        case None, None, None, str():
            kids = administered.revoke_service(service, reason=reason)
        case _:
            raise ConfigurationError("say what to revoke: KID, or --sender with --tenant, or --service")
    for revoked in kids:
        typer.echo(f"revoked {revoked}: nothing opens or is sealed under it")
    wrote(roots, *files)
    next_step(
        f"{_BRING}, those of the readers first; the sender of a revoked key goes without envelopes until its "
        "tenant has a new epoch: interceptors keys rotate TENANT --now"
    )
    for grant_ in grants:
        if grant_.tokens:
            next_step(f"it had token keys: interceptors keys rotate-tokens {grant_.tenant}")
        next_step(f"once {service!r} may have keys again, after that: {_again(grant_, roots, file)}")


app.command()(epochs.destroy)
app.command()(epochs.schedule)
app.command()(epochs.tick)
app.command("token-root")(epochs.token_root)
app.command("rotate-tokens")(epochs.rotate_tokens)
app.command("destroy-tokens")(epochs.destroy_tokens)


@app.command()
def rewrap(
    wrapping: Annotated[
        str,
        typer.Option(
            "--wrapping",
            metavar="URI",
            help="What is to wrap them: aws-kms:KEY, vault:KEY or pkcs11:TOKEN/KEY.",
        ),
    ],
    service: Annotated[
        str | None, typer.Option("--service", metavar="SERVICE", help="Wrap this service's key file instead.")
    ] = None,
    roots: Roots = ROOTS,
    audit: Audit = None,
    audit_key: AuditKey = None,
) -> None:
    """Wrap the roots by a key management service or device; or by another key of one than until now."""
    administered = administration(roots, audit, audit_key)
    administered.rewrap(wrapping, service)
    typer.echo(f"{f'the keys of {service!r}' if service else 'the roots'} are wrapped by {wrapping}")
    file = administered.file_of(service) if service else None
    wrote(roots, *([file] if file else []))
    next_step("destroy copies and backups of the file as it was: what stood there in clear still does")


@app.command()
def write(roots: Roots = ROOTS, audit: Audit = None, audit_key: AuditKey = None) -> None:
    """Write every key file that was granted anew, where a change could not be written to one of them."""
    administered = administration(roots, audit, audit_key)
    administered.write()
    wrote(*administered.files())
    next_step(_BRING)


@app.command("signing-key")
def signing_key(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The private key's file, such as audit.key; not there yet.")
    ],
    audit: SignersAudit = None,
    audit_key: AuditKey = None,
) -> None:
    """Make a key to sign with, and beside it the public one to check by."""
    key = SigningKey.generate()
    with signers_act(audit, audit_key, "keys.signing-key", kid=key.public.id, file=out.name):
        public = write_signing_key(out, key)
    wrote(out, public)
    next_step(f"leave {out} with whoever signs, and give {public} to whoever checks")


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
    """List keys: whose they are, their kid, use and age, and what is due. Never the keys themselves."""
    if file is None and not roots.exists():
        raise ConfigurationError(
            f"{roots}: there is no such file; name the administration's with --roots, or a service's key file"
        )
    if file is None:
        administered = KeyAdministration(roots)
        _list_roots(administered)
        lines = administered.keys()
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


def _list_roots(administered: KeyAdministration) -> None:
    ages = administered.ages()
    due = {
        (step.tenant, step.epoch): f"{step.action} {epochs.day(step.at)}"
        for step in administered.rotation.due()
    }
    rows = [
        # A rotation makes an epoch that is not there yet: it is shown at the one before.
        (*root, _age(ages[root[:2]]), due.get(root[:2]) or due.get((root[0], root[1] + 1)) or "-")
        for root in administered.roots()
    ]
    table(("tenant", "epoch", "root", "age", "due"), rows)
    typer.echo()
    versions = administered.tokens.versions()
    if versions:
        table(("tenant", "version", "tokens", "age"), [(*line[:3], _age(line[3])) for line in versions])
        typer.echo()


def _age(seconds: int | None) -> str:
    return "-" if seconds is None else f"{seconds // _DAY}d"


def _again(former: Grant, roots: Path, file: Path | None) -> str:
    """Give the command that makes a grant again."""
    words = ["interceptors", "keys", "grant", former.service, "--tenant", former.tenant]
    words += [word for name in former.reads for word in ("--reads", name)]
    words += [word for name in former.tokens for word in ("--tokens", name)]
    words += ["--signs"] * former.signs
    words += ["--out", str(file or former.file)]
    words += ["--wrapping", former.wrapping] if former.wrapping else []
    return shlex.join([*words, "--roots", str(roots)])
