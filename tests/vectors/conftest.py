"""The vector files, and their scenarios one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "schemas" / "vectors"
FILES = [path for path in sorted(VECTORS.glob("*.json")) if not path.name.endswith(".schema.json")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each thing that it asks for.

    `vector_file` is each file, `scenario` each scenario of them, `sealed_scenario` each that can be sealed.
    """
    if "vector_file" in metafunc.fixturenames:
        metafunc.parametrize("vector_file", FILES, ids=lambda path: path.stem)
    for asked, needed in (("scenario", "name"), ("sealed_scenario", "sealed_from")):
        if asked in metafunc.fixturenames:
            scenarios = [
                pytest.param(scenario, id=f"{path.stem}:{scenario['name']}")
                for path in FILES
                for scenario in json.loads(path.read_text(encoding="utf-8"))
                if needed in scenario
            ]
            metafunc.parametrize(asked, scenarios)


@pytest.fixture
def vectors() -> Path:
    """The folder of the vector files."""
    return VECTORS
