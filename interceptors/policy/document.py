"""The policy document, as people write it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from interceptors.envelope import CANDIDATES, Level
from interceptors.envelope.batch import CHANNEL as BATCH_CHANNEL
from interceptors.errors import PolicyError
from interceptors.policy.compiled import ALL_SAMPLED, Accept, Channel, Emit, Policy, TaskMetadata
from interceptors.policy.labels import LabelEntries, check_names, compile_labels
from interceptors.policy.payload_document import Identifier, PayloadCompiler, PayloadRules
from interceptors.policy.quantities import Duration
from interceptors.policy.span_rules import SpanPolicy, SpanRules
from interceptors.policy.yaml_document import (
    DocumentError,
    DocumentModel,
    parse_document,
    validate_document,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.policy.payload import Payload

_GLOB = re.compile(r"[*?\[]")

_BUILT_IN = Channel("")
_BUSES = ("kafka", "rabbitmq", "celery", "taskiq", "opentelemetry")
_BUILT_IN_LEVELS = {"celery": Level.TYPE, "taskiq": Level.TYPE}
"""What envelopes are bound to where nothing is said, if not to the channel. A worker of Celery or taskiq runs
what the task's name says, so that name is bound."""

T = TypeVar("T")

BindingName = Literal["tenant", "channel", "type", "message"]


Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Rules(DocumentModel):
    """What holds for the messages of a channel. What is left out is as in `default`, then as said here."""

    emit: Emit | None = None
    """What producers attach: `sealed` (an envelope) or `none`. Default: sealed."""
    accept: Accept | None = None
    """What consumers do: `optional`, `required` (no envelope is the verdict missing), `reject` (a message
    whose trace may not continue is refused) or `none` (strip, unopened). Default: optional."""
    senders: tuple[Name, ...] | None = None
    """The services whose envelopes count. Default: every sender whose key the consumer holds."""
    binding: BindingName | None = None
    """What an envelope is bound to: `tenant`, `channel`, `type` (channel and message type) or `message`
    (those, the message id and the body). Default: type for Celery and taskiq, else channel."""
    lowest_level: BindingName | None = None
    """The loosest binding that consumers accept. Default: the channel's binding. Set it lower only while
    producers are being moved to a tighter binding."""
    max_age: Duration | None = None
    """An older envelope is stale; longer than any retention plus dead-letter time. Default: 7d."""
    retry_window: Duration | None = None
    """For how long the same envelope at another place counts as a producer's retry. Default: 2m."""
    task_metadata: TaskMetadata | None = None
    """Celery only: whether the texts that it makes of a task's arguments (`argsrepr`, `kwargsrepr`) and of
    the sending host (`origin`) are `removed` or `kept`, in the message and in the `task-sent` event.
    Default: removed."""
    sampling_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of the traces that begin with a message of the channel, which part is sampled. A trace that has begun
    elsewhere goes on as was decided there. Default: 1.0."""
    labels: LabelEntries | None = None
    """What may travel with the trace, by name: OpenTelemetry's baggage entries of these names go into the
    envelope, stand on the spans, and are baggage again in the handler. What is not named here doesn't leave,
    and isn't taken up either. Default: nothing."""
    payload: PayloadRules | None = None
    """What the messages may hold: where this is given, here or in `default`, bodies, headers and keys are
    scanned for identifiers, as they are sent and as they are received. Default: nothing is scanned."""

    @model_validator(mode="after")
    def _possible(self) -> Rules:
        if self.senders is not None and not self.senders:
            msg = "an empty list of senders accepts nobody; name one, or leave `senders` out to accept all"
            raise ValueError(msg)
        if self.accept is Accept.NONE and self.senders is not None:
            msg = "`accept: none` opens nothing, so `senders` has no meaning; leave one of them out"
            raise ValueError(msg)
        check_names(self.labels or {})
        if self.max_age == 0:
            msg = "a max_age of 0 makes every envelope stale; give a longer one"
            raise ValueError(msg)
        return self


class Match(DocumentModel):
    """Where a channel lies on each bus: exact names, or globs with `*`, `?` and `[…]`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    kafka: tuple[Name, ...] = Field(default=(), min_length=1)
    """Topics."""
    rabbitmq: tuple[Name, ...] = Field(default=(), min_length=1)
    """Exchanges and queues: a producer's channel is that of the exchange (of the queue, through the default
    exchange), a consumer's is that of its queue, and where no channel lists the queue, as the producer's."""
    celery: tuple[Name, ...] = Field(default=(), min_length=1)
    """Celery queues, by the routing key that their tasks are sent with."""
    taskiq: tuple[Name, ...] = Field(default=(), min_length=1)
    """taskiq queues, by the name that the middleware of their broker was given."""
    opentelemetry: tuple[Literal["carrier"], ...] = Field(default=(), min_length=1)
    """`carrier`: what the propagator `sealed` puts envelopes into, such as an HTTP request."""

    @model_validator(mode="after")
    def _anywhere(self) -> Match:
        if not any(getattr(self, bus) for bus in _BUSES):
            msg = "a channel that lies nowhere matches nothing; name topics, exchanges or queues under a bus"
            raise ValueError(msg)
        return self


class ChannelEntry(Rules):
    """One channel."""

    name: Name
    """The logical name, which envelopes are bound to: the same wherever the channel lies."""
    match: Match
    """The physical names that are this channel: mirrors, retry and dead-letter topics as well."""


class PolicyDocument(DocumentModel):
    """The policy: which channels there are, and what may travel on them."""

    version: Literal[1]
    """The version of this form."""
    channels: tuple[ChannelEntry, ...] = ()
    """The channels, more particular ones first."""
    default: Rules = Rules()
    """What holds for every channel that does not say otherwise, and for names that no channel lists."""
    identifiers: tuple[Identifier, ...] = ()
    """Identifiers of your own that payloads are scanned for, besides those that are built in."""
    spans: SpanRules = SpanRules()
    """What leaves of the OpenTelemetry SDK's own spans and logs, besides what is built in."""


def parse_policy(text: str, source: str) -> Policy:
    """Read and compile a policy.

    Args:
        text: the document, YAML.
        source: what to call it in errors: its file name.

    Returns:
        The compiled policy.

    Raises:
        PolicyError: with file, line, place and remedy.
    """
    try:
        document = parse_document(PolicyDocument, text, source)
    except DocumentError as error:
        raise PolicyError(str(error), path=error.path) from None
    return compile_policy(document, source)


def check_policy(values: Mapping[str, object], source: str) -> Policy:
    """Check and compile a policy that is not written as text.

    Args:
        values: the document.
        source: what to call it in errors.

    Returns:
        The compiled policy.

    Raises:
        PolicyError: with place and remedy.
    """
    try:
        document = validate_document(PolicyDocument, dict(values), source)
    except DocumentError as error:
        raise PolicyError(str(error), path=error.path) from None
    return compile_policy(document, source)


def compile_policy(document: PolicyDocument, source: str = "policy") -> Policy:
    """Compile a policy document.

    Args:
        document: the document.
        source: what to call it in errors.

    Returns:
        The compiled policy.

    Raises:
        PolicyError: two channels with one name, a name that more channels list than a consumer tries, or a
            combination that nothing could satisfy.
    """
    exact: dict[tuple[str, str], list[Channel]] = {}
    patterns: list[tuple[str, str, Channel]] = []
    names: set[str] = set()
    payloads = PayloadCompiler(document.identifiers, source)
    payload = _payload(payloads, document.default, document.default, "default")
    default, *others = (
        replace(
            _channel("default", document.default, document.default, bus, source, "default"), payload=payload
        )
        for bus in ("", *_BUILT_IN_LEVELS)
    )
    for place, entry in enumerate(document.channels):
        path = f"channels[{place}]"
        if entry.name in names:
            raise _error(source, f"{path}.name", f"{entry.name!r} is taken; give each channel its own name")
        if entry.name == BATCH_CHANNEL:
            problem = f"{entry.name!r} is what batches of spans are bound to; give the channel another name"
            raise _error(source, f"{path}.name", problem)
        names.add(entry.name)
        payload = _payload(payloads, entry, document.default, path)
        for bus in _BUSES:
            matched: tuple[str, ...] = getattr(entry.match, bus)
            if not matched:
                continue
            channel = _channel(entry.name, entry, document.default, bus, source, path)
            channel = replace(channel, payload=payload)
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
                    raise _error(source, f"{path}.match.{bus}", problem)
    spans = SpanPolicy(
        document.spans,
        inspector=lambda: payloads.compile(PayloadRules(), PayloadRules(), "spans").inspector,
        destinations=names | {name for _, name in exact},
    )
    return Policy(exact, patterns, default, dict(zip(_BUILT_IN_LEVELS, others, strict=True)), spans)


def _payload(payloads: PayloadCompiler, rules: Rules, default: Rules, path: str) -> Payload | None:
    """Compile what is said of payloads; None where nothing is."""
    if rules.payload is None and default.payload is None:
        return None
    none = PayloadRules()
    return payloads.compile(rules.payload or none, default.payload or none, f"{path}.payload")


def _channel(  # noqa: PLR0917 - one caller, a loop
    name: str, rules: Rules, default: Rules, bus: str, source: str, path: str
) -> Channel:
    level = _level(rules.binding or default.binding, _BUILT_IN_LEVELS.get(bus, _BUILT_IN.level))
    # A binding of the channel's own is not loosened by the default's lowest_level.
    lowest = _level(rules.lowest_level or (None if rules.binding else default.lowest_level), level)
    if lowest > level:
        problem = (
            f"producers bind to {level.name.lower()}, which is looser than the lowest level that consumers "
            f"accept, {lowest.name.lower()}; every envelope would be refused. Raise `binding` or lower "
            f"`lowest_level`"
        )
        raise _error(source, f"{path}.lowest_level", problem)
    accept = rules.accept or default.accept or _BUILT_IN.accept
    max_age_ms = rules.max_age or default.max_age or _BUILT_IN.max_age_ms
    retry_window_ms = _first(rules.retry_window, default.retry_window, _BUILT_IN.retry_window_ms)
    if rules.retry_window is not None and retry_window_ms > max_age_ms:
        problem = "it is longer than max_age, after which an envelope is stale anyway; shorten it"
        raise _error(source, f"{path}.retry_window", problem)
    senders = default.senders if rules.senders is None else rules.senders
    return Channel(
        name,
        emit=rules.emit or default.emit or _BUILT_IN.emit,
        accept=accept,
        senders=None if senders is None else frozenset(senders),
        level=level,
        lowest_level=lowest,
        max_age_ms=max_age_ms,
        retry_window_ms=min(retry_window_ms, max_age_ms),
        task_metadata=rules.task_metadata or default.task_metadata or _BUILT_IN.task_metadata,
        labels=compile_labels((default.labels or {}) if rules.labels is None else rules.labels),
        sampled=round(_first(rules.sampling_ratio, default.sampling_ratio, 1.0) * ALL_SAMPLED),
    )


def _first(*values: T | None) -> T:
    """Give the first that is said; 0 is, too."""
    return next(value for value in values if value is not None)


def _level(name: str | None, otherwise: Level) -> Level:
    return otherwise if name is None else Level[name.upper()]


def _error(source: str, path: str, problem: str) -> PolicyError:
    return PolicyError(f"{source}: {path}: {problem}", path=path)
