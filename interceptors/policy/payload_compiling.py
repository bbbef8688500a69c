"""From what a policy says of payloads to the form that a message meets."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from interceptors.errors import PolicyError
from interceptors.policy.catalog_document import Handling
from interceptors.policy.field_rules import FieldRule, FieldRules
from interceptors.policy.labels import Label
from interceptors.policy.payload import Action, Decision, Declaration, OnUnscanned, Payload
from interceptors.policy.resolution import Layers, Settled, first, settle
from interceptors.scan import DETECTORS, OWN_TRACE_ID, Inspector, Limits, Treatment, declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interceptors.policy.catalog_document import FieldEntry
    from interceptors.policy.governance_document import TokenDomain
    from interceptors.policy.payload_document import Identifier
    from interceptors.policy.resolution import Layer
    from interceptors.scan import Detector

_TIME_NS = 20_000_000
_ALL = 1 << 32


class PayloadCompiler:
    """Compiles the payload rules of one document."""

    def __init__(
        self,
        identifiers: Iterable[Identifier],
        domains: Mapping[str, TokenDomain],
        named: Iterable[str],
        source: str,
    ) -> None:
        """Compile the identifiers.

        Args:
            identifiers: the operator's own.
            domains: the domains of tokens, by name.
            named: the classes of all fields and labels, which domains may name as well.
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
        self._inspectors: dict[tuple[frozenset[str], Limits], Inspector] = {}
        self._named_domains: dict[str, str] = {}
        """By class of a field or label."""
        self._domains = self._domains_of(domains, frozenset(named))

    def compile(self, layers: Layers) -> Payload | None:
        """Compile the rules of one channel.

        Args:
            layers: all that speaks of the channel.

        Returns:
            The rules in the form that a message meets; None where nothing is looked for, and no field is
            changed.

        Raises:
            PolicyError: a class that there is not, or something that a bound can't say.
        """
        self._check_bounds(layers)
        bounded = self._bounded(layers)
        entries = self._fields(layers, bounded)
        fields = FieldRules(entries)
        scanned = any(layer.rules.payload is not None for layer in layers.all())
        if not scanned and not fields.handles:
            return None
        settled = settled_payload(layers)
        decided = self._decided(layers, settled["on_leak"])
        return Payload(
            inspector=self.inspector(layers),
            actions={name: action for name, (action, _) in decided.items() if action is not None},
            decided_by={name: line for name, (_, line) in decided.items()},
            declarations=self._declarations(layers, entries),
            bounded=bounded,
            only=self._only,
            domains=self._domains,
            fields=fields,
            on_unscanned=settled["on_unscanned"].value,
            time_ns=settled["budget.time"].value,
            sampled=int(settled["sample"].value * _ALL) if scanned else 0,
        )

    def labels(self, layers: Layers) -> list[Label]:
        """Give the labels of one channel: an exception's, the channel's, else the default's.

        Args:
            layers: all that speaks of the channel.

        Returns:
            Their rules, those of dropped ones as well. A bound reaches them by their class, as it does
            fields, but for an exception's.

        Raises:
            PolicyError: a class that there is not.
        """
        settled = first("labels", layers, {})
        excepted = any(layer.rules.labels is not None for layer in layers.exceptions)
        bounded = {} if excepted or not settled.value else self._bounded(layers)
        rules: list[Label] = []
        for name, entry in settled.value.items():
            what = entry.what or ""
            pattern = None if entry.pattern is None else re.compile(entry.pattern, re.ASCII)
            treatment, line = self._held(what, TREATMENTS[entry.handling], f"{settled.path}.{name}", bounded)
            rules.append(
                Label(
                    name,
                    frozenset(entry.values),
                    pattern,
                    treatment,
                    what=what,
                    class_=self._class(what),
                    domain=self._domain(what),
                    line=line,
                )
            )
        return rules

    def fields(self, layers: Layers) -> list[FieldRule]:
        """Give the rules of one channel's fields, held to the bounds: its own, else the default's.

        Those of exceptions are behind them.

        Args:
            layers: all that speaks of the channel.

        Raises:
            PolicyError: a class that there is not.
        """
        return self._fields(layers, self._bounded(layers))

    def inspector(self, layers: Layers) -> Inspector:
        """Give what looks for all that is asked for: one and the same for channels that ask for the same."""
        settled = settled_payload(layers)
        included: set[str] = set()
        for line, names in settled["include"].value:
            for number, name in enumerate(names):
                included |= set(self._detectors_of(name, f"{line}[{number}]"))
        key = (frozenset(included), Limits(bytes=settled["budget.bytes"].value))
        known = self._inspectors.get(key)
        if known is None:
            chosen = [each for each in self._detectors if each.default or each.name in included]
            known = self._inspectors[key] = Inspector(chosen, limits=key[1])
        return known

    def _check_bounds(self, layers: Layers) -> None:
        for path, rules, _ in layers.within("payload").bounds:
            for key in ("allow", "budget"):
                if getattr(rules, key, None) is not None:
                    problem = "a bound only forbids; say this of a channel or the default"
                    raise self._error(f"{path}.{key}", problem)

    def _decided(self, layers: Layers, on_leak: Settled) -> dict[str, Decision]:
        """Give what becomes of each detector's findings that are not declared, and which line says so."""
        parts = layers.within("payload")
        names = (*(detector.name for detector in self._detectors), OWN_TRACE_ID.detector)
        said = settled_payload(layers._replace(bounds=(), exceptions=()))["on_leak"]
        decided = dict.fromkeys(names, Decision(said.value, said.path))
        decided |= self._actions([first("actions", parts._replace(exceptions=()))])
        for part in parts.bounds:
            leak = getattr(part.rules, "on_leak", None)
            if leak is not None:
                _stricter(decided, dict.fromkeys(names, Decision(leak, f"{part.path}.on_leak")))
            _stricter(decided, self._actions([first("actions", _alone(part))]))
        if any(getattr(part.rules, "on_leak", None) is not None for part in parts.exceptions):
            decided = dict.fromkeys(names, Decision(on_leak.value, on_leak.path))
        return decided | self._actions([first("actions", _alone(part)) for part in parts.exceptions])

    def _actions(self, said: Iterable[Settled]) -> dict[str, Decision]:
        """Give the strictest of some actions for each detector that they mean."""
        found: dict[str, Decision] = {}
        for settled in said:
            for name, action in (settled.value or {}).items():
                line = f"{settled.path}.{name}"
                detectors = self._detectors_of(name, line)
                _stricter(found, dict.fromkeys(detectors, Decision(action, line)))
        return found

    def _bounded(self, layers: Layers) -> dict[str, Decision]:
        """Give the least that becomes of each detector's findings, even where they are declared."""
        parts = layers.within("payload")
        least = self._actions([first("actions", _alone(part)) for part in parts.bounds])
        lifted = self._actions([first("actions", _alone(part)) for part in parts.exceptions])
        return {
            name: decision
            for name, decision in least.items()
            if name not in lifted and decision.action is not Action.OBSERVE
        }

    def _declarations(
        self, layers: Layers, fields: Iterable[FieldRule]
    ) -> dict[str, tuple[Declaration, ...]]:
        found: dict[str, list[Declaration]] = {}
        parts = layers.within("payload")
        excepted = [(first("allow", _alone(part)), True) for part in parts.exceptions]
        for settled, by_exception in ((first("allow", parts._replace(exceptions=())), False), *excepted):
            for number, entry in enumerate(settled.value or ()):
                line = f"{settled.path}[{number}]"
                for name in self._detectors_of(entry.what, line):
                    found.setdefault(name, []).append(Declaration(entry.path or "", line, by_exception))
        for rule in fields:
            if rule.treatment is Treatment.KEEP:
                for name in self._names.get(rule.what, ()):
                    found.setdefault(name, []).append(Declaration(rule.place, rule.line, rule.excepted))
        return {name: tuple(declarations) for name, declarations in found.items()}

    def _fields(self, layers: Layers, bounded: Mapping[str, Decision]) -> list[FieldRule]:
        """Give the channel's fields, else the default's, and those of exceptions."""
        said = next((layer for layer in layers.said() if layer.rules.fields), layers.default)
        rules: list[FieldRule] = []
        for layer in (said, *layers.exceptions):
            excepted = layer is not said
            for number, entry in enumerate(layer.rules.fields):
                rule = self._field(entry, f"{layer.path}.fields[{number}]")._replace(excepted=excepted)
                if not excepted:
                    treatment, line = self._held(rule.what, rule.treatment, rule.line, bounded)
                    rule = rule._replace(treatment=treatment, line=line)
                rules.append(rule)
        return rules

    def _field(self, entry: FieldEntry, line: str) -> FieldRule:
        place = f"headers.{entry.header.lower()}" if entry.path is None and entry.header else entry.path
        treatment = TREATMENTS[entry.handling]
        class_, domain = self._class(entry.what), self._domain(entry.what)
        return FieldRule(place or "", entry.what, class_, domain, treatment, line)

    def _held(
        self, what: str, treatment: Treatment, line: str, bounded: Mapping[str, Decision]
    ) -> tuple[Treatment, str]:
        """Hold what is kept or tokenized to the bounds of its class, whatever it holds."""
        met = (bounded[name] for name in self._names.get(what, ()) if name in bounded)
        bound = max(met, key=_rank, default=None)
        if bound is None or treatment not in (Treatment.KEEP, Treatment.TOKEN):
            return treatment, line
        least = Treatment.TOKEN if bound.action is Action.TOKENIZE else Treatment.MASK
        return (treatment, line) if treatment is least else (least, bound.line)

    def _class(self, what: str) -> str:
        """Give the class of what a policy names: of a detector its own, of anything else the name."""
        names = self._names.get(what, ())
        classes = {each.class_ for each in self._detectors if each.name in names}
        return classes.pop() if len(classes) == 1 else what

    def _domain(self, what: str) -> str:
        """Give the domain of the tokens of a field or label: that of its class, so that they join."""
        if what in self._named_domains:
            return self._named_domains[what]
        domains = {self._domains.get(name, what) for name in self._names.get(what, ())}
        return domains.pop() if len(domains) == 1 else what

    def _domains_of(self, domains: Mapping[str, TokenDomain], named: frozenset[str]) -> dict[str, str]:
        """Give the domain of each detector's tokens: its class, where no domain names it."""
        found = {detector.name: detector.class_ for detector in self._detectors}
        taken: dict[str, str] = {}
        for domain, entry in domains.items():
            for number, what in enumerate(entry.classes):
                place = f"tokens.domains.{domain}.classes[{number}]"
                own = what in named and what not in self._names
                for name in [what] if own else self._detectors_of(what, place):
                    if taken.setdefault(name, domain) != domain:
                        problem = f"{name!r} is in the domain {taken[name]!r} already; let it be in one"
                        raise self._error(place, problem)
                    if not own:
                        found[name] = domain
                self._named_domains.setdefault(what, domain)
        return found

    def _detectors_of(self, name: str, path: str) -> list[str]:
        found = self._names.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`interceptors scan --list` names them all"
            raise self._error(path, f"no class, family or detector is called {name!r}; {hint}")
        return found

    def _error(self, path: str, problem: str) -> PolicyError:
        return PolicyError(f"{self._source}: {path}: {problem}", path=path)


_STRICTNESS = (Action.OBSERVE, Action.TOKENIZE, Action.REDACT, Action.BLOCK)
TREATMENTS = {
    Handling.KEEP: Treatment.KEEP,
    Handling.TOKENIZE: Treatment.TOKEN,
    Handling.REDACT: Treatment.MASK,
    Handling.DROP: Treatment.EMPTY,
}
"""How what the policy says of a place is done."""


def _stricter(decided: dict[str, Decision], others: Mapping[str, Decision]) -> None:
    """Let those of others count that are stricter."""
    for name, other in others.items():
        known = decided.get(name)
        if known is None or _rank(other) > _rank(known):
            decided[name] = other


def _rank(decision: Decision) -> int:
    return -1 if decision.action is None else _STRICTNESS.index(decision.action)


def _alone(part: Layer) -> Layers:
    return Layers(None, part, (), ())


def settled_payload(layers: Layers) -> dict[str, Settled]:
    """Tell what holds for the payloads of a channel, but for single classes.

    Args:
        layers: all that speaks of the channel.

    Returns:
        By key of `PayloadRules`. All that anybody includes is: the lines and what each of them names.
    """
    parts = layers.within("payload")
    budget = parts.within("budget")
    own = first("include", parts._replace(exceptions=()))
    included = [own, *(first("include", _alone(part)) for part in (*parts.bounds, *parts.exceptions))]
    said = [each for each in included if each.value is not None]
    return {
        "on_leak": settle("on_leak", parts, Action.OBSERVE),
        "include": Settled(
            tuple((each.path, each.value) for each in said),
            said[0].path if said else "",
            said[0].why if said else "built in",
        ),
        "on_unscanned": settle("on_unscanned", parts, OnUnscanned.PASS),
        "sample": settle("sample", parts, 1.0),
        "budget.bytes": first("bytes", budget, Limits().bytes),
        "budget.time": first("time", budget, _TIME_NS),
    }
