"""The one object that a program passes around."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from interceptors.context import Scope, current_tenant
from interceptors.envelope import check_sender_name, kid_of
from interceptors.keys import Keyring
from interceptors.spans import Origin, Outboxes, Recorder
from interceptors.spans.outbox import weakly
from interceptors.tracing.building import parts_for_development, parts_of_file
from interceptors.tracing.configuration import named
from interceptors.tracing.export import Export, sinks_of
from interceptors.tracing.flags import Flags
from interceptors.tracing.governing import Governing
from interceptors.tracing.hooks import Labelling
from interceptors.tracing.looking import Looking
from interceptors.tracing.metrics import metrics_of
from interceptors.tracing.receiver import Receiver
from interceptors.tracing.sealing import Sealing
from interceptors.tracing.sender import Sender
from interceptors.tracing.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from openfeature.client import OpenFeatureClient
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from interceptors.context import TraceContext
    from interceptors.envelope import Sealer
    from interceptors.keys import KeyProvider, MemoryKeys
    from interceptors.message import Message
    from interceptors.pipeline import Outgoing, Receipt
    from interceptors.policy import Policy
    from interceptors.spans import Operation, SpanSink
    from interceptors.tracing.hooks import Hook
    from interceptors.tracing.options import Options
    from interceptors.tracing.scopes import OpenSpan, Processing, Sending

_NS_PER_MS = 1_000_000


class Tracing:
    """Sealed tracing for one service: give it to the adapters of the buses that the service uses.

    It is safe between threads and tasks, and in a child after a fork. It is a context manager, and closes
    itself at exit.

    Attributes:
        service: the service's name.
        in_force: which policy holds, whatever the time; `policy` is the one that holds now.
        audit: the audit log that the configuration names, if it names one.
        counts: how often something went otherwise than it should: labels left out, messages that went
            without an envelope (by reason), verdicts other than fresh, messages rejected, deserializers
            and hooks that failed, what was scrubbed off the SDK's spans, policies that were refused.
    """

    def __init__(
        self,
        *,
        service: str,
        tenant: str,
        policy: Policy | Governing,
        keys: KeyProvider,
        environment: str = "development",
        export: Export | None = None,
        clock: Callable[[], int] = time.time_ns,
        sink: SpanSink | None = None,
        on_send: Hook | None = None,
        on_receive: Hook | None = None,
        meter_provider: MeterProvider | None = None,
        flags: OpenFeatureClient | None = None,
    ) -> None:
        """Wire the parts. Most programs use `from_file` or `for_development`.

        Args:
            service: the service's name.
            tenant: whose messages these are where nothing else says so.
            policy: the compiled policy, which then holds at all times, or what keeps one up to date.
            keys: where the service's keys come from.
            environment: the deployment environment.
            export: where spans go; nowhere, and none are recorded, where neither it nor a `sink` says.
            clock: nanoseconds since the epoch.
            sink: this, and what follows, as `Options` says.
            on_send: as there.
            on_receive: as there.
            meter_provider: as there.
            flags: as there.

        Raises:
            ConfigurationError: the service's or the tenant's name is empty, or the service's looks like a
                SPIFFE ID and is none.
            KeyProviderError: the keys can't be had.
        """
        self.service = check_sender_name(named("service", service))
        governing = policy if isinstance(policy, Governing) else Governing.of_policy(policy, clock)
        self._governing = governing
        self.in_force = governing.in_force
        self.audit = governing.audit
        self.counts: Counter[str] = Counter()
        self._tenant = named("tenant", tenant)
        self._clock = clock
        self._keyring = Keyring(keys)
        tally = Tally(self.policy.names)
        asking = None
        if flags is not None:
            asking = Flags(flags, service=service, environment=environment, tenant=tenant)
        governing.begin(self.counts, tally, asking)
        sealing = Sealing(self._keyring, self.counts, tally)
        if sink is None:
            seal = partial(sealing.seal_batch, tenant=tenant, clock=clock)
            sinks = sinks_of(export or Export(), service=service, environment=environment, seal=seal)
        else:
            sinks = [sink]
        meter = metrics_of(self, meter_provider, tally, self._keyring.sealing_keys, clock)
        self._looking = Looking(self._keyring, governing, clock)
        self._outboxes = Outboxes(sinks, meter=meter, chore=self._looking.keep)
        self._recorder = Recorder(service, self._outboxes.exporting, clock, meter=self._outboxes.meter)
        labelling = Labelling(on_receive, self.counts, self._keyring.held_sealer)
        self._receiver = Receiver(
            self.in_force, self._keyring, labelling, self._recorder, self.counts, tally, tenant=tenant
        )
        labelling = Labelling(on_send, self.counts, partial(_sealer, self._keyring, clock))
        self._sender = Sender(self.in_force, sealing, self._recorder, labelling, clock, tenant=tenant)
        os.register_at_fork(after_in_child=weakly(self._in_child))
        atexit.register(weakly(self.close))

    @classmethod
    def from_file(cls, path: Path | str = "interceptors.yaml", **options: Unpack[Options]) -> Self:
        """Make the tracing of a service from its configuration file.

        Args:
            path: the configuration.
            options: as `Options` says.

        Returns:
            The tracing.

        Raises:
            ConfigurationError: a file is missing or does not hold; the text names file, place and remedy.
        """
        parts = parts_of_file(Path(path), options.get("meter_provider"))
        return cls(**parts._asdict(), **options)

    @classmethod
    def for_development(
        cls,
        service: str,
        *,
        tenant: str = "development",
        environment: str = "development",
        keys: MemoryKeys | Path | str | None = None,
        policy: Mapping[str, object] | Path | str | None = None,
        export: Mapping[str, object] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Make a tracing that needs no files: keys in memory, gone with the process.

        Args:
            service: the service's name.
            tenant: whose messages these are; any name.
            environment: the deployment environment.
            keys: the keys of another tracing in this process (`MemoryKeys.beside`), or a key file.
            policy: a policy as a mapping, or its file; without one every topic is traced.
            export: where spans go, as in `interceptors.yaml`.
            options: as `Options` says.

        Returns:
            The tracing.

        Raises:
            ConfigurationError: the environment is production, here or in `INTERCEPTORS_ENVIRONMENT`; or an
                argument does not hold.
        """
        parts = parts_for_development(service, tenant, environment, keys, policy, export)
        return cls(**parts._asdict(), **options)

    @contextlib.contextmanager
    def tenant(self, name: str) -> Iterator[None]:
        """Say whose messages are sent by the code below.

        A handler starts with the tenant of its message's sender; this is for where messages begin, and for
        crossing from one tenant to another on purpose.

        Args:
            name: the tenant.

        Raises:
            ConfigurationError: the name is empty or no text.
        """
        scope = Scope(named("tenant", name))
        try:
            yield
        finally:
            scope.leave()

    def flush(self, timeout: float = 5.0) -> bool:
        """Hand the spans that have ended to the sink.

        Args:
            timeout: seconds to wait for an export that is under way.

        Returns:
            Whether all were handed over.
        """
        return self._outboxes.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Flush, record nothing more, and take no more changes of the keys up.

        Messages still pass, sealed and verified with the keys that were held.
        """
        self._looking.end()
        self._outboxes.close(timeout)

    @property
    def spans_dropped(self) -> int:
        """How many spans were lost: the outbox was full or closed, or the sink failed."""
        return self._outboxes.dropped

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"Tracing(service={self.service!r})"

    def sealing_key_wanted(self, tenant: str | None = None) -> Callable[[], object] | None:
        """Give what to call, off the event loop, before `send`, for a tenant or the current one; or None."""
        whose = tenant or current_tenant() or self._tenant
        now = self._clock()
        overdue, now = self._looking.is_overdue(now), now // _NS_PER_MS
        if not (overdue or self._keyring.wants_sealer(whose, now)):  # nearly always
            return None
        fetch = partial(self._keyring.sealer, whose, now)
        return partial(self._looking.look, fetch) if overdue else fetch

    def opening_keys_wanted(self, envelopes: Iterable[object]) -> Callable[[], object] | None:
        """Give what to call, off the event loop, before `receive`; None where nothing has to be looked for.

        Args:
            envelopes: the values of the envelope headers of what was received.
        """
        now, held = self._clock(), self._keyring.keys.held
        overdue = self._looking.is_overdue(now)
        kids = {kid for value in envelopes if (kid := kid_of(value)) is not None and kid not in held}
        if not (overdue or kids):  # nearly always
            return None
        fetch = partial(self._keyring.fetch_wanted, kids, now // _NS_PER_MS)
        if overdue:
            return partial(self._looking.look, fetch)
        return fetch if any(self._keyring.wants(kid, now // _NS_PER_MS) for kid in kids) else None

    def origin(self) -> Origin:
        """Give what a message that begins here belongs to: the current tenant and the current span."""
        return self._sender.origin()

    def send(self, message: Message, *, attempt: TraceContext | None = None) -> Sending:
        """Seal the trace of a message that is about to be sent, and open its span.

        Args:
            message: the message.
            attempt: where the message is a retry: what the attempt that failed went on from
                (`Processing.attempt`), so that this one becomes its sibling.

        Returns:
            What to send, the envelope to attach, and the open span.

        Raises:
            LeakError: the policy blocks the message. Its span has ended with that.
        """
        self._outboxes.keeper.start()
        return self._sender.send(message, attempt)

    def carry(self, message: Message, context: Context) -> bytes | None:
        """Seal the context of the current span, for whom records its spans elsewhere.

        Args:
            message: what carries it.
            context: OpenTelemetry's.

        Returns:
            The envelope; None where no span is current, or the policy or the keys allow none.
        """
        self._outboxes.keeper.start()
        return self._sender.carry(message, context)

    def send_batch(self, messages: Sequence[tuple[Message, Origin]]) -> tuple[list[Outgoing], list[OpenSpan]]:
        """Seal the traces of messages that are about to be sent as one.

        Args:
            messages: each with its origin.

        Returns:
            What goes of each message, and the open sendings: one for each tenant and parent among the
            origins, so that no tenant's context is in another's span.

        Raises:
            LeakError: the policy blocks one of the messages, so none is to be sent. The spans have ended.
        """
        self._outboxes.keeper.start()
        return self._sender.send_batch(messages)

    def receive(self, message: Message, *, consumer: str) -> Receipt:
        """Verify what came with a message.

        Args:
            message: the message.
            consumer: which consumers share one memory of what was seen: the consumer group's name, say.

        Returns:
            The verdict and what follows from it; nothing is raised, whatever the message holds.
        """
        self._outboxes.keeper.start()
        return self._receiver.receive(message, consumer=consumer, now=self._clock() // _NS_PER_MS)

    def forget(self, consumer: str) -> None:
        """Give up what a consumer that is gone has seen."""
        self._receiver.forget(consumer)

    def received(self, system: str, receipts: Sequence[Receipt], *, started: int, group: str | None) -> None:
        """Record that a batch was received.

        Args:
            system: the bus.
            receipts: what was received, in order.
            started: when the receiving began, in nanoseconds since the epoch.
            group: the consumer group.
        """
        self._recorder.received(system, receipts, self._tenant, started=started, group=group)

    def process(self, system: str, receipt: Receipt, *, group: str | None = None) -> Processing:
        """Open the processing of a message; entering it makes its span and tenant current.

        Args:
            system: the bus.
            receipt: what `receive` gave.
            group: the consumer group.

        Returns:
            The scope.
        """
        return self._receiver.process(system, receipt, group)

    def settle(
        self, operation: Operation, system: str, receipt: Receipt, processing: Processing | None
    ) -> OpenSpan:
        """Open the span of a message that is being settled: acknowledged or turned away.

        Args:
            operation: how.
            system: the bus.
            receipt: what `receive` gave.
            processing: of the message, where it has one: its span is the parent.

        Returns:
            The open span.
        """
        return self._receiver.settle(operation, system, receipt, processing)

    @property
    def policy(self) -> Policy:
        """The compiled policy that holds now."""
        return self.in_force.policy

    def now(self) -> int:
        """Give the time, in nanoseconds since the epoch, by the clock that spans are timed with."""
        return self._clock()

    def _in_child(self) -> None:
        self._receiver.in_child()
        self._keyring.after_fork()
        self._governing.in_child()
        self._looking.in_child()


def _sealer(keyring: Keyring, clock: Callable[[], int], tenant: str) -> Sealer | None:
    return keyring.sealer(tenant, clock() // _NS_PER_MS)
