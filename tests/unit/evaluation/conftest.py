"""Labelled data in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.evaluation.labelled import LabelledData, read_labelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def labelled(tmp_path: Path) -> Callable[..., LabelledData]:
    """Writes documents as lines, and reads them back."""

    def read(*documents: dict[str, Any]) -> LabelledData:
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
        return read_labelled(path)

    return read
