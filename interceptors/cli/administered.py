"""What the verbs that administer keys share: their options, and what they print."""

import os
import pwd
from pathlib import Path
from typing import Annotated

import typer

from interceptors.audit import AuditLog
from interceptors.errors import ConfigurationError
from interceptors.keys import KeyAdministration
from interceptors.keys.signing_key import read_signing_key

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Whose messages the keys are for.")]
Roots = Annotated[
    Path, typer.Option("--roots", metavar="FILE", help="The administration's file; give it to no service.")
]
Audit = Annotated[
    Path | None,
    typer.Option(
        "--audit",
        metavar="FILE",
        help="The audit log that each change is recorded in before it is made.",
        show_default="audit.jsonl, beside the roots",
    ),
]
AuditKey = Annotated[
    Path | None,
    typer.Option("--audit-key", metavar="FILE", help="The private key that signs the log's checkpoints."),
]
Wrapping = Annotated[
    str | None,
    typer.Option(
        "--wrapping",
        metavar="URI",
        help="What wraps the keys in the file: aws-kms:KEY, vault:KEY or pkcs11:TOKEN/KEY.",
        show_default="what does already, or nothing",
    ),
]
ROOTS = Path("roots.json")


def administration(roots: Path, audit: Path | None, audit_key: Path | None) -> KeyAdministration:
    """Open the administration, with its audit log.

    Raises:
        ConfigurationError: a file can't be used.
    """
    log = audit_log(audit or roots.parent / "audit.jsonl", audit_key)
    return KeyAdministration(roots, audit=log)


def audit_log(path: Path, key: Path | None) -> AuditLog:
    """Give an audit log in which whoever runs this process acts.

    Raises:
        ConfigurationError: the key's file can't be used, or the log's folder not be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be written ({error.strerror}); give another place") from None
    return AuditLog(path, actor=_user(), key=None if key is None else read_signing_key(key))


def wrote(*files: Path) -> None:
    """Say which files were written."""
    for file in files:
        typer.echo(f"wrote {file}")


def next_step(step: str) -> None:
    """Say what comes next."""
    typer.echo(f"next: {step}")


def _user() -> str:
    """Give the account by its number, not by what the environment says."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # an account without a name, as in a container
        return f"uid {number}"
