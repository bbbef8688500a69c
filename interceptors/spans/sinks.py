"""Where ended spans go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from interceptors.spans.otlp_json import to_otlp_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interceptors.spans.span import Span


class SpanSink(Protocol):
    """Takes ended spans, off the path of the messages."""

    def export(self, spans: Sequence[Span]) -> None:
        """Take a batch. Called by one thread at a time.

        Args:
            spans: ended spans, oldest first.

        Raises:
            Exception: anything: the batch is counted as dropped.
        """
        ...


class MemorySink:
    """Keeps spans in memory, for tests and for looking at.

    Attributes:
        spans: every span exported so far, oldest first.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.spans: list[Span] = []

    def export(self, spans: Sequence[Span]) -> None:
        """Keep a batch."""
        self.spans.extend(spans)


class JsonLinesSink:
    """Appends spans to a file, one OTLP-JSON span a line."""

    def __init__(self, path: Path | str) -> None:
        """Name the file; it is made, for its owner only, when the first batch comes.

        Args:
            path: the file.
        """
        self._path = Path(path)

    def export(self, spans: Sequence[Span]) -> None:
        """Append a batch."""
        lines = "".join(json.dumps(to_otlp_json(span), separators=(",", ":")) + "\n" for span in spans)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8", opener=_private) as file:
            file.write(lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
