"""When a tenant's keys are to be rotated: what is due, given the roots and the time.

It decides and does nothing. Rules it keeps:

* the next epoch is promoted no earlier than `overlap` after it was written into every key file, however late
  that was;
* an epoch is destroyed no earlier than `retire` after it had ceased to seal in every key file;
* the epoch that seals is never destroyed, nor the one that is to seal next;
* what is not known to have happened has not: an epoch of unknown age is due for rotation, one that was
  retired at an unknown time waits from now on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.keys.root_file import RootEntry, Schedule


class Step(NamedTuple):
    """Something to do to a tenant's keys."""

    at: int
    """When it is due, in seconds since the epoch."""
    tenant: str
    action: Literal["rotate", "promote", "destroy"]
    epoch: int
    """The epoch that it makes, lets seal, or ends."""


def steps(schedule: Schedule, epochs: Sequence[RootEntry]) -> list[Step]:
    """Give what is to be done next.

    Args:
        schedule: the tenant's.
        epochs: its roots, the newest one last.

    Returns:
        The steps, the earliest one first. What follows from one of them comes once it is done.
    """
    newest = epochs[-1]
    found: list[Step] = []
    if newest.use == "seal":
        since = newest.sealing or newest.created or 0
        at = since + schedule.every - schedule.overlap
        found.append(Step(at, schedule.tenant, "rotate", newest.epoch + 1))
    elif newest.written is not None:
        found.append(Step(newest.written + schedule.overlap, schedule.tenant, "promote", newest.epoch))
    found += [
        Step(root.retired + schedule.retire, schedule.tenant, "destroy", root.epoch)
        for root in epochs[:-1]
        if root.use != "seal" and root.retired is not None
    ]
    return sorted(found)


def noted(epochs: Sequence[RootEntry], now: int) -> list[RootEntry]:
    """Note that every key file holds a tenant's epochs as they are.

    Args:
        epochs: the tenant's roots.
        now: seconds since the epoch.

    Returns:
        The roots, with the time at those that wait to be promoted, or seal no more, since now.
    """
    sealing = next((root.epoch for root in epochs if root.use == "seal"), 0)

    def note(root: RootEntry) -> RootEntry:
        if root.epoch > sealing and root.written is None:
            return root.model_copy(update={"written": now})
        if root.epoch < sealing and root.retired is None:
            return root.model_copy(update={"retired": now})
        return root

    return [note(root) for root in epochs]
