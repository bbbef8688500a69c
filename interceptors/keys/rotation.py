"""Rotation by schedule: what a job that runs now and then does to the keys of every tenant that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError, InterceptorError
from interceptors.keys.key_file import hold_to
from interceptors.keys.root_file import Schedule
from interceptors.keys.schedule import Step, noted, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from interceptors.keys.root_store import RootStore

    class Epochs(Protocol):
        """What moves an epoch through its life: `KeyAdministration`."""

        def rotate(self, tenant: str, /) -> int:
            """Add an epoch."""
            ...

        def promote(self, tenant: str, /) -> int:
            """Let it seal."""
            ...

        def destroy(self, tenant: str, epoch: int, /) -> None:
            """End one."""
            ...


class Rotation:
    """The schedules of one administration."""

    def __init__(self, store: RootStore, epochs: Epochs) -> None:
        """Work on the administration's file.

        Args:
            store: the file.
            epochs: does the steps.
        """
        self._store = store
        self._epochs = epochs

    def schedule(self, tenant: str, *, every: int, overlap: int, retire: int) -> None:
        """Have the keys of a tenant rotated by `tick`.

        Args:
            tenant: the tenant.
            every: how long an epoch seals, in seconds.
            overlap: how long the next one is in all key files before it seals, in seconds: longer than the
                files take to the services.
            retire: how long an epoch opens when it has ceased to seal, in seconds: longer than any message is
                retained, dead letters included. After that it is destroyed.

        Raises:
            AuditError: it can't be recorded, so it is not done.
            ConfigurationError: the tenant has no root, or the times don't hold.
        """
        store = self._store
        with store.locked():
            store.need(tenant)
            times = {"every": every, "overlap": overlap, "retire": retire}
            new = hold_to(Schedule, {"tenant": tenant} | times, f"{store.path}: schedule", "give other times")
            with store.act("keys.schedule", tenant=tenant, **times):
                store.save(schedules=(*(s for s in store.file.schedules if s.tenant != tenant), new))

    def unschedule(self, tenant: str) -> None:
        """Rotate the keys of a tenant by hand from now on.

        Raises:
            AuditError: it can't be recorded, so it is not done.
            ConfigurationError: the tenant has no schedule.
        """
        store = self._store
        with store.locked():
            others = tuple(s for s in store.file.schedules if s.tenant != tenant)
            if others == store.file.schedules:
                msg = f"{store.path}: the tenant {tenant!r} has no schedule"
                raise ConfigurationError(msg)
            with store.act("keys.unschedule", tenant=tenant):
                store.save(schedules=others)

    def due(self) -> list[Step]:
        """List what is to be done next, the earliest first; what is overdue included."""
        file = self._store.file
        return sorted(
            step for schedule in file.schedules for step in steps(schedule, file.epochs(schedule.tenant))
        )

    def tick(self, done: Callable[[Step], object]) -> None:
        """Do what is due, and make up for key files that could not be written before.

        It may be called as often or as seldom as one likes: what was missed is made up for, and the times
        between the steps are kept.

        Args:
            done: called with each step once it is done.

        Raises:
            ConfigurationError: some of it could not be done, or not be recorded; all the rest is done.
        """
        failed: list[str] = []
        with self._store.locked():
            try:
                self._store.make_up()
            except InterceptorError as error:
                failed.append(str(error))
            for schedule in self._store.file.schedules:
                try:
                    self._catch_up(schedule, done)
                except InterceptorError as error:  # no reason to leave the other tenants behind
                    failed.append(str(error))
        if failed:
            msg = "; ".join(failed)
            raise ConfigurationError(msg)

    def _catch_up(self, schedule: Schedule, done: Callable[[Step], object]) -> None:
        store, tenant = self._store, schedule.tenant
        epochs = store.need(tenant)
        if noted(epochs, store.now()) != epochs:
            with store.act("keys.write", services=sorted(store.files([tenant]))):
                store.settle(tenant)
        while (step := steps(schedule, store.file.epochs(tenant))[0:1]) and step[0].at <= store.now():
            self._do(step[0])
            done(step[0])

    def _do(self, step: Step) -> None:
        match step.action:
            case "rotate":
                self._epochs.rotate(step.tenant)
            case "promote":
                self._epochs.promote(step.tenant)
            case _:
                self._epochs.destroy(step.tenant, step.epoch)
