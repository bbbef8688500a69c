from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from interceptors.files import replace_file

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"the old content, which is longer")
    path.chmod(0o644)
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"the old content, which is longer"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_it_can_not_be_replaced_nothing_is_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(folder, b"new")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "none" / "file", b"new")
    assert list(tmp_path.iterdir()) == [folder]
