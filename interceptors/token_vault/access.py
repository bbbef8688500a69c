"""Who may resolve which tokens, and what for: `vault.yaml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from interceptors.errors import ConfigurationError
from interceptors.policy.yaml_document import DocumentError, DocumentModel, parse_document

_US_PER_MINUTE = 60_000_000

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_PURPOSE = "[a-z][a-z0-9-]{0,63}"
Purpose = Annotated[str, StringConstraints(pattern=f"^{_PURPOSE}$")]


class VaultDomain(DocumentModel):
    """Identifiers that are tokenized together."""

    model_config = ConfigDict(validate_by_name=False, serialize_by_alias=True)

    what: Annotated[str, StringConstraints(max_length=100)] = Field(default="", alias="class")
    """What they are, such as `personal.email`, where two spellings of one are to have one token. Default:
    they are taken as they are."""


class Role(DocumentModel):
    """What its holders may do."""

    tenants: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Whose tokens."""
    domains: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Of which domains."""
    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1)]
    """What for; a caller states one of these."""
    erase: bool = False
    """Whether they may have identifiers forgotten."""


class Limit(DocumentModel):
    """How often one caller may ask."""

    per_minute: Annotated[int, Field(ge=1, le=60_000)] = 60
    """In the long run."""
    burst: Annotated[int, Field(ge=1, le=60_000)] = 10
    """At once."""

    @property
    def interval_us(self) -> int:
        """The time between two, in microseconds."""
        return _US_PER_MINUTE // self.per_minute


class VaultDocument(DocumentModel):
    """Who may resolve which tokens, and what for."""

    version: Literal[1]
    """Of this document's form."""
    domains: dict[Name, VaultDomain]
    """By name."""
    roles: dict[Name, Role] = Field(default_factory=dict)
    """By name."""
    callers: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    """Which roles each has. Who is not here resolves nothing."""
    limit: Limit = Limit()
    """The same for every caller."""


class VaultAccess:
    """What a document allows.

    Attributes:
        limit: how often one caller may ask.
    """

    def __init__(self, document: VaultDocument, source: str) -> None:
        """Take a document.

        Args:
            document: what it says.
            source: what to call it in errors.

        Raises:
            DocumentError: a role of a domain that there is not, or a caller of such a role.
        """
        for name, role in document.roles.items():
            _need(role.domains, document.domains, "domain", f"roles.{name}.domains", source)
        for caller, roles in document.callers.items():
            _need(roles, document.roles, "role", f"callers.{caller}", source)
        self.limit = document.limit
        self._domains = document.domains
        self._roles = {
            caller: [document.roles[role] for role in roles] for caller, roles in document.callers.items()
        }

    def class_of(self, domain: str) -> str:
        """Give what a domain's identifiers are; empty where nothing is said.

        Raises:
            ConfigurationError: there is no such domain.
        """
        if domain not in self._domains:
            msg = f"the vault has no domain {domain!r}; its document has {', '.join(sorted(self._domains))}"
            raise ConfigurationError(msg)
        return self._domains[domain].what

    def domains(self) -> list[str]:
        """List the domains."""
        return list(self._domains)

    def knows(self, caller: str) -> bool:
        """Tell whether a caller has any role."""
        return bool(self._roles.get(caller))

    def allows(self, caller: str, purpose: str, tenant: str, domain: str, *, erase: bool) -> bool:
        """Tell whether a caller may have a token resolved, or forgotten.

        Args:
            caller: who asks.
            purpose: what for.
            tenant: whose token it is.
            domain: of which domain.
            erase: whether it is to be forgotten.
        """
        return any(
            tenant in role.tenants
            and domain in role.domains
            and purpose in role.purposes
            and (role.erase or not erase)
            for role in self._roles.get(caller, ())
        )


def is_purpose(text: str) -> bool:
    """Tell whether a text may be a purpose: a word, and no sentence that somebody is named in."""
    return re.fullmatch(_PURPOSE, text) is not None


def parse_access(text: str, source: str) -> VaultAccess:
    """Read a document.

    Args:
        text: YAML.
        source: what to call it in errors: its file name.

    Raises:
        DocumentError: with file, place and remedy of the first problem.
    """
    return VaultAccess(parse_document(VaultDocument, text, source), source)


def load_access(path: Path | str) -> VaultAccess:
    """Read a document from a file.

    Args:
        path: where it lies.

    Raises:
        ConfigurationError: it can't be read, or does not hold.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        msg = f"{path}: can't be read ({error.strerror}); make it with: interceptors tokens init"
        raise ConfigurationError(msg) from None
    except UnicodeDecodeError:
        text = None  # refused out here: this exception holds the text
    if text is None:
        msg = f"{path}: not text in UTF-8"
        raise ConfigurationError(msg)
    return parse_access(text, str(path))


def _need(
    names: tuple[str, ...],
    known: dict[str, object] | dict[str, VaultDomain] | dict[str, Role],
    kind: str,
    path: str,
    source: str,
) -> None:
    for name in names:
        if name not in known:
            raise DocumentError(source, path, None, f"there is no {kind} {name!r}; add it to `{kind}s`")
