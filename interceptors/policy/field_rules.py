"""What becomes of values by where they stand in a message, whatever they hold."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from interceptors.policy.header_text import leaf_bytes, to_bytes, to_text
from interceptors.scan import Paths, Treatment, Unscanned, is_token
from interceptors.scan import fields as fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from interceptors.policy.header_text import Headers
    from interceptors.scan import Token

    Tokenize = Callable[[str, str, bytes], Token | None]
    """Gives the token of a text by domain and class; None where there is no key."""

_RANKS = tuple(Treatment)


class FieldRule(NamedTuple):
    """The rule of one place."""

    place: str
    """A path in the body, or `headers.` and a header's name in lower case."""
    what: str
    """What stands there, as the policy calls it."""
    class_: str
    """The class of that, which says how it is written where it is made a token."""
    domain: str
    """Of its tokens."""
    treatment: Treatment
    line: str
    """Where the policy says so."""
    excepted: bool = False
    """Whether an exception says so, which counts instead of the others."""


class Handled(NamedTuple):
    """A part of a message with its fields as the policy wants them."""

    value: Any
    unscanned: Unscanned | None = None
    """Why not all of them are, if so."""
    kept: int = 0
    """How many can't be replaced where they stand."""

    def __repr__(self) -> str:
        """Show nothing of the message."""
        return f"Handled(unscanned={self.unscanned!r}, kept={self.kept})"


class FieldRules:
    """The rules of a channel's fields.

    Attributes:
        rules: all of them.
        handles: whether any value is changed.
    """

    def __init__(self, rules: Iterable[FieldRule]) -> None:
        """Compile.

        Args:
            rules: of several for one value, an exception's count, and of those the strictest.
        """
        self.rules = rules = tuple(rules)
        self.handles = any(rule.treatment is not Treatment.KEEP for rule in rules)
        self._body = tuple(rule for rule in rules if rule.place.startswith("$"))
        self._paths = Paths([rule.place for rule in self._body])
        self._in_body = any(rule.treatment is not Treatment.KEEP for rule in self._body)
        named = {rule.place for rule in rules} - {rule.place for rule in self._body}
        self._headers = {
            place.removeprefix("headers."): strictest([rule for rule in rules if rule.place == place])
            for place in sorted(named)
        }
        self._in_headers = any(rule.treatment is not Treatment.KEEP for rule in self._headers.values())

    def treated(self, body: object, spent: Callable[[], bool]) -> list[tuple[str, FieldRule, Treatment]]:
        """Tell what becomes of each field of a body: its place, the rule that says so, and the treatment.

        A value that is neither text nor number is left empty where it would be masked. What lies within a
        value that is replaced is a part of that.
        """
        data = to_bytes(body)
        if data is None:
            return []
        treated = fields_of(data, self._paths, spent).treated(self._choose)
        return [(self._body[place].place, self._body[by], treatment) for place, by, treatment in treated]

    def _choose(self, places: tuple[int, ...]) -> tuple[Treatment, int]:
        rule = strictest([self._body[place] for place in places])
        return rule.treatment, self._body.index(rule)

    def header(self, name: object) -> FieldRule | None:
        """Give the rule of a header; None where there is none."""
        return self._headers.get(name.lower()) if isinstance(name, str) else None

    def body(self, body: object, spent: Callable[[], bool], tokenize: Tokenize) -> Handled:
        """Give a body as it may be sent.

        Args:
            body: as given; bytes stay bytes, a text a text.
            spent: says whether the time is over.
            tokenize: gives the token of a text by domain and class; None where there is no key.
        """
        if body is None or not self._in_body:
            return Handled(body)
        data = to_bytes(body)
        if data is None:
            return Handled(body, Unscanned.NOT_BYTES)
        found = fields_of(data, self._paths, spent)

        def token(place: int, text: bytes) -> Token | None:
            rule = self._body[place]
            return tokenize(rule.domain, rule.class_, text)

        replaced = found.replaced(self._choose, token)
        if replaced is None:
            return Handled(body, found.unscanned or Unscanned.FORM)
        if replaced is data or replaced == data:
            return Handled(body, found.unscanned)
        return Handled(to_text(replaced) if isinstance(body, str) else replaced, found.unscanned)

    def headers(self, headers: Headers, fixed: Collection[str], tokenize: Tokenize) -> Handled:
        """Give headers as they may be sent.

        Args:
            headers: names and values.
            fixed: the names of those that the bus goes by, which stay.
            tokenize: as for a body.
        """
        if not self._in_headers:
            return Handled(headers)
        handled: list[tuple[str, object]] = []
        kept = 0
        for name, value in headers:
            rule = self.header(name)
            if rule is None or rule.treatment is Treatment.KEEP:
                handled.append((name, value))
            elif name in fixed:
                handled.append((name, value))
                kept += 1
            else:
                new = _header(value, rule, tokenize)
                if new is not None:
                    handled.append((name, new))
        return Handled(handled, None, kept)


def strictest(rules: list[FieldRule]) -> FieldRule:
    """Give the rule that counts: an exception's before the others, and the strictest of its kind."""
    return max(rules, key=lambda rule: (rule.excepted, _RANKS.index(rule.treatment)))


def _header(value: object, rule: FieldRule, tokenize: Tokenize) -> object:
    """Give what stands for a header's value; None where the header is left out."""
    if rule.treatment is Treatment.EMPTY:
        return None
    data = leaf_bytes(value)
    if data is None:  # a table, a list, or nothing: what is in it can't be told
        return None
    token = None
    if rule.treatment is Treatment.TOKEN:
        if not data or is_token(data):
            return value
        token = tokenize(rule.domain, rule.class_, data)
    if isinstance(value, (int, float, Decimal)):
        return type(value)(0 if token is None else int(token.number))
    text = b"*" * len(data) if token is None else token.text
    return to_text(text) if isinstance(value, str) else text
