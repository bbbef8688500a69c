"""The rules that a policy document may give for a channel, as people write them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator

from interceptors.envelope import check_sender_name
from interceptors.policy.catalog_document import DataEntry, FieldEntry, check_places
from interceptors.policy.compiled import Accept, Emit, TaskMetadata
from interceptors.policy.labels import LabelEntries, check_names
from interceptors.policy.payload_document import PayloadRules
from interceptors.policy.quantities import Duration
from interceptors.policy.yaml_document import DocumentModel

BUSES = ("kafka", "rabbitmq", "celery", "taskiq", "opentelemetry")

BindingName = Literal["tenant", "channel", "type", "message"]

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
SenderName = Annotated[Name, AfterValidator(check_sender_name)]


class Bounds(DocumentModel):
    """What may be said of a channel's messages, and what nobody may go below.

    For a channel it is what holds, and what is left out is as in `default`. In `baseline` and under
    `environments` it is a bound: where the channel says something laxer, the bound counts instead.
    """

    emit: Emit | None = None
    """What producers attach: `sealed` (an envelope) or `none`. Default: sealed."""
    accept: Accept | None = None
    """What consumers do: `optional`, `required` (no envelope is the verdict missing), `reject` (a message
    whose trace may not continue is refused) or `none` (strip, unopened). Default: optional."""
    senders: tuple[SenderName, ...] | None = None
    """The services whose envelopes count. Default: every sender whose key the consumer holds."""
    binding: BindingName | None = None
    """What an envelope is bound to: `tenant`, `channel`, `type` (channel and message type) or `message`
    (those, the message id and the body). Default: type for Celery and taskiq, else channel."""
    lowest_level: BindingName | None = None
    """The loosest binding that consumers accept. Default: the channel's binding. Set it lower only while
    producers are being moved to a tighter binding."""
    signed: bool | None = None
    """Whether envelopes carry the sender's own signature (suite 2), so that who may read them can't forge
    them. Default: false."""
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
    payload: PayloadRules | None = None
    """What the messages may hold: where this is given, here or in `default`, bodies, headers and keys are
    scanned for identifiers, as they are sent and as they are received. Default: nothing is scanned."""
    retention: Duration | None = None
    """How long what is recorded of the channel is kept, at the most."""

    @model_validator(mode="after")
    def _possible(self) -> Bounds:
        if self.senders is not None and not self.senders:
            msg = "an empty list of senders accepts nobody; name one, or leave `senders` out to accept all"
            raise ValueError(msg)
        if self.accept is Accept.NONE and self.senders is not None:
            msg = "`accept: none` opens nothing, so `senders` has no meaning; leave one of them out"
            raise ValueError(msg)
        if self.max_age == 0:
            msg = "a max_age of 0 makes every envelope stale; give a longer one"
            raise ValueError(msg)
        return self


class Rules(Bounds, DataEntry):
    """What holds for the messages of a channel. What is left out is as in `default`, then as said here."""

    owner: Name | None = None
    """Who answers for the channel: a team."""
    labels: LabelEntries | None = None
    """What may travel with the trace, by name: OpenTelemetry's baggage entries of these names go into the
    envelope, stand on the spans, and are baggage again in the handler. What is not named here doesn't leave,
    and isn't taken up either. Default: nothing."""
    fields: tuple[FieldEntry, ...] = ()
    """What stands in the messages, place by place, and what becomes of it as it is sent."""

    @model_validator(mode="after")
    def _free_names(self) -> Rules:
        check_names(self.labels or {})
        check_places(self.fields)
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
        if not any(getattr(self, bus) for bus in BUSES):
            msg = "a channel that lies nowhere matches nothing; name topics, exchanges or queues under a bus"
            raise ValueError(msg)
        return self


class ChannelEntry(Rules):
    """One channel."""

    name: Name
    """The logical name, which envelopes are bound to: the same wherever the channel lies."""
    match: Match
    """The physical names that are this channel: mirrors, retry and dead-letter topics as well."""
    consumers: tuple[Name, ...] = ()
    """The services that read the channel, for the data-flow map and the checks."""
    tenants: tuple[Name, ...] = ()
    """The tenants whose messages are on the channel, for the data-flow map. Default: any."""
