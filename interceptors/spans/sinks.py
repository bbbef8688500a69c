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


class RetryLater(Exception):  # noqa: N818 - no error: the batch is kept, and nothing is lost
    """Raised by a sink that could not take a batch now, and may be able to later."""


class SpanSink(Protocol):
    """Takes ended spans, off the path of the messages."""

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        """Take a batch. Called by one thread at a time.

        Args:
            spans: ended spans, all of them sampled, oldest first.
            timeout: seconds after which to give up.

        Returns:
            How many of them were lost, such as those that a backend refused.

        Raises:
            RetryLater: the batch was not taken, and is to be offered again.
            Exception: anything else: the batch is counted as dropped.
        """
        ...

    def close(self) -> None:
        """Give up what is under way, and let go of connections. A second call changes nothing."""
        ...


class MemorySink:
    """Keeps spans in memory, for tests and for looking at.

    Attributes:
        spans: every span exported so far, oldest first.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.spans: list[Span] = []

    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - it never waits
        """Keep a batch."""
        self.spans.extend(spans)
        return 0

    def close(self) -> None:
        """Do nothing: the spans stay."""


class JsonLinesSink:
    """Appends spans to a file, one OTLP-JSON span a line."""

    def __init__(self, path: Path | str) -> None:
        """Name the file; it is made, for its owner only, when the first batch comes.

        Args:
            path: the file.
        """
        self._path = Path(path)

    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - a file is not waited for
        """Append a batch."""
        lines = "".join(json.dumps(to_otlp_json(span), separators=(",", ":")) + "\n" for span in spans)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8", opener=_private) as file:
            file.write(lines)
        return 0

    def close(self) -> None:
        """Do nothing: the file is closed after each batch."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
