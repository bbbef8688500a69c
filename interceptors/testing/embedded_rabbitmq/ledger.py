"""Who owes a verdict on which message, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from interceptors.testing.embedded_rabbitmq.fault import Code, Fault

if TYPE_CHECKING:
    from interceptors.testing.embedded_rabbitmq.host import Host
    from interceptors.testing.embedded_rabbitmq.queue import Consumer, Entry, Queue


class Verdict(Enum):
    """What a client says of a message."""

    ACK = auto()
    REQUEUE = auto()
    REJECT = auto()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that a client was given: by a consumer, or because it asked for one."""

    entry: Entry
    queue: Queue
    consumer: Consumer | None


class Ledger:
    """The deliveries of one channel that are not settled."""

    def __init__(self, host: Host) -> None:
        """Start with nothing owed.

        Args:
            host: where rejected messages go on from.
        """
        self._host = host
        self._owed: dict[int, Delivery] = {}
        self._held: list[tuple[int, Delivery, Verdict]] | None = None

    def __len__(self) -> int:
        return len(self._owed)

    def owed_by(self, consumer: Consumer) -> int:
        """How many of them a consumer has."""
        return sum(delivery.consumer is consumer for delivery in self._owed.values())

    def add(self, tag: int, delivery: Delivery) -> None:
        """Note a delivery by its tag."""
        self._owed[tag] = delivery

    def judge(self, tag: int, verdict: Verdict, *, multiple: bool = False) -> None:
        """Settle one delivery, or all up to it; a tag of 0 is then all there are.

        Raises:
            Fault: no delivery with this tag is owed.
        """
        if tag not in self._owed and not (multiple and tag == 0):
            raise Fault(Code.PRECONDITION_FAILED, f"unknown delivery tag {tag}")
        tags = [owed for owed in self._owed if not tag or owed <= tag] if multiple else [tag]
        judged = [(owed, self._owed.pop(owed), verdict) for owed in tags]
        if self._held is None:
            self._settle(judged)
        else:
            self._held += judged

    def hold(self) -> None:
        """Let verdicts wait for a commit from now on."""
        self._held = []

    def commit(self) -> None:
        """Settle what waited."""
        waited, self._held = self._held or [], []
        self._settle(waited)

    def roll_back(self) -> None:
        """Forget the verdicts that waited."""
        self._owed |= {tag: delivery for tag, delivery, _ in self._held or []}
        self._held = []

    def give_back(self) -> None:
        """Requeue all that is owed: the channel ends."""
        self.roll_back()
        self._held = None
        self.judge(0, Verdict.REQUEUE, multiple=True)

    def _settle(self, judged: list[tuple[int, Delivery, Verdict]]) -> None:
        returned: dict[Queue, list[Entry]] = {}
        for _, delivery, verdict in judged:
            match verdict:
                case Verdict.REQUEUE:
                    returned.setdefault(delivery.queue, []).append(delivery.entry)
                case Verdict.REJECT:
                    self._host.dead_letter(delivery.queue, delivery.entry, "rejected")
                case Verdict.ACK:
                    pass
        for queue, entries in returned.items():
            queue.requeue(entries)
