"""Receiving: what came with a message, judged."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.envelope import Opener
from interceptors.pipeline import on_receive, on_received
from interceptors.replay import ReplayWindow, Verdict
from interceptors.tracing.findings import Findings

if TYPE_CHECKING:
    from collections import Counter

    from interceptors.keys import Keyring
    from interceptors.message import Message
    from interceptors.pipeline import Receipt
    from interceptors.policy import Policy

logger = logging.getLogger("interceptors")

_SAID = 256


class Receiver:
    """What one service remembers of what it has received, for all of its consumers."""

    def __init__(self, policy: Policy, keyring: Keyring, counts: Counter[str]) -> None:
        """Take the parts.

        Args:
            policy: the rules.
            keyring: the keys.
            counts: where verdicts and refusals are counted.
        """
        self._policy = policy
        self._keyring = keyring
        self._counts = counts
        self._findings = Findings(counts)
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
                policy=self._policy,
                keys=self._keyring.keys,
                opener=self._opener,
                window=self._windows.get(consumer) or self._windows.setdefault(consumer, ReplayWindow()),
                now=now,
            )
            verdict = receipt.verdict
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
        return receipt

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
