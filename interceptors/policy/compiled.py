"""The policy in the form that a message meets: built once, asked for every message."""

from __future__ import annotations

import fnmatch
import re
from copy import copy
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.envelope import CANDIDATES, Binding, Candidate, Level
from interceptors.policy.labels import NO_LABELS, Labels
from interceptors.policy.span_rules import SpanPolicy
from interceptors.policy.templates import template_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interceptors.policy.payload import Payload

ALL_SAMPLED = 1 << 32
_CACHED_NAMES = 4096
_LONGEST_CACHED = 512
"""Twice as long as any name of Kafka's or AMQP's; a publisher may make longer ones up."""


class Emit(StrEnum):
    """What a producer attaches to the messages of a channel."""

    SEALED = "sealed"
    NONE = "none"


class TaskMetadata(StrEnum):
    """What becomes of the texts that Celery makes of a task's arguments and of the host that sends it."""

    REMOVED = "removed"
    KEPT = "kept"


class Accept(StrEnum):
    """What a consumer makes of the envelopes of a channel."""

    OPTIONAL = "optional"
    """An envelope is opened where there is one."""
    REQUIRED = "required"
    """No envelope is a verdict: missing."""
    REJECT = "reject"
    """A message whose trace may not continue is refused: RejectedError."""
    NONE = "none"
    """Envelopes are stripped unopened, and nothing is recorded."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The rules of one channel."""

    name: str
    """The logical name, which envelopes are bound to."""
    emit: Emit = Emit.SEALED
    accept: Accept = Accept.OPTIONAL
    senders: frozenset[str] | None = None
    """The senders whose envelopes count here; None for all whose keys are held."""
    level: Level = Level.CHANNEL
    """How tightly a producer binds."""
    lowest_level: Level = Level.CHANNEL
    """What a consumer accepts at the least."""
    signed: bool = False
    """Whether envelopes carry the sender's own signature, and others are not authentic."""
    max_age_ms: int = 7 * 24 * 3600 * 1000
    """Older envelopes are stale."""
    retry_window_ms: int = 2 * 60 * 1000
    """How long the same envelope at another coordinate counts as a producer's retry."""
    task_metadata: TaskMetadata = TaskMetadata.REMOVED
    """Celery: whether `argsrepr`, `kwargsrepr` and `origin` travel."""
    payload: Payload | None = None
    """What the messages may hold; None where nothing is scanned."""
    labels: Labels = NO_LABELS
    """What may travel with a trace, and stand on its spans."""
    sampled: int = ALL_SAMPLED
    """Of 2^32 traces that begin here, how many are sampled."""
    shown: str = ""
    """What stands for the channel on spans and in metrics: its name, or where no channel of the policy lists
    it, a template of that."""
    candidate: Candidate = field(init=False, repr=False)
    """What a message of this channel is that has neither type nor id, and whose body is not bound."""

    def __post_init__(self) -> None:
        """Make the candidate once, and not for every message."""
        candidate = Candidate(Binding(self.name), self.lowest_level, self.senders, self.signed)
        object.__setattr__(self, "candidate", candidate)
        object.__setattr__(self, "shown", self.shown or self.name)

    def __reduce__(self) -> tuple[partial[Channel], tuple[()]]:
        """Be pickled without the rules of payloads, as Celery hands a receipt to the child that runs a task.

        Those rules hold a compiled engine; and the message was looked through by who received it.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return partial(Channel, **values | {"payload": None}), ()

    def samples(self, trace_id: bytes) -> bool:
        """Tell whether a trace that begins here is sampled.

        Args:
            trace_id: random in all of its bytes. The first ones decide: by the last ones it is told which
                payloads are scanned, and neither is to depend on the other.
        """
        return int.from_bytes(trace_id[:4], "big") < self.sampled


class Policy:
    """Finds the channel of a physical name.

    Attributes:
        names: the logical names of the channels that are listed.
        labelled: whether any channel lets labels travel.
        spans: what leaves of the OpenTelemetry SDK's own spans and logs.
        until: when an exception ends, in milliseconds since the epoch, so that another policy holds; None
            where none does.
    """

    def __init__(
        self,
        exact: Mapping[tuple[str, str], Sequence[Channel]],
        patterns: Sequence[tuple[str, str, Channel]],
        default: Channel,
        defaults: Mapping[str, Channel] | None = None,
        spans: SpanPolicy | None = None,
        *,
        until: int | None = None,
    ) -> None:
        """Compile.

        Args:
            exact: channels by bus and physical name.
            patterns: bus, glob and channel, in the document's order.
            default: the rules of names that no channel lists; such a name is its own channel's name.
            defaults: the same for buses where they differ.
            spans: what leaves of the OpenTelemetry SDK's own spans and logs; by default, what is built in.
            until: when an exception ends.
        """
        self.until = until
        self.spans = spans or SpanPolicy()
        self._exact = {place: tuple(channels[:CANDIDATES]) for place, channels in exact.items()}
        self._patterns = [
            (system, re.compile(fnmatch.translate(glob)).match, channel) for system, glob, channel in patterns
        ]
        self._default = default
        self._defaults = dict(defaults or {})
        listed = [*(one for channels in exact.values() for one in channels), *(one for _, _, one in patterns)]
        self.names = frozenset(one.name for one in listed)
        self.labelled = any(one.labels.rules for one in (*listed, default, *self._defaults.values()))
        self._found: BoundedMap[tuple[str, str, str], tuple[Channel, ...]] = BoundedMap(_CACHED_NAMES)

    def changed(self, change: Callable[[Channel], Channel]) -> Policy:
        """Give the same policy with other rules for its channels.

        Args:
            change: gives the rules of a channel; its name has to stay.
        """
        made: dict[int, Channel] = {}  # by identity: a channel that lies in many places stays one

        def once(channel: Channel) -> Channel:
            found = made.get(id(channel))
            if found is None:
                found = made[id(channel)] = change(channel)
            return found

        other = copy(self)
        other._exact = {place: tuple(map(once, channels)) for place, channels in self._exact.items()}  # noqa: SLF001 - its own kind
        other._patterns = [(system, match, once(channel)) for system, match, channel in self._patterns]  # noqa: SLF001 - its own kind
        other._default = once(self._default)  # noqa: SLF001 - its own kind
        other._defaults = {system: once(channel) for system, channel in self._defaults.items()}  # noqa: SLF001 - its own kind
        other._found = BoundedMap(_CACHED_NAMES)  # noqa: SLF001 - its own kind
        other.labelled = any(channel.labels.rules for channel in made.values())
        return other

    def channels(self, system: str, destination: str, via: str = "") -> tuple[Channel, ...]:
        """Give the channels that a physical name may be, best first.

        Args:
            system: the bus, such as `kafka`.
            destination: the physical name, such as a topic.
            via: another physical name, which counts only where no channel lists the destination: what a
                consumer chose to read says more than how a publisher got a message there.

        Returns:
            One to three channels: those that list the name, then those whose glob fits it, else the
            default's rules under the name itself.
        """
        place = (system, destination, via)
        found = self._found.get(place)
        if found is None:
            found = self._listed(system, destination) or (self._listed(system, via) if via else ())
            rules = self._defaults.get(system, self._default)
            name = via or destination
            found = found or (replace(rules, name=name, shown=template_of(name)),)
            if len(destination) + len(via) <= _LONGEST_CACHED:
                self._found.set(place, found)
        return found

    def _listed(self, system: str, name: str) -> tuple[Channel, ...]:
        listed = list(self._exact.get((system, name), ()))
        for bus, match, channel in self._patterns:
            if bus == system and match(name) and channel not in listed:
                listed.append(channel)
        return tuple(listed[:CANDIDATES])
