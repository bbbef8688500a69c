"""Keeps the policy that is in force up to date: a new one, exceptions that end, and flags.

Rules it keeps:

* what is not trusted, or doesn't hold, is not taken up: the last good policy stays, and that is an alarm;
* a change is on the audit log before it is taken up, and is not taken up where it can't be;
* nothing here runs on the path of a message, though one may wait for a look (`looking`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING

from interceptors.errors import AuditError, ConfigurationError, PolicyError, TrustError
from interceptors.policy.governance_document import written
from interceptors.tracing.enhancing import POLICY_ALONE, Enhancing, enhancing_of
from interceptors.tracing.in_force import InForce
from interceptors.tracing.policy_file import compiled
from interceptors.tracing.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.audit import AuditLog
    from interceptors.policy import Policy, PolicyDocument
    from interceptors.policy.governance_document import ExceptionEntry
    from interceptors.tracing.flags import Flags
    from interceptors.tracing.in_force import Phase
    from interceptors.tracing.policy_file import PolicyFile, PolicyRead

logger = logging.getLogger("interceptors")

REFUSED = "policies refused"
_NS_PER_MS = 1_000_000


class Governing:
    """Decides which policy is in force.

    Attributes:
        in_force: that policy.
        audit: the audit log, if there is one.
    """

    def __init__(
        self,
        in_force: InForce,
        clock: Callable[[], int],
        *,
        read: PolicyRead | None = None,
        file: PolicyFile | None = None,
        environment: str = "",
        audit: AuditLog | None = None,
    ) -> None:
        """Take the parts; `of_policy`, `of_document` and `of_file` make them.

        Args:
            in_force: what is in force.
            clock: nanoseconds since the epoch.
            read: what it was made from, where that is known.
            file: the file that is looked at for another policy.
            environment: the deployment environment.
            audit: the audit log.
        """
        self.in_force = in_force
        self.audit = audit
        self._clock = clock
        self._read = read
        self._file = file
        self._environment = environment
        self._flags: Flags | None = None
        self._held: list[ExceptionEntry] = []
        self._said: tuple[str, str] | None = None
        self._recorded = ""
        self._counts: Counter[str] = Counter()
        self._tally = Tally()
        self._note_exceptions()
        self._enhance()

    @classmethod
    def of_policy(cls, policy: Policy, clock: Callable[[], int]) -> Governing:
        """Govern by a policy that is compiled already, and so holds at all times."""
        return cls(InForce.always(policy, clock), clock)

    @classmethod
    def of_document(
        cls, document: PolicyDocument, source: str, environment: str, clock: Callable[[], int]
    ) -> Governing:
        """Govern by a document that doesn't change.

        Args:
            document: the policy.
            source: what to call it in errors.
            environment: the deployment environment.
            clock: nanoseconds since the epoch.

        Raises:
            PolicyError: the document does not hold.
        """
        now = clock() // _NS_PER_MS
        read = compiled(document, source, environment, now, digest="")
        return cls(InForce(read.phase, clock), clock, read=read, environment=environment)

    @classmethod
    def of_file(
        cls, file: PolicyFile, environment: str, clock: Callable[[], int], audit: AuditLog | None = None
    ) -> Governing:
        """Govern by a file that is looked at again and again.

        Args:
            file: the policy's.
            environment: the deployment environment.
            clock: nanoseconds since the epoch.
            audit: the audit log.

        Raises:
            ConfigurationError: the policy is not trusted or does not hold, or its taking up can't be put on
                record.
        """
        now = clock() // _NS_PER_MS
        file.changed()
        read = file.read(now)
        try:
            _record(audit, read, environment, now)
        except AuditError as error:
            raise ConfigurationError(f"{file.path}: {error}") from None
        file.take_up(read)
        return cls(
            InForce(read.phase, clock), clock, read=read, file=file, environment=environment, audit=audit
        )

    def begin(self, counts: Counter[str], tally: Tally, flags: Flags | None) -> None:
        """Take what there is only once a tracing is made.

        Args:
            counts: of the tracing.
            tally: likewise, for the metrics.
            flags: the feature flags.
        """
        self._counts = counts
        self._tally = tally
        self._flags = flags
        self._tell(self._read)
        self._look_at_flags()

    def look(self) -> None:
        """Take up what has changed. May block; meant for a thread apart."""
        now = self._clock() // _NS_PER_MS
        self.in_force.settle(now)
        self._note_ends(now)
        if self._file is not None:
            self._reload(self._file, now)
        self._look_at_flags()

    def in_child(self) -> None:
        """Go on in a child after a fork, which may have come in the midst of a change."""
        if self._file is not None:
            self._file.look_again()

    def _reload(self, file: PolicyFile, now: int) -> None:
        try:
            if not file.changed():
                return
            read = file.read(now)
            if self._read is not None and read.digest == self._read.digest:
                self._said = None
                self._recorded = ""
                return
            if self._recorded != read.digest:  # once, however often it is tried
                _record(self.audit, read, self._environment, now)
                self._recorded = read.digest
            file.take_up(read)
        except (AuditError, ConfigurationError) as error:
            if not isinstance(error, PolicyError):  # it may be mended while the file stays as it is
                file.look_again()
            self._refuse(file, error)
            return
        self._said = None
        self._recorded = ""
        _warm(self.in_force.policy, read)
        self._tell(read)  # first: no message is counted under a channel that is not listed yet
        self.in_force.take_up(read.phase, self._wanted(read))
        self._read = read  # last: a child that is forked before this takes the policy up by itself
        self._note_exceptions()
        logger.info("the policy %s has changed: serial %s", file.path, read.document.serial)

    def _refuse(self, file: PolicyFile, error: Exception) -> None:
        if self._said == (file.digest, str(error)):
            return
        self._said = (file.digest, str(error))
        self._counts[REFUSED] += 1
        self._tally.policies_refused += 1
        logger.error("the policy is not taken up, and the one before stays in force: %s", error)
        if self.audit is not None:
            problem = error.problem.value if isinstance(error, TrustError) else type(error).__name__
            with contextlib.suppress(AuditError):  # that is said already, or is what went wrong
                self.audit.record("policy.refused", file=str(file.path), digest=file.digest, problem=problem)

    def _tell(self, read: PolicyRead | None) -> None:
        if read is not None:
            self._tally.policy_serial = read.document.serial
            self._tally.channels.admit(channel.name for channel in read.document.channels)

    def _note_exceptions(self) -> None:
        if self._read is not None:
            self._held = self._read.exceptions(self._environment, self._clock() // _NS_PER_MS)

    def _note_ends(self, now: int) -> None:
        ended = [entry for entry in self._held if now >= entry.expires]
        if not ended:
            return
        self._held = [entry for entry in self._held if entry not in ended]
        for entry in ended:
            logger.info("the exception %s of the policy has ended", entry.id)
            if self.audit is not None:
                try:
                    self.audit.record("policy.exception", id=entry.id, state="ended")
                except AuditError as error:
                    logger.error("the end of an exception is not on record: %s", error)  # noqa: TRY400 - its text is all

    def _look_at_flags(self) -> None:
        if self._flags is not None:
            self._flags.look()
            self._enhance()

    def _enhance(self) -> None:
        self.in_force.enhance(self._wanted(self._read))

    def _wanted(self, read: PolicyRead | None) -> Enhancing:
        if read is None:
            return POLICY_ALONE
        values = {} if self._flags is None else self._flags.values
        return enhancing_of(values, read.document.enhancements, self._environment)


def _warm(before: Policy, read: PolicyRead) -> None:
    """Make what looks into the SDK's spans now, where spans are scrubbed, so that no export waits for it."""
    if "inspector" in vars(before.spans):
        phase: Phase | None = read.phase
        while phase is not None:
            _ = phase.policy.spans.inspector
            phase = phase.later


def _record(audit: AuditLog | None, read: PolicyRead, environment: str, now: int) -> None:
    """Put on record that a policy is about to be taken up, and which exceptions are in force with it.

    Raises:
        AuditError: that can't be.
    """
    if audit is None:
        return
    exceptions = read.exceptions(environment, now)
    audit.record(
        "policy.change",
        serial=read.document.serial or 0,
        digest=read.digest,
        signers=list(read.signers),
        exceptions=[entry.id for entry in exceptions],
    )
    for entry in exceptions:
        audit.record(
            "policy.exception",
            id=entry.id,
            state="in force",
            channels=list(entry.channels),
            approved_by=entry.approved_by,
            expires=written(entry.expires),
        )
