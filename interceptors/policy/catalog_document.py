"""The part of the policy document that says what the data is: class, purpose, who sees it, for how long."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from interceptors.policy.payload_document import Path, What
from interceptors.policy.quantities import Duration
from interceptors.policy.yaml_document import DocumentModel
from interceptors.scan import member

if TYPE_CHECKING:
    from collections.abc import Iterable

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class LawfulBasis(StrEnum):
    """Why personal data may be processed: Article 6(1) of the General Data Protection Regulation."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class Handling(StrEnum):
    """What becomes of a value before it is sent, from the laxest to the strictest."""

    KEEP = "keep"
    """It is declared, and sent as it is."""
    TOKENIZE = "tokenize"
    """A token of it is sent."""
    REDACT = "redact"
    """Asterisks are sent (in JSON, 0 for a number)."""
    DROP = "drop"
    """Nothing of it is sent, not even its length: the value is left empty, and a header or label left out."""


class DataEntry(DocumentModel):
    """What some data is, for whom and for how long. What is left out is as in what it is a part of."""

    purpose: Text | None = None
    """What it is processed for."""
    lawful_basis: LawfulBasis | None = None
    """Why it may be (GDPR, Article 6(1)): `consent`, `contract`, `legal_obligation`, `vital_interests`,
    `public_task` or `legitimate_interests`."""
    visible_to: tuple[Role, ...] | None = None
    """The roles that may see it where traces are kept."""


class FieldEntry(DataEntry):
    """One place in the messages of a channel."""

    model_config = ConfigDict(validate_by_name=False, serialize_by_alias=True)

    path: Path | None = None
    """Where in the body, such as `$.customer.email` or `$.items[*].email`."""
    header: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Or the name of a header."""
    what: What = Field(alias="class")
    """The class of what stands there, such as `personal.email`, or a word of your own, `order.number` say."""
    handling: Handling
    """What becomes of it as it is sent, whatever it holds: `keep`, `tokenize`, `redact` or `drop`."""
    retention: Duration | None = None
    """How long it is kept, at the most. Default: as long as the channel says."""

    @model_validator(mode="after")
    def _one_place(self) -> FieldEntry:
        if (self.path is None) == (self.header is None):
            msg = "a field has either a `path` in the body or a `header`; give one of them"
            raise ValueError(msg)
        if self.header is not None and member(self.header) != f".{self.header}":
            msg = (
                "a header's name that may itself be an identifier can't be told from others like it; name "
                "one that is a letter and up to 63 letters, digits, _ and -, with no five digits in a row"
            )
            raise ValueError(msg)
        return self


def check_places(fields: Iterable[FieldEntry]) -> None:
    """Refuse fields of one place.

    Args:
        fields: of one part of the document.

    Raises:
        ValueError: a place stands twice, and the stricter entry would hide the other.
    """
    seen: set[str] = set()
    for field in fields:
        place = field.path or f"header {field.header}".lower()
        if place in seen:
            msg = f"{place} stands twice among the fields; keep one entry"
            raise ValueError(msg)
        seen.add(place)
