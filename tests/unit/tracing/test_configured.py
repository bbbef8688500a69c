"""The one tracing of a process that is configured by its environment alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from interceptors import ConfigurationError, Tracing
from interceptors.tracing.configured import VARIABLE, _made, configured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test has had made is closed, and made anew for the next."""
    yield
    while _made:
        _made.popitem()[1].close()


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_there_is_none(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv(VARIABLE, raising=False)
    else:
        monkeypatch.setenv(VARIABLE, value)

    assert configured() is None


def test_all_threads_have_the_same_one(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(configuration))
    together = threading.Barrier(8)
    found: list[Tracing | None] = []

    def ask() -> None:
        together.wait(60)
        found.append(configured())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert found[0] is not None
    assert found[0].service == "checkout"
    assert configured() is found[0]


def test_another_configuration_is_another_one(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(configuration.read_text())
    monkeypatch.setenv(VARIABLE, str(configuration))
    first = configured()

    monkeypatch.setenv(VARIABLE, str(other))

    assert configured() is not first
    monkeypatch.setenv(VARIABLE, str(configuration))
    assert configured() is first


def test_what_does_not_hold_is_said_and_may_be_mended(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = configuration.read_text()
    configuration.write_text("service: checkout\n")
    monkeypatch.setenv(VARIABLE, str(configuration))

    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"interceptors\.yaml"):
            configured()

    configuration.write_text(text)
    assert configured() is not None
