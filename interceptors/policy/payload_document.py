"""The part of the policy document that is about payloads."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from interceptors.policy.payload import Action, OnUnscanned
from interceptors.policy.quantities import ShortTime, Size
from interceptors.policy.yaml_document import DocumentModel
from interceptors.scan import check_path


def _class_alone(value: object) -> object:
    return {"class": value} if isinstance(value, str) else value


def _path(value: str) -> str:
    check_path(value)
    return value


What = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Example = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_path)]


class Allowed(DocumentModel):
    """Something that may be sent."""

    model_config = ConfigDict(validate_by_name=False, serialize_by_alias=True)

    what: What = Field(alias="class")
    """A class such as `personal.email`, a family such as `personal`, or a detector such as `us_ssn`."""
    path: Path | None = None
    """Where in the body, such as `$.customer.email` or `$.items[*].email`. Default: anywhere, headers and key
    included."""


AllowedEntry = Annotated[
    Allowed,
    BeforeValidator(_class_alone, json_schema_input_type=Allowed | What),
]


class Budget(DocumentModel):
    """How much scanning one message may cost."""

    bytes: Size | None = None
    """How much of a body is scanned, and of all that is decoded from it. Default: 1MiB."""
    time: ShortTime | None = None
    """How long, in us, ms or s. Default: 20ms."""


class PayloadRules(DocumentModel):
    """What the bodies, headers and keys of a channel's messages may hold.

    Each key that is left out is as in the default's `payload`, then as said here.
    """

    on_leak: Action | None = None
    """What becomes of an identifier that is sent undeclared: `observe` (counted, and said once), `redact`
    (replaced by asterisks; in JSON, a number by 0), `tokenize` (replaced by a token of its domain)
    or `block` (the message is not sent: LeakError). What is received is observed. Default: observe."""
    actions: dict[What, Action] | None = None
    """The same by class, family or detector, such as `payment: block`; of several that are meant, the
    strictest counts."""
    allow: tuple[AllowedEntry, ...] | None = None
    """What is declared: a class, family or detector, or those with a `path`. Default: nothing."""
    include: tuple[What, ...] | None = None
    """Classes, families or detectors to look for that are off where nothing is said. Default: none."""
    on_unscanned: OnUnscanned | None = None
    """What becomes of a message that could not be scanned, or redacted, to the end: the budget is spent, the
    body is not bytes yet, its compression is unknown. `pass` (sent and counted) or `block`. Default: pass."""
    sample: Annotated[float, Field(ge=0, le=1)] | None = None
    """Which part of the messages is scanned, by trace: 0 for none. Default: 1."""
    budget: Budget | None = None
    """How much scanning one message may cost."""


class Identifier(DocumentModel):
    """An identifier of your own that is looked for, as class `internal` and its name."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """Its name, in lower case."""
    prefix: Annotated[str, StringConstraints(max_length=40)] = ""
    """What it begins with, such as `CUST-`."""
    pattern: Annotated[str, StringConstraints(max_length=200)] = ""
    """What follows the prefix: literals, classes and bounded repeats, such as `[0-9]{8}`."""
    words: tuple[What, ...] = ()
    """Names beside which it counts, where it has no prefix, such as `customer number`."""
    check: Literal["luhn", "mod97", "verhoeff", "mod11"] | None = None
    """The check digits that its digits have."""
    path: Path | None = None
    """The one place of the body where it counts. Default: anywhere."""
    examples: tuple[Example, ...] = ()
    """Texts in which it stands, made up and of nobody, such as `CUST-12345678`. `interceptors check` tries
    them."""
    counterexamples: tuple[Example, ...] = ()
    """Texts that look like it, and in which it does not stand."""
