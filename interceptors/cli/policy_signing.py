"""`interceptors policy sign`, `verify`, `diff` and `trust`."""

import contextlib
import json
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from interceptors.audit.entry import Detail
from interceptors.cli.administered import AuditKey, SignersAudit, signers_act
from interceptors.cli.policy_text import read_policy_text
from interceptors.cli.table import table
from interceptors.errors import ConfigurationError, PolicyError, SignatureError, TrustError
from interceptors.files import replace_file
from interceptors.governance.policy_diff import Change, Effect, policy_diff
from interceptors.keys.signing_key import read_signing_key, read_verification_key
from interceptors.policy import PolicyDocument
from interceptors.policy.compiling import Compiler
from interceptors.policy.document import parse_policy_document
from interceptors.policy.governance_document import written
from interceptors.policy.signed import PAYLOAD_TYPES, is_signed, open_unchecked
from interceptors.policy.trust import RoleName
from interceptors.policy.yaml_document import parse_document
from interceptors.signatures import Signed, parse_signed
from interceptors.tracing import Configuration
from interceptors.tracing.policy_file import PolicyFile
from interceptors.tracing.reading import decoded, read_content
from interceptors.tracing.trusting import read_trust

_NS_PER_MS = 1_000_000
_STARTER = """version: 1
roles:
  policy: {{threshold: {threshold}, keys: [{policy}]}}
{deployment}keys:
{keys}"""


class Kind(StrEnum):
    """What is signed."""

    POLICY = "policy"
    CONFIGURATION = "configuration"

    @property
    def role(self) -> RoleName:
        """Who signs it."""
        return RoleName.POLICY if self is Kind.POLICY else RoleName.DEPLOYMENT


class Format(StrEnum):
    """How what was found is printed."""

    TEXT = "text"
    JSON = "json"


File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, signed or not.")]


def register(app: typer.Typer) -> None:
    """Add the verbs.

    Args:
        app: `interceptors policy`.
    """
    app.command()(sign)
    app.command()(verify)
    app.command()(diff)
    app.command()(trust)


def sign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to sign, or sign as well.")],
    *,
    keys: Annotated[
        list[Path],
        typer.Option("--key", metavar="PRIV", help="A private key (PEM), of those who sign here and now."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Default: the same name with .dsse.json; FILE if signed."),
    ] = None,
    kind: Annotated[Kind, typer.Option("--as", help="What it is.")] = Kind.POLICY,
    audit: SignersAudit = None,
    audit_key: AuditKey = None,
) -> None:
    """Sign a policy, or a service's configuration; of a file that is signed already, sign the same text."""
    source = str(file)
    raw = read_content(file, "interceptors init")
    content = open_unchecked(raw, kind.role, source)
    text = decoded(content.text, source)
    private = [read_signing_key(key) for key in keys]
    kids = [key.public.id for key in private]
    details: dict[str, Detail] = {"file": file.name, "digest": content.digest, "keys": kids}
    if kind is Kind.POLICY:
        document = parse_policy_document(text, source)
        Compiler(document, source).compile("", None)
        if document.serial is None:
            raise PolicyError(
                f"{source}: serial: a policy that is signed has one, which counts up; add it", path="serial"
            )
        details |= {"serial": document.serial, "exceptions": [entry.id for entry in document.exceptions]}
    else:
        parse_document(Configuration, text, source)
    signed = parse_signed(raw) if is_signed(raw) else Signed(text.encode(), PAYLOAD_TYPES[kind.role], ())
    if out is None:
        out = file if is_signed(raw) else file.with_name(f"{file.name}.dsse.json")
    if os.access(out, os.F_OK) and not out.samefile(file):
        signed = _with_signatures_of(out, signed)
    with signers_act(audit, audit_key, f"{kind}.sign", **details):
        for key in private:
            signed = signed.by(key)
        _write(out, signed.to_json())
    typer.echo(f"wrote {out}: {kind}, signatures: {len(signed.signatures)}")


def verify(
    file: File,
    trust: Annotated[Path, typer.Option("--trust", metavar="FILE", help="The trust document.")],
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="What the service has seen. Default: FILE.seen."),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", metavar="NAME", help="Show what holds in this one.")
    ] = "",
) -> None:
    """Tell whether a service would take a policy up: who signed it, its serial, its end and its exceptions.

    Exit status 1 if it would not.
    """
    policy = PolicyFile(file, environment, trust=read_trust(trust), state=state)
    now = time.time_ns() // _NS_PER_MS
    try:
        read = policy.read(now)
    except TrustError as error:
        typer.echo(f"refused ({error.problem}): {error}", err=True)
        raise typer.Exit(1) from None
    document = read.document
    typer.echo(f"signed by {', '.join(read.signers)}")
    typer.echo(f"serial {document.serial}, sha256 {read.digest}")
    typer.echo("expires never" if document.expires is None else f"expires {written(document.expires)}")
    for entry in document.exceptions:
        where = ", ".join(entry.environments or ("everywhere",))
        what = f"exception {entry.id}: {', '.join(entry.channels)} ({where}), approved by {entry.approved_by}"
        tense = "ends" if now < entry.expires else "ended"
        typer.echo(f"{what}, {tense} {written(entry.expires)}")


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The policy before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The policy after.")],
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TEXT,
    fail_on_laxer: Annotated[
        bool, typer.Option("--fail-on-laxer", help="Exit with 1 where anything gets laxer.")
    ] = False,
) -> None:
    """Show what changes between two policies, and what of that is stricter and what is laxer.

    No signature is checked: `verify` does that.
    """
    changes = policy_diff(
        _document(old), _document(new), time.time_ns() // _NS_PER_MS, sources=(str(old), str(new))
    )
    if form is Format.JSON:
        typer.echo(json.dumps([change._asdict() for change in changes], indent=2))
    elif changes:
        table(("EFFECT", "CHANNEL", "KEY", "OLD", "NEW", "ENVIRONMENTS"), [_row(each) for each in changes])
    else:
        typer.echo("no difference")
    laxer = any(change.effect is Effect.LAXER for change in changes)
    raise typer.Exit(1 if laxer and fail_on_laxer else 0)


def trust(
    *,
    policy: Annotated[
        list[Path], typer.Option("--policy", metavar="PUB", help="A public key (PEM) that signs policies.")
    ],
    deployment: Annotated[
        list[Path] | None,
        typer.Option("--deployment", metavar="PUB", help="One that signs the configurations of services."),
    ] = None,
    threshold: Annotated[
        int, typer.Option("--threshold", metavar="NUMBER", help="How many have to sign a policy.")
    ] = 2,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The trust document to make.")] = Path(
        "trust.yaml"
    ),
    audit: SignersAudit = None,
    audit_key: AuditKey = None,
) -> None:
    """Make a trust document from public keys, each called as its file is."""
    if out.exists():
        raise ConfigurationError(f"{out}: is there already; edit it, or give another name with --out")
    named = {path.stem: path for path in (*policy, *(deployment or ()))}
    if len(named) < len(policy) + len(deployment or ()):
        raise ConfigurationError("two keys would have one name; give each once, in a file of its own name")
    public = {name: read_verification_key(path) for name, path in named.items()}
    keys = "".join(f'  {json.dumps(name)}: {{public: "{key.raw.hex()}"}}\n' for name, key in public.items())
    names = [", ".join(json.dumps(path.stem) for path in paths) for paths in (policy, deployment or ())]
    text = _STARTER.format(
        threshold=threshold,
        policy=names[0],
        deployment=f"  deployment: {{threshold: 1, keys: [{names[1]}]}}\n" if deployment else "",
        keys=keys,
    )
    details: dict[str, Detail] = {
        "file": out.name,
        "threshold": threshold,
        "policy": [public[path.stem].id for path in policy],
        "deployment": [public[path.stem].id for path in deployment or ()],
    }
    with signers_act(audit, audit_key, "policy.trust", **details):
        _write(out, text)
        try:
            read_trust(out)
        except ConfigurationError:
            out.unlink()
            raise
    typer.echo(f"wrote {out}: {threshold} of {len(policy)} keys sign a policy")


def _document(path: Path) -> PolicyDocument:
    return parse_policy_document(read_policy_text(path), str(path))


def _with_signatures_of(out: Path, signed: Signed) -> Signed:
    """Give a document with the signatures as well that its file has already, so that none is lost."""
    there = None
    with contextlib.suppress(SignatureError):
        there = parse_signed(read_content(out, "interceptors policy sign"))
    if there is None or there[:2] != signed[:2]:
        raise ConfigurationError(f"{out}: holds another text; move it away, or give another name with --out")
    new = {kid for kid, _ in signed.signatures}
    former = tuple(pair for pair in there.signatures if pair[0] not in new)
    return signed._replace(signatures=(*former, *signed.signatures))


def _row(change: Change) -> tuple[str, ...]:
    where = ", ".join(change.environments) or "all"
    return (change.effect, change.channel or "(policy)", change.key, change.old, change.new, where)


def _write(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode())
        path.chmod(0o644)  # nothing in it is secret, and services run as other users
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be written ({error.strerror}); name another place") from None
