"""From the policy document to what a message meets: for one environment, at one time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.envelope import CANDIDATES, Level
from interceptors.envelope.batch import CHANNEL as BATCH_CHANNEL
from interceptors.errors import PolicyError
from interceptors.policy.compiled import ALL_SAMPLED, Channel, Policy
from interceptors.policy.labels import compile_labels
from interceptors.policy.payload_compiling import PayloadCompiler
from interceptors.policy.resolution import (
    BUILT_IN,
    BUILT_IN_LEVELS,
    Layers,
    first,
    layers_of,
    settle,
    settled_rules,
)
from interceptors.policy.rules import BUSES
from interceptors.policy.span_rules import SpanPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from interceptors.policy.document import PolicyDocument
    from interceptors.policy.field_rules import FieldRule
    from interceptors.policy.labels import Label, LabelEntry
    from interceptors.policy.payload import Payload
    from interceptors.policy.resolution import Settled
    from interceptors.policy.rules import Bounds

_GLOB = re.compile(r"[*?\[]")


def compile_policy(
    document: PolicyDocument, source: str = "policy", *, environment: str = "", now: int | None = None
) -> Policy:
    """Compile a policy document.

    Args:
        document: the document.
        source: what to call it in errors.
        environment: the deployment environment, whose bounds and exceptions hold.
        now: milliseconds since the epoch: exceptions hold that end later. Without it, none does.

    Returns:
        The compiled policy, which holds until `Policy.until`.

    Raises:
        PolicyError: two channels with one name, a name that more channels list than a consumer tries, or a
            combination that nothing could satisfy.
    """
    return Compiler(document, source).compile(environment, now)


class Compiler:
    """Compiles one document, for however many environments and times."""

    def __init__(self, document: PolicyDocument, source: str) -> None:
        """Take a document.

        Raises:
            PolicyError: identifiers that can't be looked for.
        """
        self._document = document
        self._source = source
        self._payloads = PayloadCompiler(
            document.identifiers, document.tokens.domains, self._named_classes(), source
        )

    def compile(self, environment: str, now: int | None) -> Policy:
        """Compile for an environment and a time; see `compile_policy`."""
        document = self._document
        exact: dict[tuple[str, str], list[Channel]] = {}
        patterns: list[tuple[str, str, Channel]] = []
        default, *others = (
            self._channel("default", bus, self.layers(None, environment, now))
            for bus in ("", *BUILT_IN_LEVELS)
        )
        names: set[str] = set()
        for place, entry in enumerate(document.channels):
            path = f"channels[{place}]"
            self._check_name(entry.name, names, path)
            layers = self.layers(place, environment, now)
            payload = self.payload(layers)
            for bus in BUSES:
                matched: tuple[str, ...] = getattr(entry.match, bus)
                if not matched:
                    continue
                channel = self._channel(entry.name, bus, layers, payload)
                for name in matched:
                    if _GLOB.search(name):
                        patterns.append((bus, name, channel))
                        continue
                    listed = exact.setdefault((bus, name), [])
                    listed.append(channel)
                    if len(listed) > CANDIDATES:
                        problem = (
                            f"{name!r} is listed by more than {CANDIDATES} channels; a consumer tries no more"
                        )
                        raise self._error(f"{path}.match.{bus}", problem)
        self._check_exceptions(names)
        spans = SpanPolicy(
            document.spans,
            inspector=lambda: self._payloads.inspector(layers_of(None, document.default, (), {})),
            destinations=names | {name for _, name in exact},
        )
        return Policy(
            exact,
            patterns,
            default,
            dict(zip(BUILT_IN_LEVELS, others, strict=True)),
            spans,
            until=self._until(environment, now),
        )

    def layers(self, place: int | None, environment: str, now: int | None) -> Layers:
        """Gather what speaks of a channel.

        Args:
            place: which of the document's channels; None for names that no channel lists.
            environment: the environment.
            now: milliseconds since the epoch; see `compile_policy`.
        """
        document = self._document
        bounds: list[tuple[str, Bounds]] = [("baseline", document.baseline)]
        # Whatever the case: `Production` is production where policies have to be signed, so here as well.
        bounds += (
            (f"environments.{name}", rules)
            for name, rules in document.environments.items()
            if name.casefold() == environment.casefold()
        )
        if place is None:
            return layers_of(None, document.default, bounds, {})
        entry = document.channels[place]
        exceptions = {
            f"exceptions[{number}]": exception
            for number, exception in enumerate(document.exceptions)
            if entry.name in exception.channels and exception.holds(environment, now)
        }
        return layers_of((f"channels[{place}]", entry), document.default, bounds, exceptions)

    def payload(self, layers: Layers) -> Payload | None:
        """Compile what is said of payloads and fields; None where nothing is to be done."""
        return self._payloads.compile(layers)

    def fields(self, layers: Layers) -> list[FieldRule]:
        """Give the rules of all fields, those of exceptions behind the others."""
        return self._payloads.fields(layers)

    def labels(self, layers: Layers) -> list[Label]:
        """Give the rules of all labels that are named, those that don't travel as well."""
        return self._payloads.labels(layers)

    def _named_classes(self) -> Iterator[str]:
        """Give the classes of all fields and labels."""
        document = self._document
        exceptions = (exception.rules for exception in document.exceptions)
        for rules in (document.default, *document.channels, *exceptions):
            yield from (entry.what for entry in rules.fields)
            yield from (entry.what for entry in (rules.labels or {}).values() if entry.what is not None)

    def _channel(self, name: str, bus: str, layers: Layers, payload: Payload | None = None) -> Channel:
        settled = settled_rules(layers, bus)
        self._check(layers, settled)
        held = {key: each.value for key, each in settled.items()}
        return Channel(
            name,
            emit=held["emit"],
            accept=held["accept"],
            senders=None if held["senders"] is None else frozenset(held["senders"]),
            level=Level[held["binding"].upper()],
            lowest_level=Level[held["lowest_level"].upper()],
            signed=held["signed"],
            max_age_ms=held["max_age"],
            retry_window_ms=held["retry_window"],
            task_metadata=held["task_metadata"],
            payload=payload if payload is not None else self.payload(layers),
            labels=compile_labels(self.labels(layers)),
            sampled=round(held["sampling_ratio"] * ALL_SAMPLED),
        )

    def _check(self, layers: Layers, settled: Mapping[str, Settled]) -> None:
        """Refuse what nothing could satisfy."""
        own = layers.said()[0]
        said = settle("max_age", layers._replace(bounds=(), exceptions=()), BUILT_IN.max_age_ms).value
        if own.rules.retry_window is not None and own.rules.retry_window > said:
            problem = "it is longer than max_age, after which an envelope is stale anyway; shorten it"
            raise self._error(f"{own.path}.retry_window", problem)
        senders = settled["senders"]
        if senders.value is not None and not senders.value:
            problem = "no sender is left of those that the channel and its bounds name; let one be in both"
            raise self._error(senders.path, problem)
        level, lowest = (Level[settled[key].value.upper()] for key in ("binding", "lowest_level"))
        if lowest > level:
            problem = (
                f"producers bind to {level.name.lower()}, which is looser than the lowest level that "
                f"consumers accept, {lowest.name.lower()}; every envelope would be refused. "
                "Raise `binding` or lower `lowest_level`"
            )
            raise self._error(settled["lowest_level"].path, problem)

    def _check_name(self, name: str, names: set[str], path: str) -> None:
        if name in names:
            raise self._error(f"{path}.name", f"{name!r} is taken; give each channel its own name")
        if name == BATCH_CHANNEL:
            problem = f"{name!r} is what batches of spans are bound to; give the channel another name"
            raise self._error(f"{path}.name", problem)
        names.add(name)

    def _check_exceptions(self, names: set[str]) -> None:
        for place, exception in enumerate(self._document.exceptions):
            for name in exception.channels:
                if name not in names:
                    problem = f"no channel is called {name!r}; name those that the exception is for"
                    raise self._error(f"exceptions[{place}].channels", problem)

    def _until(self, environment: str, now: int | None) -> int | None:
        ends = [entry.expires for entry in self._document.exceptions if entry.holds(environment, now)]
        return min(ends, default=None)

    def _error(self, path: str, problem: str) -> PolicyError:
        return PolicyError(f"{self._source}: {path}: {problem}", path=path)


def labels_of(layers: Layers) -> dict[str, LabelEntry]:
    """Give the labels that may travel: an exception's, the channel's, else the default's."""
    labels: dict[str, LabelEntry] = first("labels", layers, {}).value
    return labels
