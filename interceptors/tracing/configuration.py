"""`interceptors.yaml`: what belongs to a service."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError
from interceptors.keys import LocalKeys, MemoryKeys
from interceptors.policy.document import Name, parse_policy
from interceptors.policy.yaml_document import DocumentModel, parse_document
from interceptors.tracing.export import Export, located

if TYPE_CHECKING:
    from pathlib import Path

    from interceptors.keys import KeyProvider
    from interceptors.policy import Policy

PRODUCTION = "prod"


class Configuration(DocumentModel):
    """The configuration of a service."""

    service: Name
    """The service's name: the sender of its envelopes, and `service.name` of its spans."""
    environment: Name = "development"
    """The deployment environment. `Tracing.for_development` refuses any that begins with `prod`."""
    tenant: Name
    """Whose messages these are where no message and no `tracing.tenant(…)` says otherwise."""
    keys: Name
    """The service's key file, relative to the configuration's."""
    policy: Name
    """The policy, relative to the configuration's."""
    export: Export = Export()
    """Where spans go."""


def read_configuration(path: Path) -> Configuration:
    """Read a configuration.

    Args:
        path: the file.

    Returns:
        The configuration; the paths in it are made relative to the file's folder.

    Raises:
        ConfigurationError: with file, line, place and remedy.
    """
    found = parse_document(Configuration, read_text(path, "interceptors init"), str(path))
    folder = path.parent
    changes: dict[str, object] = {
        "keys": str(folder / found.keys),
        "policy": str(folder / found.policy),
        "export": located(found.export, folder),
    }
    return found.model_copy(update=changes)


def read_policy(path: Path) -> Policy:
    """Read and compile a policy.

    Raises:
        PolicyError: with file, line, place and remedy.
        ConfigurationError: the file can't be read.
    """
    return parse_policy(read_text(path, "interceptors init"), str(path))


def local_keys(path: Path | str, service: str, place: str) -> LocalKeys:
    """Read a service's key file.

    Args:
        path: the file.
        service: the service whose it has to be.
        place: where the file was named, for the error.

    Raises:
        ConfigurationError: the file does not hold, or is another service's.
    """
    keys = LocalKeys(path)
    if keys.service != service:
        msg = (
            f"{place}: {path} holds the keys of {keys.service!r}, and this is {service!r}; "
            f"run: interceptors keys grant {service}"
        )
        raise ConfigurationError(msg)
    return keys


def development_keys(keys: MemoryKeys | Path | str | None, service: str) -> KeyProvider:
    """Give keys for development: beside those of another service, out of a key file, or new ones."""
    if isinstance(keys, MemoryKeys):
        return keys.beside(service)
    return MemoryKeys(service) if keys is None else local_keys(keys, service, "keys")


def named(what: str, name: object) -> str:
    """Give a name, checked.

    Raises:
        ConfigurationError: it is empty, or no text.
    """
    if not isinstance(name, str) or not name:
        msg = f"{what}: a name is a text that is not empty"
        raise ConfigurationError(msg)
    return name


def read_text(path: Path, remedy: str) -> str:
    """Read a text file.

    Raises:
        ConfigurationError: it can't be read; the text names the command that makes one.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        msg = f"{path}: can't be read ({reason}); a starter is made by: {remedy}"
        raise ConfigurationError(msg) from None
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode()
    # Out here, so that the codec's error, which holds the text, is not the context of ours.
    msg = f"{path}: not UTF-8 text; save it as UTF-8"
    raise ConfigurationError(msg)
