"""What an import of the adapter does and needs."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from interceptors import MissingExtraError, rabbitmq

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def import_lacking(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Imports the adapter anew, where importing aio_pika ends with a module that is not there."""

    def import_anew(missing: str) -> object:
        class Finder:
            def find_spec(self, name: str, *_: object) -> None:
                if name == "aio_pika":
                    raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

        for name in [name for name in sys.modules if name.startswith(("aio_pika", "interceptors.rabbitmq"))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        return importlib.import_module("interceptors.rabbitmq")

    return import_anew


def test_without_aio_pika_the_error_says_what_to_install(import_lacking: Callable[[str], object]) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[rabbitmq\]'") as caught:
        import_lacking("aio_pika")

    assert caught.value.extra == "rabbitmq"


def test_a_fault_inside_aio_pika_is_not_called_a_missing_extra(
    import_lacking: Callable[[str], object],
) -> None:
    with pytest.raises(ModuleNotFoundError, match="aiormq") as caught:
        import_lacking("aiormq")

    assert not isinstance(caught.value, MissingExtraError)


def test_everything_public_is_there() -> None:
    assert {name for name in rabbitmq.__all__ if not hasattr(rabbitmq, name)} == set()
