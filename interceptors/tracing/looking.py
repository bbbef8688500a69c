"""Looking for changed keys and a changed policy: once a second, and before a message where that is overdue.

A service that has been idle since its start, or since it was forked, has nobody who looks. Its next messages
wait for a look, so that none is sealed or opened under a key that was revoked meanwhile, or under a policy
that was replaced. A service in use looks in the background, and its messages wait for nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from interceptors.tracing.aside import Aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.keys import Keyring
    from interceptors.tracing.governing import Governing

OVERDUE_NS = 3_000_000_000
"""How long ago the last look may have ended, in nanoseconds. Three rounds of the background thread, which
looks once a second: where it runs, and be it late, no message has to look."""
PATIENCE_S = 2.0
"""For how many seconds from its beginning a look is waited for. The background thread begins one a second
after the last has ended. So by the time that one which hangs is overdue, the patience is at its end, too, and
messages of a service in use don't wait."""
ON_LOOP_S = 0.05
"""The same in a thread that runs an event loop, which a synchronous caller holds up."""


class Looking:
    """Looks at keys and policy, each in a thread of its own, and never twice at a time.

    Attributes:
        looked: when the last look ended, or was given up; nanoseconds since the epoch.
    """

    def __init__(self, keyring: Keyring, governing: Governing, clock: Callable[[], int]) -> None:
        """Take what is looked at. It counts as looked at now.

        Args:
            keyring: the keys.
            governing: what keeps the policy up to date.
            clock: nanoseconds since the epoch.
        """
        self.looked = clock()
        self._keys = _Look(lambda: keyring.refresh(), "interceptors-keys", clock, self._note)  # noqa: PLW0108 - as it is then
        self._policy = _Look(governing.look, "interceptors-policy", clock, self._note)
        self._parts = self._keys, self._policy
        self._clock = clock
        self._beginning = threading.Lock()
        self._ended = False

    def is_overdue(self, now: int) -> bool:
        """Tell whether a message has to wait for `look`: the last one is too long ago. After `end`, none has.

        Args:
            now: nanoseconds since the epoch; earlier than the last look where the clock was set back.
        """
        return not (0 <= now - self.looked < OVERDUE_NS or self._ended)

    def keep(self) -> None:
        """Look, as the background thread does once a second.

        It waits for the keys for `PATIENCE_S` at the most, and for the policy not at all. Where no thread is
        to be had, it looks itself, and does wait.
        """
        if self._ended:
            return
        for part in self._parts:
            with self._beginning:
                if part.begin():
                    continue
                part.claim()
            part.do()
        self._keys.wait(PATIENCE_S)

    def look(self, then: Callable[[], object]) -> None:
        """Look where it is overdue, and then do something. May block; not meant for an event loop.

        However many messages ask, one look is made, and all wait for it. One that hangs is waited for until
        `PATIENCE_S` after its beginning, by none of them longer, and then no more before it is overdue again.

        Args:
            then: what is to be done, whatever came of the look.
        """
        patience = ON_LOOP_S if _on_loop() else PATIENCE_S
        for part in self._begun(patience):
            part.wait(patience)
            part.give_up()
        then()

    def end(self) -> None:
        """Look no more."""
        self._ended = True

    def in_child(self) -> None:
        """Go on in a child after a fork, where another thread may have held the lock."""
        self._beginning = threading.Lock()

    def _begun(self, patience: float) -> list[_Look]:
        """Begin what is overdue, and give what to wait for; another message may have looked meanwhile."""
        # What a look itself sends, as over HTTP with the propagator `sealed`, would wait for its own end.
        if self._ended or any(part.here for part in self._parts):
            return []
        beginning = self._beginning
        # This thread may hold it itself: a signal handler may send a message, and what is garbage collected.
        if not beginning.acquire(timeout=patience):
            return []
        try:
            now = self._clock()
            overdue = [part for part in self._parts if not 0 <= now - part.looked < OVERDUE_NS]
            for part in overdue:
                if not part.begin():
                    part.over()  # no thread is to be had, and none will be for the next message
        finally:
            beginning.release()
        return overdue

    def _note(self) -> None:
        self.looked = min(self._keys.looked, self._policy.looked)


class _Look:
    """One of the things that are looked at."""

    def __init__(
        self, work: Callable[[], None], name: str, clock: Callable[[], int], note: Callable[[], None]
    ) -> None:
        self.looked = clock()
        self._work = work
        self._clock = clock
        self._note = note
        self._aside = Aside(self._look, name)
        self._since = time.monotonic()

    @property
    def here(self) -> bool:
        """Whether it is this thread that looks."""
        return self._aside.here

    def begin(self) -> bool:
        """Look, in a thread of its own, where that is not under way.

        Returns:
            Whether it is under way now: no thread may be to be had.
        """
        if self._aside.busy:
            return True
        self._since = time.monotonic()
        return self._aside.start()

    def wait(self, patience: float) -> None:
        """Wait until it is over, for so many seconds from its beginning at the most."""
        self._aside.wait(self._since + patience - time.monotonic())

    def give_up(self) -> None:
        """Let a look that hangs count as made, until the next one is due."""
        if self._aside.busy and time.monotonic() - self._since >= PATIENCE_S:
            self.over()

    def claim(self) -> None:
        """Count as under way in this thread, which then calls `do`."""
        self._aside.claim()

    def do(self) -> None:
        """Look in this thread."""
        self._aside.do()

    def over(self) -> None:
        """Count as looked at now."""
        self.looked = self._clock()
        self._note()

    def _look(self) -> None:
        try:
            self._work()
        finally:  # one that fails would fail for the next message, too
            self.over()


def _on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
