from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from interceptors.spans import JsonLinesSink, MemorySink, to_otlp_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.spans import Span


def test_a_memory_sink_keeps_spans_in_order(make_span: Callable[..., Span]) -> None:
    sink, spans = MemorySink(), [make_span() for _ in range(3)]
    assert sink.export(spans[:2], 1) == 0
    assert sink.export(spans[2:], 1) == 0
    sink.close()
    assert sink.spans == spans


def test_a_file_gets_one_span_a_line_and_grows(tmp_path: Path, make_span: Callable[..., Span]) -> None:
    path = tmp_path / "new" / "spans.jsonl"
    spans = [make_span(channel=name) for name in ("a", "two\nlines", "\ud800")]
    for sink, batch in ((JsonLinesSink(path), spans[:1]), (JsonLinesSink(str(path)), spans[1:])):
        assert sink.export(batch, 1) == 0
        sink.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [to_otlp_json(span) for span in spans]


def test_a_new_file_is_its_owners_alone(tmp_path: Path, make_span: Callable[..., Span]) -> None:
    path = tmp_path / "spans.jsonl"
    JsonLinesSink(path).export([make_span()], 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_made_only_with_the_first_batch(tmp_path: Path) -> None:
    JsonLinesSink(tmp_path / "spans.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_the_callers_to_know(
    tmp_path: Path, make_span: Callable[..., Span]
) -> None:
    with pytest.raises(OSError, match=str(tmp_path)):
        JsonLinesSink(tmp_path).export([make_span()], 1)
