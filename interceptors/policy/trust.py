"""The trust document: whose signatures make a policy, and whose a configuration.

The two roles are different people with different keys: who deploys a service doesn't decide what it may
trace, and who decides that deploys nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from interceptors.errors import ConfigurationError, PolicyError
from interceptors.policy.rules import Name
from interceptors.policy.yaml_document import DocumentError, DocumentModel, parse_document
from interceptors.signatures import PUBLIC_SIZE, VerificationKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_NO_FILE = re.compile(r".*\n.*|-----.*|[0-9A-Za-z+/_=-]{40,}", re.DOTALL)
"""What is a key in some other form, perhaps a private one, and not to be shown as a file's name would be."""


class RoleName(StrEnum):
    """What a signature may be for."""

    POLICY = "policy"
    DEPLOYMENT = "deployment"


class RoleEntry(DocumentModel):
    """Who signs one kind of document."""

    threshold: Annotated[int, Field(ge=1)]
    """How many of them have to."""
    keys: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Their keys, by the names that `keys` gives them."""


class Roles(DocumentModel):
    """Who signs what."""

    policy: RoleEntry
    """Policies, the exceptions in them included."""
    deployment: RoleEntry | None = None
    """The configurations of services. Left out: they are not signed."""


class KeyOf(DocumentModel):
    """A public key."""

    public: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """The 32 bytes of an Ed25519 key in hex or base64, or a file (PEM), relative to this document."""


class TrustDocument(DocumentModel):
    """Whose signatures count."""

    version: Literal[1]
    """The version of this form."""
    roles: Roles
    """Who signs what. No key has two roles."""
    keys: dict[Name, KeyOf]
    """The keys, by name."""
    minimum_serial: Annotated[int, Field(ge=0)] = 0
    """A policy whose serial is lower is refused, even by a service that has never seen a higher one."""


class Role(NamedTuple):
    """Whose signatures count for one kind of document, and how many it takes."""

    name: RoleName
    threshold: int
    keys: Mapping[VerificationKey, str]
    """The names of the keys."""


class Trust(NamedTuple):
    """A trust document that holds."""

    source: str
    """What it is called in errors: its file."""
    policy: Role
    deployment: Role | None
    minimum_serial: int

    def role(self, name: RoleName) -> Role | None:
        """Give a role; None where the document has none of the name."""
        return self.policy if name is RoleName.POLICY else self.deployment


def parse_trust(text: str, source: str, *, read: Callable[[str], VerificationKey]) -> Trust:
    """Read a trust document.

    Args:
        text: the document, YAML.
        source: what to call it in errors: its file name.
        read: gives the key in a file that the document names, or raises ConfigurationError.

    Returns:
        What it says.

    Raises:
        PolicyError: with file, place and remedy: it is not of the form; a threshold can't be reached; or one
            key stands under two names or in both roles.
    """
    try:
        document = parse_document(TrustDocument, text, source)
    except DocumentError as error:
        raise PolicyError(str(error), path=error.path) from None
    keys = _keys(document, source, read)
    policy = _role(RoleName.POLICY, document.roles.policy, keys, source)
    deployment = None
    if document.roles.deployment is not None:
        deployment = _role(RoleName.DEPLOYMENT, document.roles.deployment, keys, source)
        for key, name in deployment.keys.items():
            if key in policy.keys:
                problem = f"{name!r} signs policies, too; who deploys has other keys than who decides"
                raise _error(source, "roles.deployment.keys", problem)
    return Trust(source, policy, deployment, document.minimum_serial)


def _keys(
    document: TrustDocument, source: str, read: Callable[[str], VerificationKey]
) -> dict[str, VerificationKey]:
    keys: dict[str, VerificationKey] = {}
    names: dict[VerificationKey, str] = {}
    for name, entry in document.keys.items():
        path = f"keys.{name}.public"
        try:
            key = _key(entry.public, read)
        except ConfigurationError as error:
            raise _error(source, path, str(error)) from None
        other = names.setdefault(key, name)
        if other != name:
            problem = f"this is the key of {other!r}, too; one key is one signer, whatever it is called"
            raise _error(source, path, problem)
        keys[name] = key
    return keys


def _key(public: str, read: Callable[[str], VerificationKey]) -> VerificationKey:
    if _HEX.fullmatch(public):
        return VerificationKey(bytes.fromhex(public))
    with contextlib.suppress(binascii.Error, ValueError):
        raw = base64.b64decode(public, validate=True)
        if len(raw) == PUBLIC_SIZE:
            return VerificationKey(raw)
    if _NO_FILE.fullmatch(public):
        raise ConfigurationError(
            "neither the 32 bytes of an Ed25519 key, in hex or base64, nor a file; give the public key"
        )
    return read(public)


def _role(name: RoleName, entry: RoleEntry, keys: Mapping[str, VerificationKey], source: str) -> Role:
    path = f"roles.{name}"
    for key in entry.keys:
        if key not in keys:
            raise _error(source, f"{path}.keys", f"no key is called {key!r}; add it under `keys`")
    held = {keys[key]: key for key in entry.keys}
    if len(held) < len(entry.keys):
        raise _error(source, f"{path}.keys", "a key stands twice; name each signer once")
    if entry.threshold > len(held):
        problem = f"{entry.threshold} of {len(held)} keys can never sign; lower it, or name more keys"
        raise _error(source, f"{path}.threshold", problem)
    return Role(name, entry.threshold, held)


def _error(source: str, path: str, problem: str) -> PolicyError:
    return PolicyError(f"{source}: {path}: {problem}", path=path)
