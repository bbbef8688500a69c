"""The outboxes of one service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from interceptors.spans.outbox import Outbox
from interceptors.spans.sinks import MemorySink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.spans.sinks import SpanSink


class Outboxes:
    """An outbox for each sink, so that none of them waits for another.

    Attributes:
        exporting: those whose sinks take the spans that are sampled.
        meter: that whose sink measures all spans; None where nothing is measured.
    """

    def __init__(
        self, sinks: Sequence[SpanSink], *, meter: SpanSink | None, chore: Callable[[], None]
    ) -> None:
        """Take the sinks.

        Args:
            sinks: where spans go that are sampled.
            meter: what measures all spans, and never has to be waited for.
            chore: something else to do, once an interval.
        """
        self.meter = None if meter is None else Outbox(meter, chore=chore)
        self.exporting = tuple(Outbox(sink) for sink in sinks)
        self.keeper = self.meter or Outbox(MemorySink(), chore=chore)
        """The one that does the chore, and so has no sink that could keep it waiting."""
        self._all = (self.keeper, *self.exporting)

    @property
    def dropped(self) -> int:
        """How many spans were lost on the way to a sink, of all sinks together."""
        return sum(outbox.dropped for outbox in self.exporting)

    def flush(self, timeout: float) -> bool:
        """Have all that waits exported; see `Outbox.flush`."""
        deadline = time.monotonic() + timeout
        for outbox in self._all:  # all at once, as below
            outbox.hurry()
        flushed = [outbox.flush(max(deadline - time.monotonic(), 0)) for outbox in self._all]
        return all(flushed)

    def close(self, timeout: float) -> bool:
        """Export what waits, and take nothing more; see `Outbox.close`."""
        deadline = time.monotonic() + timeout
        for outbox in self._all:  # all at once, so that none has less time for another's sake
            outbox.end()
        closed = [outbox.close(max(deadline - time.monotonic(), 0)) for outbox in self._all]
        return all(closed)
