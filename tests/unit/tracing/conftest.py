"""Tracings that are closed when a test ends, and the files of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors import Tracing
from interceptors.context import new_root
from interceptors.keys import KeyAdministration
from interceptors.spans import Operation, Span
from interceptors.tracing import Processing
from interceptors.tracing.scopes import Current

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


class Ended:
    """Takes ended spans, with their errors."""

    def __init__(self) -> None:
        self.spans: list[tuple[Span, BaseException | None]] = []

    def __call__(self, span: Span, error: BaseException | None) -> None:
        self.spans.append((span, error))


@pytest.fixture
def ended() -> Ended:
    """What has ended, in place of a recorder."""
    return Ended()


@pytest.fixture
def processing_of(ended: Ended) -> Callable[[str], Processing]:
    """Makes the processing of a message of a tenant; its span has the tenant's name."""

    def make(tenant: str) -> Processing:
        context = new_root()
        span = Span(Operation.PROCESS, "kafka", "orders", context, None, 1, "checkout", tenant)
        return Processing(span, Current(tenant, context, context), ended)

    return make


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
