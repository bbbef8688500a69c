"""Key files: what is in a service's, and how key files are read and written so that nobody else can.

Two forms, both JSON with mode 0600: a service's keyring (its own sender keys, those of the senders that it
may read, and its token keys), and the administration's roots (`root_file`). A file that others may read, or
that does not hold what it says, is refused. Every secret stands in it in clear, or wrapped by what its
`wrapping` names.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import pydantic
from pydantic import Field, StringConstraints
from pydantic_core import PydanticCustomError

from interceptors.envelope import SenderKey
from interceptors.envelope.token_key import TokenKey
from interceptors.errors import ConfigurationError
from interceptors.files import replace_file
from interceptors.keys.wrapping import wrapping_context
from interceptors.signatures import SigningKey, VerificationKey

if TYPE_CHECKING:
    from pathlib import Path

_PROBLEMS = {
    "missing": "missing",
    "extra_forbidden": "not known here",
    "literal_error": "none of the words that may stand here",
    "string_pattern_mismatch": "not hex of the right length",
    "string_too_short": "empty",
    "string_too_long": "too long",
    "string_unicode": "not text",
    "one_of_two": "a secret (sender_key, say, or wrapped_key) stands there in clear or wrapped, and not both",
    "not_base64": "not base64",
    "no_kid": "a wrapped key without its kid",
    "every_overlap": "keys can't overlap for longer than they seal; make `overlap` shorter than `every`",
}

_NAME = re.compile(r"[a-z_]{1,32}")
"""What a field may be called to be named in an error: no secret in the wrong place is called so."""

Unwrap = Callable[[bytes, Mapping[str, str]], bytes]
"""`KeyWrapper.unwrap`."""

Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Epoch = Annotated[int, Field(ge=1)]
Instant = Annotated[int, Field(ge=0)]
KeyUri = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


def _base64(text: str) -> str:
    with contextlib.suppress(ValueError):
        base64.b64decode(text, validate=True)
        return text
    raise PydanticCustomError("not_base64", "not base64")


Wrapped = Annotated[str, StringConstraints(min_length=1, max_length=16384), pydantic.AfterValidator(_base64)]
"""What a `KeyWrapper` gave, in base64."""


class Part(pydantic.BaseModel):
    """A part of a key file, or a whole one."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    called: ClassVar[str] = "a key file"
    remedy: ClassVar[str] = "grant the keys anew"
    """What to do about a file that does not hold."""
    missing: ClassVar[str] = "make it with: interceptors keys grant"
    """What to do about one that is not there."""


def need_one(plain: str | None, wrapped: str | None) -> None:
    """Refuse a secret that is there twice, or not at all.

    Raises:
        PydanticCustomError: for the validator that calls this.
    """
    if (plain is None) is (wrapped is None):
        raise PydanticCustomError("one_of_two", "one of two")


def opened(
    plain: str | None, wrapped: str | None, context: Mapping[str, str], unwrap: Unwrap | None
) -> bytes:
    """Give a secret that stands in a key file in clear or wrapped.

    Args:
        plain: in hex.
        wrapped: in base64.
        context: what it was wrapped with.
        unwrap: what unwraps it.

    Raises:
        ConfigurationError: it is wrapped, and there is nothing to unwrap it with.
        KeyProviderError: it can't be unwrapped.
    """
    if wrapped is None:
        return bytes.fromhex(plain or "")
    if unwrap is None:
        msg = f"the {context['kind']} is wrapped; give what unwraps it"
        raise ConfigurationError(msg)
    return unwrap(base64.b64decode(wrapped), context)


class KeyEntry(Part):
    """One sender key."""

    tenant: KeyName
    sender: KeyName
    epoch: Epoch = 1
    kid: Hex16 | None = None
    sender_key: Hex32 | None = Field(default=None, repr=False)
    wrapped_key: Wrapped | None = Field(default=None, repr=False)
    signing_key: Hex32 | None = Field(default=None, repr=False)
    """The Ed25519 seed of suite 2: in the service's own entries, where it signs."""
    wrapped_signing_key: Wrapped | None = Field(default=None, repr=False)
    verify_key: Hex32 | None = None
    """The public key that goes with the sender's signing key."""
    use: Literal["seal", "open"] = "open"
    revoked: bool = False
    created: Instant | None = None
    """When the key was made, in seconds since the epoch; None where that is not known."""

    @pydantic.model_validator(mode="after")
    def _holds(self) -> KeyEntry:
        need_one(self.sender_key, self.wrapped_key)
        if self.signing_key is not None or self.wrapped_signing_key is not None:
            need_one(self.signing_key, self.wrapped_signing_key)
        if self.wrapped_key is not None and self.kid is None:
            raise PydanticCustomError("no_kid", "no kid")
        return self

    def context(self, kind: str) -> dict[str, str]:
        """Give what a secret of this entry is wrapped with: `sender key` or `signing key`, and whose."""
        return wrapping_context(kind, self.tenant, sender=self.sender, epoch=self.epoch)

    def load(self, unwrap: Unwrap | None = None) -> SenderKey:
        """Give the key.

        Args:
            unwrap: what unwraps it, where it is wrapped.

        Raises:
            ConfigurationError: the kid is not the one that the key commits to, or there is nothing to unwrap
                it with.
            ValueError: the two keys for signatures are not of one pair.
            KeyProviderError: it can't be unwrapped.
        """
        secret = opened(self.sender_key, self.wrapped_key, self.context("sender key"), unwrap)
        signing = None
        if self.signing_key is not None or self.wrapped_signing_key is not None:
            context = self.context("signing key")
            signing = SigningKey(opened(self.signing_key, self.wrapped_signing_key, context, unwrap))
        verification = None if self.verify_key is None else VerificationKey(bytes.fromhex(self.verify_key))
        key = SenderKey(
            self.tenant,
            self.sender,
            secret,
            created=self.created,
            signing=signing,
            verification=verification,
        )
        if self.kid is not None and self.kid != key.kid.hex():
            msg = f"the kid {self.kid} is not that of its key; grant the keys anew"
            raise ConfigurationError(msg)
        return key

    def committed_kid(self) -> str:
        """Give the kid that the key commits to; where the key is wrapped, what its entry says.

        Raises:
            ConfigurationError: the entry says another one.
        """
        return self.kid if self.wrapped_key is not None and self.kid else self.load().kid.hex()


class TokenEntry(Part):
    """One key that identifiers are tokenized with."""

    tenant: KeyName
    domain: KeyName
    version: Epoch
    key: Hex32 | None = Field(default=None, repr=False)
    wrapped_key: Wrapped | None = Field(default=None, repr=False)
    use: Literal["current", "former"] = "current"

    @pydantic.model_validator(mode="after")
    def _holds(self) -> TokenEntry:
        need_one(self.key, self.wrapped_key)
        return self

    def context(self) -> dict[str, str]:
        """Give what the key is wrapped with."""
        return wrapping_context("token key", self.tenant, domain=self.domain, version=self.version)

    def load(self, unwrap: Unwrap | None = None) -> TokenKey:
        """Give the key.

        Args:
            unwrap: what unwraps it, where it is wrapped.

        Raises:
            ConfigurationError: there is nothing to unwrap it with.
            KeyProviderError: it can't be unwrapped.
        """
        secret = opened(self.key, self.wrapped_key, self.context(), unwrap)
        return TokenKey(self.tenant, self.domain, self.version, secret)


class KeyringFile(Part):
    """A service's keys: the file that a grant writes."""

    version: Literal[1] = 1
    service: KeyName
    wrapping: KeyUri | None = None
    """What has wrapped the keys, such as `aws-kms:alias/checkout`; None where they stand in clear."""
    keys: tuple[KeyEntry, ...] = ()
    tokens: tuple[TokenEntry, ...] = ()


FileT = TypeVar("FileT", bound=Part)


def read_key_file(path: Path, form: type[FileT]) -> FileT:
    """Read a key file.

    Args:
        path: where it lies.
        form: what it has to be.

    Returns:
        What it holds.

    Raises:
        ConfigurationError: it is missing, can be read by others, or is not of the form; the text names the
            file, the place and the remedy, and nothing of what the file holds.
    """
    values = _read_json(path, form)
    if form is KeyringFile and isinstance(values, dict) and "roots" in values:
        msg = (
            f"{path}: this is the administration's file, with the roots; a service is given its own key file"
        )
        raise ConfigurationError(msg)
    return hold_to(form, values, f"{path}", form.remedy)


def hold_to(form: type[FileT], values: object, source: str, remedy: str) -> FileT:
    """Hold values to the form of a key file, or of a part of one.

    Raises:
        ConfigurationError: they are not of the form; the text names the place, and none of the values, nor
            a name that may be a secret.
    """
    try:
        return form.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Raised out here, so that pydantic's error, which holds the values, is not the context of ours.
    steps = list(takewhile(lambda step: isinstance(step, int) or _NAME.fullmatch(step), first["loc"]))
    place = ".".join(map(str, steps)) or "document"
    problem = _PROBLEMS.get(first["type"], "not as it should be")
    if first["type"] == "extra_forbidden" and len(steps) < len(first["loc"]):
        problem = "a name that is not known here"
    msg = f"{source}: {place}: {problem}; {remedy}"
    raise ConfigurationError(msg)


def _read_json(path: Path, form: type[Part]) -> Any:  # noqa: ANN401 - JSON
    """Read a JSON file that only its owner can read.

    Raises:
        ConfigurationError: it is missing, can be read by others, or is not JSON.
    """
    content = read_private(path, form.missing)
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(content)
    # Out here, so that the parser's error, which holds the text, is not the context of ours.
    msg = f"{path}: not {form.called}: not JSON; {form.remedy}"
    raise ConfigurationError(msg)


def read_private(path: Path, remedy: str) -> bytes:
    """Read a file that only its owner can read.

    Args:
        path: where it lies.
        remedy: what to do where it isn't there.

    Raises:
        ConfigurationError: it is missing, or can be read by others.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = b"" if mode & 0o077 else file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(path, error, remedy) from None
    if mode & 0o077:
        msg = f"{path}: others can read this key file (mode {mode:04o}); run: chmod 600 {path}"
        raise ConfigurationError(msg)
    return content


def unreadable(path: Path, error: OSError | ValueError, remedy: str) -> ConfigurationError:
    """Make the error about a file that can't be read.

    Args:
        path: where it lies.
        error: why.
        remedy: what to do, unless it is there and only this user must not read it.
    """
    reason = error.strerror if isinstance(error, OSError) else "not a path"
    if isinstance(error, PermissionError):
        remedy = "let this user own it, with mode 0600, and enter its folder"
    return ConfigurationError(f"{path}: can't be read ({reason}); {remedy}")


def write_key_file(path: Path, content: Part) -> None:
    """Write a key file so that a reader sees the old one or the new one, whole, and nobody else sees either.

    Raises:
        ConfigurationError: the folder can't be written.
    """
    write_private(path, (content.model_dump_json(indent=2, exclude_none=True) + "\n").encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file as `write_key_file` does, whatever it holds.

    Raises:
        ConfigurationError: the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        msg = f"{path}: can't be written ({error.strerror}); give another place"
        raise ConfigurationError(msg) from None
