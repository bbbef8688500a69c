"""Key files: what is in them, and how they are read and written so that nobody else can.

Two forms, both JSON with mode 0600: a service's keyring (its own sender keys and those of the senders that
it may read), and the administration's roots. A file that others may read, or that does not hold what it
says, is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import Field, StringConstraints

from interceptors.envelope import SenderKey
from interceptors.errors import ConfigurationError

_PROBLEMS = {
    "missing": "missing",
    "extra_forbidden": "not known here",
    "literal_error": "none of the words that may stand here",
    "string_pattern_mismatch": "not hex of the right length",
    "string_too_short": "empty",
    "string_too_long": "too long",
    "string_unicode": "not text",
}

Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Epoch = Annotated[int, Field(ge=1)]
Instant = Annotated[int, Field(ge=0)]


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KeyEntry(_Part):
    """One sender key."""

    tenant: KeyName
    sender: KeyName
    epoch: Epoch = 1
    kid: Hex16 | None = None
    sender_key: Hex32 = Field(repr=False)
    use: Literal["seal", "open"] = "open"
    revoked: bool = False
    created: Instant | None = None
    """When the key was made, in seconds since the epoch; None where that is not known."""

    def load(self) -> SenderKey:
        """Give the key.

        Raises:
            ConfigurationError: the kid is not the one that the key commits to.
        """
        key = SenderKey(self.tenant, self.sender, bytes.fromhex(self.sender_key), created=self.created)
        if self.kid is not None and self.kid != key.kid.hex():
            msg = f"the kid {self.kid} is not that of its key; grant the keys anew"
            raise ConfigurationError(msg)
        return key


class KeyringFile(_Part):
    """A service's keys: the file that a grant writes."""

    version: Literal[1] = 1
    service: KeyName
    keys: tuple[KeyEntry, ...] = ()


class RootEntry(_Part):
    """The root of one tenant and epoch."""

    tenant: KeyName
    epoch: Epoch
    root: Hex32 = Field(repr=False)
    use: Literal["seal", "open"] = "open"
    created: Instant | None = None


class Grant(_Part):
    """What one service may do for one tenant, and the file that says so to the service."""

    service: KeyName
    tenant: KeyName
    reads: tuple[KeyName, ...] = ()
    file: str


class RootFile(_Part):
    """The administration's file: roots, grants, revocations."""

    version: Literal[1] = 1
    roots: tuple[RootEntry, ...] = ()
    grants: tuple[Grant, ...] = ()
    revoked: tuple[Hex16, ...] = ()


FileT = TypeVar("FileT", bound=_Part)


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
    values = read_private_json(path)
    if form is KeyringFile and isinstance(values, dict) and "roots" in values:
        msg = (
            f"{path}: this is the administration's file, with the roots; a service is given its own key file"
        )
        raise ConfigurationError(msg)
    # What was granted can be granted anew; nothing makes a root again.
    remedy = "restore the file from a backup" if form is RootFile else "grant the keys anew"
    return hold_to(form, values, f"{path}", remedy)


def hold_to(form: type[FileT], values: object, source: str, remedy: str) -> FileT:
    """Hold values to the form of a key file, or of a part of one.

    Raises:
        ConfigurationError: they are not of the form; the text names the place, and none of the values.
    """
    try:
        return form.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Raised out here, so that pydantic's error, which holds the values, is not the context of ours.
    place = ".".join(str(step) for step in first["loc"]) or "document"
    msg = f"{source}: {place}: {_PROBLEMS.get(first['type'], 'not as it should be')}; {remedy}"
    raise ConfigurationError(msg)


def read_private_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Read a JSON file that only its owner can read.

    Raises:
        ConfigurationError: it is missing, can be read by others, or is not JSON.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = b"" if mode & 0o077 else file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        msg = f"{path}: can't be read ({reason}); make it with: interceptors keys grant"
        raise ConfigurationError(msg) from None
    if mode & 0o077:
        msg = f"{path}: others can read this key file (mode {mode:04o}); run: chmod 600 {path}"
        raise ConfigurationError(msg)
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(content)
    # Out here, so that the parser's error, which holds the text, is not the context of ours.
    msg = f"{path}: not a key file: not JSON; grant the keys anew"
    raise ConfigurationError(msg)


def write_key_file(path: Path, content: _Part) -> None:
    """Write a key file so that a reader sees the old one or the new one, whole, and nobody else sees either.

    Raises:
        ConfigurationError: the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own, mode 0600 from its first byte; then one rename.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content.model_dump_json(indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        msg = f"{path}: can't be written ({error.strerror}); give another place"
        raise ConfigurationError(msg) from None
