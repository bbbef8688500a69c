"""Log records of OpenTelemetry's SDK: of each, a new one that holds what the policy lets leave, and no more.

Needs opentelemetry-sdk 1.39 or later: before, log records were of other types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.trace import TraceFlags

from interceptors.otel.scrubbing import Scrubber, bounded
from interceptors.policy.span_conventions import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.tracing import Tracing


class ScrubbingLogRecordExporter(LogRecordExporter):
    """Holds log records to the policy before another exporter gets them.

    ```python
    exporter = otel.ScrubbingLogRecordExporter(OTLPLogExporter(), tracing)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    ```

    A record's body leaves where the policy's `spans.bodies` has it, and else is dropped: what a program logs
    is free-form. A record that can't be scrubbed is dropped: `tracing.counts["log records not scrubbed"]`
    says how many were.
    """

    def __init__(self, exporter: LogRecordExporter, tracing: Tracing) -> None:
        """Wrap.

        Args:
            exporter: exports what leaves.
            tracing: whose policy says what leaves.
        """
        self._exporter = exporter
        self._scrubber = Scrubber(tracing, "log records")

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export what leaves of some log records.

        Args:
            batch: as they were recorded.

        Returns:
            What the wrapped exporter says.
        """
        scrubbed = self._scrubber.scrubbed(batch, self._scrub)
        return self._exporter.export(scrubbed) if scrubbed else LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Shut the wrapped exporter down."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK's own has no types

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the wrapped exporter.

        Args:
            timeout_millis: how long that may take.

        Returns:
            Whether it was done in that time.
        """
        return self._exporter.force_flush(timeout_millis)

    def _scrub(self, readable: ReadableLogRecord) -> ReadableLogRecord:
        """Give what leaves of a log record."""
        record = readable.log_record
        scrubber = self._scrubber
        held = scrubber.held(record.attributes)
        severity = record.severity_number
        scrubbed = LogRecord(
            timestamp=record.timestamp,
            observed_timestamp=record.observed_timestamp,
            context=Context(),
            severity_text=record.severity_text if record.severity_text in SEVERITIES else None,
            severity_number=None if severity is None else SeverityNumber(severity),
            body=scrubber.policy.body(record.body, held),
            attributes=bounded(held, readable.dropped_attributes),
            event_name=scrubber.policy.event(record.event_name),
        )
        # An empty context would be taken for none, and the current one has its baggage.
        scrubbed.context = Context()
        scrubbed.trace_id = record.trace_id
        scrubbed.span_id = record.span_id
        scrubbed.trace_flags = TraceFlags(record.trace_flags or 0)
        return ReadableLogRecord(
            scrubbed, scrubber.resource(readable.resource), scrubber.scope(readable.instrumentation_scope)
        )
