"""Looking into a record, and into what is encoded in it: from bytes to findings, and back to other bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan.finding import Finding, Unscanned, Validation
from interceptors.scan.formats import compressed, dispatch
from interceptors.scan.formats.dispatch import Format
from interceptors.scan.formats.encoded import Encoded, runs
from interceptors.scan.formats.json import JsonView
from interceptors.scan.formats.plain import PlainView
from interceptors.scan.formats.view import Edit, Packing, never, spliced
from interceptors.scan.scanner import settled
from interceptors.scan.token import is_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.scan.formats.view import View
    from interceptors.scan.scanner import Scanned, Scanner

_TOKENS = (b"tok", b"90")
"""How tokens begin."""
_KEPT = 1000
"""How many findings of a record are kept, whatever is encoded in it."""


class Place(NamedTuple):
    """Where something lies in a view."""

    view: View | None
    """None for a compressed record: it has no other view than what is in it."""
    start: int
    end: int
    inside: Packing | None = None
    """What is encoded there, where that is how the way goes on."""


class Found(NamedTuple):
    """A finding and the way to it: through views and what is encoded in them, from the record inwards."""

    finding: Finding
    way: tuple[Place, ...]

    def moved(self, start: int, end: int, path: str, *way: Place) -> Found:
        """Give the same as it lies in what it was decoded from."""
        name, class_, _, _, validation, reason, within, part = self.finding
        joined = path + within[1:] if path and within else path or within
        return Found(Finding(name, class_, start, end, validation, reason, joined, part), (*way, *self.way))


_Spotted = tuple[int, int, Finding | None, tuple[Packing, list[Found]] | None]
"""What lies in a view from here to there: a finding, or something encoded and what was found in it."""


class _Clock:
    """Asks whether the time is over, and remembers that it is: a view that was cut short doesn't say so."""

    def __init__(self, spent: Callable[[], bool]) -> None:
        self._spent = spent
        self.over = False

    def __call__(self) -> bool:
        self.over = self.over or self._spent()
        return self.over


class Look:
    """One look into one record."""

    def __init__(
        self, scanner: Scanner, limit: int, own: bytes, spent: Callable[[], bool] | None, *, paths: bool
    ) -> None:
        """Begin.

        Args:
            scanner: finds.
            limit: how many bytes of the record are scanned; and how many of all that is decoded from it.
            own: the message's own trace id.
            spent: says whether the time is over.
            paths: whether findings are to have their path.
        """
        self._scanner = scanner
        self._limit = self._left = limit
        self._own = own
        self._clock = _Clock(never if spent is None else spent)
        self._paths = paths
        self.unscanned: Unscanned | None = None

    def record(self, body: bytes, kind: Format, depth: int) -> list[Found]:
        """Look into a record.

        Args:
            body: any bytes.
            kind: what it is.
            depth: how much deeper to look.

        Returns:
            What was found, in order.
        """
        if kind is Format.BYTES:
            return self._shown([PlainView(self._cut(body))], None)
        told = dispatch.told(body) if kind is Format.AUTO else kind
        if told is not Format.JSON:
            opened = compressed.opened(body, self._left)
            if opened is not None:
                return self._opened(body, opened, kind, depth)
        data = self._cut(body)
        views, more = dispatch.views(data, told, depth, self._scanner.triggered, self._clock)
        if more and not self._clock.over:
            self._note(Unscanned.DEPTH)
        return self._shown(views, depth)

    def bare(self, data: bytes, scanned: Scanned, depth: int) -> list[Found]:
        """Go on with a JSON document that has been scanned as it lies."""
        self._note(scanned.unscanned)
        return self._found(JsonView(data, (), depth), scanned, depth, set())

    def _cut(self, body: bytes) -> bytes:
        if len(body) <= self._limit:
            return body
        self._note(Unscanned.BYTES)
        return body[: self._limit]

    def _kept(self, found: list[Found]) -> list[Found]:
        if len(found) <= _KEPT:
            return found
        self._note(Unscanned.FINDINGS)
        return found[:_KEPT]

    def _note(self, unscanned: Unscanned | None) -> None:
        self.unscanned = self.unscanned or unscanned

    def _opened(self, body: bytes, opened: compressed.Opened, kind: Format, depth: int) -> list[Found]:
        self._note(opened.unscanned)
        self._left -= len(opened.data)
        found: list[Found] = []
        if depth:
            place = Place(None, 0, len(body), opened)
            inner = self.record(opened.data, kind, depth - 1)
            found = [each.moved(0, len(body), "", place) for each in inner]
        else:
            self._note(Unscanned.DEPTH)
        if opened.unscanned is Unscanned.CODEC:
            found += self._shown([PlainView(self._cut(body))], None)
        return found

    def _shown(self, views: Iterable[View], depth: int | None) -> list[Found]:
        """Scan what the views of a record show; what is encoded there, only where there is a depth."""
        found: list[Found] = []
        seen: set[tuple[int, int]] = set()
        several = False
        for view in views:
            scanned = self._scanner.scan(view.data, own=self._own, spent=self._clock)
            self._note(scanned.unscanned)
            more = self._found(view, scanned, depth, seen)
            several = several or bool(found)
            found += more
            if len(found) >= _KEPT:
                break
        if self._clock.over:
            self._note(Unscanned.TIME)
        if several:
            found = _settled(found)
        found.sort(key=_begin)
        return self._kept(found)

    def _found(
        self, view: View, scanned: Scanned, depth: int | None, seen: set[tuple[int, int]]
    ) -> list[Found]:
        """Turn what lies in a view into findings of the record, in the order of the view."""
        places: list[_Spotted] = [
            (each.start, each.end, each, None)
            for each in scanned.findings
            if not view.data.startswith(_TOKENS, each.start) or not is_token(view.data[each.start : each.end])
        ]
        if scanned.encoded and depth is not None:
            places += self._encoded(view, scanned, depth, seen)
            places.sort(key=_span)
        spans = [(start, end) for start, end, _, _ in places]
        paths = view.paths(spans) if self._paths else [""] * len(spans)
        found: list[Found] = []
        for (start, end, what, packed), path in zip(places, paths, strict=True):
            begin, stop = view.origin(start, end)
            # What comes from nowhere lies in what the view has added, such as the name of a column.
            if what is not None and begin < stop:
                name, class_, _, _, validation, reason, _, part = what
                finding = Finding(name, class_, begin, stop, validation, reason, path, part)
                found.append(Found(finding, (Place(view, start, end, None),)))
            if packed is not None:
                inside, inner = packed
                place = Place(view, start, end, inside)
                for each in inner:
                    begin, stop = inside.origin(each.finding.start, each.finding.end)
                    found.append(each.moved(*view.origin(start + begin, start + stop), path, place))
        return self._kept(found)

    def _encoded(
        self, view: View, scanned: Scanned, depth: int, seen: set[tuple[int, int]]
    ) -> list[_Spotted]:
        """Look into what is encoded in a view, unless it was found to be something as a whole."""
        places: list[_Spotted] = []
        whole = [each for each in scanned.findings if each.validation is not Validation.KEY]
        at = count = 0
        for start, end in runs(view.data, scanned.encoded):
            while at < len(whole) and whole[at].end <= start:
                at += 1
            origin = view.origin(start, end)
            if origin in seen or (at < len(whole) and whole[at].start < end):
                continue
            seen.add(origin)
            if not depth:
                self._note(Unscanned.DEPTH)
            elif end - start > self._left:
                self._note(Unscanned.BYTES)
            elif count > _KEPT:
                break  # so many are not kept
            elif self._clock():
                self._note(Unscanned.TIME)
                break
            else:
                inside = Encoded(view.data[start:end])
                self._left -= len(inside.data)
                inner = self.record(inside.data, Format.AUTO, depth - 1)
                count += len(inner)
                if inner:
                    places.append((start, end, None, (inside, inner)))
        return places


def rewritten(
    data: bytes, found: list[Found], text: Callable[[Found, Place], bytes | None], level: int = 0
) -> bytes | None:
    """Replace what was found.

    Args:
        data: the record.
        found: what was found in it.
        text: gives what may stand in a place of a view; None where all stays.
        level: how far on the way `data` is.

    Returns:
        The record with other bytes there, itself where all stays; None where that can't be done.
    """
    edits: list[Edit] = []
    for view, group in _grouped(found, level):
        changes: list[Edit] = []
        inner: dict[int, tuple[Place, Packing, list[Found]]] = {}
        for each in group:
            place = each.way[level]
            if (inside := place.inside) is not None:
                inner.setdefault(id(inside), (place, inside, []))[2].append(each)
            elif (new := text(each, place)) is not None:
                changes.append(Edit(place.start, place.end, new))
        for (_, start, end, _), inside, within in inner.values():
            content = rewritten(inside.data, within, text, level + 1)
            if content is inside.data:
                continue
            packed = None if content is None else inside.packed(content)
            if view is None:
                return packed
            changes.append(Edit(start, end, view.replacement(start, end, None) if packed is None else packed))
        if view is not None:
            edits += view.edits(_apart(changes))
    return spliced(data, _apart(edits)) if edits else data


def _grouped(found: list[Found], level: int) -> Iterable[tuple[View | None, list[Found]]]:
    groups: dict[int, tuple[View | None, list[Found]]] = {}
    for each in found:
        view = each.way[level].view
        groups.setdefault(id(view), (view, []))[1].append(each)
    return groups.values()


def _apart(edits: list[Edit]) -> list[Edit]:
    """Put edits in order and leave out those that begin in another."""
    apart: list[Edit] = []
    for edit in sorted(edits, key=_extent):
        if not apart or edit.start >= apart[-1].end:
            apart.append(edit)
    return apart


def _settled(found: list[Found]) -> list[Found]:
    """Keep one of those that several views show at one place; what is encoded there is something else."""
    own = {id(each.finding): each for each in found if each.way[0].inside is None}
    kept = [own[id(finding)] for finding in settled([each.finding for each in own.values()])]
    return kept + [each for each in found if each.way[0].inside is not None]


def _begin(found: Found) -> int:
    return found.finding.start


def _span(place: _Spotted) -> tuple[int, int]:
    return place[0], place[1]


def _extent(edit: Edit) -> tuple[int, int]:
    return edit.start, -edit.end
