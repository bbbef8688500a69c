"""What changes between two policies, in their meaning: by channel and key, and whether it gets laxer.

What can't be told is called laxer, so that somebody looks at it.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from interceptors.policy.compiled import ALL_SAMPLED
from interceptors.policy.compiling import Compiler
from interceptors.policy.explaining import HANDLINGS
from interceptors.policy.field_rules import strictest
from interceptors.policy.governance_document import written
from interceptors.policy.payload import Action
from interceptors.policy.resolution import first, is_stricter, settled_rules
from interceptors.policy.rules import BUSES
from interceptors.scan import Treatment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from interceptors.policy import Payload, PolicyDocument
    from interceptors.policy.field_rules import FieldRule
    from interceptors.policy.governance_document import ExceptionEntry
    from interceptors.policy.labels import Label
    from interceptors.policy.resolution import Layers

DEFAULT = "default"
OTHERS = "(any other)"
"""Stands for the environments that neither policy names."""

_RANKS = tuple(Treatment)
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))
_SAID = ("owner", "purpose", "lawful_basis", "visible_to")
_NAMED = 3
"""How many detectors a row names."""
_DURATIONS = ("max_age", "retry_window", "retention")


class Effect(StrEnum):
    """What a change does."""

    STRICTER = "stricter"
    LAXER = "laxer"
    NEITHER = "neither"


class Change(NamedTuple):
    """Something that is not as it was."""

    channel: str
    """The channel's name, `default`, or empty for the document itself."""
    key: str
    old: str
    new: str
    effect: Effect
    environments: tuple[str, ...] = ()
    """Where; empty for everywhere."""


Row = tuple[str, str, str, str, Effect]


def policy_diff(
    old: PolicyDocument, new: PolicyDocument, now: int, *, sources: tuple[str, str]
) -> list[Change]:
    """Compare two policies.

    Args:
        old: the one before.
        new: the one after.
        now: milliseconds since the epoch: exceptions that have ended are none.
        sources: what to call the two in errors.

    Returns:
        What changes, the document itself first, then by channel.

    Raises:
        PolicyError: one of them does not hold.
    """
    before, after = Compiler(old, sources[0]), Compiler(new, sources[1])
    environments = [*sorted(_environments(old) | _environments(new)), OTHERS]
    found: dict[Row, list[str]] = defaultdict(list)
    for environment in environments:
        for compiler in (before, after):
            compiler.compile(environment, now)
        for name, bus, old_place, new_place in _pairs(old, new):
            sides = (
                _Side(before, before.layers(old_place, environment, now), bus),
                _Side(after, after.layers(new_place, environment, now), bus),
            )
            for row in dict.fromkeys((name, *row) for row in _rows(*sides)):
                if environment not in found[row]:
                    found[row].append(environment)
    changes = [
        Change(*row, () if len(where) == len(environments) else tuple(where)) for row, where in found.items()
    ]
    return [*_document(old, new, now), *sorted(changes)]


def _environments(document: PolicyDocument) -> set[str]:
    named = set(document.environments)
    for exception in document.exceptions:
        named |= set(exception.environments or ())
    return named


def _pairs(old: PolicyDocument, new: PolicyDocument) -> Iterator[tuple[str, str, int | None, int | None]]:
    """Give what is to be compared: name, bus, and which channel it is in either document, if any."""
    for bus in BUSES:
        yield DEFAULT, bus, None, None
        before, after = _lying(old, bus), _lying(new, bus)
        for place in dict.fromkeys((*before, *after)):
            old_place, new_place = before.get(place), after.get(place)
            entry = old.channels[old_place or 0] if new_place is None else new.channels[new_place]
            yield entry.name, bus, old_place, new_place


def _lying(document: PolicyDocument, bus: str) -> dict[str, int]:
    """Give the channel of each name, or glob, that is listed: the first counts."""
    found: dict[str, int] = {}
    for number, entry in enumerate(document.channels):
        for name in getattr(entry.match, bus):
            found.setdefault(name, number)
    return found


class _Side(NamedTuple):
    compiler: Compiler
    layers: Layers
    bus: str


def _rows(old: _Side, new: _Side) -> Iterator[tuple[str, str, str, Effect]]:
    before, after = settled_rules(old.layers, old.bus), settled_rules(new.layers, new.bus)
    for key in before:
        was, becomes = before[key].value, after[key].value
        if was != becomes:
            effect = _senders(was, becomes) if key == "senders" else _ordered(key, was, becomes)
            yield key, _shown(key, was), _shown(key, becomes), effect
    yield from _said(old.layers, new.layers)
    yield from _labels(old.compiler.labels(old.layers), new.compiler.labels(new.layers))
    yield from _fields(_treated(old.compiler.fields(old.layers)), _treated(new.compiler.fields(new.layers)))
    yield from _payloads(old.compiler.payload(old.layers), new.compiler.payload(new.layers))


def _said(old: Layers, new: Layers) -> Iterator[tuple[str, str, str, Effect]]:
    """Compare what is only said of the data, and changes nothing of a message."""
    for key in _SAID:
        was, becomes = first(key, old).value, first(key, new).value
        if was != becomes:
            # Who may see it is a list of names, as senders are.
            effect = _senders(was, becomes) if key == "visible_to" else Effect.NEITHER
            yield key, _shown(key, was), _shown(key, becomes), effect


def _ordered(key: str, was: object, becomes: object) -> Effect:
    if is_stricter(key, becomes, was):
        return Effect.STRICTER
    return Effect.LAXER if is_stricter(key, was, becomes) else Effect.NEITHER


def _senders(was: tuple[str, ...] | None, becomes: tuple[str, ...] | None) -> Effect:
    if becomes is None:
        return Effect.LAXER
    if was is not None and set(was) == set(becomes):
        return Effect.NEITHER
    return Effect.STRICTER if was is None or set(becomes) < set(was) else Effect.LAXER


def _shown(key: str, value: object) -> str:
    if value is None:
        return "all" if key == "senders" else "nothing"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if key in _DURATIONS and isinstance(value, int):
        unit, size = next(((unit, size) for unit, size in _UNITS if value % size == 0), ("ms", 1))
        return f"{value // size}{unit}"
    return str(value)


def _labels(was: Iterable[Label], becomes: Iterable[Label]) -> Iterator[tuple[str, str, str, Effect]]:
    before, after = _travelling(was), _travelling(becomes)
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if _travels(old) != _travels(new):
            yield f"labels.{name}", _label(old), _label(new), _label_effect(old, new)


def _travelling(labels: Iterable[Label]) -> dict[str, Label]:
    return {label.name: label for label in labels if label.treatment is not Treatment.EMPTY}


def _travels(label: Label | None) -> tuple[object, ...]:
    """Give what decides what travels. The class does by the bounds for it, which are in the treatment."""
    if label is None:
        return ()
    what = "" if label.treatment is Treatment.KEEP else label.what
    return label.treatment, what, label.values, label.pattern


def _label_effect(old: Label | None, new: Label | None) -> Effect:
    if old is None or new is None:
        return Effect.LAXER if old is None else Effect.STRICTER
    was, becomes = _RANKS.index(old.treatment), _RANKS.index(new.treatment)
    # Of a value that is redacted nothing travels, whichever it is.
    same = (new.values, new.pattern) == (old.values, old.pattern) or new.treatment is Treatment.MASK
    if was == becomes and same:
        return Effect.NEITHER  # another class, say
    # Of two patterns, nobody tells which fits less.
    narrower = same or _takes_all(old) or (bool(new.values) and all(map(old.takes, new.values)))
    return Effect.STRICTER if becomes >= was and narrower else Effect.LAXER


def _takes_all(label: Label) -> bool:
    return not label.values and label.pattern is None


def _label(label: Label | None) -> str:
    if label is None:
        return "left out"
    values = f"pattern {label.pattern.pattern}" if label.pattern else ", ".join(sorted(label.values))
    values = values or "anything"
    if label.treatment is Treatment.KEEP:
        return values
    return f"{HANDLINGS[label.treatment]} ({label.what or 'no class'}): {values}"


def _treated(rules: Iterable[FieldRule]) -> dict[str, Treatment]:
    """Give what becomes of each place: a stricter bound, and an exception, count."""
    by_place: dict[str, list[FieldRule]] = defaultdict(list)
    for rule in rules:
        by_place[rule.place].append(rule)
    return {place: strictest(same).treatment for place, same in by_place.items()}


def _fields(
    was: Mapping[str, Treatment], becomes: Mapping[str, Treatment]
) -> Iterator[tuple[str, str, str, Effect]]:
    for place in sorted({*was, *becomes}):
        old, new = was.get(place), becomes.get(place)
        if old is new:
            continue
        # To keep a value declares it, and is so laxer than to say nothing; all else is stricter than that.
        said_nothing = _RANKS.index(Treatment.KEEP) + 0.5
        strictness = [said_nothing if each is None else _RANKS.index(each) for each in (old, new)]
        effect = Effect.STRICTER if strictness[1] > strictness[0] else Effect.LAXER
        yield f"fields.{place}", _handling(old), _handling(new), effect


def _handling(treatment: Treatment | None) -> str:
    return "nothing" if treatment is None else HANDLINGS[treatment]


def _payloads(was: Payload | None, becomes: Payload | None) -> Iterator[tuple[str, str, str, Effect]]:
    if was is None or becomes is None:
        if was is not becomes:
            effect = Effect.LAXER if becomes is None else Effect.STRICTER
            old, new = "looked at", "not looked at"
            yield ("payload", old, new, effect) if becomes is None else ("payload", new, old, effect)
        return
    unscanned = was.on_unscanned, becomes.on_unscanned
    if unscanned[0] != unscanned[1]:
        effect = _ordered("on_unscanned", *unscanned)
        yield "payload.on_unscanned", str(unscanned[0]), str(unscanned[1]), effect
    if was.sampled != becomes.sampled:
        effect = _ordered("sample", was.sampled, becomes.sampled)
        yield "payload.sample", _ratio(was.sampled), _ratio(becomes.sampled), effect
    yield from _by_detector("payload.actions", _actions(was), _actions(becomes), _on_leak)
    yield from _by_detector("payload.allow", _allowed(was), _allowed(becomes), _allowing)


def _actions(payload: Payload) -> dict[str, frozenset[str]]:
    return {detector: frozenset({action}) for detector, action in payload.actions.items()}


def _allowed(payload: Payload) -> dict[str, frozenset[str]]:
    return {
        detector: frozenset(each.place for each in declared)
        for detector, declared in payload.declarations.items()
    }


def _on_leak(was: frozenset[str], becomes: frozenset[str]) -> Effect:
    return _ordered("on_leak", *(Action(*each) if each else None for each in (was, becomes)))


def _allowing(was: frozenset[str], becomes: frozenset[str]) -> Effect:
    return Effect.STRICTER if becomes < was else Effect.LAXER


def _by_detector(
    key: str,
    was: Mapping[str, frozenset[str]],
    becomes: Mapping[str, frozenset[str]],
    effect_of: Callable[[frozenset[str], frozenset[str]], Effect],
) -> Iterator[tuple[str, str, str, Effect]]:
    """Give one row for all detectors that have the same change: a family has dozens of them."""
    groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = defaultdict(list)
    for detector in sorted({*was, *becomes}):
        old, new = was.get(detector, frozenset()), becomes.get(detector, frozenset())
        if old != new:
            groups[old, new].append(detector)
    for (old, new), detectors in groups.items():
        more = f" and {len(detectors) - _NAMED} more" if len(detectors) > _NAMED else ""
        named = ", ".join(detectors[:_NAMED]) + more
        whole = len(detectors) == len({*was, *becomes}) and more
        yield f"{key}.{'*' if whole else named}", _places(old), _places(new), effect_of(old, new)


def _places(places: frozenset[str]) -> str:
    return ", ".join(sorted(place or "anywhere" for place in places)) or "nothing"


def _document(old: PolicyDocument, new: PolicyDocument, now: int) -> Iterator[Change]:
    if old.serial != new.serial:
        effect = Effect.NEITHER if (new.serial or 0) > (old.serial or 0) else Effect.LAXER
        yield Change("", "serial", _shown("", old.serial), _shown("", new.serial), effect)
    if old.expires != new.expires:
        later = new.expires is None or (old.expires is not None and new.expires > old.expires)
        effect = Effect.LAXER if later else Effect.STRICTER
        yield Change("", "expires", _end(old.expires), _end(new.expires), effect)
    before = {entry.id: entry for entry in old.exceptions if now < entry.expires}
    after = {entry.id: entry for entry in new.exceptions if now < entry.expires}
    for name in sorted({*before, *after}):
        was, becomes = before.get(name), after.get(name)
        if was != becomes:
            effect = Effect.LAXER if becomes else Effect.STRICTER
            yield Change("", f"exceptions.{name}", _exception(was), _exception(becomes), effect)
    for key in ("enhancements", "identifiers", "spans", "tokens"):
        if getattr(old, key) != getattr(new, key):
            yield Change("", key, "as before", "changed", Effect.LAXER)


def _ratio(sampled: int) -> str:
    return f"{sampled / ALL_SAMPLED:g}"


def _exception(entry: ExceptionEntry | None) -> str:
    return "nothing" if entry is None else f"until {written(entry.expires)}"


def _end(milliseconds: int | None) -> str:
    return "never" if milliseconds is None else written(milliseconds)
