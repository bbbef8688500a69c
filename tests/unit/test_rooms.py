"""The sizes that modules keep to, so that a newcomer can read any of them in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "interceptors"
BUSES = ["celery", "confluent", "faststream", "kafka", "rabbitmq"]


def longer_than(most: int, folder: Path) -> dict[str, int]:
    """The modules in a folder, however deep, that have more lines, and how many."""
    modules = sorted(folder.rglob("*.py"))
    assert modules
    lines = {str(module.relative_to(ROOT)): len(module.read_text().splitlines()) for module in modules}
    return {name: count for name, count in lines.items() if count > most}


def test_no_module_is_long() -> None:
    assert longer_than(400, ROOT) == {}


@pytest.mark.parametrize("bus", BUSES)
def test_an_adapter_is_thin(bus: str) -> None:
    assert longer_than(300, ROOT / bus) == {}
