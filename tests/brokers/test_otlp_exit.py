"""Programs that end soon after they have sent: their spans arrive all the same."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import OtlpSink

DEADLINE = 60
"""Seconds that a program may take."""

BEGIN = """
    import os, sys, warnings

    from interceptors import Tracing
    from interceptors.message import Message

    # From Python 3.12 on, `os.fork` warns of the thread that a Tracing in use has.
    warnings.simplefilter("ignore", DeprecationWarning)
    tracing = Tracing.for_development("checkout", export={"otlp": {"endpoint": sys.argv[1]}})

    def send():
        with tracing.send(Message("kafka", "orders")) as sending:
            os.write(1, sending.span.context.trace_id.hex().encode() + b"\\n")  # at once: two processes do

    send()
"""
SHORT = ""
ENDS_AS_MULTIPROCESSING_DOES = """
    child = os.fork()
    if child == 0:
        send()
        os._exit(not tracing.flush(30))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
RUNS_ITS_HOOKS_AT_EXIT = """
    child = os.fork()
    send()
    if child != 0:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("rest", "count"),
    [
        pytest.param(SHORT, 1, id="a short program"),
        pytest.param(ENDS_AS_MULTIPROCESSING_DOES, 2, id="a child that flushes"),
        pytest.param(RUNS_ITS_HOOKS_AT_EXIT, 3, id="a child that ends by itself"),
    ],
)
def test_what_a_program_has_sent_arrives_once(otlp_sink: OtlpSink, rest: str, count: int) -> None:
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(rest), otlp_sink.url],
        capture_output=True,
        check=False,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    traces = done.stdout.split()
    assert len(set(traces)) == count
    for trace in traces:
        assert [one.span.name for one in otlp_sink.trace(bytes.fromhex(trace), 1)] == ["send orders"]
