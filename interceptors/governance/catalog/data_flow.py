"""What a policy makes of each channel: who sends, who reads, what is in it, and where it may leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from interceptors.policy.compiled import Accept, Emit
from interceptors.policy.compiling import Compiler, labels_of
from interceptors.policy.explaining import HANDLINGS
from interceptors.policy.payload import Action, OnUnscanned
from interceptors.policy.quantities import shown_ms
from interceptors.policy.resolution import first, settled_rules
from interceptors.policy.rules import BUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interceptors.policy.document import PolicyDocument
    from interceptors.policy.payload import Payload
    from interceptors.policy.resolution import Layers
    from interceptors.tracing import Configuration

ANY = "any service"
"""Stands for senders or consumers that the policy does not name."""
UNLISTED = "(not listed)"
_ALL = 1 << 32


class Leak(NamedTuple):
    """A place where data can leave in clear, unsigned, unscanned or undeclared."""

    kind: str
    """`untraced`, `unsigned`, `unscanned`, `undeclared`, `unverified`, `clear` or `excepted`."""
    what: str


class DataRow(NamedTuple):
    """A field or label, or what is expected anywhere in a message."""

    channel: str
    place: str
    class_: str
    handling: str
    purpose: str
    lawful_basis: str
    visible_to: str
    retention: str


class Flow(NamedTuple):
    """A channel."""

    name: str
    places: tuple[str, ...]
    """Where it lies, such as `kafka orders`."""
    senders: tuple[str, ...]
    consumers: tuple[str, ...]
    tenants: tuple[str, ...]
    owner: str
    purpose: str
    lawful_basis: str
    visible_to: str
    retention: str
    leaks: tuple[Leak, ...]


class Export(NamedTuple):
    """Where a service's spans go."""

    service: str
    to: str
    leaks: tuple[Leak, ...] = ()


class ExceptionRow(NamedTuple):
    """An exception of the policy."""

    id: str
    channels: tuple[str, ...]
    reason: str
    requested_by: str
    approved_by: str
    expires: int
    """Milliseconds since the epoch."""
    holds: bool


class Catalog(NamedTuple):
    """All that a policy says of data."""

    environment: str
    flows: tuple[Flow, ...]
    """The channels, and last what holds for names that none of them lists."""
    data: tuple[DataRow, ...]
    exceptions: tuple[ExceptionRow, ...]
    exports: tuple[Export, ...] = ()


def catalog_of(
    document: PolicyDocument,
    source: str,
    *,
    environment: str,
    now: int,
    configurations: Iterable[Configuration] = (),
) -> Catalog:
    """Read a policy for its catalog.

    Args:
        document: the policy.
        source: what to call it in errors.
        environment: the deployment environment.
        now: milliseconds since the epoch, by which exceptions hold.
        configurations: of services, which say where spans go.

    Raises:
        PolicyError: the policy does not hold.
    """
    compiler = Compiler(document, source)
    compiler.compile(environment, now)
    flows: list[Flow] = []
    data: list[DataRow] = []
    for place in (*range(len(document.channels)), None):
        layers = compiler.layers(place, environment, now)
        entry = None if place is None else document.channels[place]
        name = UNLISTED if entry is None else entry.name
        payload = compiler.payload(layers)
        buses = BUSES if entry is None else tuple(bus for bus in BUSES if getattr(entry.match, bus))
        matches = () if entry is None else tuple((bus, getattr(entry.match, bus)) for bus in buses)
        settled = {key: each.value for key, each in settled_rules(layers, buses[0]).items()}
        told = {key: _text(first(key, layers).value) for key in ("owner", "purpose", "lawful_basis")}
        flows.append(
            Flow(
                name,
                tuple(f"{bus} {each}" for bus, names in matches for each in names),
                tuple(settled["senders"] or (ANY,)),
                (entry.consumers if entry is not None else ()) or (ANY,),
                entry.tenants if entry is not None else (),
                **told,
                visible_to=_text(first("visible_to", layers).value),
                retention="" if settled["retention"] is None else shown_ms(settled["retention"]),
                leaks=tuple(_leaks(settled, payload, layers)),
            )
        )
        data += _rows(name, layers, compiler)
    return Catalog(
        environment,
        tuple(flows),
        tuple(data),
        tuple(_exceptions(document, environment, now)),
        tuple(export for configuration in configurations for export in _exports(configuration)),
    )


def _leaks(settled: dict[str, object], payload: Payload | None, layers: Layers) -> Iterator[Leak]:
    if settled["emit"] is Emit.NONE:
        yield Leak("untraced", "producers attach no envelope")
    elif not settled["signed"]:
        yield Leak("unsigned", "who may read its envelopes could forge them: suite 1")
    if settled["accept"] in {Accept.OPTIONAL, Accept.NONE}:
        yield Leak("unverified", f"consumers take messages without an envelope: accept {settled['accept']}")
    if payload is None or not payload.sampled:
        yield Leak("unscanned", "what the messages hold is not looked at")
    else:
        if payload.sampled < _ALL:
            yield Leak("unscanned", f"only {payload.sampled / _ALL:.3g} of the messages are looked at")
        if payload.on_unscanned is OnUnscanned.PASS:
            yield Leak("unscanned", "what can't be looked at to the end is sent all the same")
        if Action.OBSERVE in payload.actions.values():
            yield Leak("undeclared", "some of what is found undeclared is sent, and only counted")
    for layer in layers.exceptions:
        yield Leak("excepted", layer.why)


def _rows(channel: str, layers: Layers, compiler: Compiler) -> Iterator[DataRow]:
    said = next((layer for layer in layers.said() if layer.rules.fields), layers.default)
    fields = [entry for layer in (said, *layers.exceptions) for entry in layer.rules.fields]
    # As they are held to the bounds, in the same order.
    for entry, rule in zip(fields, compiler.fields(layers), strict=True):
        place = entry.path or f"header {entry.header}"
        yield _row((channel, place), entry.what, HANDLINGS[rule.treatment], entry, layers)
    entries = labels_of(layers)
    for label in compiler.labels(layers):
        handling = HANDLINGS[label.treatment]
        yield _row((channel, f"label {label.name}"), label.what, handling, entries[label.name], layers)
    for layer in (*layers.said()[:1], *layers.exceptions):
        for allowed in getattr(layer.rules.payload, "allow", None) or ():
            place = allowed.path or "anywhere"
            yield _row((channel, place), allowed.what, "keep", None, layers)


def _row(where: tuple[str, str], what: str, handling: str, entry: object, layers: Layers) -> DataRow:
    def said(key: str) -> object:
        own = getattr(entry, key, None)
        return first(key, layers).value if own is None else own

    retention = said("retention")
    return DataRow(
        *where,
        what,
        handling,
        _text(said("purpose")),
        _text(said("lawful_basis")),
        _text(said("visible_to")),
        shown_ms(retention) if isinstance(retention, int) else "",
    )


def _exceptions(document: PolicyDocument, environment: str, now: int) -> Iterator[ExceptionRow]:
    for entry in document.exceptions:
        yield ExceptionRow(
            entry.id,
            entry.channels,
            entry.reason,
            entry.requested_by,
            entry.approved_by,
            entry.expires,
            entry.holds(environment, now),
        )


def _exports(configuration: Configuration) -> Iterator[Export]:
    export = configuration.export
    if export.file is not None:
        yield Export(configuration.service, "a file", (Leak("clear", "spans lie in a file in clear"),))
    if export.otlp is not None:
        address = _address(export.otlp.endpoint)
        clear = address.startswith("http://")
        leaks = (Leak("clear", "spans go over HTTP without TLS"),) if clear else ()
        yield Export(configuration.service, address, leaks)
    if export.bus is not None:
        bus = "kafka" if export.bus.kafka is not None else "rabbitmq"
        yield Export(configuration.service, f"{bus}, sealed for the collector")


def _address(endpoint: str | None) -> str:
    """Give an endpoint without what may be a password or a token in it."""
    if endpoint is None:
        return "OTLP, as the environment says"
    try:
        parts = urlsplit(endpoint)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "OTLP"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
