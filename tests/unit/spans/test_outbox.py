from __future__ import annotations

import gc
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from interceptors.spans import MemorySink, Outbox
from interceptors.spans.outbox import BATCH, CAPACITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.spans import Span

PATIENCE = 30.0
"""Seconds after which a test fails rather than wait on."""


class GatedSink:
    """Says that a batch has come, and keeps it until it is let through."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.gate = threading.Event()
        self.batches: list[int] = []

    def export(self, spans: Sequence[Span]) -> None:
        self.came.set()
        assert self.gate.wait(PATIENCE)
        self.batches.append(len(spans))


class FailingSink:
    """Fails for the first batch alone."""

    def __init__(self) -> None:
        self.taken: list[Span] = []
        self.failed = False

    def export(self, spans: Sequence[Span]) -> None:
        if not self.failed:
            self.failed = True
            msg = "secret"
            raise RuntimeError(msg)
        self.taken.extend(spans)


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


def test_the_thread_takes_a_whole_batch_without_being_asked(make_span: Callable[..., Span]) -> None:
    sink = GatedSink()
    outbox = Outbox(sink)
    for _ in range(BATCH + 1):
        outbox.put(make_span())
    assert sink.came.wait(PATIENCE)
    sink.gate.set()
    assert outbox.close(PATIENCE)
    assert sum(sink.batches) == BATCH + 1


def test_a_flush_waits_for_the_export_under_way_and_says_if_it_gave_up(
    make_span: Callable[..., Span],
) -> None:
    sink = GatedSink()
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

    def export(self, spans: Sequence[Span]) -> None:
        self.taken += len(spans)
        for span in spans:
            if self.taken < CAPACITY:  # so that a test that fails comes to an end
                self.again(span)


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
