"""Labels: the few values that the policy lets travel with a trace, and stand on its spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from interceptors.context import RETRY_LABEL
from interceptors.policy.catalog_document import DataEntry, Handling
from interceptors.policy.payload_document import What
from interceptors.policy.quantities import Duration
from interceptors.scan import Treatment, check_pattern, parse_token

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping

    from interceptors.policy.field_rules import Tokenize

REDACTED = "***"
"""What stands for a value that is redacted: not even its length stays."""
_LONGEST_VALUE = 64
"""Bytes: what an envelope has a place for."""
_LONGEST_REPLACED = 255
"""Bytes of a value that something else stands for: an e-mail address has 254 at most (RFC 5321)."""
_KEEP = Treatment.KEEP  # an attribute of an enumeration costs, and this is asked for each label
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
    handling: Handling = Handling.KEEP
    """What becomes of its values before they travel: `keep`, `tokenize` (a token of its `class` stands for
    each), `redact` (`***` does) or `drop`, with which the label stays in the catalog and doesn't travel."""
    retention: Duration | None = None
    """How long it is kept, at the most. Default: as long as the channel says."""
    values: tuple[LabelValue, ...] = ()
    """The values, each in full."""
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Or a regular expression of printable ASCII, whose repeats have bounds, and which fits the whole value,
    of 64 bytes at most. Keep it so narrow that no name, address or number of a person fits. What is
    tokenized or redacted may be anything of 255 bytes at most, where neither `values` nor a `pattern` says
    otherwise."""

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
        said = bool(self.values) + (self.pattern is not None)
        replaced = self.handling in (Handling.TOKENIZE, Handling.REDACT)
        if said > 1 or not (said or replaced):
            msg = "a label has either `values` or a `pattern`; give one of them (a dropped one as well)"
            raise ValueError(msg)
        if self.handling is Handling.TOKENIZE and self.what is None:
            msg = (
                "a label that is tokenized has a `class`, which says whose tokens it is joined with; give it"
            )
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
    values: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    treatment: Treatment = Treatment.KEEP
    what: str = ""
    """What its values are, as the policy calls it."""
    class_: str = ""
    """The class of that, which says how a value is written where it is made a token."""
    domain: str = ""
    """Of its tokens."""
    line: str = ""
    """Where the policy says so."""

    def takes(self, value: str) -> bool:
        """Tell whether a value may be one of this label's."""
        if self.values:
            return value in self.values
        longest = _LONGEST_VALUE if self.treatment is _KEEP else _LONGEST_REPLACED
        return _fits(value, longest) and (self.pattern is None or self.pattern.fullmatch(value) is not None)

    def replaced(self, value: str, tokenize: Tokenize | None) -> str | None:
        """Give what travels for a value that doesn't travel itself; None for nothing.

        Args:
            value: as offered.
            tokenize: see `Labels.admitted`.
        """
        if self._stands_for_one(value):
            return value
        if tokenize is None or not self.takes(value):
            return None
        tokenized = self.treatment is Treatment.TOKEN
        token = tokenize(self.domain, self.class_, value.encode()) if tokenized else None
        return REDACTED if token is None else str(token)

    def _stands_for_one(self, value: str) -> bool:
        """Tell whether something stands for a value already: a sender's, or of the message that came in."""
        if value == REDACTED:
            return True
        if self.treatment is not Treatment.TOKEN:
            return False
        try:
            parse_token(value)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a channel."""

    rules: tuple[Label, ...] = ()

    def admitted(
        self, offered: Mapping[str, object], tokenize: Tokenize | None = None
    ) -> tuple[dict[str, str], int]:
        """Give what may travel of what is offered.

        Args:
            offered: values by name, such as OpenTelemetry's baggage.
            tokenize: gives the token of a value by domain and class, None where there is no key. Left out
                for what a sender has sent: a value that it was to replace and didn't is not taken up.

        Returns:
            The labels, and how many of the policy's names had a value that it doesn't allow. What it doesn't
            name at all is not counted: baggage may hold anything.
        """
        kept: dict[str, str] = {}
        refused = 0
        for rule in self.rules:
            name = rule.name
            if name not in offered:
                continue
            # An enumeration's member, say, becomes the plain text that an envelope takes.
            value = offered[name]
            text = str.__str__(value) if isinstance(value, str) else None
            if text is not None:
                if rule.treatment is not _KEEP:
                    text = rule.replaced(text, tokenize)
                elif not rule.takes(text):
                    text = None
            if text is None:
                refused += 1
            else:
                kept[name] = text
        return kept, refused


NO_LABELS = Labels()


def compile_labels(rules: Iterable[Label]) -> Labels:
    """Compile the labels of a channel.

    Args:
        rules: of all that the policy names.

    Returns:
        Those that travel.
    """
    return Labels(tuple(rule for rule in rules if rule.treatment is not Treatment.EMPTY))


def _fits(value: str, longest: int = _LONGEST_VALUE) -> bool:
    """Tell whether a value is no longer than that, in bytes, and no empty one."""
    if not 0 < len(value) <= longest:
        return False
    if value.isascii():  # nearly always: a byte each
        return True
    try:
        return len(value.encode()) <= longest
    except UnicodeEncodeError:  # a lone surrogate
        return False
