"""The propagator `sealed`: any of OpenTelemetry's instrumentations carries an envelope, and nothing in clear.

`OTEL_PROPAGATORS=sealed`, with `INTERCEPTORS_CONFIG`, is all that it takes. It needs no SDK.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry.context import get_current
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from interceptors.context import continued, current_tenant
from interceptors.envelope import HEADER_NAME, to_text
from interceptors.errors import ConfigurationError
from interceptors.message import Message
from interceptors.tracing import configured

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from interceptors.tracing import Tracing

logger = logging.getLogger("interceptors.otel")

SYSTEM = "opentelemetry"
CARRIER = Message(SYSTEM, "carrier")
"""What an envelope of a propagator belongs to: where its carrier goes is not told to it. The channel that
lists it holds, else the policy's `default`."""


class SealedPropagator(TextMapPropagator):
    """Carries the context of the current span, and the labels that the policy names, in an envelope.

    Nothing of it raises: what can't be sealed is not carried, and what does not open begins a new trace.
    """

    def __init__(self, tracing: Tracing | None = None) -> None:
        """Take the service's tracing.

        Args:
            tracing: without it, it is the one that `INTERCEPTORS_CONFIG` names, made when it is first needed;
                where the variable is not set, nothing is carried.
        """
        self._tracing = tracing
        self._failed = False
        self._said: set[str] = set()

    @property
    def fields(self) -> set[str]:
        """The header that `inject` sets."""
        return {HEADER_NAME}

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Put the envelope into a carrier, as text in base64url.

        Args:
            carrier: of headers.
            context: OpenTelemetry's; by default the current one.
            setter: how the carrier is written to.
        """
        tracing = self._given()
        if tracing is None:
            return
        context = get_current() if context is None else context
        wanted = tracing.sealing_key_wanted(current_tenant(context))
        if wanted is not None:
            wanted()
        envelope = tracing.carry(CARRIER, context)
        if envelope is None:
            return
        try:
            setter.set(carrier, HEADER_NAME, to_text(envelope))
        except Exception as error:  # noqa: BLE001 - a carrier that can't be written to carries nothing
            self._note("a carrier could not be written to", error)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Open the envelope in a carrier.

        Args:
            carrier: of headers.
            context: OpenTelemetry's; by default the current one.
            getter: how the carrier is read.

        Returns:
            The context with the sender's span, tenant and labels, where the envelope is authentic and fresh;
            else the context as it was.
        """
        context = get_current() if context is None else context
        tracing = self._given()
        if tracing is None:
            return context
        try:
            values: tuple[object, ...] = tuple(getter.get(carrier, HEADER_NAME) or ())
        except Exception as error:  # noqa: BLE001 - a carrier that can't be read carries nothing
            self._note("a carrier could not be read", error)
            return context
        # What is no text belongs to a message, and an instrumentation of its bus has come upon it.
        envelopes = tuple(value for value in values if isinstance(value, str))
        if values and not envelopes:
            return context
        wanted = tracing.opening_keys_wanted(envelopes)
        if wanted is not None:
            wanted()
        # Each is a carrier of its own, so that one that comes again is none that is delivered again.
        receipt = tracing.receive(CARRIER._replace(envelopes=envelopes, redelivered=False), consumer=SYSTEM)
        if receipt.parent is None or receipt.tenant is None:
            return context
        return continued(context, receipt.tenant, receipt.parent, receipt.labels or {})

    def _given(self) -> Tracing | None:
        if self._tracing is None and not self._failed:
            try:
                self._tracing = configured()
            except ConfigurationError as error:
                logger.warning("nothing is carried: %s", error)
                self._failed = True
            except Exception as error:  # noqa: BLE001 - what is carried is the application's, and goes on
                self._note("nothing is carried: the tracing could not be made", error)
                self._failed = True
        return self._tracing

    def _note(self, what: str, error: Exception) -> None:
        if what not in self._said:  # a line a carrier would let anyone fill the log
            self._said.add(what)
            logger.warning("%s (%s)", what, type(error).__name__)
