"""What one service does with the messages that it receives: verdict and spans of each."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.context import child_of
from interceptors.envelope import Opener
from interceptors.message import size_of
from interceptors.pipeline import on_receive, on_received
from interceptors.replay import ReplayWindow, Verdict
from interceptors.spans import Origin
from interceptors.tracing.findings import Findings
from interceptors.tracing.scopes import Current, OpenSpan, Processing

if TYPE_CHECKING:
    from collections import Counter

    from interceptors.keys import Keyring
    from interceptors.message import Message
    from interceptors.pipeline import Receipt
    from interceptors.spans import Operation, Recorder
    from interceptors.tracing.hooks import Labelling
    from interceptors.tracing.in_force import InForce
    from interceptors.tracing.tally import Tally

logger = logging.getLogger("interceptors")

_SAID = 256


class Receiver:
    """What one service remembers of what it has received, for all of its consumers."""

    def __init__(  # noqa: PLR0917 - the parts, given once
        self,
        in_force: InForce,
        keyring: Keyring,
        labelling: Labelling,
        recorder: Recorder,
        counts: Counter[str],
        tally: Tally,
        *,
        tenant: str,
    ) -> None:
        """Take the parts.

        Args:
            in_force: the rules.
            keyring: the keys.
            labelling: lets the application add to what travelled with a trace.
            recorder: makes the spans.
            counts: where verdicts and refusals are counted.
            tally: likewise, for the metrics.
            tenant: whose messages those are that no authentic envelope speaks for.
        """
        self._labelling = labelling
        self._recorder = recorder
        self._end = recorder.end  # bound once: each span keeps it
        self._tenant = tenant
        self._in_force = in_force
        self._keyring = keyring
        self._counts = counts
        self._tally = tally
        self._findings = Findings(counts, tally)
        self._opener = Opener()
        self._windows: dict[str, ReplayWindow] = {}
        self._receiving = threading.Lock()
        self._said: BoundedMap[tuple[str, str], bool] = BoundedMap(_SAID)

    def receive(self, message: Message, *, consumer: str, now: int) -> Receipt:
        """Verify what came with a message.

        Args:
            message: the message.
            consumer: which consumers share one memory of what was seen.
            now: milliseconds since the epoch.

        Returns:
            The verdict and what follows from it.
        """
        with self._receiving:
            receipt = on_receive(
                message,
                policy=self._in_force.at(now),
                keys=self._keyring.keys,
                opener=self._opener,
                window=self._windows.get(consumer) or self._windows.setdefault(consumer, ReplayWindow()),
                now=now,
            )
            verdict = receipt.verdict
            if receipt.traced:
                said = "none" if verdict is None else verdict.value
                self._tally.receive(message.system, receipt.channel.shown, said)
            if verdict is not None and verdict is not Verdict.FRESH:
                self._counts[verdict.value] += 1
            rejected = receipt.rejected
            if rejected:
                self._counts["rejected"] += 1
            unread = receipt.answer is not None and self._is_news(receipt.channel.name, receipt.answer)
        screened = on_received(message, receipt, ticks=time.perf_counter_ns)
        if screened is not None:
            self._findings.received(receipt.channel, screened)
        if rejected:
            logger.warning("channel %r rejects a message: %s", receipt.channel.name, verdict)
        elif unread:
            logger.warning(
                "an envelope on channel %r does not open: %s; others like it are only counted",
                receipt.channel.name,
                receipt.answer,
            )
        if self._in_force.verbose:
            receipt = receipt._replace(body_size=size_of(message.body))
        if self._labelling.hooked:
            tenant = receipt.tenant or self._tenant
            offered = receipt.labels or {}
            labels = self._labelling.labels(message, receipt.channel, tenant, offered, receipt)
            return receipt._replace(labels=labels or None)
        return receipt

    def process(self, system: str, receipt: Receipt, group: str | None) -> Processing:
        """Open the processing of a message; see `Tracing.process`."""
        if not receipt.traced:
            return Processing(None, None, self._end)
        origin = Origin(receipt.tenant or self._tenant, receipt.parent)
        context = child_of(origin.parent, receipt.channel.samples)
        span = self._recorder.processing(system, receipt, context, origin, group)
        current = Current(origin.tenant, context, origin.parent or context, receipt.labels)
        return Processing(span, current, self._end)

    def settle(
        self, operation: Operation, system: str, receipt: Receipt, processing: Processing | None
    ) -> OpenSpan:
        """Open the span of a message that is being settled; see `Tracing.settle`."""
        above = processing.context if processing is not None else receipt.parent
        span = None
        if receipt.traced:
            origin = Origin(receipt.tenant or self._tenant, above)
            span = self._recorder.settling(operation, system, receipt, origin)
        return OpenSpan(span, self._end)

    def _is_news(self, channel: str, answer: str) -> bool:
        if self._said.get((channel, answer)) is not None:
            return False
        self._said.set((channel, answer), True)  # noqa: FBT003 - a set of pairs
        return True

    def forget(self, consumer: str) -> None:
        """Give up what a consumer that is gone has seen."""
        self._windows.pop(consumer, None)

    def in_child(self) -> None:
        """Go on in a child after a fork, where another thread may have held the lock."""
        self._receiving = threading.Lock()
