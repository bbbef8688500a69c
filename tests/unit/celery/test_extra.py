"""What an import of the adapter does and needs."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from interceptors import MissingExtraError, celery

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def import_lacking(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Imports the adapter anew, where importing celery ends with a module that is not there."""

    def import_anew(missing: str) -> object:
        class Finder:
            def find_spec(self, name: str, *_: object) -> None:
                if name == "celery":
                    raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

        for name in ("celery", "interceptors.celery"):  # not what lies in it: the rest of Celery is in use
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        return importlib.import_module("interceptors.celery")

    return import_anew


def test_without_celery_the_error_says_what_to_install(import_lacking: Callable[[str], object]) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[celery\]'") as caught:
        import_lacking("celery")

    assert caught.value.extra == "celery"


def test_a_fault_inside_celery_is_not_called_a_missing_extra(
    import_lacking: Callable[[str], object],
) -> None:
    with pytest.raises(ModuleNotFoundError, match="billiard") as caught:
        import_lacking("billiard")

    assert not isinstance(caught.value, MissingExtraError)


def test_everything_public_is_there() -> None:
    assert {name for name in celery.__all__ if not hasattr(celery, name)} == set()
