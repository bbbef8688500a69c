from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors import ConfigurationError
from interceptors.policy.signed import LARGEST
from interceptors.tracing.reading import decoded, read_content, read_text

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1 # ✓\n", encoding="utf-8")
    assert read_text(path, "interceptors init") == "version: 1 # ✓\n"


def test_no_more_is_read_of_a_file_than_tells_that_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    with path.open("wb") as file:
        file.truncate(LARGEST * 4)
    assert len(read_content(path, "interceptors init")) == LARGEST + 1


@pytest.mark.parametrize(("name", "reason"), [("missing", "No such file"), ("a\0b", "not a path"), (".", "")])
def test_what_can_not_be_read_is_named_with_what_makes_one(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"can't be read \({reason}.*\); a starter is made by: interceptors init"
    ):
        read_content(tmp_path / name, "interceptors init")


def test_what_is_no_text_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.yaml: not UTF-8") as raised:
        decoded(b"CANARY\xff", "policy.yaml")
    assert raised.value.__context__ is None
