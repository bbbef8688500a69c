"""What happens to a message, in order: `on_send`, and `on_receive` with `on_received`.

What belongs here: the order of the steps, and nothing of how each is done. What does not: a bus, a clock, a
thread, a socket, a log: time and keys are arguments.

Rules it keeps:

* no function raises, whatever the message holds: what went wrong is in the value that it gives;
* a trace that can't be sealed is not sent in clear;
* nothing here refuses a message: `Receipt.rejected` and `Outgoing.blocked` say that the policy wants it
  refused, in so many words, and the edge does it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from interceptors.envelope import Binding, Candidate, Level, header_bytes
from interceptors.errors import Answer, EnvelopeError
from interceptors.headers import without_clear
from interceptors.policy import Accept, Channel, Emit, Screened, TaskMetadata, screen
from interceptors.replay import Verdict
from interceptors.tokens import token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.context import TraceContext
    from interceptors.envelope import KeySet, Opened, Opener, Sealer
    from interceptors.message import Message
    from interceptors.policy import Policy
    from interceptors.replay import ReplayWindow


_BINDS_BODY = bytes((Level.MESSAGE,))
_UNKNOWN = Binding("", body_digest=b"?")  # "?" is no digest, so nothing can be bound to it


class Unsealed(StrEnum):
    """Why a message of a sealed channel goes without an envelope."""

    NO_KEY = "no sealing key for the tenant"
    NO_SIGNING_KEY = "no signing key"
    BODY_NOT_BYTES = "the channel binds the body, which is not bytes yet"
    UNBINDABLE = "a name or id that can't be bound"


class Outgoing(NamedTuple):
    """What a producer is to do with a message."""

    channel: Channel
    message: Message
    """As it is to be sent: without the headers that may not go, and with findings replaced."""
    envelope: bytes | None = None
    unsealed: Unsealed | None = None
    """Why there is no envelope though the channel asks for one."""
    labels_left_out: int = 0
    screened: Screened | None = None
    """What was found in it; None where it was not looked into."""

    @property
    def blocked(self) -> tuple[str, ...]:
        """Why the policy lets the message not be sent: what was found where; empty where it may be."""
        return () if self.screened is None else self.screened.blocked

    @property
    def seals(self) -> bool:
        """Whether nothing that carries a trace in clear may go with the message, envelope or none."""
        return self.channel.emit is Emit.SEALED

    @property
    def traced(self) -> bool:
        """Whether anything of this message is to be recorded."""
        return self.channel.emit is not Emit.NONE

    def __repr__(self) -> str:
        """Show no header value."""
        return f"Outgoing(channel={self.channel.name!r}, unsealed={self.unsealed!r})"


class Receipt(NamedTuple):
    """What a consumer has received."""

    channel: Channel
    verdict: Verdict | None = None
    """None where there was no envelope and the channel asks for none."""
    answer: Answer | None = None
    """Why an envelope did not open, where the verdict is invalid."""
    opened: Opened | None = None
    """What the envelope says, where it is authentic."""
    strict: bool = False
    """Whether any of the channels that the message may be on refuses what may not continue."""
    labels: Mapping[str, str] | None = None
    """What travelled with the trace that the channel's policy names; None for nothing."""
    body_size: int | None = None
    """How many bytes the body has, where a flag asks for that."""

    @property
    def tenant(self) -> str | None:
        """Whose message it is, as the key says; None where no authentic envelope does."""
        return self.opened.tenant if self.opened else None

    @property
    def sender(self) -> str | None:
        """Who sealed the envelope, as the key says; None where no authentic envelope does."""
        return self.opened.sender if self.opened else None

    @property
    def traced(self) -> bool:
        """Whether anything of this message is to be recorded."""
        return self.channel.accept is not Accept.NONE

    @property
    def parent(self) -> TraceContext | None:
        """The context that goes on in the receiver, or None where a trace starts anew."""
        if self.opened is None or self.verdict is None or not self.verdict.continues:
            return None
        return self.opened.context

    @property
    def rejected(self) -> bool:
        """Whether the policy wants this message refused."""
        return self.strict and not (self.verdict is not None and self.verdict.continues)

    def __repr__(self) -> str:
        """Show no label."""
        return f"Receipt(channel={self.channel.name!r}, verdict={self.verdict!r}, answer={self.answer!r})"


def on_send(
    message: Message,
    *,
    context: TraceContext,
    channel: Channel,
    sealer: Sealer | None,
    now: int,
    ticks: Callable[[], int],
) -> Outgoing:
    """Strip and screen a message, and make its envelope.

    Args:
        message: what is about to be sent.
        context: the context of the send span, which the envelope is to carry.
        channel: the rules: of the channels of its destination, the first.
        sealer: the sealer of the tenant whose message it is, or None where its key can't be had.
        now: milliseconds since the epoch.
        ticks: nanoseconds that don't go back, to hold the scan to its budget.

    Returns:
        What to send, and what to attach.
    """
    message = _stripped(message, channel)
    payload = channel.payload
    scanning = payload is not None and payload.samples(context.trace_id)
    if payload is None or not (scanning or payload.fields.handles):
        return _sealed(message, channel, context, sealer, now)
    screened = screen(
        message,
        payload,
        sending=True,
        scanning=scanning,
        spent=_deadline(ticks, payload.time_ns),
        own=context.trace_id.hex().encode(),
        tokenize=None if sealer is None else partial(token_of, sealer.key.tokens),
    )
    # What is bound is the body as it travels, so the envelope comes second.
    message = message._replace(body=screened.body, headers=screened.headers)
    if screened.blocked:
        return Outgoing(channel, message, screened=screened)
    return _sealed(message, channel, context, sealer, now)._replace(screened=screened)


def _stripped(message: Message, channel: Channel) -> Message:
    """Give a message without the headers that may not go; the given one, where it has none of those."""
    headers = message.headers
    if headers and channel.emit is Emit.SEALED:
        headers = without_clear(headers)
    if message.task_metadata and channel.task_metadata is TaskMetadata.REMOVED:
        headers = [header for header in headers if header[0] not in message.task_metadata]
    return message if headers is message.headers else message._replace(headers=headers)


def _sealed(
    message: Message, channel: Channel, context: TraceContext, sealer: Sealer | None, now: int
) -> Outgoing:
    if channel.emit is Emit.NONE:
        return Outgoing(channel, message)
    if sealer is None:
        return Outgoing(channel, message, unsealed=Unsealed.NO_KEY)
    if channel.signed and sealer.key.signing is None:
        return Outgoing(channel, message, unsealed=Unsealed.NO_SIGNING_KEY)
    binding = _binding(message, channel, binds_body=channel.level is Level.MESSAGE)
    if binding is None:
        return Outgoing(channel, message, unsealed=Unsealed.BODY_NOT_BYTES)
    try:
        envelope, left_out = sealer.seal(context, channel.level, binding, now, signed=channel.signed)
    except ValueError:
        return Outgoing(channel, message, unsealed=Unsealed.UNBINDABLE)
    return Outgoing(channel, message, envelope, None, left_out)


def on_receive(
    message: Message, *, policy: Policy, keys: KeySet, opener: Opener, window: ReplayWindow, now: int
) -> Receipt:
    """Verify what came with a message.

    Args:
        message: what was received; `envelopes` holds the values of its envelope headers.
        policy: the rules.
        keys: the keys held.
        opener: opens, and remembers what it derived.
        window: remembers what this consumer has seen.
        now: milliseconds since the epoch.

    Returns:
        The verdict and what follows from it.
    """
    channels = policy.channels(message.system, message.destination, message.via)
    channel = channels[0]
    envelopes = message.envelopes
    # The strictest of them all: else an envelope of a laxer one would carry a replay past the refusal.
    strict = channel.accept is Accept.REJECT or (
        len(channels) > 1 and any(other.accept is Accept.REJECT for other in channels)
    )
    for guard in message.guards:
        strict = strict or any(
            other.accept is Accept.REJECT for other in policy.channels(message.system, guard)
        )
    if channel.accept is Accept.NONE and not strict:
        return Receipt(channel)
    if not envelopes:
        wanted = strict or channel.accept is not Accept.OPTIONAL
        return Receipt(channel, Verdict.MISSING if wanted else None, strict=strict)
    if len(envelopes) > 1:
        # An envelope is replaced, never appended to: a second one was put there by somebody else.
        return Receipt(channel, Verdict.INVALID, Answer.MALFORMED, strict=strict)
    try:
        envelope = header_bytes(envelopes[0])
        candidates = _candidates(message, channels, binds_body=envelope[1:2] == _BINDS_BODY)
        opened = opener.open(envelope, keys, candidates)
    except EnvelopeError as error:
        return Receipt(channel, Verdict.INVALID, error.answer, strict=strict)
    channel = channels[opened.candidate]
    verdict = window.judge(
        opened.id,
        message.coordinate or (),
        issued_at=opened.issued_at,
        now=now,
        max_age_ms=channel.max_age_ms,
        retry_window_ms=channel.retry_window_ms,
        redelivered=message.redelivered,
    )
    travelled = opened.context.labels
    labels = channel.labels.admitted(travelled)[0] if travelled and verdict.continues else None
    return Receipt(channel, verdict, None, opened, strict, labels or None)


def on_received(message: Message, receipt: Receipt, *, ticks: Callable[[], int]) -> Screened | None:
    """Screen a message that was received. It is handed on as it is, whatever is found.

    Args:
        message: what was received.
        receipt: what `on_receive` gave.
        ticks: nanoseconds that don't go back, to hold the scan to its budget.

    Returns:
        What was found; None where the channel's policy asks for no scan of it.
    """
    payload = receipt.channel.payload
    trace_id = b"" if receipt.opened is None else receipt.opened.context.trace_id
    if payload is None or not payload.samples(trace_id):
        return None
    spent = _deadline(ticks, payload.time_ns)
    return screen(message, payload, sending=False, spent=spent, own=trace_id.hex().encode())


def _deadline(ticks: Callable[[], int], time_ns: int) -> Callable[[], bool]:
    end = ticks() + time_ns
    return lambda: ticks() > end


def _candidates(message: Message, channels: tuple[Channel, ...], *, binds_body: bool) -> list[Candidate]:
    if not (binds_body or message.type or message.id):
        return [channel.candidate for channel in channels]
    return [
        Candidate(
            _binding(message, channel, binds_body=binds_body) or _UNKNOWN,
            channel.lowest_level,
            channel.senders,
            channel.signed,
        )
        for channel in channels
    ]


def _binding(message: Message, channel: Channel, *, binds_body: bool) -> Binding | None:
    """Give what a message is bound to, or None where the body is bound and is not bytes."""
    if not binds_body and not message.type and not message.id:
        return channel.candidate.binding
    digest = _digest(message.body) if binds_body else b""
    return None if digest is None else Binding(channel.name, message.type, message.id, digest)


def _digest(body: object) -> bytes | None:
    """Digest a body as it travels: empty for none, so that a tombstone is not an empty body."""
    if body is None:
        return b""
    if not isinstance(body, (bytes, bytearray, memoryview)):
        return None
    try:
        return sha256(body).digest()
    except (BufferError, ValueError):  # a view that has gaps, or that was released
        return None
