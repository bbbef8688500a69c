"""The parts of the policy document that are about who decides: exceptions, enhancements, token domains."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from interceptors.policy.catalog_document import Text
from interceptors.policy.payload_document import What
from interceptors.policy.rules import Name, Rules
from interceptors.policy.yaml_document import DocumentModel


def _instant(value: object) -> object:
    """Give an instant (RFC 3339) in milliseconds since the epoch; YAML makes a datetime of it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("write an instant with its offset, such as 2027-01-31T00:00:00Z")
    return int(value.timestamp() * 1000)


def written(instant: int) -> str:
    """Give an instant in milliseconds since the epoch as people write it, such as `2027-01-31T00:00:00Z`."""
    return datetime.fromtimestamp(instant / 1000, tz=UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    int,
    BeforeValidator(
        _instant,
        json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": "date-time"})],
    ),
]
Domain = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]


class ExceptionEntry(DocumentModel):
    """Something that the policy would forbid, and that holds until it ends by itself.

    What it says of a channel counts instead of everything else, the bounds included.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What reports call it, such as `EX-12`."""
    reason: Text
    """Why it is needed."""
    requested_by: Name
    """Who needs it."""
    approved_by: Name
    """Who answers for it: somebody else."""
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The channels that it is for, by name."""
    environments: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """The environments that it is for. Default: all."""
    expires: Instant
    """When it ends, such as `2027-01-31T00:00:00Z`."""
    rules: Rules
    """What holds until then."""

    @model_validator(mode="after")
    def _two_people(self) -> ExceptionEntry:
        if self.requested_by == self.approved_by:
            msg = "whoever needs an exception doesn't approve it; name somebody else as `approved_by`"
            raise ValueError(msg)
        return self

    def holds(self, environment: str, now: int | None) -> bool:
        """Tell whether it counts somewhere at a time (milliseconds since the epoch); never without one."""
        here = self.environments is None or environment in self.environments
        return here and now is not None and now < self.expires


class Enhancement(DocumentModel):
    """Something that a feature flag may turn on."""

    environments: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Where it may be turned on. Anywhere else it stays off, whatever the flag says."""


class Enhancements(DocumentModel):
    """What feature flags (OpenFeature's) may turn on, and where. What is not named here no flag decides."""

    labels: Enhancement | None = None
    """`interceptors.labels`: whether the labels that the channels name travel. Without this entry they do."""
    payload_sampling: Enhancement | None = None
    """`interceptors.payload_sampling`: which part of the payloads is scanned, where that is more than the
    channel's `sample`."""
    verbose_spans: Enhancement | None = None
    """`interceptors.verbose_spans`: whether spans say how large messages are. Without this entry they
    don't."""


class TokenDomain(DocumentModel):
    """Identifiers whose tokens are joined with one another."""

    classes: Annotated[tuple[What, ...], Field(min_length=1)]
    """Their classes, families or detectors."""


class TokenRules(DocumentModel):
    """How identifiers are tokenized."""

    domains: dict[Domain, TokenDomain] = Field(default_factory=dict)
    """By name. An identifier of a class that no domain names has its class as its domain."""
