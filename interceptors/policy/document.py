"""The policy document, as people write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from interceptors.errors import PolicyError
from interceptors.policy.compiling import compile_policy
from interceptors.policy.governance_document import Enhancements, ExceptionEntry, Instant, TokenRules
from interceptors.policy.payload_document import Identifier
from interceptors.policy.rules import Bounds, ChannelEntry, Name, Rules
from interceptors.policy.span_rules import SpanRules
from interceptors.policy.yaml_document import (
    DocumentError,
    DocumentModel,
    parse_document,
    validate_document,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.policy.compiled import Policy


class PolicyDocument(DocumentModel):
    """The policy: which channels there are, and what may travel on them."""

    version: Literal[1]
    """The version of this form."""
    serial: Annotated[int, Field(ge=1)] | None = None
    """Counts up with every change, so that an older policy can't be put in place of a newer one."""
    expires: Instant | None = None
    """After this, such as `2027-01-31T00:00:00Z`, no service starts on it where a policy has to be signed."""
    channels: tuple[ChannelEntry, ...] = ()
    """The channels, more particular ones first."""
    default: Rules = Rules()
    """What holds for every channel that does not say otherwise, and for names that no channel lists."""
    baseline: Bounds = Bounds()
    """What no channel may go below: of what is said here and what holds otherwise, the stricter counts."""
    environments: dict[Name, Bounds] = Field(default_factory=dict)
    """The same, for one deployment environment each, whatever the case of its name. In one that is not named
    here, `baseline` holds alone."""
    exceptions: tuple[ExceptionEntry, ...] = ()
    """What holds all the same, for a while."""
    tokens: TokenRules = TokenRules()
    """Which identifiers have tokens that are joined."""
    enhancements: Enhancements = Enhancements()
    """What feature flags may turn on, and where."""
    identifiers: tuple[Identifier, ...] = ()
    """Identifiers of your own that payloads are scanned for, besides those that are built in."""
    spans: SpanRules = SpanRules()
    """What leaves of the OpenTelemetry SDK's own spans and logs, besides what is built in."""


def parse_policy_document(text: str, source: str) -> PolicyDocument:
    """Read a policy document, and compile nothing.

    Args:
        text: the document, YAML.
        source: what to call it in errors: its file name.

    Returns:
        The document.

    Raises:
        PolicyError: with file, line, place and remedy.
    """
    try:
        return parse_document(PolicyDocument, text, source)
    except DocumentError as error:
        raise PolicyError(str(error), path=error.path) from None


def check_policy_document(values: Mapping[str, object], source: str) -> PolicyDocument:
    """Check a policy document that is not written as text, and compile nothing.

    Args:
        values: the document.
        source: what to call it in errors.

    Returns:
        The document.

    Raises:
        PolicyError: with place and remedy.
    """
    try:
        return validate_document(PolicyDocument, dict(values), source)
    except DocumentError as error:
        raise PolicyError(str(error), path=error.path) from None


def parse_policy(text: str, source: str, *, environment: str = "", now: int | None = None) -> Policy:
    """Read and compile a policy.

    Args:
        text: the document, YAML.
        source: what to call it in errors: its file name.
        environment: as `compile_policy` says.
        now: as `compile_policy` says.

    Returns:
        The compiled policy.

    Raises:
        PolicyError: with file, line, place and remedy.
    """
    return compile_policy(parse_policy_document(text, source), source, environment=environment, now=now)


def check_policy(
    values: Mapping[str, object], source: str, *, environment: str = "", now: int | None = None
) -> Policy:
    """Check and compile a policy that is not written as text.

    Args:
        values: the document.
        source: what to call it in errors.
        environment: as `compile_policy` says.
        now: as `compile_policy` says.

    Returns:
        The compiled policy.

    Raises:
        PolicyError: with place and remedy.
    """
    return compile_policy(check_policy_document(values, source), source, environment=environment, now=now)
