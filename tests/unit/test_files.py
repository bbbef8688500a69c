from __future__ import annotations

import errno
import os
import stat
import tempfile
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


def test_another_users_link_behind_ones_own_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tmp_path / "others"
    (tmp_path / "target").write_bytes(b"old")
    others.symlink_to(tmp_path / "target")
    (tmp_path / "own").symlink_to(others)
    real = type(tmp_path).lstat

    def lstat(path: Path) -> os.stat_result:
        """Give what is of another user, whoever runs this."""
        found = list(real(path))
        found[stat.ST_UID] = os.geteuid() if path != others else os.geteuid() + 1
        return os.stat_result(found)

    monkeypatch.setattr(type(tmp_path), "lstat", lstat)
    with pytest.raises(PermissionError, match="another user has made"):
        replace_file(tmp_path / "own", b"new")
    assert (tmp_path / "target").read_bytes() == b"old"


def test_links_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to("first")
    with pytest.raises(OSError, match="symbolic links") as caught:
        replace_file(tmp_path / "first", b"new")
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "first").is_symlink()


def test_dots_behind_a_link_lead_out_of_what_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "place" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("place/inner")
    made: list[str] = []
    real = tempfile.mkstemp

    def mkstemp(dir: str, prefix: str) -> tuple[int, str]:  # noqa: A002 - the library's name
        handle, name = real(dir=dir, prefix=prefix)
        made.append(name)
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    replace_file(tmp_path / "link" / ".." / "file", b"new")
    assert (tmp_path / "place" / "file").read_bytes() == b"new"
    assert [os.path.dirname(name) for name in made] == [str(tmp_path / "place")]  # noqa: PTH120 - texts


@pytest.mark.parametrize("name", ["file", "none", "none/file", "nul\0"])
def test_what_is_no_link_is_itself(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert followed(tmp_path / name) == tmp_path / name
