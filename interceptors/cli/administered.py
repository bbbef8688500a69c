"""What the verbs that administer keys share: their options, and what they print."""

import contextlib
import os
import pwd
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from interceptors.audit import AuditLog
from interceptors.errors import ConfigurationError
from interceptors.files import followed
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
SignersAudit = Annotated[
    Path | None,
    typer.Option(
        "--audit",
        metavar="FILE",
        help="An audit log: this is recorded in it first, or not done.",
        show_default="audit.jsonl, if roots.json is in this folder",
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
AUDIT = "audit.jsonl"


def administration(roots: Path, audit: Path | None, audit_key: Path | None) -> KeyAdministration:
    """Open the administration, with its audit log.

    Raises:
        ConfigurationError: a file can't be used.
    """
    log = audit_log(audit or _log_of(roots), audit_key)
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


def signers_act(
    audit: Path | None, audit_key: Path | None, action: str, **details: str | int | bool | list[str]
) -> AbstractContextManager[object]:
    """Record what is done in the body before it is done, where there is a log.

    Who signs has keys of their own, and maybe no log: it is the one that is named, or that of the
    administration whose roots are in this folder.

    Args:
        audit: the log.
        audit_key: what signs its checkpoints.
        action: what is done.
        details: to what, and how.

    Raises:
        ConfigurationError: the key's file can't be used, or there is no log for it to sign.
    """
    if audit is None and ROOTS.exists():
        audit = _log_of(ROOTS)
    if audit is not None:
        return audit_log(audit, audit_key).act(action, **details)
    if audit_key is not None:
        raise ConfigurationError("--audit-key: there is no log for it to sign; name one with --audit")
    return contextlib.nullcontext()


def _log_of(roots: Path) -> Path:
    """Give the log beside the roots themselves: there is one, whatever link leads to them."""
    with contextlib.suppress(OSError):  # what reads the roots says so
        roots = followed(roots)
    return roots.with_name(AUDIT)


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
