"""The administration's file: roots, token roots, grants, schedules and revocations."""

from __future__ import annotations

from typing import ClassVar, Literal

import pydantic
from pydantic import Field
from pydantic_core import PydanticCustomError

from interceptors.keys.key_file import Epoch, Hex16, Hex32, Instant, KeyName, KeyUri, Part, Wrapped, need_one
from interceptors.keys.wrapping import wrapping_context


class RootEntry(Part):
    """The root of one tenant and epoch."""

    tenant: KeyName
    epoch: Epoch
    root: Hex32 | None = Field(default=None, repr=False)
    wrapped_root: Wrapped | None = Field(default=None, repr=False)
    use: Literal["seal", "open"] = "open"
    created: Instant | None = None
    """When it was made, in seconds since the epoch, as all times here; None where that is not known."""
    written: Instant | None = None
    """Since when it has been in every key file that it belongs in, to be promoted."""
    sealing: Instant | None = None
    """Since when it seals."""
    retired: Instant | None = None
    """Since when it has sealed no more in any key file."""

    @pydantic.model_validator(mode="after")
    def _holds(self) -> RootEntry:
        need_one(self.root, self.wrapped_root)
        return self

    def context(self) -> dict[str, str]:
        """Give what the root is wrapped with."""
        return wrapping_context("root", self.tenant, epoch=self.epoch)


class TokenRoot(Part):
    """The root that a tenant's token keys are derived from, of one version; the newest one is current."""

    tenant: KeyName
    version: Epoch
    root: Hex32 | None = Field(default=None, repr=False)
    wrapped_root: Wrapped | None = Field(default=None, repr=False)
    created: Instant | None = None

    @pydantic.model_validator(mode="after")
    def _holds(self) -> TokenRoot:
        need_one(self.root, self.wrapped_root)
        return self

    def context(self) -> dict[str, str]:
        """Give what the root is wrapped with."""
        return wrapping_context("token root", self.tenant, version=self.version)


class Schedule(Part):
    """When a tenant's keys are rotated; times in seconds."""

    tenant: KeyName
    every: int = Field(ge=1)
    """How long an epoch seals."""
    overlap: int = Field(ge=1)
    """How long the next epoch is in every key file before it seals."""
    retire: int = Field(ge=1)
    """How long an epoch opens after it has ceased to seal. Then it is destroyed."""

    @pydantic.model_validator(mode="after")
    def _holds(self) -> Schedule:
        if self.overlap >= self.every:
            raise PydanticCustomError("every_overlap", "overlap too long")
        return self


class Grant(Part):
    """What one service may do for one tenant, and the file that says so to the service."""

    service: KeyName
    tenant: KeyName
    reads: tuple[KeyName, ...] = ()
    read_before: tuple[KeyName, ...] = ()
    """Senders that it could read once, and whose keys somebody may have copied."""
    tokens: tuple[KeyName, ...] = ()
    """The domains that it may tokenize in."""
    signs: bool = False
    file: str
    wrapping: KeyUri | None = None
    """What wraps the keys in the file; one for all grants of a service."""
    last_epoch: Epoch | None = None
    """The newest epoch when the grant was withdrawn; None where it was not."""


class RootFile(Part):
    """The administration's file."""

    called: ClassVar[str] = "a roots file"
    missing: ClassVar[str] = "name the administration's with --roots"
    remedy: ClassVar[str] = "restore the file from a backup"  # nothing makes a root again

    version: Literal[1] = 1
    wrapping: KeyUri | None = None
    """What wraps the roots; None where they stand in clear."""
    roots: tuple[RootEntry, ...] = ()
    token_roots: tuple[TokenRoot, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    grants: tuple[Grant, ...] = ()
    ended: tuple[Grant, ...] = ()
    """Grants that were withdrawn: somebody may have copied what they gave."""
    revoked: tuple[Hex16, ...] = ()
    unwritten: dict[KeyName, str] = Field(default_factory=dict)
    """Key files, by service, that have not been written since a change that is meant for them."""

    def epochs(self, tenant: str) -> list[RootEntry]:
        """Give the roots of a tenant, the newest one last."""
        return sorted((root for root in self.roots if root.tenant == tenant), key=lambda root: root.epoch)

    def token_versions(self, tenant: str) -> list[TokenRoot]:
        """Give the token roots of a tenant, the newest one last."""
        return sorted(
            (root for root in self.token_roots if root.tenant == tenant), key=lambda root: root.version
        )

    def grants_of(self, service: str) -> list[Grant]:
        """Give the grants of a service."""
        return [grant for grant in self.grants if grant.service == service]

    def ever_granted(self, service: str) -> list[Grant]:
        """Give the grants of a service, and those that were withdrawn."""
        return [grant for grant in (*self.grants, *self.ended) if grant.service == service]
