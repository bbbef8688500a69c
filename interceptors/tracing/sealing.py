"""Sealing: the envelope for a message, and what is said where it gets none or may not be sent."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.context import new_root
from interceptors.envelope import Level
from interceptors.envelope.batch import batch_binding
from interceptors.errors import LeakError
from interceptors.pipeline import on_send
from interceptors.tracing.findings import Findings

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable

    from interceptors.context import TraceContext
    from interceptors.keys import Keyring
    from interceptors.message import Message
    from interceptors.pipeline import Outgoing
    from interceptors.policy import Channel
    from interceptors.tracing.scopes import OpenSpan
    from interceptors.tracing.tally import Tally

logger = logging.getLogger("interceptors")

_NS_PER_MS = 1_000_000
_WARNED = 256


class Sealing:
    """Makes the envelopes of one service."""

    def __init__(self, keyring: Keyring, counts: Counter[str], tally: Tally) -> None:
        """Take the parts.

        Args:
            keyring: the keys.
            counts: where it is counted what went without an envelope, and which labels were left out.
            tally: where findings are counted for the metrics.
        """
        self._keyring = keyring
        self._counts = counts
        self._findings = Findings(counts, tally)
        self._warned: BoundedMap[tuple[str, str], bool] = BoundedMap(_WARNED)

    def seal(
        self, message: Message, context: TraceContext, channel: Channel, tenant: str, now: int
    ) -> Outgoing:
        """Make the envelope for a message.

        Args:
            message: what is about to be sent.
            context: what the envelope is to carry.
            channel: the rules of where it goes.
            tenant: whose message it is.
            now: milliseconds since the epoch.

        Returns:
            What to send, and what to attach.
        """
        sealer = self._keyring.sealer(tenant, now)
        outgoing = on_send(
            message,
            context=context,
            channel=channel,
            sealer=sealer,
            now=now,
            ticks=time.perf_counter_ns,
        )
        if outgoing.screened is not None:
            self._findings.sent(outgoing.channel, outgoing.screened)
        if outgoing.unsealed is not None:
            self._note_unsealed(outgoing.channel.name, outgoing.unsealed)
        if outgoing.labels_left_out:
            self._counts["labels left out"] += outgoing.labels_left_out
        return outgoing

    def seal_batch(self, body: bytes, *, tenant: str, clock: Callable[[], int]) -> bytes | None:
        """Make the envelope of a batch of spans that goes over a bus: it says who sent it.

        Args:
            body: the batch, sealed to the collector.
            tenant: whose key signs for it.
            clock: nanoseconds since the epoch.

        Returns:
            The envelope; None where the key can't be had.
        """
        now = clock() // _NS_PER_MS
        sealer = self._keyring.sealer(tenant, now)
        if sealer is None:
            return None
        return sealer.seal(new_root(), Level.MESSAGE, batch_binding(body), now).envelope

    def _note_unsealed(self, channel: str, reason: str) -> None:
        self._counts[reason] += 1
        if self._warned.get((channel, reason)) is None:
            self._warned.set((channel, reason), True)  # noqa: FBT003 - a set of pairs
            logger.warning("messages of channel %r go without an envelope: %s", channel, reason)


def refuse_blocked(batch: Iterable[Outgoing], sendings: Iterable[OpenSpan]) -> None:
    """Raise where the policy blocks one of the messages that would be sent together.

    Args:
        batch: the messages.
        sendings: their open spans, which end with the error.

    Raises:
        LeakError: the policy does.
    """
    blocked = next((outgoing for outgoing in batch if outgoing.blocked), None)
    if blocked is None:
        return
    channel, places = blocked.channel.name, blocked.blocked
    error = LeakError(
        f"channel {channel!r} blocks a message: {'; '.join(places)}; take it out, or declare it in the "
        "policy under `payload.allow`",
        channel=channel,
        places=places,
    )
    for sending in sendings:
        sending.end(error)
    raise error
