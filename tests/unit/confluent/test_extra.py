"""What an import of the adapter does and needs."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from interceptors import MissingExtraError, confluent

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def import_lacking(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Imports the adapter anew, where importing confluent-kafka ends with a module that is not there."""

    def import_anew(missing: str) -> object:
        class Finder:
            def find_spec(self, name: str, *_: object) -> None:
                if name == "confluent_kafka":
                    raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

        monkeypatch.delitem(sys.modules, "confluent_kafka")
        for name in [name for name in sys.modules if name.startswith("interceptors.confluent")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        return importlib.import_module("interceptors.confluent")

    return import_anew


def test_without_confluent_kafka_the_error_says_what_to_install(
    import_lacking: Callable[[str], object],
) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'interceptors\[confluent\]'") as caught:
        import_lacking("confluent_kafka")

    assert caught.value.extra == "confluent"


def test_a_fault_inside_confluent_kafka_is_not_called_a_missing_extra(
    import_lacking: Callable[[str], object],
) -> None:
    with pytest.raises(ModuleNotFoundError, match="attrs") as caught:
        import_lacking("attrs")

    assert not isinstance(caught.value, MissingExtraError)


def test_everything_public_is_there() -> None:
    assert {name for name in confluent.__all__ if not hasattr(confluent, name)} == set()
