from __future__ import annotations

import gc
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.spans import MemorySink, Outbox, RetryLater
from interceptors.spans import outbox as module
from interceptors.spans.outbox import BATCH, CAPACITY, EXPORT_S, KEPT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interceptors.spans import Span, SpanSink

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


class FailingSink:
    """Fails for the first batch alone."""

    def __init__(self) -> None:
        self.taken: list[Span] = []
        self.failed = False

    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - it never waits
        if not self.failed:
            self.failed = True
            msg = "secret"
            raise RuntimeError(msg)
        self.taken.extend(spans)
        return 0

    def close(self) -> None:
        pass


def test_spans_reach_the_sink_in_order(make_span: Callable[..., Span]) -> None:
    sink = MemorySink()
    outbox = Outbox(sink)
    spans = [make_span() for _ in range(3)]
    for span in spans:
        outbox.put(span)
    assert outbox.flush(PATIENCE)
    assert sink.spans == spans
    assert outbox.dropped == 0
    outbox.close(PATIENCE)


def test_a_full_outbox_drops_and_counts(make_span: Callable[..., Span]) -> None:
    sink = MemorySink()
    outbox = Outbox(sink, capacity=2)
    outbox._thread = threading.current_thread()  # so that nothing drains it meanwhile
    spans = [make_span() for _ in range(5)]
    for span in spans:
        outbox.put(span)
    assert outbox.dropped == 3
    outbox.flush(PATIENCE)
    assert sink.spans == spans[:2]


def test_a_failing_sink_costs_its_batch_and_nothing_else(
    make_span: Callable[..., Span], caplog: pytest.LogCaptureFixture
) -> None:
    sink = FailingSink()
    outbox = Outbox(sink)
    outbox._thread = threading.current_thread()
    spans = [make_span() for _ in range(BATCH + 3)]
    for span in spans:
        outbox.put(span)
    with caplog.at_level(logging.WARNING, "interceptors.spans"):
        assert outbox.flush(PATIENCE)
    assert outbox.dropped == BATCH
    assert sink.taken == spans[BATCH:]
    assert caplog.messages == [f"{BATCH} spans were lost: the sink failed with RuntimeError"]


def test_the_thread_takes_a_whole_batch_without_being_asked(
    make_span: Callable[..., Span], gated_sink: Callable[[], Any]
) -> None:
    sink = gated_sink()
    outbox = Outbox(sink)
    for _ in range(BATCH + 1):
        outbox.put(make_span())
    assert sink.came.wait(PATIENCE)
    sink.gate.set()
    assert outbox.close(PATIENCE)
    assert sum(sink.batches) == BATCH + 1


def test_a_flush_waits_for_the_export_under_way_and_says_if_it_gave_up(
    make_span: Callable[..., Span], gated_sink: Callable[[], Any]
) -> None:
    sink = gated_sink()
    outbox = Outbox(sink)
    outbox.put(make_span())
    with ThreadPoolExecutor() as pool:
        first = pool.submit(outbox.flush, PATIENCE)
        assert sink.came.wait(PATIENCE)
        assert not outbox.flush(0)
        sink.gate.set()
        assert first.result()
    assert outbox.flush(PATIENCE)
    assert sink.batches == [1]
    assert sink.timeouts == [EXPORT_S]  # and not the flush's
    outbox.close(PATIENCE)


def test_a_closed_outbox_has_exported_everything_and_takes_nothing_more(
    make_span: Callable[..., Span],
) -> None:
    sink = MemorySink()
    outbox = Outbox(sink)
    outbox.put(make_span())
    thread = outbox._thread
    assert thread is not None
    assert outbox.close(PATIENCE)
    outbox.put(make_span())
    assert (len(sink.spans), outbox.dropped) == (1, 1)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_outbox_that_was_never_used_starts_no_thread_once_closed() -> None:
    outbox = Outbox(MemorySink())
    outbox.close(PATIENCE)
    outbox.start()
    assert outbox._thread is None


def test_there_is_one_thread() -> None:
    outbox = Outbox(MemorySink())
    outbox.start()
    thread = outbox._thread
    outbox.start()
    assert outbox._thread is thread
    assert thread is not None
    assert thread.daemon
    outbox.close(PATIENCE)


def test_a_thread_that_does_not_start_is_said_once_and_tried_again_with_the_next_span(
    make_span: Callable[..., Span], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = MemorySink()
    outbox = Outbox(sink)
    spans = [make_span() for _ in range(3)]
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "interceptors.spans"):
        patch.setattr(threading.Thread, "start", refuse)
        for span in spans[:2]:
            outbox.put(span)
    outbox.put(spans[2])
    thread = outbox._thread
    assert thread is not None
    assert outbox.close(PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert caplog.messages == ["no thread could be started to export spans and refresh keys"]
    assert sink.spans == spans


def test_the_thread_ends_with_what_it_works_for() -> None:
    outbox = Outbox(MemorySink())
    outbox.start()
    thread, wake = outbox._thread, outbox._wake
    assert thread is not None
    del outbox
    gc.collect()
    wake.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_each_round_exports_and_does_the_chore(make_span: Callable[..., Span]) -> None:
    sink, rounds = MemorySink(), []
    outbox = Outbox(sink, chore=lambda: rounds.append(len(sink.spans)))
    outbox._thread = threading.current_thread()
    outbox.put(make_span())
    assert outbox.work_once()
    assert (rounds, len(sink.spans)) == ([0], 1)  # the chore first, since a sink may be slow
    outbox.close(PATIENCE)
    assert not outbox.work_once()


class EndlessSink:
    """Puts a new span for each that it exports, as an instrumented sink may, until it had enough."""

    def __init__(self) -> None:
        self.taken = 0
        self.again: Callable[[Span], object] = lambda _: None

    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - it never waits
        self.taken += len(spans)
        for span in spans:
            if self.taken < CAPACITY:  # so that a test that fails comes to an end
                self.again(span)
        return 0

    def close(self) -> None:
        pass


@pytest.mark.parametrize("drain", [Outbox.work_once, lambda outbox: outbox.flush(PATIENCE)])
def test_what_comes_during_an_export_does_not_keep_it_busy(
    make_span: Callable[..., Span], drain: Callable[[Outbox], bool]
) -> None:
    sink = EndlessSink()
    outbox = Outbox(sink)
    outbox._thread = threading.current_thread()
    sink.again = outbox.put
    for _ in range(BATCH + 3):
        outbox.put(make_span())
    assert drain(outbox)
    assert sink.taken == BATCH + 3
    assert drain(outbox)
    assert sink.taken == 2 * (BATCH + 3)


def test_without_a_chore_a_round_only_exports(make_span: Callable[..., Span]) -> None:
    sink = MemorySink()
    outbox = Outbox(sink)
    outbox._thread = threading.current_thread()
    outbox.put(make_span())
    assert outbox.work_once()
    assert len(sink.spans) == 1


def test_a_chore_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        msg = "secret"
        raise RuntimeError(msg)

    with caplog.at_level(logging.WARNING, "interceptors.spans"):
        assert Outbox(MemorySink(), chore=fail).work_once()
    assert caplog.messages == ["a background chore failed with RuntimeError"]


def test_threads_lose_no_span_uncounted(make_span: Callable[..., Span]) -> None:
    sink = MemorySink()
    outbox = Outbox(sink)
    span = make_span()
    each, workers = CAPACITY // 8, 4
    barrier = threading.Barrier(workers)

    def put() -> None:
        barrier.wait()
        for _ in range(each):
            outbox.put(span)

    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(put) for _ in range(workers)]:
            future.result()
    assert outbox.close(PATIENCE)
    assert (len(sink.spans), outbox.dropped) == (each * workers, 0)


@pytest.fixture
def fork_hooks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What would be called in a child after a fork."""
    hooks: list[Callable[[], None]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda *, after_in_child: hooks.append(after_in_child))
    return hooks


def test_a_child_begins_with_locks_and_thread_of_its_own_and_nothing_to_export(
    make_span: Callable[..., Span], fork_hooks: list[Callable[[], None]]
) -> None:
    sink = MemorySink()
    outbox = Outbox(sink)
    outbox.start()
    before, wake = outbox._thread, outbox._wake
    assert before is not None
    outbox._draining.acquire()  # as the thread of the parent may have, at the fork
    outbox._waiting.append(make_span())
    outbox.dropped = 7
    for hook in fork_hooks:
        hook()
    wake.set()  # of the parent
    assert outbox._thread not in (None, before)
    assert outbox.dropped == 0
    mine = make_span()
    outbox.put(mine)
    assert outbox.close(PATIENCE)
    assert sink.spans == [mine]


def test_what_had_no_thread_or_was_closed_has_none_in_the_child(
    make_span: Callable[..., Span], fork_hooks: list[Callable[[], None]]
) -> None:
    idle, closed = Outbox(MemorySink()), Outbox(MemorySink())
    closed.start()
    closed.close(PATIENCE)
    for hook in fork_hooks:
        hook()
    assert idle._thread is None
    assert closed._thread is None
    closed.put(make_span())
    assert closed.dropped == 1


def test_a_fork_does_not_mind_an_outbox_that_is_gone(fork_hooks: list[Callable[[], None]]) -> None:
    Outbox(MemorySink())
    gc.collect()
    assert [hook() for hook in fork_hooks] == [None]


def test_a_span_that_is_ended_amid_the_start_does_not_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch, make_span: Callable[..., Span]
) -> None:
    """The garbage collector may end one anywhere: in the midst of what starts the thread, too."""
    sink = MemorySink()
    outbox = Outbox(sink)
    start = threading.Thread.start

    def collecting(thread: threading.Thread) -> None:
        outbox.put(make_span())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", collecting)
    outbox.put(make_span())
    monkeypatch.undo()

    outbox.close(5)
    assert len(sink.spans) == 2


# --- a sink that can't take spans now ---------------------------------------------------------------------


class RefusingSink:
    """Refuses what it is offered until it is told to take it."""

    def __init__(self) -> None:
        self.refused = threading.Event()
        self.takes = False
        self.lost = 0
        self.offered: list[list[Span]] = []
        self.taken: list[Span] = []
        self.closed = 0

    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - it never waits
        self.offered.append(list(spans))
        if not self.takes:
            self.refused.set()
            raise RetryLater
        self.taken.extend(spans)
        return self.lost

    def close(self) -> None:
        self.closed += 1


class Clock:
    """The module's monotonic clock."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def idle_thread() -> Iterator[threading.Thread]:
    """A thread that lives, in the place of an outbox's that is busy elsewhere."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield thread
    done.set()
    thread.join()


def worked_here(sink: SpanSink, chore: Callable[[], None] | None = None) -> Outbox:
    """An outbox without a thread: the test does its rounds."""
    outbox = Outbox(sink, chore=chore)
    outbox._thread = threading.current_thread()
    return outbox


def put_all(outbox: Outbox, spans: list[Span]) -> None:
    for span in spans:
        outbox.put(span)


def test_what_is_refused_is_offered_again_in_order(make_span: Callable[..., Span]) -> None:
    sink = RefusingSink()
    outbox = worked_here(sink)
    spans = [make_span() for _ in range(BATCH + 3)]
    put_all(outbox, spans[:-1])
    assert outbox.work_once()
    put_all(outbox, spans[-1:])
    assert not outbox.flush(PATIENCE)
    assert sink.offered == [spans[:BATCH]] * 2  # the rest waits behind it
    sink.takes = True
    assert outbox.flush(PATIENCE)
    assert (sink.taken, outbox.dropped) == (spans, 0)


def test_what_is_refused_for_too_long_is_dropped_and_the_rest_has_its_time(
    make_span: Callable[..., Span], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sink = RefusingSink()
    outbox = worked_here(sink)
    put_all(outbox, [make_span() for _ in range(BATCH + 3)])
    dropped = []
    with caplog.at_level(logging.WARNING, "interceptors.spans"):
        for seconds in (0, KEPT_S - 1, 1, KEPT_S - 1, 1):
            clock.seconds += seconds
            assert outbox.work_once()
            dropped.append(outbox.dropped)
    # In the third round the second batch is offered for the first time.
    assert dropped == [0, 0, BATCH, BATCH, BATCH + 3]
    assert caplog.messages == [
        f"{count} spans were lost: the sink has not taken them for too long" for count in (BATCH, 3)
    ]


def test_the_time_begins_anew_once_something_was_taken(make_span: Callable[..., Span], clock: Clock) -> None:
    sink = RefusingSink()
    outbox = worked_here(sink)
    for _ in range(2):
        sink.takes = False
        outbox.put(make_span())
        outbox.work_once()
        clock.seconds += KEPT_S - 1
        sink.takes = True
        outbox.work_once()
    assert (len(sink.taken), outbox.dropped) == (2, 0)


def test_a_flush_gives_up_at_its_timeout_while_the_sink_refuses(make_span: Callable[..., Span]) -> None:
    sink = RefusingSink()
    outbox = Outbox(sink)
    outbox.put(make_span())
    assert not outbox.flush(0.01)
    assert sink.refused.wait(PATIENCE)
    sink.takes = True
    assert outbox.flush(PATIENCE)
    assert (len(sink.taken), outbox.dropped) == (1, 0)
    outbox.close(PATIENCE)


def test_a_flush_that_has_given_up_leaves_nothing_behind(
    make_span: Callable[..., Span], idle_thread: threading.Thread
) -> None:
    outbox = Outbox(MemorySink())
    outbox._thread = idle_thread
    outbox.put(make_span())
    assert not any(outbox.flush(0) for _ in range(5))
    assert len(outbox._waiting) == 1


class MeanwhileSink(MemorySink):
    """Has something done in the midst of its first export."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        if self.meanwhile:
            self.meanwhile.pop()()
        return super().export(spans, timeout)


def test_a_flush_may_give_up_in_the_midst_of_an_export(make_span: Callable[..., Span]) -> None:
    sink = MeanwhileSink()
    outbox = worked_here(sink)
    put_all(outbox, [make_span() for _ in range(BATCH)])
    flush = threading.Event()
    outbox._waiting.append(flush)
    sink.meanwhile.append(lambda: outbox._waiting.remove(flush))
    assert outbox.work_once()
    assert len(sink.spans) == BATCH


def test_a_close_may_come_in_the_midst_of_an_export(make_span: Callable[..., Span]) -> None:
    sink = MeanwhileSink()
    outbox = worked_here(sink)
    put_all(outbox, [make_span() for _ in range(BATCH + 3)])
    sink.meanwhile.append(lambda: outbox.close(0))
    assert not outbox.work_once()
    assert (len(sink.spans), outbox.dropped) == (BATCH, 3)


def test_a_close_may_come_in_the_midst_of_a_refusal(make_span: Callable[..., Span]) -> None:
    sink = RefusingSink()
    outbox = worked_here(sink)
    put_all(outbox, [make_span() for _ in range(BATCH + 3)])
    refuse = sink.export

    def close_and_refuse(spans: Sequence[Span], timeout: float) -> int:
        outbox.close(0)
        return refuse(spans, timeout)

    sink.export = close_and_refuse  # type: ignore[method-assign]  # for this one alone
    assert not outbox.work_once()
    assert (len(sink.offered), outbox.dropped) == (1, BATCH + 3)


def test_a_close_counts_what_is_left_and_lets_those_go_that_wait(
    make_span: Callable[..., Span], gated_sink: Callable[[], Any]
) -> None:
    sink = gated_sink()
    outbox = Outbox(sink)
    put_all(outbox, [make_span() for _ in range(BATCH + 1)])
    assert sink.came.wait(PATIENCE)
    thread = outbox._thread
    assert thread is not None
    flush = threading.Event()
    outbox._waiting.append(flush)
    put_all(outbox, [make_span() for _ in range(4)])
    assert not outbox.close(0)
    assert flush.is_set()
    sink.gate.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    # Of the spans before the flush, one may have come after the thread took its first batch.
    assert sum(sink.batches) + outbox.dropped == BATCH + 5
    assert outbox.dropped >= 4


def test_the_sink_is_closed_once(make_span: Callable[..., Span]) -> None:
    sink = RefusingSink()
    outbox = Outbox(sink)
    outbox.put(make_span())
    assert not outbox.close(0.01)
    assert outbox.close(PATIENCE)
    assert (sink.closed, outbox.dropped) == (1, 1)


def test_the_thread_is_not_woken_while_the_sink_refuses(make_span: Callable[..., Span]) -> None:
    sink = RefusingSink()
    outbox = worked_here(sink)
    outbox.put(make_span())
    outbox.work_once()
    put_all(outbox, [make_span() for _ in range(2 * BATCH)])
    assert not outbox._wake.is_set()
    sink.takes = True
    outbox.work_once()
    put_all(outbox, [make_span() for _ in range(BATCH + 1)])
    assert outbox._wake.is_set()


def test_what_a_sink_says_it_lost_is_counted(make_span: Callable[..., Span]) -> None:
    sink = RefusingSink()
    sink.takes, sink.lost = True, 2
    outbox = worked_here(sink)
    put_all(outbox, [make_span() for _ in range(5)])
    assert outbox.flush(PATIENCE)
    assert outbox.dropped == 2


class SlowSink:
    """Takes longer for a batch than a round may."""

    def __init__(self, sink: MemorySink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        self._clock.seconds += EXPORT_S + 1
        return self._sink.export(spans, timeout)

    def close(self) -> None:
        pass


def test_a_slow_sink_does_not_keep_the_chore_from_its_turn(
    make_span: Callable[..., Span], clock: Clock
) -> None:
    sink = MemorySink()
    rounds: list[int] = []
    outbox = worked_here(SlowSink(sink, clock), lambda: rounds.append(len(sink.spans)))
    put_all(outbox, [make_span() for _ in range(2 * BATCH + 3)])
    while len(sink.spans) < 2 * BATCH + 3:
        assert outbox.work_once()
    assert rounds == [0, BATCH, 2 * BATCH]
