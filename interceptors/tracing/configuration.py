"""`interceptors.yaml`: what belongs to a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError, TrustError, TrustProblem
from interceptors.keys import MemoryKeys
from interceptors.keys.configured import local_keys
from interceptors.keys.settings import KeySettings
from interceptors.policy.rules import Name, SenderName
from interceptors.policy.signed import is_signed, open_unchecked, verify
from interceptors.policy.trust import RoleName
from interceptors.policy.yaml_document import DocumentModel, parse_document
from interceptors.tracing.export import Export, located
from interceptors.tracing.reading import decoded, read_content, read_text
from interceptors.tracing.trusting import TRUST_VARIABLE, check_environment, is_production, trust_of

if TYPE_CHECKING:
    from pathlib import Path

    from interceptors.keys import KeyProvider
    from interceptors.policy.trust import Trust

__all__ = ["Audit", "Configuration", "read_configuration", "read_text"]


class Audit(DocumentModel):
    """Where it is kept on record which policy was taken up, and which was refused."""

    log: Name
    """The audit log, relative to the configuration's."""
    key: Name | None = None
    """The private key (PEM, Ed25519) that its checkpoints are signed with, relative likewise. Default: there
    are no checkpoints."""


class Configuration(DocumentModel):
    """The configuration of a service."""

    service: SenderName
    """The service's name, short or a SPIFFE ID: the sender of its envelopes, and `service.name` of its
    spans."""
    environment: Name = "development"
    """The deployment environment. `Tracing.for_development` refuses any that begins with `prod`."""
    tenant: Name
    """Whose messages these are where no message and no `tracing.tenant(…)` says otherwise."""
    keys: KeySettings
    """The service's keys: the key file, relative to the configuration's; or a mapping, where what wraps its
    keys is not reached as the environment says."""
    policy: Name
    """The policy, relative to the configuration's; signed, where there is a trust document."""
    trust: Name | None = None
    """The trust document, which says whose signatures count, relative to the configuration's. The variable
    `INTERCEPTORS_TRUST` counts instead; in production one of both has to be there."""
    trust_state: Name | None = None
    """The file in which the service keeps which policy was the newest, relative likewise. Default: beside the
    policy, with `.seen`."""
    audit: Audit | None = None
    """The audit log. Left out: none is kept."""
    export: Export = Export()
    """Where spans go."""


def read_configuration(path: Path) -> Configuration:
    """Read a configuration.

    Args:
        path: the file.

    Returns:
        The configuration; the paths in it are made relative to the file's folder.

    Raises:
        TrustError: it is not signed as `INTERCEPTORS_TRUST` says it has to be.
        ConfigurationError: with file, line, place and remedy.
    """
    source = str(path)
    trust = trust_of(None)
    raw = read_content(path, "interceptors init")
    if not is_signed(raw):
        content = open_unchecked(raw, RoleName.DEPLOYMENT, source)
    elif trust is None:
        raise ConfigurationError(f"{source}: signed, and {TRUST_VARIABLE} doesn't say by whom it has to be")
    else:
        content = verify(raw, RoleName.DEPLOYMENT, trust, source)
    found = parse_document(Configuration, decoded(content.text, source), source)
    folder = path.parent
    changes: dict[str, object] = {
        "keys": found.keys.located(folder),
        "policy": str(folder / found.policy),
        "trust": _beside(folder, found.trust),
        "trust_state": _beside(folder, found.trust_state),
        "export": located(found.export, folder),
    }
    if found.audit is not None:
        places = {"log": str(folder / found.audit.log), "key": _beside(folder, found.audit.key)}
        changes["audit"] = found.audit.model_copy(update=places)
    found = found.model_copy(update=changes)
    check_environment(found.environment, source)
    if not is_signed(raw):
        _refuse_unsigned(found, trust, source)
    return found


def _beside(folder: Path, name: str | None) -> str | None:
    return None if name is None else str(folder / name)


def _refuse_unsigned(configuration: Configuration, trust: Trust | None, source: str) -> None:
    """Refuse a configuration that nobody has signed, where somebody has to.

    Raises:
        TrustError: it is production's, and the trust document says who signs configurations.
        ConfigurationError: the trust document does not hold.
    """
    trust = trust or trust_of(configuration.trust)
    if trust is not None and trust.deployment is not None and is_production(configuration.environment):
        raise TrustError(
            f"{source}: not signed, and {trust.source} says who signs what is deployed; run: interceptors "
            "policy sign --as configuration",
            problem=TrustProblem.UNSIGNED,
        )


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
