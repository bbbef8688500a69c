"""What `opentelemetry-instrument` loads: the entry points of the group `opentelemetry_instrumentor`.

Each instruments one bus with the tracing that `INTERCEPTORS_CONFIG` names, and does nothing where the
variable is not set or the bus's client is not installed.

What belongs here: the way from an entry point to `instrument` of a bus. What does not: the patching, and any
import of a bus or of OpenTelemetry's instrumentation before it is needed.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from interceptors.errors import MissingExtraError
from interceptors.tracing import configured

if TYPE_CHECKING:
    from interceptors.tracing import Tracing

logger = logging.getLogger("interceptors.instrumentors")


class _Bus(Protocol):
    def instrument(self, tracing: Tracing) -> None: ...

    def uninstrument(self) -> None: ...


class _Instrumentor:
    """As much of OpenTelemetry's `BaseInstrumentor` as whoever loads the entry points calls."""

    room: ClassVar[str]

    def instrument(self, **_: Any) -> None:  # noqa: ANN401 - options of OpenTelemetry's, none of which is ours
        """Instrument the bus.

        Raises:
            ConfigurationError: `INTERCEPTORS_CONFIG` names what can't be used, or the bus is instrumented
                with another tracing.
            KeyProviderError: the keys can't be had.
        """
        tracing = configured()
        if tracing is None:
            logger.debug("INTERCEPTORS_CONFIG is not set; %s is not instrumented", self.room)
            return
        try:
            bus = self._bus()
        except MissingExtraError as error:
            logger.debug("%s is not instrumented: %s", self.room, error)
            return
        bus.instrument(tracing)

    def uninstrument(self, **_: Any) -> None:  # noqa: ANN401 - as above
        """Put the bus back as it was, where its client is installed."""
        try:
            bus = self._bus()
        except MissingExtraError:
            return
        bus.uninstrument()

    def _bus(self) -> _Bus:
        return cast("_Bus", importlib.import_module(f"interceptors.{self.room}"))


class KafkaInstrumentor(_Instrumentor):
    """Instruments aiokafka."""

    room = "kafka"


class ConfluentInstrumentor(_Instrumentor):
    """Instruments confluent-kafka."""

    room = "confluent"


class RabbitMQInstrumentor(_Instrumentor):
    """Instruments aio-pika."""

    room = "rabbitmq"


class CeleryInstrumentor(_Instrumentor):
    """Instruments Celery."""

    room = "celery"
