"""What holds of all that a policy document says, and which line of it decided that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from interceptors.envelope import Level
from interceptors.policy.compiled import Accept, Channel, Emit, TaskMetadata
from interceptors.policy.payload import Action, OnUnscanned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interceptors.policy.governance_document import ExceptionEntry
    from interceptors.policy.rules import Bounds, Rules

BUILT_IN = Channel("")
BUILT_IN_LEVELS = {"celery": Level.TYPE, "taskiq": Level.TYPE}
"""What envelopes are bound to where nothing is said, if not to the channel. A worker of Celery or taskiq runs
what the task's name says, so that name is bound."""

_ACCEPT = (Accept.NONE, Accept.OPTIONAL, Accept.REQUIRED, Accept.REJECT)
_STRICTNESS: dict[str, Callable[[Any], float]] = {
    "emit": (Emit.SEALED, Emit.NONE).index,
    "accept": _ACCEPT.index,
    "binding": lambda name: Level[name.upper()],
    "lowest_level": lambda name: Level[name.upper()],
    "signed": int,
    "max_age": lambda milliseconds: -milliseconds,
    "retry_window": lambda milliseconds: -milliseconds,
    "task_metadata": (TaskMetadata.KEPT, TaskMetadata.REMOVED).index,
    "sampling_ratio": lambda ratio: -ratio,
    "retention": lambda milliseconds: -milliseconds,
    "on_leak": (Action.OBSERVE, Action.TOKENIZE, Action.REDACT, Action.BLOCK).index,
    "on_unscanned": (OnUnscanned.PASS, OnUnscanned.BLOCK).index,
    "sample": float,
}
"""How strict a value is, by key: of two, the greater one counts."""


class Layer(NamedTuple):
    """A part of the document that speaks of a channel."""

    path: str
    """Where it stands, such as `baseline` or `exceptions[0].rules`."""
    rules: Any
    """A part of the document, or None where it says nothing."""
    why: str
    """Why it counts, in words."""


class Layers(NamedTuple):
    """All parts of the document that speak of a channel."""

    own: Layer | None
    """The channel's entry; None for a name that no channel lists."""
    default: Layer
    bounds: tuple[Layer, ...]
    """What nobody may go below: `baseline`, and the environment's."""
    exceptions: tuple[Layer, ...]
    """What counts instead, for now."""

    def said(self) -> tuple[Layer, ...]:
        """Give the channel's entry and the default, the particular one first."""
        return (self.default,) if self.own is None else (self.own, self.default)

    def all(self) -> tuple[Layer, ...]:
        """Give all of them."""
        return (*self.said(), *self.bounds, *self.exceptions)

    def within(self, key: str) -> Layers:
        """Give what they say below a key."""

        def part(layer: Layer) -> Layer:
            return Layer(f"{layer.path}.{key}", getattr(layer.rules, key, None), layer.why)

        return Layers(
            None if self.own is None else part(self.own),
            part(self.default),
            tuple(map(part, self.bounds)),
            tuple(map(part, self.exceptions)),
        )


class Settled(NamedTuple):
    """What holds for one key, and why."""

    value: Any
    path: str
    """Which line of the document decided; empty for what is built in."""
    why: str
    overruled: tuple[str, ...] = ()
    """What else was said, and does not count."""


def settle(key: str, layers: Layers, built_in: object) -> Settled:
    """Tell what holds for one key of a channel.

    The channel's entry counts, else the default's, else what is built in. A bound that is stricter counts
    instead; and an exception that has not ended, instead of them all.

    Args:
        key: of `Bounds`, but for `payload`, whose parts are settled one by one.
        layers: what speaks of the channel.
        built_in: what holds where nothing is said.

    Returns:
        The value and the line that decided.
    """
    settled = Settled(built_in, "", "built in")
    for layer in layers.said():
        value = _value(layer, key)
        if value is not None:
            settled = Settled(value, f"{layer.path}.{key}", layer.why)
            break
    for layer in layers.bounds:
        value = _value(layer, key)
        if value is None:
            continue
        stricter = _stricter(key, value, settled.value)
        if stricter is not None:
            settled = _instead(settled, layer, key, stricter)
    excepted: Settled | None = None
    for layer in layers.exceptions:
        value = _value(layer, key)
        if value is not None and excepted is not None:
            value = _stricter(key, value, excepted.value)
        if value is not None:
            settled = excepted = _instead(settled, layer, key, value)
    return settled


def first(key: str, layers: Layers, built_in: object = None) -> Settled:
    """Tell what holds for a key that no bound can say: an exception's, the channel's, else the default's.

    Args:
        key: of `Rules`.
        layers: what speaks of the channel.
        built_in: what holds where nothing is said.
    """
    said = [layer for layer in (*layers.exceptions, *layers.said()) if _value(layer, key) is not None]
    if not said:
        return Settled(built_in, "", "built in")
    paths = [f"{layer.path}.{key}" for layer in said]
    return Settled(_value(said[0], key), paths[0], said[0].why, tuple(paths[1:]))


def settled_rules(layers: Layers, bus: str) -> dict[str, Settled]:
    """Tell what holds for a channel, but for payloads, labels and fields.

    Args:
        layers: what speaks of the channel.
        bus: where it lies, since what envelopes are bound to differs.

    Returns:
        By key of `Bounds`.
    """
    built_in = BUILT_IN_LEVELS.get(bus, BUILT_IN.level)
    found = {
        "emit": settle("emit", layers, BUILT_IN.emit),
        "accept": settle("accept", layers, BUILT_IN.accept),
        "senders": settle("senders", layers, None),
        "binding": settle("binding", layers, built_in.name.lower()),
        "signed": settle("signed", layers, BUILT_IN.signed),
        "max_age": settle("max_age", layers, BUILT_IN.max_age_ms),
        "retry_window": settle("retry_window", layers, BUILT_IN.retry_window_ms),
        "task_metadata": settle("task_metadata", layers, BUILT_IN.task_metadata),
        "sampling_ratio": settle("sampling_ratio", layers, 1.0),
        "retention": settle("retention", layers, None),
    }
    binding, max_age, window = (found[key] for key in ("binding", "max_age", "retry_window"))
    found["lowest_level"] = _lowest(layers, binding)
    if window.value > max_age.value:
        found["retry_window"] = Settled(
            max_age.value, max_age.path, "no longer than max_age", (*window.overruled, window.path)
        )
    return found


def _lowest(layers: Layers, binding: Settled) -> Settled:
    own = layers.own
    if own is not None and own.rules.binding:
        # A binding of the channel's own is not loosened by the default's lowest_level.
        layers = layers._replace(default=layers.default._replace(rules=None))
    settled = settle("lowest_level", layers, binding.value)
    return settled if settled.path else Settled(binding.value, binding.path, "as the binding")


def is_stricter(key: str, value: object, other: object) -> bool:
    """Tell whether a value is stricter than another one.

    Args:
        key: of `settled_rules`, or of what is said of payloads; but for `senders`.
        value: the one.
        other: the other; None for what nothing is said of.
    """
    if value is None or other is None:
        return value is not None
    strictness = _STRICTNESS[key]
    return strictness(value) > strictness(other)


def _value(layer: Layer, key: str) -> Any:  # noqa: ANN401 - of each key its own type
    return getattr(layer.rules, key, None)


def _stricter(key: str, bound: Any, value: Any) -> Any:  # noqa: ANN401 - as above
    """Give the value that a bound makes of another one; None where that is as strict already."""
    if key == "senders":
        both = tuple(sender for sender in bound if value is None or sender in value)
        return None if value is not None and set(both) == set(value) else both
    if value is not None and _STRICTNESS[key](bound) <= _STRICTNESS[key](value):
        return None
    return bound


def _instead(settled: Settled, layer: Layer, key: str, value: object) -> Settled:
    overruled = (*settled.overruled, settled.path) if settled.path else settled.overruled
    return Settled(value, f"{layer.path}.{key}", layer.why, overruled)


def layers_of(
    own: tuple[str, Rules] | None,
    default: Rules,
    bounds: Sequence[tuple[str, Bounds]],
    exceptions: Mapping[str, ExceptionEntry],
) -> Layers:
    """Gather what speaks of a channel.

    Args:
        own: the channel's entry with its path; None for names that no channel lists.
        default: the default.
        bounds: paths and bounds that hold in this environment.
        exceptions: those for this channel that have not ended, by path.

    Returns:
        The layers.
    """
    return Layers(
        None if own is None else Layer(*own, "said by the channel"),
        Layer("default", default, "the default"),
        tuple(Layer(path, rules, "stricter, and nobody may go below it") for path, rules in bounds),
        tuple(
            Layer(f"{path}.rules", entry.rules, f"exception {entry.id}, until it ends")
            for path, entry in exceptions.items()
        ),
    )
