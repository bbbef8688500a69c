from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.spans import MemorySink, Outboxes
from interceptors.spans import outbox as module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.spans import Span

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


def nothing() -> None:
    """A chore."""


class LossySink(MemorySink):
    """Loses one span of each batch."""

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        return super().export(spans, timeout) + 1


@pytest.mark.parametrize("sinks", [0, 1, 2])
@pytest.mark.parametrize("meter", [None, MemorySink()])
def test_one_of_them_does_the_chore(sinks: int, meter: MemorySink | None) -> None:
    done: list[int] = []
    outboxes = Outboxes([MemorySink() for _ in range(sinks)], meter=meter, chore=lambda: done.append(1))
    assert len(outboxes.exporting) == sinks
    assert (outboxes.meter is None) is (meter is None)
    outboxes.keeper.work_once()
    assert len(done) == 1
    for outbox in {outboxes.meter or outboxes.keeper, *outboxes.exporting} - {outboxes.keeper}:
        outbox.work_once()
    assert len(done) == 1


def test_without_sinks_there_is_nothing_to_export_and_nothing_is_lost() -> None:
    outboxes = Outboxes([], meter=None, chore=nothing)
    assert outboxes.exporting == ()
    assert outboxes.flush(0)
    assert outboxes.close(0)
    assert outboxes.dropped == 0


def test_each_sink_gets_every_span_and_losses_add_up(make_span: Callable[..., Span]) -> None:
    meter, sinks = LossySink(), [MemorySink(), LossySink(), LossySink()]
    outboxes = Outboxes(sinks, meter=meter, chore=nothing)
    assert outboxes.meter is not None
    span = make_span()
    for outbox in (outboxes.meter, *outboxes.exporting):
        outbox.put(span)
    assert outboxes.flush(PATIENCE)
    assert [sink.spans for sink in (meter, *sinks)] == [[span]] * 4
    assert outboxes.dropped == 2  # what is not measured is no span that is missing anywhere
    assert outboxes.close(PATIENCE)


@pytest.mark.parametrize("finish", [Outboxes.flush, Outboxes.close])
def test_a_slow_sink_does_not_hold_up_another(
    make_span: Callable[..., Span],
    gated_sink: Callable[[], Any],
    finish: Callable[[Outboxes, float], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 2 * PATIENCE)  # so that nothing is exported unasked
    slow, quick = gated_sink(), gated_sink()
    quick.gate.set()
    outboxes = Outboxes([slow, quick], meter=None, chore=nothing)
    for outbox in outboxes.exporting:
        outbox.put(make_span())
    with ThreadPoolExecutor() as pool:
        finishing = pool.submit(finish, outboxes, PATIENCE)
        assert slow.came.wait(PATIENCE)
        assert quick.came.wait(PATIENCE)
        slow.gate.set()
        assert finishing.result(PATIENCE)
    assert (slow.batches, quick.batches) == ([1], [1])
    outboxes.close(PATIENCE)


def test_all_have_left_only_where_each_has(
    make_span: Callable[..., Span], gated_sink: Callable[[], Any]
) -> None:
    slow, quick = gated_sink(), MemorySink()
    outboxes = Outboxes([slow, quick], meter=None, chore=nothing)
    for outbox in outboxes.exporting:
        outbox.put(make_span())
    assert not outboxes.flush(0)
    slow.gate.set()
    assert outboxes.flush(PATIENCE)
    assert len(quick.spans) == 1
    assert outboxes.close(PATIENCE)
