"""The app of the worker whose broker is killed, configured by its environment."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from celery import Celery

from interceptors import Tracing
from interceptors.celery import connect
from interceptors.context import current

app = Celery("returns")
app.conf.update(json.loads(os.environ["RETURNS_CONF"]))
connect(app, Tracing.from_file(os.environ["RETURNS_TRACING"]))


@app.task(bind=True, name="inspect", acks_late=True, reject_on_worker_lost=True)  # type: ignore[untyped-decorator]  # Celery has no types
def inspect(self: Any) -> None:
    """Tell the test that it runs, and be done when that says so."""
    context, receipt = current(), self.request.receipt
    run = {
        "id": self.request.id,
        "sender": receipt.sender,
        "trace_id": context and context.trace_id.hex(),
        "parent": receipt.parent and receipt.parent.span_id.hex(),
        "verdict": receipt.verdict,
    }
    with socket.create_connection(("127.0.0.1", int(os.environ["RETURNS_PORT"]))) as connection:
        connection.sendall(json.dumps(run).encode() + b"\n")
        connection.recv(1)
