"""The spans of the run, sent on to whatever speaks OTLP, such as a Collector."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from interceptors.demo.brokers import check_url, unreachable
from interceptors.demo.setup import SERVICES
from interceptors.errors import ConfigurationError
from interceptors.spans.otlp import otlp_sink
from interceptors.spans.sinks import RetryLater

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.spans import Span
    from interceptors.spans.otlp import OtlpSink

_BATCH = 512
TIMEOUT_S = 10.0
"""How long a batch may take."""


class Exporting:
    """Sends the spans of each service as that service's, which is what a backend groups them by."""

    def __init__(self, url: str) -> None:
        """Take the address.

        Args:
            url: where OTLP over HTTP goes, with or without `/v1/traces`.

        Raises:
            ConfigurationError: it is none, or the environment's `OTEL_EXPORTER_OTLP_…` variables don't hold.
        """
        check_url("--otlp", url)
        self._url = url
        self._sinks = {
            service: otlp_sink(endpoint=url, service=service, environment="development")
            for service in SERVICES
        }

    def export(self, spans: Sequence[Span]) -> None:
        """Send spans.

        Args:
            spans: ended spans of the services.

        Raises:
            ConfigurationError: not all of them were taken.
        """
        lost = 0
        with contextlib.ExitStack() as closing:
            for service, sink in self._sinks.items():
                closing.callback(sink.close)
                own = [span for span in spans if span.service == service]
                for start in range(0, len(own), _BATCH):
                    lost += self._send(sink, own[start : start + _BATCH])
        if lost:
            raise ConfigurationError(
                f"--otlp: {lost} of {len(spans)} spans were refused; check that the address is one that takes"
                " OTLP over HTTP"
            )

    def _send(self, sink: OtlpSink, batch: Sequence[Span]) -> int:
        try:
            return sink.export(batch, TIMEOUT_S)
        except RetryLater:  # there will be no later
            raise unreachable("--otlp", self._url, TimeoutError()) from None
