"""Tracings that are closed when a test ends, and the files of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors import Tracing
from interceptors.keys import KeyAdministration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def development() -> Iterator[Callable[..., Tracing]]:
    """Makes a tracing as `Tracing.for_development` does, of `checkout` if nothing else is said."""
    made: list[Tracing] = []

    def make(service: str = "checkout", **arguments: Any) -> Tracing:
        made.append(Tracing.for_development(service, **arguments))
        return made[-1]

    yield make
    for tracing in made:
        tracing.close()


@pytest.fixture
def administration(tmp_path: Path) -> KeyAdministration:
    """An administration that has granted `checkout` its keys for `acme`, in `keys.json`."""
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", [], tmp_path / "keys.json")
    return administration


@pytest.fixture
def configuration(tmp_path: Path, administration: KeyAdministration) -> Path:
    """The configuration of `checkout`, whose policy and keys lie beside it."""
    assert administration.files()
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    path = tmp_path / "interceptors.yaml"
    path.write_text("service: checkout\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n")
    return path
