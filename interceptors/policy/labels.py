"""Labels: the few values that the policy lets travel with a trace, and stand on its spans."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from interceptors.context import RETRY_LABEL
from interceptors.policy.catalog_document import DataEntry
from interceptors.policy.payload_document import What
from interceptors.policy.quantities import Duration
from interceptors.scan import check_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_VALUE = 64
"""Bytes: what an envelope has a place for."""
_TAKEN = (
    "celery.",
    "deployment.",
    "error.",
    "exception.",
    "interceptors.",
    "messaging.",
    "service.",
    "telemetry.",
)

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,31}$")]
LabelValue = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_VALUE)]


class LabelEntry(DataEntry):
    """What the values of a label are. One that is none of these is left out."""

    model_config = ConfigDict(validate_by_name=False, serialize_by_alias=True)

    what: What | None = Field(default=None, alias="class")
    """The class of the values: a word of your own, such as `operational`."""
    handling: Literal["keep", "drop"] = "keep"
    """What becomes of it: `keep`, or `drop`, with which it stays in the catalog and doesn't travel. What it
    may be is listed or narrow, so that nothing has to be redacted or tokenized."""
    retention: Duration | None = None
    """How long it is kept, at the most. Default: as long as the channel says."""
    values: tuple[LabelValue, ...] = ()
    """The values, each in full."""
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Or a regular expression of printable ASCII, whose repeats have bounds, and which fits the whole value,
    of 64 bytes at most. Keep it so narrow that no name, address or number of a person fits."""

    @field_validator("values")
    @classmethod
    def _fit(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_fits(value) for value in values):
            msg = f"a value is {_LONGEST_VALUE} bytes of UTF-8 at most; shorten it"
            raise ValueError(msg)
        return values

    @field_validator("pattern")
    @classmethod
    def _is_bounded(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            check_pattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _one_of_both(self) -> LabelEntry:
        if bool(self.values) == (self.pattern is not None):
            msg = "a label has either `values` or a `pattern`; give one of them"
            raise ValueError(msg)
        return self


LabelEntries = Annotated[dict[LabelName, LabelEntry], Field(max_length=16)]


def check_names(labels: Mapping[str, object]) -> None:
    """Refuse names that mean something else already.

    Args:
        labels: by name.

    Raises:
        ValueError: a label is named as an attribute of our spans may be, or as a label of our own.
    """
    for name in labels:
        if name == RETRY_LABEL or name.startswith(_TAKEN):
            msg = f"{name!r} means something else already; give the label another name"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Label:
    """The rule of one label."""

    name: str
    values: frozenset[str]
    pattern: re.Pattern[str] | None

    def allows(self, value: str) -> bool:
        """Tell whether a value may travel."""
        if self.pattern is None:
            return value in self.values
        return _fits(value) and self.pattern.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a channel."""

    rules: tuple[Label, ...] = ()

    def admitted(self, offered: Mapping[str, object]) -> tuple[dict[str, str], int]:
        """Give what may travel of what is offered.

        Args:
            offered: values by name, such as OpenTelemetry's baggage.

        Returns:
            The labels, and how many of the policy's names had a value that it doesn't allow. What it doesn't
            name at all is not counted: baggage may hold anything.
        """
        kept: dict[str, str] = {}
        refused = 0
        for rule in self.rules:
            if rule.name in offered:
                value = offered[rule.name]
                # An enumeration's member, say, becomes the plain text that an envelope takes.
                text = str.__str__(value) if isinstance(value, str) else None
                if text is not None and rule.allows(text):
                    kept[rule.name] = text
                else:
                    refused += 1
        return kept, refused


NO_LABELS = Labels()


def compile_labels(entries: Mapping[str, LabelEntry]) -> Labels:
    """Compile the labels of a channel.

    Args:
        entries: by name.

    Returns:
        Their rules.
    """
    return Labels(
        tuple(
            Label(name, frozenset(entry.values), _compiled(entry.pattern))
            for name, entry in entries.items()
            if entry.handling == "keep"
        )
    )


def _fits(value: str) -> bool:
    """Tell whether an envelope has a place for a value."""
    if len(value) > _LONGEST_VALUE:
        return False
    try:
        return len(value.encode()) <= _LONGEST_VALUE
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return None if pattern is None else re.compile(pattern, re.ASCII)
