"""The verdict windows: has this envelope been seen, and where.

What belongs here: what one receiver remembers of the envelopes it opened, bounded, and the verdict that
follows. What does not: opening (`envelope`), the rules of a channel (`policy`), clocks.

Rules it keeps:

* an id is judged the same at the same coordinate, however often it comes: a replay that is redelivered is
  a replay again;
* memory is bounded by a number of ids; what has been forgotten is judged as if it were new, and the age of
  an envelope alone then tells (`stale`);
* it has no lock: whoever shares one between threads holds one around `judge`;
* it sees what this process has received, and no more.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap

if TYPE_CHECKING:
    from interceptors.message import Coordinate

FUTURE_MS = 60_000
"""How far ahead of the receiver's clock a sender's may be."""

REMEMBERED = 1 << 17
"""How many ids a window holds at the most; at least the last half of them."""


class Verdict(StrEnum):
    """What a receiver makes of a message's envelope (specification, "Verdicts of a receiver")."""

    FRESH = "fresh"
    REDELIVERY = "redelivery"
    DUPLICATE = "duplicate"
    REPLAY = "replay"
    STALE = "stale"
    FUTURE = "future"
    MISSING = "missing"
    INVALID = "invalid"

    @property
    def continues(self) -> bool:
        """Whether the sender's trace goes on in the receiver; else a new one starts."""
        return self in _CONTINUING


_CONTINUING = (Verdict.FRESH, Verdict.REDELIVERY, Verdict.DUPLICATE)


class ReplayWindow:
    """Remembers the envelopes that one group of consumers has opened in this process."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        """Start empty.

        Args:
            capacity: the most ids to remember.
        """
        # When and where an id was seen first, and what it was refused for; nothing but numbers and text
        # where it was not, so that the garbage collector need not look at each of them.
        self._first: BoundedMap[bytes, tuple[int, Coordinate, Verdict | None]] = BoundedMap(capacity)
        self._elsewhere: BoundedMap[tuple[bytes, Coordinate], tuple[Verdict]] = BoundedMap(capacity)

    def judge(
        self,
        envelope_id: bytes,
        coordinate: Coordinate,
        *,
        issued_at: int,
        now: int,
        max_age_ms: int,
        retry_window_ms: int,
        redelivered: bool | None = None,
    ) -> Verdict:
        """Judge an authentic envelope, and remember it.

        Args:
            envelope_id: `kid ‖ nonce`.
            coordinate: where the message lies.
            issued_at: when the sender sealed it, in milliseconds since the epoch.
            now: the receiver's time, likewise.
            max_age_ms: the channel's.
            retry_window_ms: the channel's.
            redelivered: whether the broker says that it has delivered the message before. None where a
                coordinate is the place of one message and no other, so that it tells by itself.

        Returns:
            Any verdict but missing and invalid.
        """
        refused = None
        if now - issued_at > max_age_ms:
            refused = Verdict.STALE
        elif issued_at - now > FUTURE_MS:
            refused = Verdict.FUTURE
        sighting = (now, coordinate, refused)
        first = self._first.setdefault(envelope_id, sighting)
        if first is sighting:
            return refused or Verdict.FRESH
        seen_at, seen_where, refused = first
        place = (envelope_id, coordinate)
        if coordinate == seen_where and redelivered is not False:
            # Where the broker says that it delivers again, it may be the first message or a copy of it that
            # came to lie there as well: then it is held to be the worse one.
            copied = redelivered and self._elsewhere.get(place) == (Verdict.REPLAY,)
            return refused or (Verdict.REPLAY if copied else Verdict.REDELIVERY)
        verdict = refused or (Verdict.DUPLICATE if now - seen_at <= retry_window_ms else Verdict.REPLAY)
        again = (verdict,)
        if redelivered is False:  # another message with the same envelope, wherever it lies
            self._elsewhere.set(place, again)
            return verdict
        before = self._elsewhere.setdefault(place, again)
        if before is again:
            return verdict
        return Verdict.REDELIVERY if before[0] is Verdict.DUPLICATE else before[0]
