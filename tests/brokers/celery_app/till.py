"""The app of a worker that writes down what came with each task, configured by its environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from celery import Celery

from interceptors import Tracing
from interceptors.celery import connect

TAKEN = Path(os.environ["TILL_TAKEN"])

app = Celery("till")
app.conf.update(json.loads(os.environ["TILL_CONF"]))
connect(app, Tracing.from_file(os.environ["TILL_TRACING"]))


@app.task(bind=True, name="take")  # type: ignore[untyped-decorator]  # Celery has no types
def take(self: Any, body: str) -> None:
    """Write it down."""
    receipt = self.request.receipt
    opened = receipt.opened
    taken = {
        "body": body,
        "verdict": receipt.verdict,
        "answer": receipt.answer,
        "kid": opened and opened.id[:16].hex(),
        "parent": opened and [opened.context.trace_id.hex(), opened.context.span_id.hex()],
    }
    with TAKEN.open("a") as file:
        file.write(json.dumps(taken) + "\n")
