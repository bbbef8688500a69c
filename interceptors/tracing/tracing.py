"""The one object that a program passes around."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from opentelemetry.context import get_current

from interceptors.context import Scope, child_of, current, current_tenant, retry_of
from interceptors.envelope import kid_of
from interceptors.errors import ConfigurationError
from interceptors.keys import Keyring
from interceptors.policy import Emit, Policy, check_policy
from interceptors.policy.yaml_document import validate_document
from interceptors.spans import MemorySink, Origin, Outbox, Recorder
from interceptors.spans.outbox import weakly
from interceptors.tracing.configuration import (
    PRODUCTION,
    Export,
    development_keys,
    local_keys,
    named,
    read_configuration,
    read_policy,
    sink_of,
)
from interceptors.tracing.receiver import Receiver
from interceptors.tracing.scopes import Current, OpenSpan, Processing, Sending
from interceptors.tracing.sealing import Sealing, refuse_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from interceptors.context import TraceContext
    from interceptors.keys import KeyProvider, MemoryKeys
    from interceptors.message import Message
    from interceptors.pipeline import Outgoing, Receipt
    from interceptors.spans import Operation, Span, SpanSink

_NS_PER_MS = 1_000_000


class Tracing:
    """Sealed tracing for one service: give it to the adapters of the buses that the service uses.

    It is safe between threads and tasks, and in a child after a fork. It is a context manager, and closes
    itself at exit.

    Attributes:
        service: the service's name.
        policy: the compiled policy.
        counts: how often something went otherwise than it should: labels left out, messages that went
            without an envelope (by reason), verdicts other than fresh, messages rejected, deserializers
            that failed.
    """

    def __init__(
        self,
        *,
        service: str,
        tenant: str,
        policy: Policy,
        keys: KeyProvider,
        sink: SpanSink | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Wire the parts. Most programs use `from_file` or `for_development`.

        Args:
            service: the service's name.
            tenant: whose messages these are where nothing else says so.
            policy: the compiled policy.
            keys: where the service's keys come from.
            sink: where spans go; without one, none are recorded.
            clock: nanoseconds since the epoch.

        Raises:
            ConfigurationError: the service's or the tenant's name is empty.
            KeyProviderError: the keys can't be had.
        """
        self.service = named("service", service)
        self.policy = policy
        self.counts: Counter[str] = Counter()
        self._tenant = named("tenant", tenant)
        self._clock = clock
        self._keyring = Keyring(keys)
        self._sealing = Sealing(policy, self._keyring, self.counts)
        self._receiver = Receiver(policy, self._keyring, self.counts)
        # With no sink there are no spans, and the outbox's thread only looks after the keys.
        self._outbox = Outbox(sink or MemorySink(), chore=self._keyring.refresh)
        self._recorder = Recorder(service, None if sink is None else self._outbox, clock)
        os.register_at_fork(after_in_child=weakly(self._in_child))
        atexit.register(weakly(self.close))

    @classmethod
    def from_file(cls, path: Path | str = "interceptors.yaml", *, sink: SpanSink | None = None) -> Self:
        """Make the tracing of a service from its configuration file.

        Args:
            path: the configuration.
            sink: where spans go instead of where the file says.

        Returns:
            The tracing.

        Raises:
            ConfigurationError: a file is missing or does not hold; the text names file, place and remedy.
        """
        found = read_configuration(Path(path))
        keys = local_keys(found.keys, found.service, f"{path}: keys")
        return cls(
            service=found.service,
            tenant=found.tenant,
            policy=read_policy(Path(found.policy)),
            keys=keys,
            sink=sink or sink_of(found.export),
        )

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
        sink: SpanSink | None = None,
    ) -> Self:
        """Make a tracing that needs no files: keys in memory, gone with the process.

        Args:
            service: the service's name.
            tenant: whose messages these are; any name.
            environment: the deployment environment.
            keys: the keys of another tracing in this process (`MemoryKeys.beside`), or a key file.
            policy: a policy as a mapping, or its file; without one every topic is traced.
            export: where spans go, as in `interceptors.yaml`.
            sink: where spans go instead.

        Returns:
            The tracing.

        Raises:
            ConfigurationError: the environment is production, here or in `INTERCEPTORS_ENVIRONMENT`; or an
                argument does not hold.
        """
        named = (environment, os.environ.get("INTERCEPTORS_ENVIRONMENT", ""))
        if any(name.casefold().startswith(PRODUCTION) for name in named):
            msg = "for_development is refused where the environment is production; use Tracing.from_file"
            raise ConfigurationError(msg)
        if isinstance(policy, (str, Path)):
            compiled = read_policy(Path(policy))
        else:
            compiled = check_policy({"version": 1} | dict(policy or {}), "policy")
        parsed = validate_document(Export, dict(export or {}), "export")
        return cls(
            service=service,
            tenant=tenant,
            policy=compiled,
            keys=development_keys(keys, service),
            sink=sink or sink_of(parsed),
        )

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
        return self._outbox.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Flush, record nothing more, and take no more changes of the keys up.

        Messages still pass, sealed and verified with the keys that were held.
        """
        self._outbox.close(timeout)

    @property
    def spans_dropped(self) -> int:
        """How many spans were lost: the outbox was full or closed, or the sink failed."""
        return self._outbox.dropped

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
        """Give what fetches a tenant's key, by default the current one's, off the event loop; or None."""
        whose = tenant or current_tenant() or self._tenant
        now = self._clock() // _NS_PER_MS
        return partial(self._keyring.sealer, whose, now) if self._keyring.wants_sealer(whose, now) else None

    def opening_keys_wanted(self, envelopes: Iterable[object]) -> Callable[[], object] | None:
        """Give what to call, off the event loop, before `receive`; None where nothing has to be fetched.

        Args:
            envelopes: the values of the envelope headers of what was received.
        """
        held = self._keyring.keys.held
        unknown = {kid for value in envelopes if (kid := kid_of(value)) is not None and kid not in held}
        if not unknown:  # nearly always
            return None
        now = self._clock() // _NS_PER_MS
        wanted = [kid for kid in unknown if self._keyring.wants(kid, now)]
        return partial(self._keyring.fetch_wanted, wanted, now) if wanted else None

    def origin(self) -> Origin:
        """Give what a message that begins here belongs to: the current tenant and the current span."""
        context = get_current()
        return Origin(current_tenant(context) or self._tenant, current(context))

    def seals(self, system: str, destination: str) -> bool:
        """Tell whether nothing that carries a trace in clear may go to a destination, envelope or none."""
        return self.policy.channels(system, destination)[0].emit is Emit.SEALED

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
        self._outbox.start()
        started = self._clock()
        origin = self.origin()
        context = child_of(origin.parent)
        carried = context if attempt is None else retry_of(attempt, context)
        outgoing = self._sealing.seal(message, carried, origin.tenant, started // _NS_PER_MS)
        span = None
        if outgoing.traced:
            span = self._recorder.sending(message.system, outgoing.channel, context, origin, started)
        sending = Sending(outgoing, message, span, self._recorder.end)
        refuse_blocked([outgoing], [sending])
        return sending

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
        self._outbox.start()
        started = self._clock()
        groups: dict[tuple[str, bytes | None], tuple[TraceContext, Span | None]] = {}
        batch: list[Outgoing] = []
        for message, origin in messages:
            place = (origin.tenant, origin.parent.span_id if origin.parent else None)
            context, span = groups.get(place) or (child_of(origin.parent), None)
            outgoing = self._sealing.seal(message, context, origin.tenant, started // _NS_PER_MS)
            batch.append(outgoing)
            if outgoing.traced and span is None:
                span = self._recorder.sending(message.system, outgoing.channel, context, origin, started)
            if span is not None:
                span.batch_size = (span.batch_size or 0) + 1
            groups[place] = (context, span)
        sendings = [OpenSpan(span, self._recorder.end) for _, span in groups.values() if span is not None]
        refuse_blocked(batch, sendings)
        return batch, sendings

    def receive(self, message: Message, *, consumer: str) -> Receipt:
        """Verify what came with a message.

        Args:
            message: the message.
            consumer: which consumers share one memory of what was seen: the consumer group's name, say.

        Returns:
            The verdict and what follows from it; nothing is raised, whatever the message holds.
        """
        self._outbox.start()
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
        if not receipt.traced:
            return Processing(None, None, self._recorder.end)
        origin = Origin(receipt.tenant or self._tenant, receipt.parent)
        context = child_of(origin.parent)
        span = self._recorder.processing(system, receipt, context, origin, group)
        current = Current(origin.tenant, context, origin.parent or context)
        return Processing(span, current, self._recorder.end)

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
        above = processing.context if processing is not None else receipt.parent
        span = None
        if receipt.traced:
            origin = Origin(receipt.tenant or self._tenant, above)
            span = self._recorder.settling(operation, system, receipt, origin)
        return OpenSpan(span, self._recorder.end)

    def now(self) -> int:
        """Give the time, in nanoseconds since the epoch, by the clock that spans are timed with."""
        return self._clock()

    def _in_child(self) -> None:
        self._receiver.in_child()
        self._keyring.after_fork()
