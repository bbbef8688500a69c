from __future__ import annotations

from pathlib import Path

import pytest

from interceptors import ConfigurationError
from interceptors.governance.checks import check_paths
from interceptors.governance.checks.files import EXCLUDED, Kind, files_in


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str = "") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def kinds(*paths: Path, exclude: tuple[str, ...] = ()) -> dict[str, Kind]:
    return {file.shown: file.kind for file in files_in(paths or [Path()], exclude)}


CONFIGURATION = "service: a\ntenant: b\nkeys: c\npolicy: d\n"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("policy.yaml", "", Kind.POLICY),
        ("shop-policy.yml", "", Kind.POLICY),
        ("policy.eu.yaml", "", Kind.POLICY),
        ("rules.yaml", "version: 1\ndefault:\n  emit: none\n", Kind.POLICY),
        ("rules.yaml", "version: 1 # of the form\nchannels: []\n", Kind.POLICY),
        ("rules.yaml", "version: 2\nchannels: []\n", None),
        ("network-policy.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n", None),
        ("bucket-policy.yml", "AWSTemplateFormatVersion: '2010-09-09'\n", None),
        ("interceptors-collector.yaml", "kind: Deployment\n", None),
        ("compose.yaml", "version: 1\nservices: {}\n", None),
        ("interceptors.yaml", "", Kind.CONFIGURATION),
        ("interceptors-billing.yml", "", Kind.CONFIGURATION),
        ("billing.yaml", CONFIGURATION, Kind.CONFIGURATION),
        ("billing.yaml", "service: a\nservice: a\ntenant: b\nkeys: c\n", None),
        ("a.py", "", Kind.PYTHON),
        ("a.json", '{"sender_key": "00"}', Kind.KEYS),
        ("a.json", '{"key": "00"}', None),
        ("a.txt", "version: 1\nchannels: []\n", None),
    ],
)
def test_what_a_file_is_checked_as(name: str, text: str, kind: Kind | None) -> None:
    write(name, text)
    assert kinds() == ({} if kind is None else {name: kind})


@pytest.mark.parametrize("excluded", EXCLUDED)
def test_folders_of_others_are_left_out(excluded: str) -> None:
    write(f"shop/{excluded}/a.py")
    write("shop/a.py")
    assert list(kinds()) == ["shop/a.py"]


@pytest.mark.parametrize("glob", ["shop/generated/*", "generated", "*_pb2.py", "generated/*"])
def test_what_is_excluded_is_left_out(glob: str) -> None:
    write("shop/generated/orders_pb2.py")
    write("shop/a.py")
    assert list(kinds(exclude=(glob,))) == ["shop/a.py"]


def test_a_file_that_is_named_counts_once_whatever_else_is_named() -> None:
    path = write("shop/a.py")
    Path("shop/b.py").symlink_to("a.py")
    assert list(kinds(path, Path("shop"), Path("shop/../shop"))) in (["shop/a.py"], ["shop/../shop/a.py"])


def test_a_path_that_is_absolute_is_shown_from_the_current_folder(folder: Path) -> None:
    write("shop/a.py")
    assert list(kinds(folder / "shop")) == ["shop/a.py"]


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^none: there is no such file or folder; "):
        list(files_in([Path("none")]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.txt", "version: 1\nchannels: []\n"),
        ("p.yaml", "versions: 1\n"),
        ("p.yaml", "channels: [\n"),
        ("a.json", '{"key": "00"}'),
        ("large.py", "#" * (4 << 20) + "\n"),
    ],
)
def test_a_file_that_is_named_and_not_known_is_refused(name: str, text: str) -> None:
    path = write(f"shop/{name}", text)
    assert kinds(Path("shop")) == {}
    for paths in ([path], [Path("shop"), path.resolve()]):
        with pytest.raises(ConfigurationError, match=rf"shop/{name}: not looked at: .*; call a policy "):
            list(files_in(paths))


def test_a_project_is_the_nearest_folder_that_says_so() -> None:
    write("shop/pyproject.toml")
    write("shop/src/a.py")
    write("other/b.py")
    projects = {file.shown: file.project for file in files_in([Path()])}
    assert projects == {"shop/src/a.py": Path("shop"), "other/b.py": Path()}


@pytest.mark.parametrize("link", [True, False])
def test_what_can_not_be_read_as_text_is_a_finding(*, link: bool) -> None:
    if link:
        Path("policy.yaml").symlink_to("nowhere")
    else:
        Path("policy.yaml").write_bytes(b"\xff\xfe")
    (finding,) = check_paths([Path()], now_ms=0)
    assert (finding.path, finding.line, finding.rule.id) == ("policy.yaml", 1, "file-unreadable")


def test_a_file_larger_than_any_source_is_left_out() -> None:
    with write("a.py").open("r+b") as file:
        file.truncate(5 << 20)
    assert kinds() == {}


def test_a_byte_order_mark_does_no_harm() -> None:
    Path("a.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    (file,) = files_in([Path()])
    assert file.text == "x = 1\n"
