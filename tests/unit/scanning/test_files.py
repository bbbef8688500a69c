from __future__ import annotations

import gzip
import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from interceptors.scan import Format, Inspection, Inspector, Unscanned
from interceptors.scan.finding import Scan
from interceptors.scanning.files import File, find_files, scan_files
from interceptors.scanning.report import Problems

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAG = b"tag=abc;"


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def found_in(inspector: Inspector, problems: Problems) -> Callable[..., list[tuple[str, int]]]:
    """Name and record of each tag in some files."""

    def scan(*paths: Path | str, advanced: Callable[[int], None] = lambda _: None) -> list[tuple[str, int]]:
        files = find_files(map(str, paths), problems)
        found = scan_files(files, inspector, Format.AUTO, problems=problems, advanced=advanced)
        return [(each.file, each.record) for each in found]

    return scan


def write(path: Path, data: bytes = TAG) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def test_a_folder_is_all_its_files_in_order(tmp_path: Path, problems: Problems) -> None:
    names = [write(tmp_path / name) for name in ("b/c/d", "b/a", "a", "c.bin", ".hidden")]
    assert find_files([str(tmp_path)], problems) == [File(name, len(TAG)) for name in sorted(names)]
    assert list(problems.texts()) == []


def test_what_is_named_comes_in_the_order_of_the_names(tmp_path: Path, problems: Problems) -> None:
    second, first = write(tmp_path / "a"), write(tmp_path / "b")
    found = find_files([first, "-", second], problems)
    assert found == [File(first, len(TAG)), File("-", 0), File(second, len(TAG))]


def test_in_a_folder_links_and_pipes_are_left_out(
    tmp_path: Path, found_in: Callable[..., list[tuple[str, int]]]
) -> None:
    elsewhere = write(tmp_path / "elsewhere" / "a")
    folder = tmp_path / "folder"
    inside = write(folder / "b")
    (folder / "link").symlink_to(elsewhere)
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    assert found_in(folder) == [(inside, 0)]
    assert found_in(folder / "link") == [(str(folder / "link"), 0)]  # it was named


def test_what_is_missing_is_told_and_the_rest_is_scanned(
    tmp_path: Path, found_in: Callable[..., list[tuple[str, int]]], problems: Problems
) -> None:
    here = write(tmp_path / "here")
    assert found_in(tmp_path / "gone", here, tmp_path / "here" / "in") == [(here, 0)]
    gone, within = problems.texts()
    assert gone.startswith(f"{tmp_path / 'gone'}: No such file or directory; ")
    assert within.startswith(f"{tmp_path / 'here' / 'in'}: Not a directory; ")


def test_what_goes_while_it_is_scanned_is_told_and_the_rest_is_scanned(
    tmp_path: Path, inspector: Inspector, problems: Problems
) -> None:
    files = [File(str(tmp_path / "gone"), 8), File(write(tmp_path / "here"), 8)]
    found = scan_files(files, inspector, Format.AUTO, problems=problems, advanced=lambda _: None)
    assert [each.file for each in found] == [files[1].name]
    (text,) = problems.texts()
    assert text.startswith(f"{files[0].name}: No such file or directory; ")


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test may run as root, who can read all.
    def refuse(path: str) -> NoReturn:
        raise PermissionError(13, "Permission denied", path)

    write(tmp_path / "a")
    monkeypatch.setattr(os, "lstat", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    assert find_files([str(tmp_path)], problems) == []
    assert list(problems.texts()) == [f"{tmp_path}: Permission denied; let this user read it"]


def test_a_compressed_file_is_scanned_as_what_is_in_it(
    tmp_path: Path, found_in: Callable[..., list[tuple[str, int]]]
) -> None:
    data = gzip.compress(b'{}\n{"a": "tag=abc;"}\n')
    named, unnamed = write(tmp_path / "a.jsonl.gz", data), write(tmp_path / "b", data)
    assert found_in(named, unnamed) == [(named, 1), (unnamed, 1)]


def test_of_a_damaged_file_what_comes_before_is_scanned(
    tmp_path: Path, found_in: Callable[..., list[tuple[str, int]]], problems: Problems
) -> None:
    lines = b"tag=abc;\n" + b"".join(b"%d\n" % number for number in range(1_000_000))
    damaged = write(tmp_path / "a.log.gz", gzip.compress(lines)[:-100_000])
    behind = write(tmp_path / "b")
    assert found_in(damaged, behind) == [(damaged, 0), (behind, 0)]
    (text,) = problems.texts()
    assert text.startswith(f"{damaged}: it is damaged")


def test_of_a_small_file_that_was_cut_what_is_there_is_scanned(
    tmp_path: Path, found_in: Callable[..., list[tuple[str, int]]], problems: Problems
) -> None:
    cut = write(tmp_path / "a.log.gz", gzip.compress(b"tag=abc;\ntag=def;\n")[:-8])
    assert found_in(cut) == [(cut, 0), (cut, 1)]
    (text,) = problems.texts()
    assert text.startswith(f"{cut}: it is damaged")


def test_a_codec_that_is_not_installed_is_told(
    tmp_path: Path,
    found_in: Callable[..., list[tuple[str, int]]],
    problems: Problems,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    packed, plain = write(tmp_path / "a", b"\x28\xb5\x2f\xfd..."), write(tmp_path / "b")
    assert found_in(packed, plain) == [(plain, 0)]
    (text,) = problems.texts()
    assert text.startswith(f"{packed}: ")
    assert "interceptors[scan]" in text


def test_standard_input_is_a_file(
    found_in: Callable[..., list[tuple[str, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"one\ntag=abc;\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert found_in("-") == [("-", 1)]
    assert not stdin.buffer.closed


def test_a_standard_input_that_is_closed_is_told(
    found_in: Callable[..., list[tuple[str, int]]], problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert found_in("-") == []
    (text,) = problems.texts()
    assert text.startswith("-: the standard input is closed; ")


def test_all_bytes_that_are_read_are_told(
    tmp_path: Path, found_in: Callable[..., list[tuple[str, int]]]
) -> None:
    told: list[int] = []
    size = 5 << 20
    found_in(write(tmp_path / "a.log", b"x" * size), advanced=told.append)
    assert sum(told) == size
    assert len(told) > 2


def test_what_is_not_scanned_to_its_end_is_told(tmp_path: Path, problems: Problems) -> None:
    class Blind(Inspector):
        def inspect(self, *_: object, **__: object) -> Inspection:
            return Scan((), Unscanned.CODEC)  # type: ignore[return-value]  # all that is asked of it

    file = write(tmp_path / "a.bin", b"\0")
    files = find_files([file], problems)
    assert list(scan_files(files, Blind([]), Format.AUTO, problems=problems, advanced=lambda _: None)) == []
    (text,) = problems.texts()
    assert text.startswith(f"{file}:0: not scanned to the end: {Unscanned.CODEC}")
