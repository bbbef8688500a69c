"""Which line of a policy decided what for a channel, and for one message of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from interceptors.policy.header_text import HeaderText, to_bytes
from interceptors.policy.payload_compiling import TREATMENTS, settled_payload
from interceptors.policy.quantities import shown_bytes, shown_ms, shown_ns
from interceptors.policy.resolution import first, settled_rules
from interceptors.policy.screening import screen
from interceptors.scan import Format, Treatment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from interceptors.message import Message
    from interceptors.policy.compiling import Compiler
    from interceptors.policy.field_rules import FieldRule
    from interceptors.policy.labels import Label
    from interceptors.policy.payload import Payload
    from interceptors.policy.resolution import Layers, Settled
    from interceptors.scan import Finding

CATALOG = ("owner", "purpose", "lawful_basis", "visible_to")
"""What is said of a channel for people alone."""
_RULES = (
    "emit",
    "accept",
    "senders",
    "binding",
    "lowest_level",
    "signed",
    "max_age",
    "retry_window",
    "task_metadata",
    "sampling_ratio",
    "retention",
)
HANDLINGS = {treatment: str(handling) for handling, treatment in TREATMENTS.items()}
"""By treatment."""


class Row(NamedTuple):
    """What holds for one key of a channel."""

    key: str
    value: Any
    """As the document's models have it: durations in milliseconds, `budget.time` in nanoseconds."""
    shown: str
    """The value as people write it."""
    line: str
    """The place in the document that decided; empty for what is built in."""
    why: str
    overruled: tuple[str, ...] = ()
    """Other places that speak of it, and don't count."""


class Met(NamedTuple):
    """Something in a message that the policy speaks of. It never holds what was found."""

    class_: str
    place: str
    """A path, a header, the key; or a byte, where the body has no paths."""
    handling: str
    """`keep`, `tokenize`, `redact` or `drop`; of a finding that is not declared, `observe` or `block` too."""
    line: str
    why: str


def explain(compiler: Compiler, layers: Layers, bus: str) -> list[Row]:
    """Tell what holds for a channel, key by key.

    Args:
        compiler: of the document.
        layers: what speaks of the channel: `Compiler.layers`.
        bus: where it lies.

    Returns:
        What `Compiler.compile` makes of it as well.

    Raises:
        PolicyError: as from compiling.
    """
    settled = settled_rules(layers, bus)
    rows = [_row(key, settled[key]) for key in _RULES]
    rows += [_row(key, first(key, layers)) for key in CATALOG]
    rows += _labels(compiler.labels(layers), layers)
    payload = compiler.payload(layers)
    if payload is None or not payload.sampled:
        sample = settled_payload(layers)["sample"]
        rows.append(Row("payload", None, "not scanned", sample.path, sample.why, sample.overruled))
    else:
        found = settled_payload(layers)
        rows += [_row(f"payload.{key}", each) for key, each in found.items() if key != "include"]
        rows += [
            Row("payload.include", names, ", ".join(names), line, why_of(line, layers))
            for line, names in found["include"].value
        ]
        rows += _actions(payload, layers)
    if payload is not None:
        rows += _fields(payload, layers)
    return rows


def explain_message(payload: Payload, message: Message, layers: Layers) -> list[Met]:
    """Tell what becomes of a message that is sent, place by place.

    Args:
        payload: the rules of its channel.
        message: body, key and headers.
        layers: what speaks of the channel.

    Returns:
        Each field, and each finding in what is left as those have been handled: of a message that is among
        those that are scanned, with as much time as that takes. What lies within a field that is replaced is
        a part of it.
    """
    fields = payload.fields
    met = [_met(*treated) for treated in fields.treated(message.body, _never)]
    for name, _ in message.headers:
        rule = fields.header(name)
        if rule is not None:
            met.append(_met(rule.place, rule, rule.treatment))
    scanning = bool(payload.sampled)
    unscanned = screen(message, payload, sending=True, spent=_never, scanning=scanning).unscanned
    if unscanned is not None:
        met.append(_unscanned(str(unscanned), payload))
    if scanning:
        body = fields.body(message.body, _never, _no_token).value
        headers = fields.headers(message.headers, message.fixed, _no_token).value
        handled = message._replace(body=body, headers=headers)
        met += [_found(*each, payload) for each in _findings(payload, handled)]
    return [each._replace(why=each.why or why_of(each.line, layers)) for each in met]


def _met(place: str, rule: FieldRule, treatment: Treatment) -> Met:
    why = "neither a text nor a number" if treatment is not rule.treatment else ""
    return Met(rule.what, place, HANDLINGS[treatment], rule.line, why)


def _found(finding: Finding, fixed: str, payload: Payload) -> Met:
    decision = payload.decide(finding)
    place = finding.part if finding.part != "body" else finding.path or f"byte {finding.start}"
    handling = str(decision.action or "keep")
    if fixed and payload.treatment(finding) is not Treatment.KEEP:
        return Met(finding.class_, place, "keep", decision.line, f"{handling} is asked for; {fixed}")
    return Met(finding.class_, place, handling, decision.line, "")


def why_of(line: str, layers: Layers) -> str:
    """Tell in words why a line of the document counts."""
    whys = [(len(layer.path), layer.why) for layer in layers.all() if line.startswith(f"{layer.path}.")]
    return max(whys)[1] if whys else "said by the document" if line else "built in"


def _findings(payload: Payload, message: Message) -> Iterator[tuple[Finding, str]]:
    """Find what is in a message, and why it can't be replaced there, if so."""
    data = to_bytes(message.body)
    if data is not None:
        inspection = payload.inspector.inspect(data)
        kept = "" if inspection.replaced(payload.treatment) is not None else "nothing can be in this form"
        yield from ((finding, kept) for finding in inspection.findings)
    for text in (HeaderText(message.headers, None, message.fixed), HeaderText((), message.key)):
        for finding in payload.inspector.inspect(text.text, format=Format.TEXT).findings:
            kept = "" if text.replaceable(finding) else "a key, a name or what the bus goes by stays"
            yield text.placed(finding), kept


def _unscanned(why: str, payload: Payload) -> Met:
    return Met(
        f"not scanned to the end: {why}", "body", str(payload.on_unscanned), "", "as `on_unscanned` says"
    )


def _row(key: str, settled: Settled) -> Row:
    return Row(key, settled.value, _text(key, settled.value), settled.path, settled.why, settled.overruled)


def _text(key: str, value: Any) -> str:  # noqa: ANN401 - of each key its own type
    if value is None:
        return "all whose keys are held" if key == "senders" else "-"
    shown = _SHOWN.get(key)
    if shown is not None:
        return shown(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, dict)):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _actions(payload: Payload, layers: Layers) -> Iterator[Row]:
    """Give the actions of all classes, those of one line together."""
    groups: dict[str, list[str]] = {}
    for name, line in payload.decided_by.items():
        groups.setdefault(line, []).append(name)
    for line, names in groups.items():
        whose = "all else" if line.endswith(".on_leak") or not line else line.rpartition(".actions.")[2]
        actions: Mapping[str, str] = {name: str(payload.actions[name]) for name in names}
        action = next(iter(actions.values()))
        yield Row("payload.actions", actions, f"{action}: {whose}", line, why_of(line, layers))
    declared: dict[str, list[str]] = {}
    for name, declarations in payload.declarations.items():
        for each in declarations:
            declared.setdefault(each.line, []).append(f"{name} {each.place}".strip())
    for line, names in declared.items():
        yield Row("payload.allow", tuple(names), ", ".join(names), line, why_of(line, layers))
    bounds: dict[str, list[str]] = {}
    for name, bound in payload.bounded.items():
        bounds.setdefault(bound.line, []).append(name)
    for line, names in bounds.items():
        whose = line.rpartition(".actions.")[2]
        shown = f"{payload.bounded[names[0]].action}: {whose}, declared or not"
        yield Row("payload.bounds", tuple(names), shown, line, why_of(line, layers))


def _fields(payload: Payload, layers: Layers) -> Iterator[Row]:
    for rule in payload.fields.rules:
        handling = HANDLINGS[rule.treatment]
        shown = f"{handling}: {rule.what} at {rule.place}"
        yield Row("fields", handling, shown, rule.line, why_of(rule.line, layers))


def _labels(labels: Iterable[Label], layers: Layers) -> Iterator[Row]:
    settled = first("labels", layers, {})
    if not settled.value:
        yield _row("labels", settled)
    for label in labels:
        handling = HANDLINGS[label.treatment]
        what = f" ({label.what})" if label.what else ""
        shown = f"{handling}: {label.name}{what}"
        yield Row("labels", handling, shown, label.line, why_of(label.line, layers), settled.overruled)


_SHOWN: Mapping[str, Callable[[int], str]] = {
    "max_age": shown_ms,
    "retry_window": shown_ms,
    "retention": shown_ms,
    "payload.budget.bytes": shown_bytes,
    "payload.budget.time": shown_ns,
}


def _never() -> bool:
    return False


def _no_token(_domain: str, _class: str, _text: bytes) -> None:
    return None
