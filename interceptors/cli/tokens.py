"""`interceptors tokens`: the token vault, by hand."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from interceptors.cli.administered import AuditKey, audit_log
from interceptors.cli.table import table
from interceptors.errors import ConfigurationError
from interceptors.keys import KeyAdministration
from interceptors.token_vault import (
    AliasStore,
    TokenVault,
    load_access,
    migrate,
    open_database,
    read_vault_keys,
    write_vault_keys,
)
from interceptors.token_vault.store import VaultStore

app = typer.Typer(no_args_is_help=True, help="Keep identifiers in a vault, and resolve their tokens.")

_ACCESS = """\
version: 1
domains:
  customer: {class: personal.email}
roles:
  support:
    tenants: [TENANTS]
    domains: [customer]
    purposes: [customer-request]
  privacy-office:
    tenants: [TENANTS]
    domains: [customer]
    purposes: [erasure-request]
    erase: true
callers: {}
limit: {per_minute: 60, burst: 10}
"""

Store = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="FILE|URL",
        envvar="INTERCEPTORS_VAULT",
        help="The vault's database: an SQLite file, or a URL that begins with postgresql://.",
    ),
]
Keys = Annotated[
    Path, typer.Option("--keys", metavar="FILE", help="The vault's key file; give it to no other service.")
]
Access = Annotated[Path, typer.Option("--access", metavar="FILE", help="Who may resolve what, and what for.")]
Audit = Annotated[Path, typer.Option("--audit", metavar="FILE", help="The audit log.")]
Caller = Annotated[str, typer.Option("--caller", metavar="NAME", help="Who asks, as `--access` knows them.")]
Purpose = Annotated[str, typer.Option("--purpose", metavar="WORD", help="What for.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Whose identifiers.")]
TokenText = Annotated[str, typer.Argument(metavar="TOKEN", help="Such as tokv_ and 26 characters.")]

STORE, KEYS, ACCESS, AUDIT = "vault.db", Path("vault-keys.json"), Path("vault.yaml"), Path("vault-audit.log")
ROOTS = Path("roots.json")


@app.command()
def init(
    *,
    tenants: Annotated[list[str], typer.Argument(metavar="TENANT...", help="Whose identifiers.")],
    roots: Annotated[
        Path, typer.Option("--roots", metavar="FILE", help="The key administration's file.")
    ] = ROOTS,
    wrapping: Annotated[
        str | None,
        typer.Option("--wrapping", metavar="URI", help="What wraps the keys in the vault's key file."),
    ] = None,
    store: Store = STORE,
    keys: Keys = KEYS,
    access: Access = ACCESS,
    audit: Audit = AUDIT,
    audit_key: AuditKey = None,
) -> None:
    """Make a vault for tenants, or give an existing one the present keys.

    The keys come from the tenants' token roots, and that is on the audit log before it is done. Aliases of
    versions that were destroyed are deleted.
    """
    if not roots.exists():
        raise ConfigurationError(f"{roots}: there is no such file; name the administration's with --roots")
    database = open_database(store)
    migrate(database)
    counts = VaultStore(database).counts()
    log = audit_log(audit, audit_key)
    token_roots = KeyAdministration(roots).tokens
    write_vault_keys(keys, token_roots, tenants, counts=counts, wrapping=wrapping, audit=log)
    typer.echo(f"wrote {keys}")
    aliases, versions = AliasStore(database), token_roots.versions()
    for tenant in dict.fromkeys(tenants):
        gone = aliases.keep(tenant, [version for owner, version, *_ in versions if owner == tenant], log)
        if gone:
            typer.echo(f"deleted {gone} aliases of {tenant!r} that were of destroyed versions")
    if not access.exists():
        names = ", ".join(f'"{tenant}"' for tenant in dict.fromkeys(tenants))
        access.write_text(_ACCESS.replace("TENANTS", names), encoding="utf-8")
        typer.echo(f"wrote {access}")
    typer.echo(f"next: say in {access} who may resolve what")


@app.command()
def tokenize(
    *,
    tenant: Tenant,
    domain: Annotated[str, typer.Option("--domain", metavar="DOMAIN", help="What they are.")],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Identifiers, one a line.", show_default="standard input"),
    ] = None,
    store: Store = STORE,
    keys: Keys = KEYS,
    access: Access = ACCESS,
    audit: Audit = AUDIT,
    audit_key: AuditKey = None,
) -> None:
    """Print the token of each identifier, one a line."""
    vault = _vault(store, keys, access, audit, audit_key)
    for identifier in _lines(file):
        typer.echo(str(vault.tokenize(tenant, domain, identifier)))


@app.command()
def resolve(
    *,
    token: TokenText,
    caller: Caller,
    purpose: Purpose,
    store: Store = STORE,
    keys: Keys = KEYS,
    access: Access = ACCESS,
    audit: Audit = AUDIT,
    audit_key: AuditKey = None,
) -> None:
    """Print the identifier that a token stands for; on the audit log before."""
    vault = _vault(store, keys, access, audit, audit_key)
    typer.echo(vault.resolve(token, caller=caller, purpose=purpose))


@app.command()
def forget(
    *,
    token: TokenText,
    caller: Caller,
    purpose: Purpose,
    store: Store = STORE,
    keys: Keys = KEYS,
    access: Access = ACCESS,
    audit: Audit = AUDIT,
    audit_key: AuditKey = None,
) -> None:
    """Delete the identifier that a token stands for, so that nobody resolves it again.

    Of a derived token (tok1_...), it deletes the aliases.
    """
    vault = _vault(store, keys, access, audit, audit_key)
    vault.forget(token, caller=caller, purpose=purpose)
    typer.echo(f"forgot what {token} stands for")


@app.command()
def rotate(
    *,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Whose identifiers.")],
    store: Store = STORE,
    keys: Keys = KEYS,
    access: Access = ACCESS,
    audit: Audit = AUDIT,
    audit_key: AuditKey = None,
) -> None:
    """Index and seal a tenant's identifiers under the newest key. Their tokens stay as they are.

    First bring the new key file to every process of the vault.
    """
    done = _vault(store, keys, access, audit, audit_key).rotate(tenant)
    if done:
        typer.echo(f"{done} identifiers of {tenant!r} are under the newest key now")
    else:
        typer.echo(
            f"nothing to do: no identifier of {tenant!r} is under an older key than this vault's newest"
        )


@app.command()
def stats(store: Store = STORE) -> None:
    """Count the tokens by tenant, domain and version of the key."""
    table(("tenant", "domain", "key", "tokens"), VaultStore(open_database(store)).counts())


def _vault(store: str, keys: Path, access: Path, audit: Path, audit_key: Path | None) -> TokenVault:
    held, allowed = read_vault_keys(keys), load_access(access)
    return TokenVault(open_database(store), held, audit=audit_log(audit, audit_key), access=allowed)


def _lines(file: Path | None) -> list[str]:
    try:
        content = sys.stdin.buffer.read() if file is None else file.read_bytes()
        # Split as bytes: in text, more ends a line than its end.
        lines = [line.decode() for line in content.splitlines() if line]
    except OSError as error:
        raise ConfigurationError(f"{file}: can't be read ({error.strerror}); give another file") from None
    except UnicodeDecodeError:
        lines = None  # refused out here: this exception holds the text
    if lines is None:
        raise ConfigurationError("the identifiers are not text in UTF-8")
    return lines
