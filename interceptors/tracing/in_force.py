"""Which policy holds at a time: exceptions end exactly when they say, and flags turn on what they may.

A message costs one attribute and one comparison of numbers: the policies for all times between two ends of
exceptions are compiled beforehand, and no thread has to run for one of them to end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.tracing.enhancing import POLICY_ALONE, enhanced

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.policy import Policy
    from interceptors.tracing.enhancing import Enhancing

_FOREVER = 1 << 63
_NS_PER_MS = 1_000_000


class Phase(NamedTuple):
    """A time in which no exception ends."""

    until: int
    """Milliseconds since the epoch."""
    policy: Policy
    """What holds until then."""
    labelled: bool
    """Whether labels travel now or in a later phase."""
    later: Phase | None
    """What follows; nothing does after the last one, which doesn't end."""


def phases(compile_at: Callable[[int | None], Policy], now: int) -> Phase:
    """Compile a policy for now and for all times that follow.

    Args:
        compile_at: gives the policy of a time, in milliseconds since the epoch.
        now: when to begin.

    Returns:
        The present phase.

    Raises:
        PolicyError: a combination that nothing could satisfy.
    """
    policies = [compile_at(now)]
    while policies[-1].until is not None:
        policies.append(compile_at(policies[-1].until))
    return _chained(policies)


def _chained(policies: list[Policy]) -> Phase:
    *others, last = policies
    phase = Phase(_FOREVER, last, last.labelled, None)
    for policy in reversed(others):
        until = _FOREVER if policy.until is None else policy.until
        phase = Phase(until, policy, policy.labelled or phase.labelled, phase)
    return phase


class InForce:
    """The policy that is in force. Read by any thread, and changed by one.

    Attributes:
        verbose: whether spans say more, as a flag may have it.
    """

    __slots__ = ("_clock", "_compiled", "_enhancing", "_over", "_phase", "verbose")

    def __init__(self, phase: Phase, clock: Callable[[], int]) -> None:
        """Begin with a policy.

        Args:
            phase: what holds now, and later.
            clock: nanoseconds since the epoch.
        """
        self._clock = clock
        self._over = 0
        self.take_up(phase, POLICY_ALONE)

    @classmethod
    def always(cls, policy: Policy, clock: Callable[[], int]) -> InForce:
        """Give a policy that is compiled for one time to all times."""
        return cls(Phase(_FOREVER, policy, policy.labelled, None), clock)

    def at(self, now: int) -> Policy:
        """Give the policy that holds at a time (milliseconds since the epoch)."""
        phase = self._phase
        return phase.policy if now < phase.until else _after(phase, now).policy

    @property
    def policy(self) -> Policy:
        """The policy that holds now."""
        return self.at(self._clock() // _NS_PER_MS)

    @property
    def labelled(self) -> bool:
        """Whether any channel lets labels travel, now or once an exception has ended."""
        return self._phase.labelled

    def take_up(self, phase: Phase, enhancing: Enhancing) -> None:
        """Let another policy hold, from the next message on.

        Args:
            phase: what holds now, and later.
            enhancing: what flags turn on of it.
        """
        self._compiled = _after(phase, self._over)
        self._enhancing = enhancing
        policies = []
        rest: Phase | None = self._compiled
        while rest is not None:
            policies.append(enhanced(rest.policy, enhancing))
            rest = rest.later
        # One assignment: whoever reads meanwhile has the old policy or the new one.
        self._phase = _chained(policies)
        self.verbose = enhancing.verbose

    def enhance(self, enhancing: Enhancing) -> None:
        """Let flags turn other things on."""
        if enhancing != self._enhancing:
            self.take_up(self._compiled, enhancing)

    def settle(self, now: int) -> None:
        """Leave what is over behind, so that a clock that is set back brings none of it back.

        Args:
            now: milliseconds since the epoch. A policy that is taken up later begins no earlier.
        """
        self._over = max(self._over, now)
        self._compiled = _after(self._compiled, now)
        self._phase = _after(self._phase, now)


def _after(phase: Phase, now: int) -> Phase:
    """Give the phase of a time, when that is no earlier than the given one."""
    while now >= phase.until and phase.later is not None:
        phase = phase.later
    return phase
