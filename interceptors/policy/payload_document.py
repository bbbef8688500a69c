"""The part of the policy document that is about payloads, and how it is compiled."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from interceptors.errors import PolicyError
from interceptors.policy.payload import Action, OnUnscanned, Payload
from interceptors.policy.quantities import ShortTime, Size
from interceptors.policy.yaml_document import DocumentModel
from interceptors.scan import DETECTORS, OWN_TRACE_ID, Inspector, Limits, check_path, declared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.scan import Detector

_TIME_NS = 20_000_000
_ALL = 1 << 32


def _class_alone(value: object) -> object:
    return {"class": value} if isinstance(value, str) else value


def _path(value: str) -> str:
    check_path(value)
    return value


What = Annotated[str, StringConstraints(min_length=1, max_length=100)]
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
    (replaced by asterisks; in JSON, a number by 0), `tokenize` (replaced by a digest under the sender's key)
    or `block` (the message is not sent: LeakError). What is received is observed. Default: observe."""
    actions: dict[What, Action] | None = None
    """The same by class, family or detector, such as `payment: block`; the most particular counts."""
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


class PayloadCompiler:
    """Compiles the payload rules of one document."""

    def __init__(self, identifiers: Iterable[Identifier], source: str) -> None:
        """Compile the identifiers.

        Args:
            identifiers: the operator's own.
            source: what to call the document in errors.

        Raises:
            PolicyError: an identifier that can't be looked for, or a name that is taken.
        """
        self._source = source
        self._only: dict[str, str] = {}
        own: list[Detector] = []
        # A family's name too: what a policy says of the one would go for the other as well.
        taken = {name for detector in DETECTORS for name in (detector.name, detector.family)}
        taken |= {OWN_TRACE_ID.detector, "internal"}
        for number, identifier in enumerate(identifiers):
            place = f"identifiers[{number}]"
            if identifier.name in taken:
                raise self._error(f"{place}.name", f"{identifier.name!r} is taken; choose another name")
            taken.add(identifier.name)
            try:
                own.append(
                    declared(
                        identifier.name,
                        prefix=identifier.prefix,
                        pattern=identifier.pattern,
                        check=identifier.check,
                        words=identifier.words,
                    )
                )
            except ValueError as error:
                problem = str(error)
            else:
                if identifier.path is not None:
                    self._only[identifier.name] = identifier.path
                continue
            raise self._error(place, problem)
        self._detectors = (*DETECTORS, *own)
        self._names: dict[str, list[str]] = {}
        for detector in self._detectors:
            for name in (detector.name, detector.class_, detector.family):
                self._names.setdefault(name, []).append(detector.name)
        for name in (OWN_TRACE_ID.detector, OWN_TRACE_ID.class_, "trace"):
            self._names.setdefault(name, []).append(OWN_TRACE_ID.detector)

    def compile(self, rules: PayloadRules, default: PayloadRules, path: str) -> Payload:
        """Compile the rules of one channel.

        Args:
            rules: the channel's own.
            default: the default's.
            path: where they are in the document.

        Returns:
            The rules in the form that a message meets.

        Raises:
            PolicyError: a class that there is not.
        """

        def said(name: str, otherwise: Any) -> Any:  # noqa: ANN401 - of each field its own type
            values = (getattr(rules, name), getattr(default, name))
            return next((value for value in values if value is not None), otherwise)

        on_leak: Action = said("on_leak", Action.OBSERVE)
        actions = dict.fromkeys((*self._names_of_all(), OWN_TRACE_ID.detector), on_leak)
        # The most particular comes last, and stays.
        for name, action in sorted(said("actions", {}).items(), key=lambda pair: self._rank(pair[0])):
            actions |= dict.fromkeys(self._detectors_of(name, f"{path}.actions.{name}"), action)
        allowed: dict[str, tuple[str, ...]] = {}
        for number, entry in enumerate(said("allow", ())):
            for name in self._detectors_of(entry.what, f"{path}.allow[{number}]"):
                allowed[name] = (*allowed.get(name, ()), entry.path or "")
        included: set[str] = set()
        for number, what in enumerate(said("include", ())):
            included |= set(self._detectors_of(what, f"{path}.include[{number}]"))
        chosen = [each for each in self._detectors if each.default or each.name in included]
        budget, otherwise = rules.budget or Budget(), default.budget or Budget()
        limits = Limits(bytes=budget.bytes or otherwise.bytes or Limits().bytes)
        return Payload(
            inspector=Inspector(chosen, limits=limits),
            actions=actions,
            allowed=allowed,
            only=self._only,
            on_unscanned=said("on_unscanned", OnUnscanned.PASS),
            time_ns=budget.time or otherwise.time or _TIME_NS,
            sampled=int(said("sample", 1.0) * _ALL),
        )

    def _names_of_all(self) -> Iterable[str]:
        return (detector.name for detector in self._detectors)

    def _rank(self, name: str) -> int:
        """Tell how particular a name is: a family, a class with its dot, or a detector."""
        return 2 if self._names.get(name) == [name] else int("." in name)

    def _detectors_of(self, name: str, path: str) -> list[str]:
        found = self._names.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`interceptors scan --list` names them all"
            raise self._error(path, f"no class, family or detector is called {name!r}; {hint}")
        return found

    def _error(self, path: str, problem: str) -> PolicyError:
        return PolicyError(f"{self._source}: {path}: {problem}", path=path)
