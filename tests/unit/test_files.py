from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from interceptors.files import followed, replace_file

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


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    target = tmp_path / "kept" / "file"
    target.parent.mkdir()
    target.write_bytes(b"old")
    (tmp_path / "first").symlink_to("kept/file")
    (tmp_path / "second").symlink_to(tmp_path / "first")

    replace_file(tmp_path / "second", b"new")

    assert target.read_bytes() == b"new"
    assert (tmp_path / "second").readlink() == tmp_path / "first"
    assert str((tmp_path / "first").readlink()) == "kept/file"
    assert list(target.parent.iterdir()) == [target]


def test_a_link_may_lead_to_what_is_not_there_yet_where_its_folder_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"

    (tmp_path / "astray").symlink_to("none/file")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "astray", b"new")


def test_another_users_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of their own, they could lead whoever writes there to any file of the system."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    if os.geteuid() == 0:
        os.lchown(link, 1, 1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 1)

    with pytest.raises(PermissionError, match="another user has made"):
        replace_file(link, b"new")
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["file", "none", "none/file", "nul\0"])
def test_what_is_no_link_is_itself(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert followed(tmp_path / name) == tmp_path / name
