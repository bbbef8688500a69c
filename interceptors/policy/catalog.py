"""What travels with every trace, whatever a policy says: each field, what it is, for what, and who sees it.

An envelope's fields are sealed: a reader on the path sees none of them. A span's fields are seen by whoever
sees the traces. There is no other field: a policy adds labels, and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

SEALED = "sealed"
RECORDED = "recorded"


class TraceField(NamedTuple):
    """A field of every trace."""

    name: str
    """In OTLP; of an envelope's fields that no span has, in the envelope's specification."""
    class_: str
    """What it is: `trace`, `service`, `tenant`, `time`, `bus`, `program` or `verdict`, and which of those."""
    purpose: str
    handling: tuple[str, ...]
    """`sealed`: it travels in the envelope; `recorded`: it stands on spans."""

    @property
    def visible_to(self) -> str:
        """Who sees it."""
        sees = {SEALED: "services that are granted the sender's key", RECORDED: "who sees the traces"}
        return ", and ".join(sees[way] for way in self.handling)

    @property
    def retention(self) -> str:
        """How long it is kept where the policy says nothing."""
        kept = {SEALED: "as long as the message", RECORDED: "as long as the traces"}
        return ", ".join(kept[way] for way in self.handling)


_BOTH = (SEALED, RECORDED)
_SEALED = (SEALED,)
_RECORDED = (RECORDED,)

TRACE_FIELDS = (
    TraceField("traceId", "trace.id", "tells which spans are of one trace; random", _BOTH),
    TraceField("spanId", "trace.id", "tells which span is above; random", _BOTH),
    TraceField("parentSpanId", "trace.id", "puts a span below another one", _RECORDED),
    TraceField("flags", "trace.flags", "says whether the trace is sampled", _BOTH),
    TraceField("issued_at", "time.sent", "tells a stale envelope, and how long a message waited", _SEALED),
    TraceField("name", "bus.operation", "says what was done on which channel", _RECORDED),
    TraceField("kind", "bus.operation", "says whether the service sent or received", _RECORDED),
    TraceField("startTimeUnixNano", "time.span", "says when it began", _RECORDED),
    TraceField("endTimeUnixNano", "time.span", "says when it ended", _RECORDED),
    TraceField("links", "trace.id", "names other spans that it has to do with", _RECORDED),
    TraceField("droppedLinksCount", "trace.links", "says that not all of those are written", _RECORDED),
    TraceField("status", "program.error", "says that it failed, never how", _RECORDED),
    TraceField("service.name", "service.name", "says which service it was", _RECORDED),
    TraceField("deployment.environment.name", "service.environment", "says where it runs", _RECORDED),
    TraceField("telemetry.sdk.name", "program.name", "says what has recorded it", _RECORDED),
    TraceField("telemetry.sdk.language", "program.name", "says what has recorded it", _RECORDED),
    TraceField("telemetry.sdk.version", "program.name", "says what has recorded it", _RECORDED),
    TraceField("messaging.system", "bus.system", "says which bus it was", _RECORDED),
    TraceField("messaging.operation.name", "bus.operation", "says what was done", _RECORDED),
    TraceField("messaging.operation.type", "bus.operation", "says what kind of thing that is", _RECORDED),
    TraceField("messaging.destination.name", "bus.channel", "says on which channel", _RECORDED),
    TraceField("messaging.destination.template", "bus.channel", "says that its name is shortened", _RECORDED),
    TraceField("messaging.destination.temporary", "bus.channel", "says that it is a passing one", _RECORDED),
    TraceField("messaging.destination.partition.id", "bus.position", "says in which partition", _RECORDED),
    TraceField("messaging.kafka.offset", "bus.position", "says where in the partition", _RECORDED),
    TraceField("messaging.message.body.size", "bus.message", "says how long it was", _RECORDED),
    TraceField("messaging.kafka.message.tombstone", "bus.message", "says that it deletes a key", _RECORDED),
    TraceField(
        "messaging.consumer.group.name", "bus.group", "says which consumers share the work", _RECORDED
    ),
    TraceField("messaging.batch.message_count", "bus.message", "says how many there were", _RECORDED),
    TraceField("celery.task_name", "program.name", "says which task it was", _RECORDED),
    TraceField(
        "error.type", "program.error", "names the class of what went wrong, never its text", _RECORDED
    ),
    TraceField("interceptors.tenant", "tenant.name", "says whose message it is", _RECORDED),
    TraceField("interceptors.sender", "service.name", "says who sealed the envelope", _RECORDED),
    TraceField(
        "interceptors.verdict", "verdict.name", "says what a receiver made of the envelope", _RECORDED
    ),
    TraceField("interceptors.answer", "verdict.name", "says why an envelope did not open", _RECORDED),
    TraceField("interceptors.queue_time_ms", "time.waited", "says how long a message waited", _RECORDED),
)
"""All of them."""
