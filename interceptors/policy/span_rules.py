"""What leaves of the OpenTelemetry SDK's spans and logs: a part of the document, and its compiled form."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, StringConstraints, model_validator

from interceptors.bounded import BoundedMap
from interceptors.policy import span_conventions as conventions
from interceptors.policy.header_text import HeaderText
from interceptors.policy.span_conventions import Values
from interceptors.policy.yaml_document import DocumentModel
from interceptors.scan import Format, Inspector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from interceptors.scan import Finding

Scalar = str | bool | int | float
"""What an attribute's value may be, or a sequence's element. Bytes and mappings are none: the one hides
what it holds from a scan, the other has names that no policy knows."""

_NEVER = ("exception.message", "exception.stacktrace")
"""These are free-form by what they are: a policy can't let them leave."""
_LONGEST = 1024
"""Characters of a value; a longer one is a text, and no attribute."""
_MOST = 128
"""Elements of a sequence."""
_CACHED = 4096
_LONGEST_CACHED = 256
_INT64 = 1 << 63
"""OTLP's integers have 64 bits."""
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def _name_alone(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _may_leave(name: str) -> str:
    if name in _NEVER:
        msg = f"{name} holds what somebody's code has put into an exception; it never leaves"
        raise ValueError(msg)
    return name


Text = Annotated[str, StringConstraints(min_length=1, max_length=255)]
AttributeName = Annotated[Text, AfterValidator(_may_leave)]


class AttributeRule(DocumentModel):
    """An attribute that leaves."""

    name: AttributeName
    """Its name."""
    values: tuple[Text, ...] = ()
    """The texts that leave, each in full. Default: every text, number and truth value, and every list of
    them, in which the scanner finds nothing."""


AttributeEntry = Annotated[
    AttributeRule,
    BeforeValidator(_name_alone, json_schema_input_type=AttributeRule | Text),
]


class SpanRules(DocumentModel):
    """What leaves of the spans and logs that the OpenTelemetry SDK records, where their exporter is wrapped.

    What is listed here leaves besides what is built in. All else is dropped, and so is a value in which the
    scanner finds something.
    """

    attributes: tuple[AttributeEntry, ...] = ()
    """Attributes of spans, events, links, scopes and log records, by name or with their `values`."""
    resource: tuple[AttributeEntry, ...] = ()
    """Attributes of the resource, likewise."""
    names: tuple[Text, ...] = ()
    """Span names, in full. A part in braces stands for the value of an attribute that leaves, as in
    `refund {shop.kind}`. Another name is replaced by the span's kind and scope."""
    events: tuple[Text, ...] = ()
    """Names of events, and of log records. Another event is dropped."""
    scopes: tuple[Text, ...] = ()
    """Names of instrumentation scopes; with `.*` at the end, of all below as well."""
    bodies: tuple[Text, ...] = ()
    """Bodies of log records, in full, with parts in braces as in `names`. Another body is dropped."""
    drop: tuple[Text, ...] = ()
    """Attributes that are built in, and yet are not to leave."""

    @model_validator(mode="after")
    def _possible(self) -> SpanRules:
        attributes = conventions.ATTRIBUTES | dict.fromkeys(conventions.DESTINATIONS, Values())
        built_in = attributes | conventions.RESOURCE
        for name in self.drop:
            if name not in built_in:
                near = difflib.get_close_matches(name, built_in, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                msg = f"{name!r} is not built in, so it leaves only where it is listed{hint}"
                raise ValueError(msg)
        leaving = _rules(attributes, self.attributes, self.drop)
        for template in (*self.names, *self.bodies):
            for name in _VARIABLE.findall(template):
                if name not in leaving:
                    msg = f"{{{name}}} stands for an attribute that doesn't leave; list it in `attributes`"
                    raise ValueError(msg)
            if re.search("[{}]", _VARIABLE.sub("", template)):
                msg = "a brace stands only around the name of an attribute"
                raise ValueError(msg)
        return self


class Held(NamedTuple):
    """Attributes, held to the policy."""

    kept: dict[str, Scalar | tuple[Scalar, ...]]
    dropped: int
    """How many are not among them."""
    found: tuple[str, ...] = ()
    """The classes of what the scanner found in attributes that would leave."""

    def __repr__(self) -> str:
        """Show no value."""
        return f"Held(kept={len(self.kept)}, dropped={self.dropped})"


class SpanPolicy:
    """Says what leaves. Pure, and safe between threads.

    Every answer is made of the policy's own texts, and of values that were looked into.
    """

    def __init__(
        self,
        rules: SpanRules | None = None,
        *,
        inspector: Callable[[], Inspector] = Inspector,
        destinations: Iterable[str] = (),
    ) -> None:
        """Compile.

        Args:
            rules: the document's part; by default, what is built in.
            inspector: makes what looks into values, when it is first needed: that takes most of a second.
            destinations: the names of topics, exchanges and queues that the policy's channels list.
        """
        rules = rules or SpanRules()
        listed = Values(frozenset(destinations))
        built_in = conventions.ATTRIBUTES | dict.fromkeys(conventions.DESTINATIONS, listed)
        self._attributes = _rules(built_in, rules.attributes, rules.drop)
        self._resource = _rules(conventions.RESOURCE, rules.resource, rules.drop)
        self._names = _Templates((*conventions.NAMES, *rules.names))
        self._bodies = _Templates(rules.bodies)
        self._events = conventions.EVENTS | set(rules.events)
        scopes = (*conventions.SCOPES, *rules.scopes)
        self._scopes = frozenset(scope.removesuffix(".*") for scope in scopes)
        self._above = tuple(scope.removesuffix("*") for scope in scopes if scope.endswith(".*"))
        self._make_inspector = inspector
        self._clean: BoundedMap[tuple[str, str], bool] = BoundedMap(_CACHED)

    @cached_property
    def inspector(self) -> Inspector:
        """What looks into values."""
        return self._make_inspector()

    def attributes(self, given: Mapping[str, object]) -> Held:
        """Give what leaves of the attributes of a span, event, link, scope or log record.

        Args:
            given: values by name, of any type.
        """
        return self._held(self._attributes, given)

    def resource(self, given: Mapping[str, object]) -> Held:
        """Give what leaves of the attributes of a resource.

        Args:
            given: values by name, of any type.
        """
        return self._held(self._resource, given)

    def span_name(self, name: object, held: Held) -> str | None:
        """Give a span's name, or None where the policy doesn't know it.

        Args:
            name: the name.
            held: the span's attributes.
        """
        return self._templated(self._names, name, held)

    def body(self, body: object, held: Held) -> str | None:
        """Give a log record's body, or None where the policy doesn't know it.

        Args:
            body: the body.
            held: the record's attributes.
        """
        return self._templated(self._bodies, body, held)

    def event(self, name: object) -> str | None:
        """Give the name of an event or log record, or None where the policy doesn't know it."""
        text = _plain(name)
        return text if isinstance(text, str) and text in self._events else None

    def scope(self, name: object) -> str | None:
        """Give the name of an instrumentation scope, or None where the policy doesn't know it."""
        text = _plain(name)
        if not isinstance(text, str):
            return None
        if text in self._scopes:
            return text
        below = text.startswith(self._above) and conventions.SCOPE.fullmatch(text)
        return text if below and not self._found("scope", text) else None

    def _held(self, rules: Mapping[str, Values], given: Mapping[str, object]) -> Held:
        kept: dict[str, Scalar | tuple[Scalar, ...]] = {}
        found: tuple[str, ...] = ()
        for name, value in given.items():
            values = rules.get(name)
            if values is None:
                continue
            plain: Scalar | tuple[Scalar, ...] | None = _plain(value)
            if plain is None and values.free and isinstance(value, Sequence):
                plain = _plain_elements(value)
            if plain is None:
                continue
            if not _listed(values, plain):
                if not (values.free or _fits(values, plain)):
                    continue
                classes = self._found(name, plain)
                if classes:
                    found += classes
                    continue
            kept[name] = plain
        return Held(kept, len(given) - len(kept), found)

    def _templated(self, templates: _Templates, text: object, held: Held) -> str | None:
        plain = _plain(text)
        if not isinstance(plain, str):
            return None
        if plain in templates.fixed:
            return plain
        known = any(rendered == plain for rendered in templates.rendered(held.kept))
        # Values that are each nothing may be something beside one another.
        return plain if known and not self._found("name", plain) else None

    def _found(self, name: str, value: Scalar | tuple[Scalar, ...]) -> tuple[str, ...]:
        """Give the classes of what is found in a value; what could not be scanned counts, too."""
        cached = isinstance(value, str) and len(value) <= _LONGEST_CACHED
        if cached and self._clean.get((name, str(value))):
            return ()
        written = HeaderText([(name, value)], None).text
        inspection = self.inspector.inspect(written, format=Format.TEXT)
        findings: tuple[Finding, ...] = inspection.findings
        if not findings and inspection.unscanned is None:
            if cached:
                self._clean.set((name, str(value)), True)  # noqa: FBT003 - a set of pairs
            return ()
        return tuple(finding.class_ for finding in findings) or ("unscanned",)


class _Templates:
    """Texts with parts that stand for the values of attributes."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Compile.

        Args:
            texts: with the attributes' names in braces.
        """
        self.fixed: set[str] = set()
        self._by_attribute: dict[str, list[list[str]]] = {}
        for text in texts:
            parts = _VARIABLE.split(text)  # literals at even places, names at odd ones
            if len(parts) == 1:
                self.fixed.add(text)
            else:
                self._by_attribute.setdefault(parts[-2], []).append(parts)

    def rendered(self, attributes: Mapping[str, object]) -> Iterator[str]:
        """Give the texts that some attributes make."""
        for attribute in attributes:
            for parts in self._by_attribute.get(attribute, ()):
                values = [attributes.get(name) for name in parts[1::2]]
                if all(type(value) in (str, int) for value in values):
                    filled = list(parts)
                    filled[1::2] = map(str, values)
                    yield "".join(filled)


def _rules(
    built_in: Mapping[str, Values], listed: Iterable[AttributeRule], dropped: Iterable[str]
) -> dict[str, Values]:
    rules = {name: values for name, values in built_in.items() if name not in set(dropped)}
    return rules | {
        rule.name: Values(frozenset(rule.values)) if rule.values else Values(free=True) for rule in listed
    }


def _plain(value: object) -> Scalar | None:
    """Give a value as one of the types that can be written, and no subclass of it; None for what can't be."""
    if isinstance(value, str):
        text = str.__str__(value)
        # A lone surrogate can't be written, and would cost the whole batch.
        return text if len(text) <= _LONGEST and not _has_surrogate(text) else None
    if isinstance(value, (bool, float)):
        return value if isinstance(value, bool) else float.__float__(value)
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -_INT64 <= number < _INT64 else None
    return None


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _plain_elements(value: Sequence[object]) -> tuple[Scalar, ...] | None:
    if isinstance(value, (str, bytes, bytearray, memoryview)) or len(value) > _MOST:
        return None
    elements = [_plain(element) for element in value]
    kept = tuple(element for element in elements if element is not None)
    return kept if len(kept) == len(elements) else None


def _listed(values: Values, value: Scalar | tuple[Scalar, ...]) -> bool:
    """Tell whether the policy lists a value itself, so that it needs no scan."""
    if isinstance(value, bool):
        return values.truth
    if isinstance(value, int):
        return value in values.numbers
    return isinstance(value, str) and value in values.texts


def _fits(values: Values, value: Scalar | tuple[Scalar, ...]) -> bool:
    """Tell whether a value is of the form that the convention gives it."""
    return isinstance(value, str) and values.pattern is not None and bool(values.pattern.fullmatch(value))
