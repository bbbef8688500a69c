"""Logs to look at, and to tamper with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from interceptors.audit import AuditLog
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_790_000_000_000


@pytest.fixture
def clock() -> Callable[[], int]:
    """A clock that goes on by a millisecond each time it is asked."""
    return itertools.count(NOW * 1_000_000, 1_000_000).__next__


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey(bytes(range(32)))


@pytest.fixture
def log(path: Path, clock: Callable[[], int]) -> AuditLog:
    """A log without checkpoints."""
    return AuditLog(path, actor="key-administration", clock=clock)


@pytest.fixture
def signed(path: Path, key: SigningKey, clock: Callable[[], int]) -> AuditLog:
    """A log with checkpoints."""
    return AuditLog(path, actor="key-administration", key=key, clock=clock)
