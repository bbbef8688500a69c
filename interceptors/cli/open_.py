"""`interceptors open`: one envelope, by hand."""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Annotated

import pydantic
import typer

from interceptors.cli.administered import AuditKey, audit_log
from interceptors.envelope import Binding, Candidate, KeySet, Level, Opened, Opener, from_text, kid_of
from interceptors.errors import ConfigurationError, EnvelopeError
from interceptors.keys.key_file import KeyringFile, read_key_file
from interceptors.keys.wrapping_uri import key_wrapper

_HEX = re.compile(r"[0-9a-fA-F]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def open_(
    *,
    keys: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="A service's key file, or the `keys` array of a test vector (mode 0600)."
        ),
    ],
    envelope: Annotated[
        str,
        typer.Argument(metavar="HEX|-", help="The envelope, in hex or base64url; - for standard input."),
    ] = "-",
    channel: Annotated[str, typer.Option(metavar="C", help="The channel's name, from the policy.")] = "",
    message_type: Annotated[
        str, typer.Option("--type", metavar="T", help="The message type; none on Kafka.")
    ] = "",
    message_id: Annotated[str, typer.Option(metavar="M", help="The message id; none on Kafka.")] = "",
    body: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, readable=True, help="The body, as it travelled."
        ),
    ] = None,
    lowest_level: Annotated[
        int,
        typer.Option(
            min=min(Level), max=max(Level), help="The loosest binding to accept, as the number on the wire."
        ),
    ] = Level.TENANT,
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="An audit log: what is opened is recorded first, or not opened.",
            show_default=False,
        ),
    ] = None,
    audit_key: AuditKey = None,
    purpose: Annotated[
        str, typer.Option(metavar="TEXT", help="What it is opened for; needed with --audit.")
    ] = "",
) -> None:
    """Open one envelope, and print what it says, as JSON; or why it does not open, with exit status 1.

    What the envelope is bound to has to be given as the receiver of the message knows it.
    """
    if audit is not None and not purpose.strip():
        raise ConfigurationError("what is recorded in an audit log is opened for a purpose; give --purpose")
    text = sys.stdin.buffer.read().decode("ascii", "replace") if envelope == "-" else envelope
    digest = b"" if body is None else hashlib.sha256(body.read_bytes()).digest()
    candidate = Candidate(Binding(channel, message_type, message_id, digest), Level(lowest_level))
    if audit is not None:
        kid = (kid_of(_envelope_bytes(text)) or b"").hex()
        audit_log(audit, audit_key).record("envelope.open", kid=kid, channel=channel, purpose=purpose)
    try:
        opened = open_envelope(text, keys, candidate)
    except EnvelopeError as error:
        typer.echo(error.answer)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(opened, indent=2))


def open_envelope(text: str, keys: Path, candidate: Candidate) -> dict[str, object]:
    """Open an envelope that was written down.

    Args:
        text: the envelope in hex or base64url, with any white space.
        keys: the file of the keys to open with.
        candidate: what the message is.

    Returns:
        What the envelope says, in the form of the test vectors.

    Raises:
        EnvelopeError: it does not open.
        ConfigurationError: the text is no envelope's, or the file can't be used.
    """
    return _as_json(Opener().open(_envelope_bytes(text), _read_keys(keys), [candidate]))


def _envelope_bytes(text: str) -> bytes:
    compact = "".join(text.split())
    # Hex first: it is base64url as well, but an envelope in base64url is never all hex digits.
    if _HEX.fullmatch(compact) and len(compact) % 2 == 0:
        return bytes.fromhex(compact)
    if not _HEX.fullmatch(compact) and _BASE64.fullmatch(compact) and len(compact.rstrip("=")) % 4 != 1:
        return from_text(compact)
    raise ConfigurationError(
        "the envelope is neither hex (two digits a byte) nor base64url; give the whole value of its header"
    )


class _Keys(KeyringFile):
    """A service's key file; or the bare keys of a vector, which belong to no service."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _bare(cls, data: object) -> object:
        return {"service": "vector", "keys": data} if isinstance(data, list) else data


def _read_keys(path: Path) -> KeySet:
    file = read_key_file(path, _Keys)
    unwrap = None if file.wrapping is None else key_wrapper(file.wrapping).unwrap
    try:
        keys = [(entry.load(unwrap), entry.revoked) for entry in file.keys]
        return KeySet([key for key, _ in keys], [key.kid for key, revoked in keys if revoked])
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _as_json(opened: Opened) -> dict[str, object]:
    trace_id, span_id, flags, labels = opened.context
    return {
        "tenant": opened.tenant,
        "sender": opened.sender,
        "trace_id": trace_id.hex(),
        "span_id": span_id.hex(),
        "flags": flags,
        "issued_at": opened.issued_at,
        "labels": {
            name: {"bin": value.hex()} if isinstance(value, bytes) else value
            for name, value in labels.items()
        },
    }
