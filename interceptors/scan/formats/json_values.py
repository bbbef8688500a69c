"""Values at given places of a JSON document (RFC 8259): found by where they stand, whatever they hold."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.formats import compressed
from interceptors.scan.formats.encoded import Encoded
from interceptors.scan.formats.escapes import undone
from interceptors.scan.formats.paths import STEPS
from interceptors.scan.formats.view import Edit, never, spliced
from interceptors.scan.token import is_token
from interceptors.scan.treatment import Treatment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.scan.places import Paths, State
    from interceptors.scan.token import Token

    Choose = Callable[[tuple[int, ...]], tuple[Treatment, int]]
    Tokenize = Callable[[int, bytes], Token | None]

_SPACES = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = (
    rb"(?:(?P<string>%b)|(?P<number>-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)"
    rb"|(?P<word>true|false|null|NaN|-?Infinity))" % _STRING
)
_VALUE = rb"%b(?:%b%b(?:,|(?=[}\]]))|(?P<open>[{\[]))" % (_SPACES, _PLAIN, _SPACES)
_TOP = re.compile(rb"%b(?:%b(?=[ \t\r\n]|\Z)|(?P<open>[{\[]))" % (_SPACES, _PLAIN), re.DOTALL)
_MEMBER = re.compile(rb"%b(?P<name>%b)%b:%b" % (_SPACES, _STRING, _SPACES, _VALUE), re.DOTALL)
_ELEMENT = re.compile(_VALUE, re.DOTALL)
_CLOSE = re.compile(rb"%b([}\]])%b,?" % (_SPACES, _SPACES))
_COMMA = re.compile(rb"%b," % _SPACES)
_BRACKET = re.compile(rb"(?:[ \t\r\n:,0-9+.A-Za-z-]++|%b)*+([][{}])" % _STRING, re.DOTALL)
"""Up to the next bracket that stands in no string."""
_SPACE = re.compile(_SPACES)
_TO_ESCAPE = re.compile(rb"[\x00-\x1f\"\\]|\xed[\xa0-\xbf][\x80-\xbf]")
"""What may not stand in a string as it is; the last are lone surrogates, as `undone` leaves them."""
_SHORT = (b'"', b"\\")
_BOM = b"\xef\xbb\xbf"
_BEGINS = (b"{", b"[", b'"')
"""How a document within a string begins, or a string that holds one in its turn."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}+={0,2}")
_MAY_BE_BASE64 = re.compile(rb"\s*+[BCDHIKWeg7/_][A-Za-z0-9+/_-]{3}")
"""How base64 of `_BEGINS` begins, behind white space or a BOM, and that of what is compressed: most texts
need no closer look."""
_PROBE = 64
_ASKED_EVERY = 256


_RANKS = tuple(Treatment)

_KEPT = (Treatment.KEEP, -1)
_TEXTS = ("string", "number")
_EMPTY = {"object": b"{}", "array": b"[]", "string": b'""'}


class Value(NamedTuple):
    """A value that some of the places mean."""

    start: int
    end: int
    kind: str
    """`string`, `number`, `word`, `object` or `array`."""
    places: tuple[int, ...]
    """The numbers of those that mean it; none for a string that holds a document with such values."""
    inside: Values | None = None
    encoded: Encoded | None = None
    """How the document inside is encoded, if it is."""


class Treated(NamedTuple):
    """What becomes of a value."""

    place: int
    """The number of the place that means it."""
    by: int
    """That of the place that says what becomes of it: another one, where it lies within the value."""
    treatment: Treatment


class Values(NamedTuple):
    """What was found in a document."""

    document: bytes
    found: tuple[Value, ...]
    whole: bool
    """Whether all of the document was read: it is well-formed, not too deep, and there was time."""

    def places(self) -> Iterator[tuple[int, ...]]:
        """Give the places of each value, in no order."""
        for value in self.found:
            if value.places:
                yield value.places
            if value.inside is not None:
                yield from value.inside.places()

    def replaced(self, choose: Choose, tokenize: Tokenize) -> bytes:
        """Give the document with other values; still well-formed.

        Args:
            choose: what becomes of a value by the places that mean it, and which of them says so.
            tokenize: gives a token of a text at a place; None where there is none, and it is masked.

        Returns:
            The document, itself where all stays. Where a value that is replaced holds others, all of it
            becomes what the strictest of them does.
        """
        edits: list[Edit] = []
        for chosen in self._chosen(choose):
            value = chosen.value
            if chosen.treatment is not Treatment.KEEP:
                edits.append(self._edit(chosen, tokenize))
            elif value.inside is not None:
                inner = value.inside.replaced(choose, tokenize)
                if inner is not value.inside.document:
                    inner = inner if value.encoded is None else value.encoded.packed(inner)
                    edits.append(Edit(value.start, value.end, _quoted(inner)))
        return spliced(self.document, edits) if edits else self.document

    def treated(self, choose: Choose) -> Iterator[Treated]:
        """Tell what `replaced` makes of each value."""
        for value, treatment, place in self._chosen(choose):
            meant = place if place in value.places else next(iter(value.places), place)
            if treatment is not Treatment.KEEP and value.kind not in _TEXTS:
                yield Treated(meant, place, Treatment.EMPTY)
            elif value.places:
                yield Treated(meant, place, treatment)
            if treatment is Treatment.KEEP and value.inside is not None:
                yield from value.inside.treated(choose)

    def _chosen(self, choose: Choose) -> Iterator[_Chosen]:
        """Give each value with what becomes of it; those within one that is replaced are a part of that."""
        outer: _Chosen | None = None
        for value in sorted(self.found, key=_extent):
            treatment, place = choose(value.places) if value.places else _KEPT
            if outer is not None:
                if value.start < outer.value.end:
                    outer = outer.stricter(treatment, place).with_inside(value, choose)
                    continue
                yield outer
                outer = None
            chosen = _Chosen(value, treatment, place)
            if treatment is Treatment.KEEP:
                yield chosen
            else:
                outer = chosen.with_inside(value, choose)
        if outer is not None:
            yield outer

    def __repr__(self) -> str:
        """Show nothing of the document."""
        return f"Values(found={len(self.found)}, whole={self.whole})"

    def _edit(self, chosen: _Chosen, tokenize: Tokenize) -> Edit:
        value, treatment, place = chosen
        raw = self.document[value.start : value.end]
        return Edit(value.start, value.end, _text(raw, value.kind, treatment, partial(tokenize, place)))


class _Chosen(NamedTuple):
    value: Value
    treatment: Treatment
    place: int

    def stricter(self, treatment: Treatment, place: int) -> _Chosen:
        if _RANKS.index(treatment) <= _RANKS.index(self.treatment):
            return self
        return self._replace(treatment=treatment, place=place)

    def with_inside(self, value: Value, choose: Choose) -> _Chosen:
        chosen = self
        for places in () if value.inside is None else value.inside.places():
            chosen = chosen.stricter(*choose(places))
        return chosen


def _text(raw: bytes, kind: str, treatment: Treatment, tokenize: Callable[[bytes], Token | None]) -> bytes:
    """Give what stands for a value: of the same type, or null where that has no empty value."""
    if kind not in _TEXTS or treatment is Treatment.EMPTY:
        return _EMPTY.get(kind, b"null")
    quote = b'"' if kind == "string" else b""
    text = undone(raw[1:-1]) if quote else raw
    token = None
    if treatment is Treatment.TOKEN:
        if not text or is_token(text):
            return raw
        token = tokenize(text)
    if quote:
        return b'"%b"' % (b"*" * len(text) if token is None else token.text)
    return b"0" if token is None else token.number


class _Frame:
    """A container that is open."""

    __slots__ = ("index", "otherwise", "start", "state", "steps")

    def __init__(self, start: int, state: State, paths: Paths, *, is_object: bool) -> None:
        self.start = start
        self.state = state
        self.steps, self.otherwise = paths.steps(state)
        self.index = -1 if is_object else 0
        """Of an array's next element; -1 for an object."""


def json_values(document: bytes, paths: Paths, depth: int, spent: Callable[[], bool] = never) -> Values:
    """Find the values that paths mean.

    Args:
        document: one document, or several in a row; anything else is told by `Values.whole`.
        paths: where. A path goes on in a document that a string holds.
        depth: of documents within strings.
        spent: says whether the time is over.

    Returns:
        The values. What is malformed gives those before it.
    """
    return _Reader(document, paths, paths.start, depth, spent).read()


class _Reader:
    """Reads one document, a member or an element at a time; what no path leads into is passed over."""

    def __init__(
        self, document: bytes, paths: Paths, start: State, depth: int, spent: Callable[[], bool]
    ) -> None:
        self._document = document
        self._paths = paths
        self._start = start
        self._depth = depth
        self._spent = spent
        self._stack: list[_Frame] = []
        self._found: list[Value] = []
        self._whole = True

    def read(self) -> Values:
        document, stack = self._document, self._stack
        at = len(_BOM) if document.startswith(_BOM) else 0
        count = 0
        while at >= 0 and (stack or not _SPACE.fullmatch(document, at)):
            count += 1
            if count % _ASKED_EVERY == 0 and self._spent():
                at = -1
            elif stack:
                at = self._part(at)
            else:
                match = _TOP.match(document, at)
                at = -1 if match is None else self._value(match, self._start)
        return Values(document, tuple(self._found), self._whole and at >= 0)

    def _part(self, at: int) -> int:
        """Read a member or an element, or the end of their container; gives where to go on, or -1."""
        frame = self._stack[-1]
        match = (_MEMBER if frame.index < 0 else _ELEMENT).match(self._document, at)
        if match is None:
            return self._closed(at)
        if frame.index < 0:
            step = f".{undone(match['name'][1:-1]).decode('utf-8', 'replace')}"
        else:
            step = f"[{frame.index}]"
            frame.index += 1
        return self._value(match, frame.steps.get(step, frame.otherwise))

    def _value(self, match: re.Match[bytes], state: State) -> int:
        kind = str(match.lastgroup)
        if kind == "open":
            if not state:
                return self._passed(match.end())
            if len(self._stack) >= STEPS:
                return -1
            start = match.start("open")
            self._stack.append(_Frame(start, state, self._paths, is_object=match["open"] == b"{"))
        elif state:
            self._scalar(kind, *match.span(kind), state)
        return match.end()

    def _passed(self, at: int) -> int:
        """Pass over a container that no path leads into."""
        depth = count = 1
        while depth:
            match = _BRACKET.match(self._document, at)
            count += 1
            if match is None or (count % _ASKED_EVERY == 0 and self._spent()):
                return -1
            depth += 1 if match[1] in b"{[" else -1
            at = match.end()
        match = _COMMA.match(self._document, at)
        return at if match is None else match.end()

    def _closed(self, at: int) -> int:
        match = _CLOSE.match(self._document, at)
        frame = self._stack.pop()
        is_object = frame.index < 0
        if match is None or is_object != (match[1] == b"}"):
            return -1
        places = self._paths.ended(frame.state)
        if places:
            kind = "object" if is_object else "array"
            self._found.append(Value(frame.start, match.end(1), kind, places))
        return match.end()

    def _scalar(self, kind: str, start: int, end: int, state: State) -> None:
        places = self._paths.ended(state)
        inside = encoded = None
        if kind == "string" and len(places) < len(state):
            text = undone(self._document[start + 1 : end - 1])
            encoded = _encoded(text)
            if encoded is not None and compressed.sniff(encoded.data):
                self._whole = False
            inside = self._inside(text if encoded is None else encoded.data, state)
        if places or inside is not None:
            self._found.append(Value(start, end, kind, places, inside, encoded))

    def _inside(self, text: bytes, state: State) -> Values | None:
        """Look into a text, if it is a document."""
        if not _begins(text):
            return None
        if not self._depth:
            self._whole = False
            return None
        values = _Reader(text, self._paths, state, self._depth - 1, self._spent).read()
        # A text that only begins like a document has no values; what ends too early may have more.
        self._whole = self._whole and (values.whole or not values.found)
        return values if values.found else None


def _begins(text: bytes) -> bool:
    return text.removeprefix(_BOM).lstrip().startswith(_BEGINS)


def _encoded(text: bytes) -> Encoded | None:
    """Give the base64 of a document, or of what is compressed; None for any other text."""
    if _MAY_BE_BASE64.match(text) is None:
        return None
    run = b"".join(text.split())
    if _BASE64.fullmatch(run) is None:
        return None
    head = Encoded(run[:_PROBE]).data
    return Encoded(run) if _begins(head) or compressed.sniff(head) else None


def _extent(value: Value) -> tuple[int, int]:
    return value.start, -value.end


def _quoted(text: bytes) -> bytes:
    """Write a text as a string in quotes."""
    return b'"%b"' % _TO_ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[bytes]) -> bytes:
    if match[0] in _SHORT:
        return b"\\" + match[0]
    return b"\\u%04x" % ord(match[0].decode("utf-8", "surrogatepass"))
